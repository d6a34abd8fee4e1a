/** Every device in one answer, as columns: what the overview shows before the live stream takes over. */
import type { PublishedRows } from "../core/ports/published.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Younger data has its trend by the minute. */
const YOUNG_MS = 3 * HOUR_MS;

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
       (SELECT epoch_ms(min(first_heard)) FROM devices)`,
  );
  if (extent === null) return null;
  const [logValue, firstEvent, firstHeard] = extent[0] as (number | null)[];
  const logMs = logValue ?? 0;
  const firstMs = Math.min(firstEvent ?? logMs, firstHeard ?? logMs);
  const isYoung = logMs - firstMs < YOUNG_MS;
  const stepMs = isYoung ? 60_000 : HOUR_MS;
  const count = isYoung ? 60 : 25;
  const fromMs = Math.floor(logMs / stepMs) * stepMs - (count - 1) * stepMs;
  const size = isYoung ? "1m" : "1h";
  const devices = await rows.query(
    `WITH log AS (SELECT make_timestamp_ms(?::BIGINT) AS log_time),
     hours AS (
       SELECT device, sum(readings) AS received, sum(sensor_faults) AS faults,
         arg_max(temperature_c_last, window_start) AS temperature_c, arg_max(humidity_pct_last, window_start) AS humidity_pct
       FROM windows_live, log
       WHERE window_size = '1h' AND window_start > log_time - INTERVAL 24 HOUR AND window_start <= log_time + INTERVAL 1 HOUR
       GROUP BY device
     ), trends AS (
       SELECT device, string_agg(slot || ':' || round(mean * 10)::INTEGER, ' ' ORDER BY slot) AS trend
       FROM (
         SELECT device, (epoch_ms(window_start) - ?::BIGINT) // ?::BIGINT AS slot, temperature_c_mean AS mean
         FROM windows_live
         WHERE window_size = '${size}' AND window_start >= make_timestamp_ms(?::BIGINT) AND temperature_c_mean IS NOT NULL
       ) WHERE slot < ${count} GROUP BY device
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
    trend: { fromMs, stepMs, count },
    columns: fleetColumns,
    devices: devices ?? [],
  };
}

export { DAY_MS as fleetSpanMs };
