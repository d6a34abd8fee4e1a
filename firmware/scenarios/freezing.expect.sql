-- The sign survives wire, driver, JSON and columns; so does a tenth below zero.
SELECT seq, temperature_c, humidity_pct FROM readings ORDER BY seq;
--> seq | temperature_c | humidity_pct
--> 0 | 21.5 | 48.2
--> 1 | -0.1 | 80.5
--> 2 | -20 | 80.5

-- Sums are exact: in thousandths, whole numbers.
SELECT readings, temperature_c_min, temperature_c_max, temperature_milli_c_sum FROM windows_live WHERE window_size = '1m';
--> readings | temperature_c_min | temperature_c_max | temperature_milli_c_sum
--> 3 | -20 | 21.5 | 1400

SELECT reason FROM quarantine;
--> reason
