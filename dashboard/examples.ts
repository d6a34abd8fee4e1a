/** Ten questions that people ask of their readings, as SQL: shown by the console, run by its tests. */
export interface Example {
  readonly title: string;
  readonly about: string;
  readonly sql: string;
}

export const examples: readonly Example[] = [
  {
    title: "Newest windows",
    about: "The last closed minute of every device.",
    sql: `FROM windows
SELECT device, window_start, readings, temperature_c_mean, humidity_pct_mean
WHERE window_size = '1m'
QUALIFY row_number() OVER (PARTITION BY device ORDER BY window_start DESC) = 1
ORDER BY device`,
  },
  {
    title: "Hourly means",
    about: "Mean, lowest and highest temperature of each hour.",
    sql: `SELECT window_start, device,
  round(temperature_c_mean, 2) AS mean_c,
  temperature_c_min AS min_c, temperature_c_max AS max_c, readings
FROM windows_live
WHERE window_size = '1h'
ORDER BY window_start DESC, device
LIMIT 500`,
  },
  {
    title: "Gap report",
    about: "Every stretch without a reading, its length and its cause.",
    sql: `WITH gaps AS (
  SELECT device, window_start, window_end, absence,
    window_start - row_number() OVER (PARTITION BY device, absence ORDER BY window_start) * INTERVAL 1 MINUTE AS stretch
  FROM windows_filled
  WHERE window_size = '1m' AND absence IS NOT NULL
)
SELECT device, min(window_start) AS gap_start, max(window_end) AS gap_end,
  count(*) AS minutes, absence AS cause
FROM gaps
GROUP BY device, absence, stretch
ORDER BY minutes DESC
LIMIT 100`,
  },
  {
    title: "Coldest night",
    about: "The lowest temperature between 18:00 and 06:00 UTC, night by night.",
    sql: `SELECT device, CAST(window_start - INTERVAL 18 HOUR AS DATE) AS night,
  min(temperature_c_min) AS coldest_c,
  arg_min(window_start, temperature_c_min) AS at_hour
FROM windows_live
WHERE window_size = '1h' AND (hour(window_start) >= 18 OR hour(window_start) < 6)
GROUP BY device, night
HAVING coldest_c IS NOT NULL
ORDER BY coldest_c
LIMIT 20`,
  },
  {
    title: "Dew-point risk",
    about: "Hours in which a surface 3 °C colder than the air would get wet (Magnus formula).",
    sql: `WITH hourly AS (
  SELECT device, window_start, temperature_c_mean AS t, humidity_pct_mean AS h,
    ln(h / 100) + 17.62 * t / (243.12 + t) AS x
  FROM windows_live
  WHERE window_size = '1h' AND humidity_pct_mean > 0 AND temperature_c_mean IS NOT NULL
)
SELECT device, window_start, round(t, 1) AS temperature_c, round(h, 1) AS humidity_pct,
  round(243.12 * x / (17.62 - x), 1) AS dew_point_c
FROM hourly
WHERE 243.12 * x / (17.62 - x) > t - 3
ORDER BY window_start DESC
LIMIT 200`,
  },
  {
    title: "Devices compared",
    about: "Hourly means side by side, one column for each of the first four devices.",
    sql: `WITH named AS (
  SELECT device, row_number() OVER (ORDER BY device) AS place FROM devices WHERE device <> '' LIMIT 4
)
SELECT window_start,
  any_value(temperature_c_mean) FILTER (place = 1) AS device_1,
  any_value(temperature_c_mean) FILTER (place = 2) AS device_2,
  any_value(temperature_c_mean) FILTER (place = 3) AS device_3,
  any_value(temperature_c_mean) FILTER (place = 4) AS device_4
FROM windows_live JOIN named USING (device)
WHERE window_size = '1h'
GROUP BY window_start
ORDER BY window_start`,
  },
  {
    title: "Both balances",
    about: "Where every slot and every arrival went; the sums must agree.",
    sql: `SELECT s.device, slots, s.counted, s.counted_late, s.sensor_fault, s.quarantined, lost, missing,
  arrivals, duplicates, released,
  slots = s.counted + s.counted_late + s.sensor_fault + s.quarantined + lost + missing AS slots_agree
FROM (
  SELECT device, sum(slots) AS slots, sum(counted) AS counted, sum(counted_late) AS counted_late,
    sum(sensor_fault) AS sensor_fault, sum(quarantined) AS quarantined, sum(lost) AS lost, sum(missing) AS missing
  FROM ledger_slots GROUP BY device
) s LEFT JOIN ledger_arrivals a USING (device)
ORDER BY s.device`,
  },
  {
    title: "Quarantine",
    about: "What was not counted, with the reason, newest first.",
    sql: `SELECT append_time, device, reason, detail, raw
FROM quarantine
ORDER BY append_time DESC
LIMIT 100`,
  },
  {
    title: "Completeness by day",
    about: "The share of expected readings that arrived, for each device and day.",
    sql: `SELECT CAST(window_start AS DATE) AS day, device,
  sum(readings) AS arrived, sum(expected) AS expected,
  round(100.0 * sum(readings) / nullif(sum(expected), 0), 1) AS complete_pct
FROM windows
WHERE window_size = '1h'
GROUP BY day, device
ORDER BY day DESC, complete_pct`,
  },
  {
    title: "Late and revised",
    about: "Windows that readings changed after they had closed, and by how much.",
    sql: `SELECT device, window_size, window_start, revision, closed_by, readings, late
FROM windows
WHERE revision > 0
ORDER BY window_start DESC, device
LIMIT 100`,
  },
];
