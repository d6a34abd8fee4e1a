/** What a live file keeps, what is new in it, and what leaves it: the SQL of the store. */
import type { DuckDBConnection } from "@duckdb/node-api";
import { limits } from "../../core/limits.ts";
import type { StoredState } from "../../core/ports/store.ts";
import type { AlertRow, PositionRow } from "../../core/rows.ts";
import { type Bounds, type BoundsByTable, replacing } from "./bounds.ts";
import { readRows } from "./columns.ts";
import { type SegmentGuard, stateTables } from "./damage.ts";
import { readParquet } from "./live.ts";
import { finite, HIGHEST_MS, type Lookup, type NeedReading, windowKey } from "./lookup.ts";
import type { DataPaths, PartitionRecord } from "./published.ts";
import { StateDamaged } from "./recovery.ts";
import {
  alertRuleTable,
  alertStateTable,
  alertTable,
  bootTable,
  deviceTable,
  gapTable,
  kindsOf,
  newestOf,
  positionTable,
  quarantineTable,
  readingTable,
  releaseTable,
  sealedTable,
  segmentTables,
  selectList,
  type Table,
  type TableShape,
  windowTable,
} from "./tables.ts";

/** State of which only the newest version counts. */
const states = [deviceTable, bootTable, alertRuleTable, alertStateTable];

/** The alerts that stay in a live file for {@link readState}. */
const newestAlerts = `SELECT ${selectList(alertTable)} FROM alert_rows
  ORDER BY log_offset DESC, log_index DESC LIMIT ${limits.alertsRememberedMax}`;

const newestDevices =
  "SELECT device, arg_max({'ms': watermark}, version).ms AS watermark FROM device_rows GROUP BY device";

/** Closed windows `w` whose end is above their device's watermark `d`: only silence closes a window so. */
const isAhead = "w.closed_by = 'silence' AND (d.watermark IS NULL OR w.window_end > d.watermark)";

/**
 * Up to which version a table's rows are published. State without any segment was damaged: it is written again whole,
 * from the newest versions that the live file keeps.
 */
export function publishedVersion(table: TableShape, record: PartitionRecord | null): number {
  if (record === null) return 0;
  const isWhole = table.newestBy === null || record.segments.some((segment) => segment.table === table.name);
  return isWhole ? record.version : 0;
}

/** The newest transaction in the tables and its position; undefined if there is none. */
export async function readPosition(
  connection: DuckDBConnection,
): Promise<{ readonly version: number; readonly position: PositionRow } | undefined> {
  const [newest] = await readRows(
    await connection.stream(
      `SELECT version, ${selectList(positionTable)} FROM position_rows
       WHERE version = (SELECT max(version) FROM position_rows)`,
    ),
    ["int64", ...kindsOf(positionTable)],
    (cells, index) => ({
      version: cells[0]![index] as number,
      position: positionTable.make(cells.slice(1), index),
    }),
  );
  return newest;
}

/** What a fold is rebuilt from, see `Store.load`. */
export async function readState(
  connection: DuckDBConnection,
  openFrom: (watermarkMs: number | null) => number,
  lookup: Lookup,
): Promise<Omit<StoredState, "position">> {
  const devices = await readNewest(connection, deviceTable);
  const boots = await readNewest(connection, bootTable);
  const newestWindows = newestOf("FROM window_rows", windowKey);
  const closedAhead = await readRows(
    await connection.stream(
      `SELECT ${prefixed("w", selectList(windowTable))} FROM ${newestWindows} w
       JOIN (${newestDevices}) d USING (device) WHERE ${isAhead}
       ORDER BY w.window_start, w.device, w.window_size`,
    ),
    kindsOf(windowTable),
    windowTable.make,
  );
  const needs = devices.map((device): NeedReading => ({
    device: device.device,
    fromMs: finite(openFrom(device.watermarkMs)),
    toMs: HIGHEST_MS,
  }));
  const openReadings = await lookup.rowsBetween(connection, readingTable, needs);
  const alerts = {
    rules: await readNewest(connection, alertRuleTable),
    states: await readNewest(connection, alertStateTable),
    newest: await readNewestAlerts(connection),
  };
  return { devices, boots, closedAhead, openReadings, alerts };
}

async function readNewest<Row>(connection: DuckDBConnection, table: Table<Row>): Promise<Row[]> {
  const key = table.newestBy!.join(", ");
  const result = await connection.stream(
    `SELECT ${selectList(table)} FROM ${newestOf(`FROM ${table.name}`, table.newestBy!)} ORDER BY ${key}`,
  );
  return await readRows(result, kindsOf(table), table.make);
}

async function readNewestAlerts(connection: DuckDBConnection): Promise<AlertRow[]> {
  const result = await connection.stream(`SELECT * FROM (${newestAlerts}) ORDER BY log_offset, log_index`);
  return await readRows(result, kindsOf(alertTable), alertTable.make);
}

/** Bounds of the rows that are committed and not published, by table. */
export async function readUnpublished(
  connection: DuckDBConnection,
  record: PartitionRecord | null,
): Promise<BoundsByTable> {
  const tables = new Map<string, Bounds>();
  const bounds = async (key: string, table: TableShape, where: string) => {
    const time = table.timeColumn;
    const append = table.columns.some(({ name }) => name === "append_time") ? "append_time" : null;
    const ms = (aggregate: string, name: string | null) =>
      name === null ? "NULL::BIGINT" : `epoch_ms(${aggregate}(${name}))`;
    const result = await connection.stream(
      `SELECT count(*), ${ms("min", time)}, ${ms("max", time)}, ${
        ms("max", append)
      } FROM ${table.name} WHERE ${where}`,
    );
    const [found] = await readRows(result, ["int64", "int64", "int64", "int64"], (cells, index) => ({
      rows: cells[0]![index] as number,
      minMs: cells[1]![index] as number | null,
      maxMs: cells[2]![index] as number | null,
      maxAppendMs: cells[3]![index] as number | null,
    }));
    if (found !== undefined && found.rows > 0) tables.set(key, found);
  };
  for (const table of segmentTables) {
    await bounds(table.name, table, `version > ${publishedVersion(table, record)}`);
  }
  const after = publishedVersion(windowTable, record);
  await bounds(replacing, windowTable, `version > ${after} AND replaces IS NOT NULL`);
  return tables;
}

/** Deletes published rows, except windows that are ahead of their device's watermark and the newest alerts. */
export async function removePublished(writer: DuckDBConnection, version: number): Promise<void> {
  for (const table of [readingTable, quarantineTable, releaseTable, gapTable, sealedTable]) {
    await writer.run(`DELETE FROM ${table.name} WHERE version <= ${version}`);
  }
  await writer.run(
    `DELETE FROM window_rows WHERE version <= ${version} AND rowid NOT IN (
       SELECT w.rowid FROM window_rows w JOIN (${newestDevices}) d USING (device)
       WHERE ${isAhead} AND w.version <= ${version})`,
  );
  await writer.run(
    `DELETE FROM alert_rows WHERE version <= ${version}
       AND (log_offset, log_index) NOT IN (SELECT (log_offset, log_index) FROM (${newestAlerts}))`,
  );
}

/** Deletes versions of devices, boots and position that newer ones have replaced, published or not. */
export async function removeSuperseded(writer: DuckDBConnection): Promise<void> {
  for (const table of [...states, positionTable]) {
    await writer.run(
      `DELETE FROM ${table.name} WHERE rowid NOT IN (
         SELECT arg_max(rowid, version) FROM ${table.name} GROUP BY ${table.newestBy!.join(", ")})`,
    );
  }
}

/** Rejects with `StateDamaged` or `StoreDamaged` if the published state can't be taken over. */
export async function checkStates(record: PartitionRecord, guard: SegmentGuard): Promise<void> {
  const lost = (record.lost ?? []).find(({ table }) => stateTables.includes(table));
  if (lost !== undefined) {
    throw new StateDamaged(
      `${lost.rows} published rows of ${lost.table} are damaged and the live file is gone`,
    );
  }
  const taken = [...states, windowTable, alertTable].map(({ name }) => name);
  await guard.check(record.segments.filter(({ table }) => taken.includes(table)));
}

/** Puts the published state in the place of everything that is in the tables, but for the position. */
export async function takePublished(
  writer: DuckDBConnection,
  paths: DataPaths,
  record: PartitionRecord,
): Promise<void> {
  const sourceOf = (table: TableShape) => {
    const segments = record.segments.filter((segment) => segment.table === table.name);
    return segments.length === 0
      ? null
      : readParquet(segments.map((segment) => `${paths.published}/${segment.path}`));
  };
  for (const table of [...segmentTables, positionTable, sealedTable]) {
    await writer.run(`DELETE FROM ${table.name}`);
  }
  for (const table of states) {
    const source = sourceOf(table);
    if (source === null) continue;
    await writer.run(
      `INSERT INTO ${table.name} SELECT version, ${selectList(table)}
       FROM ${newestOf(`FROM ${source}`, table.newestBy!)}`,
    );
  }
  const [windows, alerts] = [sourceOf(windowTable), sourceOf(alertTable)];
  if (windows !== null) {
    await writer.run(
      `INSERT INTO window_rows SELECT w.version, ${prefixed("w", selectList(windowTable))}
       FROM ${windows} w JOIN (${newestDevices}) d USING (device) WHERE ${isAhead}`,
    );
  }
  if (alerts !== null) {
    await writer.run(
      `INSERT INTO alert_rows SELECT version, ${selectList(alertTable)} FROM ${alerts}
       ORDER BY log_offset DESC, log_index DESC LIMIT ${limits.alertsRememberedMax}`,
    );
  }
}

function prefixed(alias: string, list: string): string {
  return list.split(", ").map((name) => `${alias}.${name}`).join(", ");
}
