-- The boot with the wrong settings measured nothing; the one after it did.
SELECT seq, temperature_c FROM readings;
--> seq | temperature_c
--> 0 | 21.5

SELECT slots, counted, sensor_fault, lost, missing FROM ledger_slots ORDER BY first_heard;
--> slots | counted | sensor_fault | lost | missing
--> 1 | 1 | 0 | 0 | 0
