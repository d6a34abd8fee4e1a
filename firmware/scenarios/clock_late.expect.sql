-- Slots that were taken before the board knew the time have it all the same, 10 s apart. The clock was set by the Date
-- of an answer, which tells whole seconds: so it is right to half of one.
SELECT count(*) AS slots, max(ts - previous) AS longest, min(ts - previous) AS shortest,
  abs(epoch(min(ts)) - epoch(TIMESTAMP '2026-06-01 12:00:01.5')) < 0.6 AS is_right
FROM (SELECT ts, lag(ts) OVER (ORDER BY seq) AS previous FROM readings WHERE seq <= 12);
--> slots | longest | shortest | is_right
--> 13 | 00:00:10 | 00:00:08.5 | true

SELECT slots, counted + counted_late AS counted, quarantined, lost, missing FROM ledger_slots;
--> slots | counted | quarantined | lost | missing
--> 51 | 51 | 0 | 0 | 0

SELECT count(*) FILTER (WHERE time_uncertain) AS uncertain FROM readings;
--> uncertain
--> 0
