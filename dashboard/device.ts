/** One device: its windows for the charts, and what else there is to know of it. */
import type { Cell, PublishedRows } from "../core/ports/published.ts";
import { sqlText } from "./answers.ts";
import { dashboardLimits } from "./config.ts";

/** A span of event time, half-open, Unix ms. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

export const windowColumns = [
  "startMs",
  "endMs",
  "temperatureMean",
  "temperatureMin",
  "temperatureMax",
  "humidityMean",
  "humidityMin",
  "humidityMax",
  "readings",
  "faults",
  "late",
  "uncertain",
  "expected",
  "revision",
  "closedBy",
] as const;

/** Windows that have arrivals, in order, and the causes of those that have none. */
export async function windowsOf(rows: PublishedRows, device: string, size: string, span: Span) {
  const values: Cell[] = [device, size, span.fromMs, span.toMs];
  const where = `device = ? AND window_size = ? AND window_start >= make_timestamp_ms(?::BIGINT)
    AND window_start < make_timestamp_ms(?::BIGINT)`;
  const windows = await rows.query(
    `SELECT epoch_ms(window_start), epoch_ms(window_end), temperature_c_mean, temperature_c_min, temperature_c_max,
       humidity_pct_mean, humidity_pct_min, humidity_pct_max, readings, sensor_faults, late, time_uncertain, expected,
       revision, closed_by
     FROM windows_live WHERE ${where} ORDER BY window_start LIMIT ${dashboardLimits.windowsMax}`,
    values,
  );
  const absences = size === "1d" ? [] : await rows.query(
    `SELECT epoch_ms(window_start), absence FROM windows_filled WHERE ${where} AND absence IS NOT NULL
     ORDER BY window_start LIMIT ${dashboardLimits.windowsMax}`,
    values,
  );
  return { columns: windowColumns, windows: windows ?? [], absences: absences ?? [] };
}

const FACTS_MAX = 20;

/** State, balances, boots, last faults and quarantined readings; null for a device that nobody has heard of. */
export async function factsOf(rows: PublishedRows, device: string) {
  const one = async (sql: string) => objectsOf(await rows.query(sql, [device]), sql);
  const [state] = await one(
    `SELECT device AS device, display_name AS displayName, retired AS retired, shared_name AS sharedName,
       every_ms AS everyMs, current_boot::VARCHAR AS boot, epoch_ms(first_heard) AS firstHeardMs,
       epoch_ms(last_heard) AS lastHeardMs, epoch_ms(highest_event_time) AS valueMs,
       epoch_ms(pending_since) AS pendingSinceMs, epoch_ms(watermark) AS watermarkMs
     FROM devices WHERE device = ?`,
  );
  if (state === undefined) return null;
  const [extent] = await one(
    `SELECT epoch_ms(min(window_start)) AS fromMs, epoch_ms(max(window_end)) AS toMs
     FROM windows_live WHERE window_size = '1m' AND device = ?`,
  );
  const [arrivals] = await one(
    `SELECT arrivals AS arrivals, counted AS counted, counted_late AS countedLate, sensor_fault AS sensorFault,
       quarantined AS quarantined, duplicates AS duplicates, released AS released FROM ledger_arrivals WHERE device = ?`,
  );
  const slots = await one(
    `SELECT boot::VARCHAR AS boot, heard AS heard, epoch_ms(first_heard) AS firstHeardMs,
       epoch_ms(first_event_time) AS firstMs, epoch_ms(last_event_time) AS lastMs, slots AS slots, counted AS counted,
       counted_late AS countedLate, sensor_fault AS sensorFault, quarantined AS quarantined, lost AS lost,
       missing AS missing
     FROM ledger_slots WHERE device = ? ORDER BY first_heard DESC, boot LIMIT 200`,
  );
  const faults = await one(
    `SELECT epoch_ms(ts) AS atMs, fault AS cause, seq AS seq FROM readings
     WHERE device = ? AND fault IS NOT NULL ORDER BY ts DESC LIMIT ${FACTS_MAX}`,
  );
  const quarantined = await one(
    `SELECT epoch_ms(append_time) AS atMs, epoch_ms(ts) AS eventMs, reason AS reason, detail AS detail, raw AS raw,
       seq AS seq, released_by_offset IS NOT NULL AS released
     FROM quarantine WHERE device = ? ORDER BY append_time DESC, log_offset DESC, log_index DESC LIMIT ${FACTS_MAX}`,
  );
  const [last] = await one(
    `SELECT epoch_ms(ts) AS atMs, temperature_c AS temperatureC, humidity_pct AS humidityPct, flag AS flag FROM readings
     WHERE device = ? AND fault IS NULL ORDER BY ts DESC LIMIT 1`,
  );
  return { state, extent, arrivals, slots, faults, quarantined, last: last ?? null };
}

/** Rows as objects; the names are those after `AS` in the select list. */
function objectsOf(rows: readonly (readonly Cell[])[] | null, sql: string): Record<string, Cell>[] {
  const names = [...sql.slice(0, sql.lastIndexOf("FROM")).matchAll(/\bAS (\w+)/g)].map((match) =>
    match[1] as string
  );
  return (rows ?? []).map((row) =>
    Object.fromEntries(names.map((name, index) => [name, row[index] ?? null]))
  );
}

export type DownloadKind = "windows" | "readings";

/** The statement of a download. */
export function downloadSql(
  kind: DownloadKind,
  device: string,
  size: string,
  { fromMs, toMs }: Span,
): string {
  const time = (ms: number) => `make_timestamp_ms(${Math.trunc(ms)})`;
  switch (kind) {
    case "windows":
      return `SELECT * FROM windows_live WHERE device = ${sqlText(device)} AND window_size = ${sqlText(size)}
        AND window_start >= ${time(fromMs)} AND window_start < ${time(toMs)} ORDER BY window_start`;
    case "readings":
      return `SELECT * FROM readings WHERE device = ${sqlText(device)}
        AND ts >= ${time(fromMs)} AND ts < ${time(toMs)} ORDER BY ts, boot, seq`;
  }
}
