-- The first slot, with what the diagram's sensor measures, sent at once.
SELECT device, seq, ts, temperature_c, humidity_pct, late, time_uncertain FROM readings;
--> device | seq | ts | temperature_c | humidity_pct | late | time_uncertain
--> wokwi | 0 | 2026-06-01 12:00:01.498 | 21.5 | 48.2 | false | false

-- It is in each window that it opened.
SELECT window_size, readings, expected, temperature_c_mean, closed_by FROM windows_live ORDER BY window_end;
--> window_size | readings | expected | temperature_c_mean | closed_by
--> 1m | 1 | 6 | 21.5 | NULL
--> 1h | 1 | 360 | 21.5 | NULL
--> 1d | 1 | 8640 | 21.5 | NULL
