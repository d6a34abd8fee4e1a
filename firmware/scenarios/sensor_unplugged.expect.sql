-- Each slot is there: with values, or with the cause why there are none.
SELECT seq, temperature_c, fault FROM readings ORDER BY seq;
--> seq | temperature_c | fault
--> 0 | 21.5 | NULL
--> 1 | NULL | timeout
--> 2 | NULL | timeout
--> 3 | NULL | timeout
--> 4 | 21.5 | NULL

SELECT slots, counted, sensor_fault, lost, missing FROM ledger_slots;
--> slots | counted | sensor_fault | lost | missing
--> 5 | 2 | 3 | 0 | 0

-- A mean is made of values alone.
SELECT readings, sensor_faults, temperature_c_count, temperature_c_mean FROM windows_live WHERE window_size = '1m';
--> readings | sensor_faults | temperature_c_count | temperature_c_mean
--> 2 | 3 | 2 | 21.5
