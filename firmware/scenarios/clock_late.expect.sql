-- Slots that were taken before the board knew the time have it all the same: 10 s apart, from the first one on.
SELECT count(*) AS slots, date_trunc('second', min(ts)) AS first, max(ts - previous) AS longest, min(ts - previous) AS shortest
FROM (SELECT ts, lag(ts) OVER (ORDER BY seq) AS previous FROM readings WHERE seq <= 12);
--> slots | first | longest | shortest
--> 13 | 2026-06-01 12:00:01 | 00:00:10 | 00:00:08.5

SELECT slots, counted + counted_late AS counted, quarantined, lost, missing FROM ledger_slots;
--> slots | counted | quarantined | lost | missing
--> 21 | 21 | 0 | 0 | 0

SELECT count(*) FILTER (WHERE time_uncertain) AS uncertain FROM readings;
--> uncertain
--> 0
