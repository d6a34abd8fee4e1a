-- What was on the wire is what is in the rows.
SELECT seq, temperature_c, humidity_pct, fault FROM readings;
--> seq | temperature_c | humidity_pct | fault
--> 0 | 21.5 | 48.2 | NULL
