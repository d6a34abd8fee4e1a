-- What Isotherm stores and what it shows. One statement per semicolon; the part above the line `-- views` makes the
-- base tables of a partition's private file, the part below makes the documented views over them. A publication has
-- the same views over immutable files: its catalogue gives each base table as a view of the same name and columns.
--
-- Conventions: base tables end in _rows, hold exact integers (thousandths of °C and %), and are only appended to;
-- `version` is the number of the transaction in its partition. Times are TIMESTAMP in UTC. What people query are the
-- views; every view and every column of a view has a comment: FROM duckdb_columns().
-- The newest version is taken by a semi-join with max(version): QUALIFY row_number() = 1 over a join is an internal
-- error in DuckDB 1.5.5 (its TopN window elimination).

CREATE TABLE reading_rows (
  version BIGINT NOT NULL, device VARCHAR NOT NULL, boot BIGINT, seq BIGINT, ts TIMESTAMP NOT NULL,
  append_time TIMESTAMP NOT NULL, log_offset BIGINT NOT NULL, log_index INTEGER NOT NULL,
  temperature_milli_c INTEGER, humidity_milli_pct INTEGER, fault VARCHAR, flag VARCHAR,
  late BOOLEAN NOT NULL, time_uncertain BOOLEAN NOT NULL, released BOOLEAN NOT NULL,
  every_ms BIGINT
);

CREATE TABLE quarantine_rows (
  version BIGINT NOT NULL, device VARCHAR, boot BIGINT, seq BIGINT, ts TIMESTAMP,
  append_time TIMESTAMP NOT NULL, log_offset BIGINT NOT NULL, log_index INTEGER NOT NULL,
  reason VARCHAR NOT NULL, detail VARCHAR NOT NULL, raw VARCHAR NOT NULL
);

CREATE TABLE release_rows (
  version BIGINT NOT NULL, device VARCHAR NOT NULL, log_offset BIGINT NOT NULL, log_index INTEGER NOT NULL,
  released_by_offset BIGINT NOT NULL
);

CREATE TABLE gap_rows (
  version BIGINT NOT NULL, log_partition INTEGER NOT NULL, from_offset BIGINT NOT NULL, to_offset BIGINT NOT NULL,
  append_time TIMESTAMP NOT NULL
);

CREATE TABLE window_rows (
  version BIGINT NOT NULL, device VARCHAR NOT NULL, window_size VARCHAR NOT NULL,
  window_start TIMESTAMP NOT NULL, window_end TIMESTAMP NOT NULL,
  readings BIGINT NOT NULL, sensor_faults BIGINT NOT NULL, late BIGINT NOT NULL, time_uncertain BIGINT NOT NULL,
  every_ms BIGINT, oldest_append_time TIMESTAMP NOT NULL,
  temperature_count BIGINT NOT NULL, temperature_sum BIGINT NOT NULL, temperature_sum_squares DECIMAL(38, 0) NOT NULL,
  temperature_min INTEGER, temperature_max INTEGER, temperature_first INTEGER, temperature_last INTEGER,
  temperature_first_key VARCHAR, temperature_last_key VARCHAR, temperature_p50 INTEGER, temperature_p95 INTEGER,
  humidity_count BIGINT NOT NULL, humidity_sum BIGINT NOT NULL, humidity_sum_squares DECIMAL(38, 0) NOT NULL,
  humidity_min INTEGER, humidity_max INTEGER, humidity_first INTEGER, humidity_last INTEGER,
  humidity_first_key VARCHAR, humidity_last_key VARCHAR, humidity_p50 INTEGER, humidity_p95 INTEGER,
  closed_by VARCHAR, revision BIGINT NOT NULL, replaces BIGINT, changed_append_time TIMESTAMP, changed_offset BIGINT
);

-- The open windows as they stood at the last publication (closed_by null); replaced as a whole, never read back.
CREATE TABLE open_window_rows AS FROM window_rows LIMIT 0;

CREATE TABLE device_rows (
  version BIGINT NOT NULL, device VARCHAR NOT NULL,
  first_append_time TIMESTAMP NOT NULL, last_append_time TIMESTAMP NOT NULL, last_offset BIGINT NOT NULL,
  highest_event_time TIMESTAMP, pending_since TIMESTAMP, watermark TIMESTAMP, every_ms BIGINT, current_boot BIGINT,
  display_name VARCHAR, retired BOOLEAN NOT NULL, shared_name BOOLEAN NOT NULL,
  counted BIGINT NOT NULL, counted_late BIGINT NOT NULL, sensor_fault BIGINT NOT NULL,
  quarantined BIGINT NOT NULL, duplicates BIGINT NOT NULL, released BIGINT NOT NULL,
  unsequenced_highest TIMESTAMP, unsequenced_expired TIMESTAMP, unsequenced_days VARCHAR NOT NULL,
  quarantine_day BIGINT NOT NULL, quarantined_today BIGINT NOT NULL
);

CREATE TABLE boot_rows (
  version BIGINT NOT NULL, device VARCHAR NOT NULL, boot BIGINT NOT NULL,
  first_append_time TIMESTAMP NOT NULL, heard BOOLEAN NOT NULL,
  first_event_time TIMESTAMP, last_event_time TIMESTAMP, slots BIGINT NOT NULL,
  counted BIGINT NOT NULL, counted_late BIGINT NOT NULL, sensor_fault BIGINT NOT NULL,
  quarantined BIGINT NOT NULL, lost BIGINT NOT NULL, spans VARCHAR NOT NULL
);

-- Segments of large transactions until they are published (JSON); only in the private file.
CREATE TABLE sealed_rows (version BIGINT NOT NULL, segment VARCHAR NOT NULL);

-- Small transactions until they are put into the tables (JSON); only in the private file.
CREATE TABLE journal_rows (version BIGINT NOT NULL, changes VARCHAR NOT NULL);

CREATE TABLE position_rows (
  version BIGINT NOT NULL, log_partition INTEGER NOT NULL, next_offset BIGINT NOT NULL,
  append_high TIMESTAMP NOT NULL, epoch BIGINT NOT NULL, last_offset BIGINT, last_hash VARCHAR, config_hash VARCHAR NOT NULL
);

CREATE TABLE alert_rows (
  version BIGINT NOT NULL, log_partition INTEGER NOT NULL, log_offset BIGINT NOT NULL, log_index INTEGER NOT NULL,
  decided_at TIMESTAMP NOT NULL, kind VARCHAR NOT NULL, rule VARCHAR NOT NULL, device VARCHAR NOT NULL,
  alert_time TIMESTAMP NOT NULL, value_milli BIGINT, sentence VARCHAR NOT NULL,
  window_size VARCHAR, window_start TIMESTAMP, previous_window_start TIMESTAMP, past BOOLEAN NOT NULL
);

CREATE TABLE alert_rule_rows (
  version BIGINT NOT NULL, log_partition INTEGER NOT NULL, name VARCHAR NOT NULL, position INTEGER NOT NULL,
  definition VARCHAR, since TIMESTAMP NOT NULL
);

-- What the rules remember of a device, as JSON; nothing for people.
CREATE TABLE alert_state_rows (version BIGINT NOT NULL, device VARCHAR NOT NULL, state VARCHAR NOT NULL);

-- The configuration that rows are made with; in a catalogue only, a live file's stays empty.
CREATE TABLE config_rows (
  version BIGINT NOT NULL, config_hash VARCHAR NOT NULL, windows VARCHAR NOT NULL, out_of_order_ms BIGINT NOT NULL,
  idle_ms BIGINT NOT NULL, future_ms BIGINT NOT NULL, pending_ms BIGINT NOT NULL, retention_ms BIGINT NOT NULL
);

-- views

CREATE VIEW readings AS
SELECT device, boot, seq, ts, append_time,
  temperature_milli_c / 1000.0 AS temperature_c, humidity_milli_pct / 1000.0 AS humidity_pct,
  fault, flag, late, time_uncertain, released, log_offset, log_index,
  243.12 * magnus / (17.62 - magnus) AS dew_point_c, absolute_humidity_g_m3
FROM (
  SELECT *, CASE WHEN humidity_milli_pct > 0 THEN ln(humidity_milli_pct / 100000.0)
      + 17.62 * temperature_milli_c / (243120.0 + temperature_milli_c) END AS magnus,
    216.68 * (humidity_milli_pct / 100000.0) * 6.112 * exp(17.62 * temperature_milli_c / (243120.0 + temperature_milli_c))
      / (273.15 + temperature_milli_c / 1000.0) AS absolute_humidity_g_m3
  FROM reading_rows);
COMMENT ON VIEW readings IS 'One row per counted reading and per slot whose sensor failed (fault says why). Kept for the retention, by append time.';
COMMENT ON COLUMN readings.device IS 'Device name as sent';
COMMENT ON COLUMN readings.boot IS 'Number of the board''s start (53 random bits); null if the sender numbers nothing';
COMMENT ON COLUMN readings.seq IS 'Sampling slot within the boot, from 0; null if the sender numbers nothing';
COMMENT ON COLUMN readings.ts IS 'Event time (UTC): when it was measured';
COMMENT ON COLUMN readings.append_time IS 'When the log stored it (UTC), by the log''s clock';
COMMENT ON COLUMN readings.temperature_c IS 'Temperature in °C; null if not measured';
COMMENT ON COLUMN readings.humidity_pct IS 'Relative humidity in %; null if not measured';
COMMENT ON COLUMN readings.fault IS 'Why the sensor gave no value (timeout, checksum, out_of_range); null for a reading';
COMMENT ON COLUMN readings.flag IS 'What the device found odd about the value (stuck); null normally';
COMMENT ON COLUMN readings.late IS 'It came after its window of the finest size had closed';
COMMENT ON COLUMN readings.time_uncertain IS 'ts is the board''s estimate: its clock was not synchronised';
COMMENT ON COLUMN readings.released IS 'It was quarantined first and released through the log';
COMMENT ON COLUMN readings.log_offset IS 'Offset of its record in the partition of the log';
COMMENT ON COLUMN readings.log_index IS 'Place in its batch, from 0';
COMMENT ON COLUMN readings.dew_point_c IS 'Dew point over water in °C, Magnus formula with the constants of WMO-No. 8 (17.62, 243.12 °C); null at 0 % or if either value is missing';
COMMENT ON COLUMN readings.absolute_humidity_g_m3 IS 'Absolute humidity in g/m³: 216.68 e / T with the vapour pressure e in hPa by the same formula and T in K';

CREATE VIEW quarantine AS
SELECT q.device, q.boot, q.seq, q.ts, q.append_time, q.reason, q.detail, q.raw, q.log_offset, q.log_index,
  r.released_by_offset
FROM quarantine_rows q
LEFT JOIN (SELECT device, log_offset, log_index, min(released_by_offset) AS released_by_offset FROM release_rows GROUP BY ALL) r
  ON r.device = q.device AND r.log_offset = q.log_offset AND r.log_index = q.log_index;
COMMENT ON VIEW quarantine IS 'One row per reading that was not counted, with the reason; at most 1,000 a device and day of append time are kept, all are counted in ledger_arrivals.';
COMMENT ON COLUMN quarantine.device IS 'Device name; null if the record names none';
COMMENT ON COLUMN quarantine.boot IS 'Number of the board''s start; null if unknown';
COMMENT ON COLUMN quarantine.seq IS 'Sampling slot; null if unknown';
COMMENT ON COLUMN quarantine.ts IS 'Event time as sent (UTC); null if there was none';
COMMENT ON COLUMN quarantine.append_time IS 'When the log stored it (UTC)';
COMMENT ON COLUMN quarantine.reason IS 'future, out_of_range, no_time, conflict, undecidable, wrong_partition or malformed';
COMMENT ON COLUMN quarantine.detail IS 'The reason in a sentence';
COMMENT ON COLUMN quarantine.raw IS 'The reading as it came, cut at 1,024 characters';
COMMENT ON COLUMN quarantine.log_offset IS 'Offset of its record in the partition of the log';
COMMENT ON COLUMN quarantine.log_index IS 'Place in its batch, from 0';
COMMENT ON COLUMN quarantine.released_by_offset IS 'Offset of the record that released it; null while it is held';

CREATE VIEW window_versions AS
SELECT * EXCLUDE (magnus, replaces), 243.12 * magnus / (17.62 - magnus) AS dew_point_c,
  216.68 * (humidity_pct_mean / 100) * 6.112 * exp(17.62 * temperature_c_mean / (243.12 + temperature_c_mean))
    / (273.15 + temperature_c_mean) AS absolute_humidity_g_m3, replaces
FROM (SELECT *, CASE WHEN humidity_pct_mean > 0 THEN ln(humidity_pct_mean / 100)
    + 17.62 * temperature_c_mean / (243.12 + temperature_c_mean) END AS magnus
  FROM (SELECT device, window_size, window_start, window_end, revision, closed_by,
  readings, sensor_faults, late, time_uncertain,
  (epoch_ms(window_end) - epoch_ms(window_start)) // every_ms AS expected,
  temperature_count AS temperature_c_count,
  temperature_sum / (1000.0 * nullif(temperature_count, 0)) AS temperature_c_mean,
  temperature_min / 1000.0 AS temperature_c_min, temperature_max / 1000.0 AS temperature_c_max,
  temperature_first / 1000.0 AS temperature_c_first, temperature_last / 1000.0 AS temperature_c_last,
  temperature_p50 / 1000.0 AS temperature_c_p50, temperature_p95 / 1000.0 AS temperature_c_p95,
  CASE WHEN temperature_count > 1 THEN sqrt((temperature_sum_squares::HUGEINT * temperature_count
    - temperature_sum::HUGEINT * temperature_sum)::DOUBLE / (temperature_count::DOUBLE * (temperature_count - 1))) / 1000.0 END
    AS temperature_c_stddev,
  humidity_count AS humidity_pct_count,
  humidity_sum / (1000.0 * nullif(humidity_count, 0)) AS humidity_pct_mean,
  humidity_min / 1000.0 AS humidity_pct_min, humidity_max / 1000.0 AS humidity_pct_max,
  humidity_first / 1000.0 AS humidity_pct_first, humidity_last / 1000.0 AS humidity_pct_last,
  humidity_p50 / 1000.0 AS humidity_pct_p50, humidity_p95 / 1000.0 AS humidity_pct_p95,
  CASE WHEN humidity_count > 1 THEN sqrt((humidity_sum_squares::HUGEINT * humidity_count
    - humidity_sum::HUGEINT * humidity_sum)::DOUBLE / (humidity_count::DOUBLE * (humidity_count - 1))) / 1000.0 END
    AS humidity_pct_stddev,
  temperature_sum AS temperature_milli_c_sum, humidity_sum AS humidity_milli_pct_sum, every_ms,
  changed_append_time AS changed_at, changed_offset AS changed_by_offset, replaces
FROM window_rows));

CREATE VIEW windows AS
SELECT v.* EXCLUDE (replaces)
FROM window_versions v
ANTI JOIN (SELECT device, window_size, window_start, replaces FROM window_rows WHERE replaces IS NOT NULL) newer
  ON newer.device = v.device AND newer.window_size = v.window_size AND newer.window_start = v.window_start
  AND newer.replaces = v.revision;
COMMENT ON VIEW window_versions IS 'Every version of every closed window: one is stored whenever a closed row changes.';
COMMENT ON COLUMN window_versions.device IS 'Device name as sent';
COMMENT ON COLUMN window_versions.window_size IS 'Which windows: the label of the configuration (1m, 1h, 1d)';
COMMENT ON COLUMN window_versions.window_start IS 'First instant of the window (UTC), inclusive';
COMMENT ON COLUMN window_versions.window_end IS 'End of the window (UTC), exclusive';
COMMENT ON COLUMN window_versions.revision IS 'Log records that changed the row after the window had closed; 0 for the first closing';
COMMENT ON COLUMN window_versions.closed_by IS 'What closed it: watermark (the device''s own time had passed its end) or silence; null while it is open';
COMMENT ON COLUMN window_versions.readings IS 'Readings counted; 0 with nulls beside it means that every slot failed';
COMMENT ON COLUMN window_versions.sensor_faults IS 'Slots whose sensor gave no value';
COMMENT ON COLUMN window_versions.late IS 'Of readings and sensor_faults, those that came after the window had closed';
COMMENT ON COLUMN window_versions.time_uncertain IS 'Readings whose time is the board''s estimate';
COMMENT ON COLUMN window_versions.expected IS 'Slots that the device''s own interval puts into the window; null if it never stated one';
COMMENT ON COLUMN window_versions.temperature_c_count IS 'Readings with a temperature';
COMMENT ON COLUMN window_versions.temperature_c_mean IS 'Mean temperature in °C; null without readings';
COMMENT ON COLUMN window_versions.temperature_c_min IS 'Lowest temperature in °C';
COMMENT ON COLUMN window_versions.temperature_c_max IS 'Highest temperature in °C';
COMMENT ON COLUMN window_versions.temperature_c_first IS 'First temperature in °C, by event time';
COMMENT ON COLUMN window_versions.temperature_c_last IS 'Last temperature in °C, by event time';
COMMENT ON COLUMN window_versions.temperature_c_p50 IS 'Median temperature in °C, nearest rank; null once a reading of the window has expired and the row was revised';
COMMENT ON COLUMN window_versions.temperature_c_p95 IS '95th percentile of the temperature in °C, nearest rank; null as the median';
COMMENT ON COLUMN window_versions.temperature_c_stddev IS 'Sample standard deviation of the temperature in °C; null below two readings';
COMMENT ON COLUMN window_versions.humidity_pct_count IS 'Readings with a relative humidity';
COMMENT ON COLUMN window_versions.humidity_pct_mean IS 'Mean relative humidity in %; null without readings';
COMMENT ON COLUMN window_versions.humidity_pct_min IS 'Lowest relative humidity in %';
COMMENT ON COLUMN window_versions.humidity_pct_max IS 'Highest relative humidity in %';
COMMENT ON COLUMN window_versions.humidity_pct_first IS 'First relative humidity in %, by event time';
COMMENT ON COLUMN window_versions.humidity_pct_last IS 'Last relative humidity in %, by event time';
COMMENT ON COLUMN window_versions.humidity_pct_p50 IS 'Median relative humidity in %, nearest rank; null once a reading of the window has expired and the row was revised';
COMMENT ON COLUMN window_versions.humidity_pct_p95 IS '95th percentile of the relative humidity in %, nearest rank; null as the median';
COMMENT ON COLUMN window_versions.humidity_pct_stddev IS 'Sample standard deviation of the relative humidity in %; null below two readings';
COMMENT ON COLUMN window_versions.temperature_milli_c_sum IS 'Exact sum of the temperatures in thousandths of °C';
COMMENT ON COLUMN window_versions.humidity_milli_pct_sum IS 'Exact sum of the humidities in thousandths of %';
COMMENT ON COLUMN window_versions.every_ms IS 'Sampling interval in ms as the device stated it; null if it never did';
COMMENT ON COLUMN window_versions.changed_at IS 'Append time (UTC) of the record that closed it or made this revision; null while it is open';
COMMENT ON COLUMN window_versions.changed_by_offset IS 'Offset of that record in the partition of the log';
COMMENT ON COLUMN window_versions.dew_point_c IS 'Dew point in °C of the mean temperature and humidity, see readings.dew_point_c';
COMMENT ON COLUMN window_versions.absolute_humidity_g_m3 IS 'Absolute humidity in g/m³ of the mean temperature and humidity, see readings.absolute_humidity_g_m3';
COMMENT ON COLUMN window_versions.replaces IS 'Revision of the version that this one replaces; null for the first';

COMMENT ON VIEW windows IS 'Newest version of every closed window: one row a device, size and start. Windows without arrivals have no row, see windows_filled.';
COMMENT ON COLUMN windows.device IS 'Device name as sent';
COMMENT ON COLUMN windows.window_size IS 'Which windows: the label of the configuration (1m, 1h, 1d)';
COMMENT ON COLUMN windows.window_start IS 'First instant of the window (UTC), inclusive';
COMMENT ON COLUMN windows.window_end IS 'End of the window (UTC), exclusive';
COMMENT ON COLUMN windows.revision IS 'Log records that changed the row after the window had closed; 0 for the first closing';
COMMENT ON COLUMN windows.closed_by IS 'What closed it: watermark (the device''s own time had passed its end) or silence; null while it is open';
COMMENT ON COLUMN windows.readings IS 'Readings counted; 0 with nulls beside it means that every slot failed';
COMMENT ON COLUMN windows.sensor_faults IS 'Slots whose sensor gave no value';
COMMENT ON COLUMN windows.late IS 'Of readings and sensor_faults, those that came after the window had closed';
COMMENT ON COLUMN windows.time_uncertain IS 'Readings whose time is the board''s estimate';
COMMENT ON COLUMN windows.expected IS 'Slots that the device''s own interval puts into the window; null if it never stated one';
COMMENT ON COLUMN windows.temperature_c_count IS 'Readings with a temperature';
COMMENT ON COLUMN windows.temperature_c_mean IS 'Mean temperature in °C; null without readings';
COMMENT ON COLUMN windows.temperature_c_min IS 'Lowest temperature in °C';
COMMENT ON COLUMN windows.temperature_c_max IS 'Highest temperature in °C';
COMMENT ON COLUMN windows.temperature_c_first IS 'First temperature in °C, by event time';
COMMENT ON COLUMN windows.temperature_c_last IS 'Last temperature in °C, by event time';
COMMENT ON COLUMN windows.temperature_c_p50 IS 'Median temperature in °C, nearest rank; null once a reading of the window has expired and the row was revised';
COMMENT ON COLUMN windows.temperature_c_p95 IS '95th percentile of the temperature in °C, nearest rank; null as the median';
COMMENT ON COLUMN windows.temperature_c_stddev IS 'Sample standard deviation of the temperature in °C; null below two readings';
COMMENT ON COLUMN windows.humidity_pct_count IS 'Readings with a relative humidity';
COMMENT ON COLUMN windows.humidity_pct_mean IS 'Mean relative humidity in %; null without readings';
COMMENT ON COLUMN windows.humidity_pct_min IS 'Lowest relative humidity in %';
COMMENT ON COLUMN windows.humidity_pct_max IS 'Highest relative humidity in %';
COMMENT ON COLUMN windows.humidity_pct_first IS 'First relative humidity in %, by event time';
COMMENT ON COLUMN windows.humidity_pct_last IS 'Last relative humidity in %, by event time';
COMMENT ON COLUMN windows.humidity_pct_p50 IS 'Median relative humidity in %, nearest rank; null once a reading of the window has expired and the row was revised';
COMMENT ON COLUMN windows.humidity_pct_p95 IS '95th percentile of the relative humidity in %, nearest rank; null as the median';
COMMENT ON COLUMN windows.humidity_pct_stddev IS 'Sample standard deviation of the relative humidity in %; null below two readings';
COMMENT ON COLUMN windows.temperature_milli_c_sum IS 'Exact sum of the temperatures in thousandths of °C';
COMMENT ON COLUMN windows.humidity_milli_pct_sum IS 'Exact sum of the humidities in thousandths of %';
COMMENT ON COLUMN windows.every_ms IS 'Sampling interval in ms as the device stated it; null if it never did';
COMMENT ON COLUMN windows.changed_at IS 'Append time (UTC) of the record that closed it or made this revision; null while it is open';
COMMENT ON COLUMN windows.changed_by_offset IS 'Offset of that record in the partition of the log';
COMMENT ON COLUMN windows.dew_point_c IS 'Dew point in °C of the mean temperature and humidity, see readings.dew_point_c';
COMMENT ON COLUMN windows.absolute_humidity_g_m3 IS 'Absolute humidity in g/m³ of the mean temperature and humidity, see readings.absolute_humidity_g_m3';

CREATE VIEW windows_live AS
FROM windows
UNION ALL BY NAME
SELECT * EXCLUDE (magnus), 243.12 * magnus / (17.62 - magnus) AS dew_point_c,
  216.68 * (humidity_pct_mean / 100) * 6.112 * exp(17.62 * temperature_c_mean / (243.12 + temperature_c_mean))
    / (273.15 + temperature_c_mean) AS absolute_humidity_g_m3
FROM (SELECT *, CASE WHEN humidity_pct_mean > 0 THEN ln(humidity_pct_mean / 100)
    + 17.62 * temperature_c_mean / (243.12 + temperature_c_mean) END AS magnus
  FROM (SELECT device, window_size, window_start, window_end, revision, closed_by, readings, sensor_faults, late, time_uncertain,
  (epoch_ms(window_end) - epoch_ms(window_start)) // every_ms AS expected,
  temperature_count AS temperature_c_count,
  temperature_sum / (1000.0 * nullif(temperature_count, 0)) AS temperature_c_mean,
  temperature_min / 1000.0 AS temperature_c_min, temperature_max / 1000.0 AS temperature_c_max,
  temperature_first / 1000.0 AS temperature_c_first, temperature_last / 1000.0 AS temperature_c_last,
  temperature_p50 / 1000.0 AS temperature_c_p50, temperature_p95 / 1000.0 AS temperature_c_p95,
  CASE WHEN temperature_count > 1 THEN sqrt((temperature_sum_squares::HUGEINT * temperature_count
    - temperature_sum::HUGEINT * temperature_sum)::DOUBLE / (temperature_count::DOUBLE * (temperature_count - 1))) / 1000.0 END
    AS temperature_c_stddev,
  humidity_count AS humidity_pct_count,
  humidity_sum / (1000.0 * nullif(humidity_count, 0)) AS humidity_pct_mean,
  humidity_min / 1000.0 AS humidity_pct_min, humidity_max / 1000.0 AS humidity_pct_max,
  humidity_first / 1000.0 AS humidity_pct_first, humidity_last / 1000.0 AS humidity_pct_last,
  humidity_p50 / 1000.0 AS humidity_pct_p50, humidity_p95 / 1000.0 AS humidity_pct_p95,
  CASE WHEN humidity_count > 1 THEN sqrt((humidity_sum_squares::HUGEINT * humidity_count
    - humidity_sum::HUGEINT * humidity_sum)::DOUBLE / (humidity_count::DOUBLE * (humidity_count - 1))) / 1000.0 END
    AS humidity_pct_stddev,
  temperature_sum AS temperature_milli_c_sum, humidity_sum AS humidity_milli_pct_sum, every_ms,
  changed_append_time AS changed_at, changed_offset AS changed_by_offset
FROM open_window_rows));
COMMENT ON VIEW windows_live IS 'The closed windows and, with closed_by null, those still open as of the last publication.';
COMMENT ON COLUMN windows_live.device IS 'Device name as sent';
COMMENT ON COLUMN windows_live.window_size IS 'Which windows: the label of the configuration (1m, 1h, 1d)';
COMMENT ON COLUMN windows_live.window_start IS 'First instant of the window (UTC), inclusive';
COMMENT ON COLUMN windows_live.window_end IS 'End of the window (UTC), exclusive';
COMMENT ON COLUMN windows_live.revision IS 'Log records that changed the row after the window had closed; 0 for the first closing';
COMMENT ON COLUMN windows_live.closed_by IS 'What closed it: watermark (the device''s own time had passed its end) or silence; null while it is open';
COMMENT ON COLUMN windows_live.readings IS 'Readings counted; 0 with nulls beside it means that every slot failed';
COMMENT ON COLUMN windows_live.sensor_faults IS 'Slots whose sensor gave no value';
COMMENT ON COLUMN windows_live.late IS 'Of readings and sensor_faults, those that came after the window had closed';
COMMENT ON COLUMN windows_live.time_uncertain IS 'Readings whose time is the board''s estimate';
COMMENT ON COLUMN windows_live.expected IS 'Slots that the device''s own interval puts into the window; null if it never stated one';
COMMENT ON COLUMN windows_live.temperature_c_count IS 'Readings with a temperature';
COMMENT ON COLUMN windows_live.temperature_c_mean IS 'Mean temperature in °C; null without readings';
COMMENT ON COLUMN windows_live.temperature_c_min IS 'Lowest temperature in °C';
COMMENT ON COLUMN windows_live.temperature_c_max IS 'Highest temperature in °C';
COMMENT ON COLUMN windows_live.temperature_c_first IS 'First temperature in °C, by event time';
COMMENT ON COLUMN windows_live.temperature_c_last IS 'Last temperature in °C, by event time';
COMMENT ON COLUMN windows_live.temperature_c_p50 IS 'Median temperature in °C, nearest rank; null once a reading of the window has expired and the row was revised';
COMMENT ON COLUMN windows_live.temperature_c_p95 IS '95th percentile of the temperature in °C, nearest rank; null as the median';
COMMENT ON COLUMN windows_live.temperature_c_stddev IS 'Sample standard deviation of the temperature in °C; null below two readings';
COMMENT ON COLUMN windows_live.humidity_pct_count IS 'Readings with a relative humidity';
COMMENT ON COLUMN windows_live.humidity_pct_mean IS 'Mean relative humidity in %; null without readings';
COMMENT ON COLUMN windows_live.humidity_pct_min IS 'Lowest relative humidity in %';
COMMENT ON COLUMN windows_live.humidity_pct_max IS 'Highest relative humidity in %';
COMMENT ON COLUMN windows_live.humidity_pct_first IS 'First relative humidity in %, by event time';
COMMENT ON COLUMN windows_live.humidity_pct_last IS 'Last relative humidity in %, by event time';
COMMENT ON COLUMN windows_live.humidity_pct_p50 IS 'Median relative humidity in %, nearest rank; null once a reading of the window has expired and the row was revised';
COMMENT ON COLUMN windows_live.humidity_pct_p95 IS '95th percentile of the relative humidity in %, nearest rank; null as the median';
COMMENT ON COLUMN windows_live.humidity_pct_stddev IS 'Sample standard deviation of the relative humidity in %; null below two readings';
COMMENT ON COLUMN windows_live.temperature_milli_c_sum IS 'Exact sum of the temperatures in thousandths of °C';
COMMENT ON COLUMN windows_live.humidity_milli_pct_sum IS 'Exact sum of the humidities in thousandths of %';
COMMENT ON COLUMN windows_live.every_ms IS 'Sampling interval in ms as the device stated it; null if it never did';
COMMENT ON COLUMN windows_live.changed_at IS 'Append time (UTC) of the record that closed it or made this revision; null while it is open';
COMMENT ON COLUMN windows_live.changed_by_offset IS 'Offset of that record in the partition of the log';
COMMENT ON COLUMN windows_live.dew_point_c IS 'Dew point in °C of the mean temperature and humidity, see readings.dew_point_c';
COMMENT ON COLUMN windows_live.absolute_humidity_g_m3 IS 'Absolute humidity in g/m³ of the mean temperature and humidity, see readings.absolute_humidity_g_m3';

CREATE VIEW devices AS
SELECT device, coalesce(display_name, device) AS display_name, retired, shared_name, every_ms, current_boot,
  first_append_time AS first_heard, last_append_time AS last_heard, highest_event_time, pending_since, watermark,
  counted + counted_late + released AS readings, sensor_fault AS sensor_faults, quarantined
FROM device_rows SEMI JOIN (SELECT device, max(version) AS version FROM device_rows GROUP BY device) USING (device, version);
COMMENT ON VIEW devices IS 'One row per device that the log has ever heard of.';
COMMENT ON COLUMN devices.device IS 'Device name as sent';
COMMENT ON COLUMN devices.display_name IS 'Name for people: as renamed, else the device name';
COMMENT ON COLUMN devices.retired IS 'Retired through the log: no longer expected to send';
COMMENT ON COLUMN devices.shared_name IS 'Two boots of this name were running at the same time: two boards share it';
COMMENT ON COLUMN devices.every_ms IS 'Sampling interval in ms as last stated; null if never';
COMMENT ON COLUMN devices.current_boot IS 'Boot number of the newest start heard of; null if the sender numbers nothing';
COMMENT ON COLUMN devices.first_heard IS 'Append time (UTC) of its first record';
COMMENT ON COLUMN devices.last_heard IS 'Append time (UTC) of its newest record, whether or not a value changed';
COMMENT ON COLUMN devices.highest_event_time IS 'Newest event time (UTC) accepted from a synchronised clock';
COMMENT ON COLUMN devices.pending_since IS 'Event time (UTC) of the oldest reading that it still has to send, in its own word; null if none';
COMMENT ON COLUMN devices.watermark IS 'Up to here (UTC) its readings are complete';
COMMENT ON COLUMN devices.readings IS 'Readings counted, late and released ones included';
COMMENT ON COLUMN devices.sensor_faults IS 'Slots whose sensor gave no value';
COMMENT ON COLUMN devices.quarantined IS 'Readings quarantined, see quarantine';

CREATE VIEW ledger_slots AS
SELECT device, boot, heard, first_append_time AS first_heard, first_event_time, last_event_time, slots,
  counted, counted_late, sensor_fault, quarantined, lost,
  slots - counted - counted_late - sensor_fault - quarantined - lost AS missing, spans
FROM boot_rows SEMI JOIN (SELECT device, boot, max(version) AS version FROM boot_rows GROUP BY device, boot) USING (device, boot, version);
COMMENT ON VIEW ledger_slots IS 'First balance: of every boot, slots = counted + counted_late + sensor_fault + quarantined + lost + missing.';
COMMENT ON COLUMN ledger_slots.device IS 'Device name as sent';
COMMENT ON COLUMN ledger_slots.boot IS 'Number of the board''s start';
COMMENT ON COLUMN ledger_slots.heard IS 'False if it is only known by the next boot''s word: all its slots are missing';
COMMENT ON COLUMN ledger_slots.first_heard IS 'Append time (UTC) of the first record that told of it';
COMMENT ON COLUMN ledger_slots.first_event_time IS 'Lowest event time (UTC) of its readings';
COMMENT ON COLUMN ledger_slots.last_event_time IS 'Highest event time (UTC) of its readings';
COMMENT ON COLUMN ledger_slots.slots IS 'Slots 0 … slots − 1 are known to have been';
COMMENT ON COLUMN ledger_slots.counted IS 'Slots with a reading that was counted in time';
COMMENT ON COLUMN ledger_slots.counted_late IS 'Slots with a reading that was counted after its window had closed';
COMMENT ON COLUMN ledger_slots.sensor_fault IS 'Slots whose sensor gave no value';
COMMENT ON COLUMN ledger_slots.quarantined IS 'Slots whose reading is quarantined';
COMMENT ON COLUMN ledger_slots.lost IS 'Slots that the device said it had to give up';
COMMENT ON COLUMN ledger_slots.missing IS 'Slots never heard of: still on the board, or lost without a word';
COMMENT ON COLUMN ledger_slots.spans IS 'Seen slots as from-to:state, f final (counted or fault), q quarantined, l lost';

CREATE VIEW ledger_arrivals AS
SELECT device, counted + counted_late + sensor_fault + quarantined + duplicates + released AS arrivals,
  counted, counted_late, sensor_fault, quarantined, duplicates, released
FROM device_rows SEMI JOIN (SELECT device, max(version) AS version FROM device_rows GROUP BY device) USING (device, version);
COMMENT ON VIEW ledger_arrivals IS 'Second balance: of every device, arrivals in the log = counted + counted_late + sensor_fault + quarantined + duplicates + released.';
COMMENT ON COLUMN ledger_arrivals.device IS 'Device name as sent; empty for records that name no device';
COMMENT ON COLUMN ledger_arrivals.arrivals IS 'Readings in the log';
COMMENT ON COLUMN ledger_arrivals.counted IS 'Counted in time';
COMMENT ON COLUMN ledger_arrivals.counted_late IS 'Counted after the window of the finest size had closed';
COMMENT ON COLUMN ledger_arrivals.sensor_fault IS 'Slots whose sensor gave no value';
COMMENT ON COLUMN ledger_arrivals.quarantined IS 'Not counted, see quarantine';
COMMENT ON COLUMN ledger_arrivals.duplicates IS 'Known already, with the same content';
COMMENT ON COLUMN ledger_arrivals.released IS 'Counted through a release record';

CREATE VIEW alerts AS
SELECT log_partition || '-' || log_offset || '-' || log_index AS alert_id, kind, rule, device, alert_time,
  value_milli / 1000.0 AS value, sentence, window_size, window_start, previous_window_start, past,
  decided_at, log_partition, log_offset, log_index
FROM alert_rows;
COMMENT ON VIEW alerts IS 'One row per alert that a rule has fired or ended, decided by the log and the rules recorded in it.';
COMMENT ON COLUMN alerts.alert_id IS 'Place of the alert in the log: the same whenever the log is read again';
COMMENT ON COLUMN alerts.kind IS 'fired or cleared';
COMMENT ON COLUMN alerts.rule IS 'Name of the rule';
COMMENT ON COLUMN alerts.device IS 'Device name as sent';
COMMENT ON COLUMN alerts.alert_time IS 'End of the window that decided (UTC); of silence when it had lasted long enough, or ended, by the log''s clock';
COMMENT ON COLUMN alerts.value IS 'What was compared: °C, %, either per hour, a share of 1, or seconds of silence; null if the rule was changed';
COMMENT ON COLUMN alerts.sentence IS 'The cause in words';
COMMENT ON COLUMN alerts.window_size IS 'Size of the window that caused it; null for silence';
COMMENT ON COLUMN alerts.window_start IS 'First instant (UTC) of the window that caused it; null for silence';
COMMENT ON COLUMN alerts.previous_window_start IS 'First instant (UTC) of the window that it was compared with; null unless the rule is one of change';
COMMENT ON COLUMN alerts.past IS 'The rule has found it in the time before it was recorded: told to nobody';
COMMENT ON COLUMN alerts.decided_at IS 'Append time (UTC) of the record that decided it';
COMMENT ON COLUMN alerts.log_partition IS 'Partition of the log';
COMMENT ON COLUMN alerts.log_offset IS 'Offset of the record that decided it';
COMMENT ON COLUMN alerts.log_index IS 'Place among the alerts of that record, from 0';

CREATE VIEW alert_rules AS
SELECT log_partition, position, name, definition, since
FROM alert_rule_rows SEMI JOIN (SELECT log_partition, name, max(version) AS version FROM alert_rule_rows GROUP BY ALL)
  USING (log_partition, name, version)
WHERE definition IS NOT NULL;
COMMENT ON VIEW alert_rules IS 'The rules of alerts in force: one row per rule and partition of the log.';
COMMENT ON COLUMN alert_rules.log_partition IS 'Partition of the log';
COMMENT ON COLUMN alert_rules.position IS 'Place among the rules, from 0';
COMMENT ON COLUMN alert_rules.name IS 'Name of the rule';
COMMENT ON COLUMN alert_rules.definition IS 'The rule as JSON, as in the file of rules, with nothing left to a default';
COMMENT ON COLUMN alert_rules.since IS 'Append time (UTC) of the record that brought it';

CREATE VIEW log_gaps AS
SELECT log_partition, from_offset, to_offset, append_time FROM gap_rows;
COMMENT ON VIEW log_gaps IS 'Records that had expired in the log before they were read (a start with --accept-gap): no balance knows what was in them.';
COMMENT ON COLUMN log_gaps.log_partition IS 'Partition of the log';
COMMENT ON COLUMN log_gaps.from_offset IS 'First offset that was not read';
COMMENT ON COLUMN log_gaps.to_offset IS 'Last offset that was not read';
COMMENT ON COLUMN log_gaps.append_time IS 'Log time (UTC) up to which records had been read when the gap was accepted';

CREATE VIEW log_position AS
SELECT log_partition, next_offset, append_high AS append_time, epoch, config_hash
FROM position_rows SEMI JOIN (SELECT log_partition, max(version) AS version FROM position_rows GROUP BY log_partition) USING (log_partition, version);
COMMENT ON VIEW log_position IS 'How far the rows go: one row per partition of the log.';
COMMENT ON COLUMN log_position.log_partition IS 'Partition of the log';
COMMENT ON COLUMN log_position.next_offset IS 'Everything below this offset is in the rows';
COMMENT ON COLUMN log_position.append_time IS 'Highest append time (UTC) seen';
COMMENT ON COLUMN log_position.epoch IS 'Offset of the owner record under which it was written; -1 before the first';
COMMENT ON COLUMN log_position.config_hash IS 'SHA-256 of the configuration that the rows were made with';

CREATE VIEW configuration AS
SELECT DISTINCT windows, out_of_order_ms / 1000.0 AS out_of_order_s, idle_ms / 1000.0 AS idle_s,
  future_ms / 1000.0 AS future_s, pending_ms / 1000.0 AS pending_s, retention_ms / 1000.0 AS retention_s, config_hash
FROM config_rows;
COMMENT ON VIEW configuration IS 'The configuration that all rows were made with: one row.';
COMMENT ON COLUMN configuration.windows IS 'Kinds of windows, finest first, as window_size names them, with commas between';
COMMENT ON COLUMN configuration.out_of_order_s IS 'Seconds that a reading may come after newer ones and be on time';
COMMENT ON COLUMN configuration.idle_s IS 'Seconds of silence (log time) after which a device''s windows close';
COMMENT ON COLUMN configuration.future_s IS 'Seconds that a reading''s time may lie ahead of the log''s clock';
COMMENT ON COLUMN configuration.pending_s IS 'Seconds for which a device''s word holds windows open that it still has readings of';
COMMENT ON COLUMN configuration.retention_s IS 'Seconds (log time) for which raw readings are kept, and to the end of that UTC day';
COMMENT ON COLUMN configuration.config_hash IS 'SHA-256 of the configuration, see log_position.config_hash';

CREATE VIEW windows_filled AS
WITH log AS (
  -- A publication that doesn't tell its configuration has the default one.
  SELECT (SELECT max(append_time) FROM log_position) AS now,
    to_milliseconds(coalesce(max(idle_ms), 300000)) AS idle, to_milliseconds(coalesce(max(pending_ms), 604800000)) AS pending
  FROM config_rows
), boots AS (
  -- A board samples on a fixed grid: between the first and the last reading of a boot its slots lie in proportion.
  SELECT device, boot, first_event_time, first_seq, regexp_extract_all(spans, '[0-9]+-[0-9]+:l') AS lost_spans,
    CASE WHEN last_seq > first_seq THEN (epoch_us(last_event_time) - epoch_us(first_event_time))::DOUBLE / (last_seq - first_seq)
      ELSE 1000.0 * every_ms END AS slot_us
  FROM (
    SELECT b.*, d.every_ms, regexp_extract(b.spans, '([0-9]+)-[0-9]+:f', 1)::BIGINT AS first_seq,
      regexp_extract_all(b.spans, '[0-9]+-([0-9]+):f', 1)[-1]::BIGINT AS last_seq
    FROM ledger_slots b JOIN devices d USING (device)
    WHERE b.lost > 0 AND contains(b.spans, ':f'))
), lost_times AS (
  SELECT device,
    first_event_time + to_microseconds(((split_part(span, '-', 1)::BIGINT - first_seq) * slot_us)::BIGINT) AS from_time,
    first_event_time + to_microseconds(((split_part(split_part(span, ':', 1), '-', 2)::BIGINT - first_seq) * slot_us)::BIGINT) AS to_time
  FROM (SELECT device, first_event_time, first_seq, slot_us, unnest(lost_spans) AS span FROM boots)
), rows_and_next AS (
  SELECT *, lead(window_start) OVER (PARTITION BY device, window_size ORDER BY window_start) AS next_start,
    coalesce(nullif(split_part(window_size, '@', 2), ''), 'UTC') AS zone,
    CASE WHEN contains(window_size, '/') THEN to_milliseconds(
      nullif(regexp_extract(window_size, '/([0-9]+)', 1), '')::BIGINT * CASE right(window_size, 1)
        WHEN 's' THEN 1000 WHEN 'm' THEN 60000 WHEN 'h' THEN 3600000 ELSE 86400000 END) END AS hop
  FROM windows_live
), gaps AS (
  -- Days of a zone are counted on its own calendar: they are 23, 24 or 25 hours long.
  SELECT device, window_size, window_end - window_start AS size, zone, contains(window_size, '@') AS is_local_day,
    unnest(generate_series(
      ((coalesce(window_start + hop, window_end) AT TIME ZONE 'UTC') AT TIME ZONE zone),
      ((coalesce(next_start - INTERVAL 1 MICROSECOND, now) AT TIME ZONE 'UTC') AT TIME ZONE zone),
      CASE WHEN contains(window_size, '@') THEN INTERVAL 1 DAY ELSE coalesce(hop, window_end - window_start) END
    )) AS local_start
  FROM rows_and_next, log
), empty_windows AS (
  SELECT device, window_size, ((local_start AT TIME ZONE zone) AT TIME ZONE 'UTC') AS window_start,
    CASE WHEN is_local_day THEN (((local_start + INTERVAL 1 DAY) AT TIME ZONE zone) AT TIME ZONE 'UTC')
      ELSE local_start + size END AS window_end
  FROM gaps
), all_windows AS (
  SELECT device, window_size, window_start, window_end, readings, sensor_faults,
    temperature_c_mean, temperature_c_min, temperature_c_max, humidity_pct_mean, humidity_pct_min, humidity_pct_max
  FROM windows_live
  UNION ALL BY NAME
  SELECT *, 0 AS readings, 0 AS sensor_faults, EXISTS (
    FROM lost_times l WHERE l.device = e.device AND l.from_time < e.window_end AND l.to_time >= e.window_start) AS is_lost
  FROM empty_windows e
)
SELECT w.device, w.window_size, w.window_start, w.window_end, w.readings, w.sensor_faults,
  w.temperature_c_mean, w.temperature_c_min, w.temperature_c_max, w.humidity_pct_mean, w.humidity_pct_min, w.humidity_pct_max,
  CASE
    WHEN w.readings > 0 THEN NULL
    WHEN w.sensor_faults > 0 THEN 'sensor_fault'
    WHEN d.retired AND w.window_start > coalesce(d.highest_event_time, d.last_heard) THEN 'retired'
    WHEN coalesce(w.window_end <= d.watermark, false) THEN CASE WHEN w.is_lost THEN 'lost' ELSE 'never_heard' END
    WHEN d.pending_since < w.window_end AND now < d.last_heard + pending THEN 'not_due_yet'
    WHEN now < greatest(w.window_end, d.last_heard) + idle THEN 'not_due_yet'
    WHEN w.window_start > coalesce(d.highest_event_time, d.last_heard) THEN 'offline'
    WHEN w.is_lost THEN 'lost'
    ELSE 'never_heard'
  END AS absence
FROM all_windows w LEFT JOIN devices d USING (device), log;
COMMENT ON VIEW windows_filled IS 'Windows without holes, from each device''s first to the newest: where nothing arrived readings is 0, the values are null, and absence says why.';
COMMENT ON COLUMN windows_filled.device IS 'Device name as sent';
COMMENT ON COLUMN windows_filled.window_size IS 'Which windows: the label of the configuration';
COMMENT ON COLUMN windows_filled.window_start IS 'First instant of the window (UTC), inclusive';
COMMENT ON COLUMN windows_filled.window_end IS 'End of the window (UTC), exclusive';
COMMENT ON COLUMN windows_filled.readings IS 'Readings counted; 0 where there are none, never a zero as a value';
COMMENT ON COLUMN windows_filled.sensor_faults IS 'Slots whose sensor gave no value';
COMMENT ON COLUMN windows_filled.temperature_c_mean IS 'Mean temperature in °C; null without readings';
COMMENT ON COLUMN windows_filled.temperature_c_min IS 'Lowest temperature in °C';
COMMENT ON COLUMN windows_filled.temperature_c_max IS 'Highest temperature in °C';
COMMENT ON COLUMN windows_filled.humidity_pct_mean IS 'Mean relative humidity in %; null without readings';
COMMENT ON COLUMN windows_filled.humidity_pct_min IS 'Lowest relative humidity in %';
COMMENT ON COLUMN windows_filled.humidity_pct_max IS 'Highest relative humidity in %';
COMMENT ON COLUMN windows_filled.absence IS 'Why there is no reading: sensor_fault (every slot that came had one), not_due_yet (may still come), offline (not heard since), lost (the board had to give its slots up), never_heard (heard later, but nothing of this time), retired; null where there is one';
