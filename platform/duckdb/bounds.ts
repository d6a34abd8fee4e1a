/** How many rows of each table wait to be published, and the times that they span: kept while committing, not queried. */
import type { Changes, Rows } from "../../core/ports/store.ts";
import { ReadingBlock } from "../../core/reading_block.ts";
import type { ReadingRow } from "../../core/rows.ts";

/** Rows of one table. */
export interface Bounds {
  readonly rows: number;
  /** Lowest and highest event time (or start of window); null if no row has one. */
  readonly minMs: number | null;
  readonly maxMs: number | null;
  /** Highest append time, for tables that have one. */
  readonly maxAppendMs: number | null;
}

export const noRows: Bounds = { rows: 0, minMs: null, maxMs: null, maxAppendMs: null };

/** Bounds by table; those of `window_rows` that replace an older version stand apart under {@link replacing}. */
export type BoundsByTable = ReadonlyMap<string, Bounds>;

export const replacing = "window_rows that replace";

/** Bounds of two sets of rows together. */
export function joinBounds(left: Bounds, right: Bounds): Bounds {
  return {
    rows: left.rows + right.rows,
    minMs: lower(left.minMs, right.minMs),
    maxMs: higher(left.maxMs, right.maxMs),
    maxAppendMs: higher(left.maxAppendMs, right.maxAppendMs),
  };
}

/** All of `left` and `right`, table by table. */
export function joinTables(left: BoundsByTable, right: BoundsByTable): BoundsByTable {
  const joined = new Map(left);
  for (const [table, bounds] of right) joined.set(table, joinBounds(joined.get(table) ?? noRows, bounds));
  return joined;
}

/** Rows of all tables together. */
export function rowsOf(tables: BoundsByTable): number {
  let rows = 0;
  for (const [table, bounds] of tables) if (table !== replacing) rows += bounds.rows;
  return rows;
}

/** The bounds of what one transaction appends. */
export function boundsOf(changes: Changes): BoundsByTable {
  const tables = new Map<string, Bounds>();
  const put = (table: string, bounds: Bounds) => {
    if (bounds.rows > 0) tables.set(table, bounds);
  };
  put("reading_rows", spanOfReadings(changes.readings));
  put("quarantine_rows", spanOf(changes.quarantined, (row) => row.tsMs, (row) => row.appendMs));
  put("release_rows", { ...noRows, rows: changes.released.length });
  put("gap_rows", { ...noRows, rows: changes.gaps.length });
  put("window_rows", spanOf(changes.windows, (row) => row.startMs, () => null));
  const newer = changes.windows.filter((row) => row.replaces !== null);
  put(replacing, spanOf(newer, (row) => row.startMs, () => null));
  put("device_rows", { ...noRows, rows: changes.devices.length });
  put("boot_rows", { ...noRows, rows: changes.boots.length });
  const { alerts, rules, states } = changes.alerts;
  put("alert_rows", spanOf(alerts, (row) => row.atMs, () => null));
  put("alert_rule_rows", { ...noRows, rows: rules.length });
  put("alert_state_rows", { ...noRows, rows: states.length });
  return tables;
}

/** Of readings in any form. */
export function spanOfReadings(readings: Rows<ReadingRow>): Bounds {
  if (!(readings instanceof ReadingBlock)) return spanOf(readings, (row) => row.tsMs, (row) => row.appendMs);
  const { length: rows, tsMs, appendMs } = readings;
  if (rows === 0) return noRows;
  let [minMs, maxMs, maxAppendMs] = [Infinity, -Infinity, -Infinity];
  for (let at = 0; at < rows; at++) {
    const ms = tsMs[at]!;
    if (ms < minMs) minMs = ms;
    if (ms > maxMs) maxMs = ms;
    if (appendMs[at]! > maxAppendMs) maxAppendMs = appendMs[at]!;
  }
  return { rows, minMs, maxMs, maxAppendMs };
}

function spanOf<Row>(
  rows: Rows<Row>,
  time: (row: Row) => number | null,
  append: (row: Row) => number | null,
): Bounds {
  let minMs: number | null = null;
  let maxMs: number | null = null;
  let maxAppendMs: number | null = null;
  for (const row of rows) {
    const ms = time(row);
    minMs = lower(minMs, ms);
    maxMs = higher(maxMs, ms);
    maxAppendMs = higher(maxAppendMs, append(row));
  }
  return { rows: rows.length, minMs, maxMs, maxAppendMs };
}

function lower(left: number | null, right: number | null): number | null {
  return left === null || (right !== null && right < left) ? right : left;
}

function higher(left: number | null, right: number | null): number | null {
  return left === null || (right !== null && right > left) ? right : left;
}
