-- Not one slot of an hour without a network is lost, and both balances hold.
SELECT slots, counted + counted_late AS counted, sensor_fault, quarantined, lost, missing FROM ledger_slots;
--> slots | counted | sensor_fault | quarantined | lost | missing
--> 401 | 401 | 0 | 0 | 0 | 0

SELECT arrivals = counted + counted_late + sensor_fault + quarantined + duplicates + released AS balanced
FROM ledger_arrivals;
--> balanced
--> true

-- Each minute of the outage has all its readings.
SELECT count(*) AS minutes, min(readings) AS fewest, max(readings) AS most FROM windows
WHERE window_size = '1m' AND window_start >= '2026-06-01 12:01:00' AND window_end <= '2026-06-01 13:05:00';
--> minutes | fewest | most
--> 64 | 6 | 6

-- The hour was complete before it was closed: readings of the backlog are on time.
SELECT readings, late, closed_by, revision FROM windows WHERE window_size = '1h';
--> readings | late | closed_by | revision
--> 360 | 0 | watermark | 0
