-- A frame that doesn't add up, or ends early, is a sensor fault and never a value.
SELECT seq, temperature_c, fault FROM readings ORDER BY seq;
--> seq | temperature_c | fault
--> 0 | 21.5 | NULL
--> 1 | NULL | checksum
--> 2 | NULL | checksum
--> 3 | NULL | timeout
--> 4 | 21.5 | NULL

SELECT arrivals, counted, sensor_fault, quarantined, duplicates FROM ledger_arrivals;
--> arrivals | counted | sensor_fault | quarantined | duplicates
--> 5 | 2 | 3 | 0 | 0
