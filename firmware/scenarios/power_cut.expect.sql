-- What was in flash when the power failed is sent by the next boot; the two boots are told apart.
SELECT row_number() OVER (ORDER BY first_event_time) AS boot, slots, counted + counted_late AS counted, lost, missing
FROM ledger_slots ORDER BY first_event_time;
--> boot | slots | counted | lost | missing
--> 1 | 5 | 5 | 0 | 0
--> 2 | 7 | 7 | 0 | 0

SELECT count(*) AS readings, count(DISTINCT boot) AS boots, count(DISTINCT (boot, seq)) AS slots FROM readings;
--> readings | boots | slots
--> 12 | 2 | 12

SELECT reason FROM quarantine;
--> reason
