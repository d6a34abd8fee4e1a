/** Every device in one answer, as columns: what the overview shows before the live stream takes over. */
import type { PublishedRows } from "../core/ports/published.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MINUTE_MS = 60_000;
/** Above so many devices a trend by the hour has to do: windows of a minute are 60 times as many. */
const FINE_TRENDS_MAX = 300;

/** Columns of equal length; times are Unix ms, values °C and %. */
export interface Fleet {
  /** Newest append time in the log, as of the publication: how far the rows go. */
  readonly logMs: number;
  readonly trend: { readonly fromMs: number; readonly stepMs: number; readonly count: number };
  readonly columns: readonly string[];
  readonly devices: readonly (readonly unknown[])[];
}

export const fleetColumns = [
  "device",
  "displayName",
  "everyMs",
  "firstHeardMs",
  "lastHeardMs",
  "valueMs",
  "pendingSinceMs",
  "watermarkMs",
  "retired",
  "sharedName",
  "temperatureC",
  "humidityPct",
  /** Readings of the last 24 h, and how many there should be; null when no interval was stated. */
  "received",
  "expected",
  "faults",
  /** Readings and faults of the newest minute with any. */
  "newestReadings",
  "newestFaults",
  "quarantinedRecently",
  "quarantinedAtMs",
  /** Mean temperatures in tenths as "index:value …". */
  "trendText",
] as const;

/** Null when nothing is published. */
export async function fleetOf(rows: PublishedRows): Promise<Fleet | null> {
  const extent = await rows.query(
    `SELECT (SELECT epoch_ms(max(append_time)) FROM log_position),
       (SELECT epoch_ms(min(first_event_time)) FROM ledger_slots),
       (SELECT epoch_ms(min(first_heard)) FROM devices),
       (SELECT count(*) FROM devices)`,
  );
  if (extent === null) return null;
  const [logValue, firstEvent, firstHeard, deviceCount] = extent[0] as (number | null)[];
  const logMs = logValue ?? 0;
  const firstMs = Math.min(firstEvent ?? logMs, firstHeard ?? logMs);
  const trend = trendOf(logMs, logMs - firstMs, Number(deviceCount));
  const { fromMs, stepMs } = trend;
  const devices = await rows.query(
    `WITH log AS (SELECT make_timestamp_ms(?::BIGINT) AS log_time),
     hours AS (
       SELECT device, sum(readings) AS received, sum(sensor_faults) AS faults,
         arg_max(temperature_c_last, window_start) AS temperature_c, arg_max(humidity_pct_last, window_start) AS humidity_pct
       FROM windows_live, log
       WHERE window_size = '1h' AND window_start > log_time - INTERVAL 24 HOUR AND window_start <= log_time + INTERVAL 1 HOUR
       GROUP BY device
     ), trends AS (
       SELECT device, string_agg(slot || ':' || round(mean / 100)::INTEGER, ' ' ORDER BY slot) AS trend
       FROM (
         SELECT device, (epoch_ms(window_start) - ?::BIGINT) // ?::BIGINT AS slot,
           sum(temperature_milli_c_sum) / sum(temperature_c_count) AS mean
         FROM windows_live
         WHERE window_size = '${trend.size}' AND window_start >= make_timestamp_ms(?::BIGINT) AND temperature_c_count > 0
         GROUP BY device, slot
       ) WHERE slot < ${trend.count} GROUP BY device
     ), newest AS (
       SELECT device, arg_max(readings, window_start) AS readings, arg_max(sensor_faults, window_start) AS faults
       FROM windows_live, log
       WHERE window_size = '1m' AND window_start > log_time - INTERVAL 10 MINUTE AND window_start <= log_time + INTERVAL 5 MINUTE
       GROUP BY device
     ), refused AS (
       SELECT device, count(*) AS quarantined, max(append_time) AS at
       FROM quarantine, log WHERE append_time > log_time - INTERVAL 1 HOUR GROUP BY device
     ), born AS (SELECT device, min(first_event_time) AS first_event FROM ledger_slots GROUP BY device),
     valued AS (
       SELECT device, epoch_ms(highest_event_time) AS value_ms,
         greatest(log_time - INTERVAL 24 HOUR, least(coalesce(first_event, first_heard), first_heard)) AS since, log_time
       FROM devices LEFT JOIN born USING (device), log
     )
     SELECT device, display_name, every_ms, epoch_ms(first_heard), epoch_ms(last_heard), value_ms, epoch_ms(pending_since),
       epoch_ms(watermark), retired, shared_name, temperature_c, humidity_pct, coalesce(received, 0),
       CASE WHEN every_ms > 0 THEN greatest(1, (epoch_ms(log_time) - epoch_ms(since)) // every_ms) END,
       coalesce(hours.faults, 0), newest.readings, newest.faults, coalesce(refused.quarantined, 0), epoch_ms(refused.at), trend
     FROM devices LEFT JOIN hours USING (device) LEFT JOIN trends USING (device) LEFT JOIN newest USING (device)
       LEFT JOIN refused USING (device) LEFT JOIN valued USING (device)
     WHERE device <> '' ORDER BY display_name, device`,
    [logMs, fromMs, stepMs, fromMs],
  );
  return {
    logMs,
    trend: { fromMs, stepMs, count: trend.count },
    columns: fleetColumns,
    devices: devices ?? [],
  };
}

/** The span of the trends follows the age of the data, up to a day, so that a new pipeline has one to show as well. */
function trendOf(logMs: number, ageMs: number, deviceCount: number) {
  const [spanMs, stepMs, size] = deviceCount > FINE_TRENDS_MAX
    ? [DAY_MS, HOUR_MS, "1h"] as const
    : ageMs < 2 * HOUR_MS
    ? [HOUR_MS, MINUTE_MS, "1m"] as const
    : ageMs < 8 * HOUR_MS
    ? [6 * HOUR_MS, 5 * MINUTE_MS, "1m"] as const
    : [DAY_MS, 15 * MINUTE_MS, "1m"] as const;
  const count = spanMs / stepMs + 1;
  return { size, stepMs, count, fromMs: Math.floor(logMs / stepMs) * stepMs - (count - 1) * stepMs };
}
