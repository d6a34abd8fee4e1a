/**
 * Finds rows by device and time wherever they are: in the live file above the published version, in segments below it.
 * Segments and row groups whose times don't fit are not read (zone maps); needs that lie far apart in time are read
 * separately.
 */
import type { DuckDBConnection } from "@duckdb/node-api";
import type { WindowRow } from "../../core/rows.ts";
import { type Column, readRows, TableWriter } from "./columns.ts";
import type { SegmentGuard } from "./damage.ts";
import { readParquet } from "./live.ts";
import type { DataPaths, PartitionRecord } from "./published.ts";
import type { Segment } from "./segments.ts";
import { kindsOf, newestOf, selectList, type Table, type TableShape, windowTable } from "./tables.ts";

export interface NeedReading {
  readonly device: string;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface NeedWindow {
  readonly device: string;
  readonly windowSize: string;
  readonly startMs: number;
}

const needReadingColumns: readonly Column<NeedReading>[] = [
  { name: "device", kind: "text", get: (need) => need.device },
  { name: "from_ts", kind: "time", get: (need) => need.fromMs },
  { name: "to_ts", kind: "time", get: (need) => need.toMs },
];
const needDeviceColumns: readonly Column<{ readonly device: string; readonly number: number }>[] = [
  { name: "device", kind: "text", get: (need) => need.device },
  { name: "number", kind: "int32", get: (need) => need.number },
];
const needWindowColumns: readonly Column<NeedWindow>[] = [
  { name: "device", kind: "text", get: (need) => need.device },
  { name: "window_size", kind: "text", get: (need) => need.windowSize },
  { name: "window_start", kind: "time", get: (need) => need.startMs },
];

/** Years 1677 and 2262, beyond every event time: stand for −∞ and ∞ in SQL. */
const LOWEST_MS = -9_223_372_036_854;
export const HIGHEST_MS = 9_999_999_999_999 + 1;
/** Event times further apart than this are looked up separately, so that what lies between is not read. */
const CLUSTER_GAP_MS = 86_400_000;
const CLUSTERS_MAX = 8;
/** So few different spans are asked for one by one. */
const UNIFORM_SPANS_MAX = 3;

/** Lookups in one partition; `record` is what is published at the time of the call. Calls come one at a time. */
export class Lookup {
  readonly #needReadings = new TableWriter("need_readings", needReadingColumns, false);
  readonly #needDevices = new TableWriter("need_devices", needDeviceColumns, false);
  readonly #needWindows = new TableWriter("need_windows", needWindowColumns, false);

  constructor(
    private readonly paths: DataPaths,
    private readonly guard: SegmentGuard,
    private readonly record: () => PartitionRecord | null,
    /** Committed segments that the record doesn't name yet. */
    private readonly sealed: () => readonly Segment[],
  ) {}

  /** Rows of a table by device and event time, published or not, each once, in log order. */
  async rowsBetween<Row extends { readonly offset: number; readonly index: number }>(
    connection: DuckDBConnection,
    table: Table<Row>,
    needs: readonly NeedReading[],
  ): Promise<Row[]> {
    const rows: Row[] = [];
    const spans = Map.groupBy(needs, ({ fromMs, toMs }) => `${fromMs} ${toMs}`);
    const isUniform = spans.size <= UNIFORM_SPANS_MAX;
    for (const same of isUniform ? spans.values() : []) await this.#addUniform(connection, table, same, rows);
    if (!isUniform) await this.#addDiffering(connection, table, needs, rows);
    rows.sort((left, right) => left.offset - right.offset || left.index - right.index);
    const isFirst = (row: Row, at: number) =>
      at === 0 || row.offset !== rows[at - 1]!.offset || row.index !== rows[at - 1]!.index;
    return spans.size > 1 ? rows.filter(isFirst) : rows;
  }

  /** One span for all devices, as when the state is loaded: a plain join, which gives numbers for the devices' names. */
  async #addUniform<Row>(
    connection: DuckDBConnection,
    table: Table<Row>,
    needs: readonly NeedReading[],
    rows: Row[],
  ): Promise<void> {
    const { fromMs, toMs } = needs[0]!;
    const names = [...new Set(needs.map(({ device }) => device))];
    await connection.run("CREATE OR REPLACE TEMP TABLE need_devices (device VARCHAR, number INTEGER)");
    await this.#needDevices.append(
      connection,
      names.map((device, number) => ({ device, number })),
      0,
      "temp",
    );
    const list = selectList(table).replace(/^device, /, "");
    const result = await connection.stream(
      `SELECT need.number, ${list} FROM (${await this.#everywhere(
        table,
        between(table, fromMs, toMs),
        fromMs,
        toMs,
      )})
       JOIN need_devices need USING (device)`,
    );
    for (const row of await readRows(result, [names, ...kindsOf(table).slice(1)], table.make)) rows.push(row);
  }

  async #addDiffering<Row>(
    connection: DuckDBConnection,
    table: Table<Row>,
    needs: readonly NeedReading[],
    rows: Row[],
  ): Promise<void> {
    await connection.run(
      "CREATE OR REPLACE TEMP TABLE need_readings (device VARCHAR, from_ts TIMESTAMP, to_ts TIMESTAMP)",
    );
    await this.#needReadings.append(connection, needs, 0, "temp");
    const time = table.timeColumn;
    for (const { fromMs, toMs } of clusters(needs)) {
      const source = await this.#everywhere(table, between(table, fromMs, toMs), fromMs, toMs);
      const result = await connection.stream(
        `SELECT ${selectList(table)} FROM (${source}) r WHERE EXISTS (FROM need_readings n
           WHERE n.device = r.device AND r.${time} >= n.from_ts AND r.${time} < n.to_ts)`,
      );
      for (const row of await readRows(result, kindsOf(table), table.make)) rows.push(row);
    }
  }

  /** The newest version of each window, or all of them by revision. */
  async windows(
    connection: DuckDBConnection,
    needs: readonly NeedWindow[],
    allVersions: boolean,
  ): Promise<WindowRow[]> {
    if (needs.length === 0) return [];
    await connection.run(
      "CREATE OR REPLACE TEMP TABLE need_windows (device VARCHAR, window_size VARCHAR, window_start TIMESTAMP)",
    );
    await this.#needWindows.append(connection, needs, 0, "temp");
    const rows: WindowRow[] = [];
    const spans = needs.map(({ startMs }) => ({ fromMs: startMs, toMs: startMs + 1 }));
    for (const { fromMs, toMs } of clusters(spans)) {
      const between = `window_start >= ${timestamp(fromMs)} AND window_start < ${timestamp(toMs)}`;
      const versions = `FROM (${await this.#everywhere(windowTable, between, fromMs, toMs)})
        SEMI JOIN need_windows USING (device, window_size, window_start)`;
      await connection.run(`CREATE OR REPLACE TEMP TABLE known_windows AS ${versions}`);
      const known = allVersions ? "known_windows" : newestOf("FROM known_windows", windowKey);
      const result = await connection.stream(
        `SELECT ${
          selectList(windowTable)
        } FROM ${known} ORDER BY window_start, device, window_size, revision`,
      );
      for (const row of await readRows(result, kindsOf(windowTable), windowTable.make)) rows.push(row);
    }
    return rows;
  }

  /** SQL for the rows of a table with time in [fromMs, toMs), each once: unpublished ones and those in segments. */
  async #everywhere(table: TableShape, where: string, fromMs: number, toMs: number): Promise<string> {
    const record = this.record();
    const list = `version, ${selectList(table)}`;
    const live = `SELECT ${list} FROM ${table.name} WHERE version > ${record?.version ?? 0} AND ${where}`;
    const segments = [...record?.segments ?? [], ...this.sealed()].filter((segment) =>
      segment.table === table.name && holds(segment, fromMs, toMs)
    );
    if (segments.length === 0) return live;
    await this.guard.check(segments);
    const files = readParquet(segments.map((segment) => `${this.paths.published}/${segment.path}`));
    return `${live} UNION ALL SELECT ${list} FROM ${files} WHERE ${where}`;
  }
}

/** What makes a window the same one. */
export const windowKey = ["device", "window_size", "window_start"];

export function finite(ms: number): number {
  return Math.min(HIGHEST_MS, Math.max(LOWEST_MS, ms));
}

function between(table: TableShape, fromMs: number, toMs: number): string {
  return `${table.timeColumn} >= ${timestamp(fromMs)} AND ${table.timeColumn} < ${timestamp(toMs)}`;
}

function timestamp(ms: number): string {
  return `epoch_ms(${ms})`;
}

function holds(segment: Segment, fromMs: number, toMs: number): boolean {
  return segment.minMs !== null && segment.maxMs !== null && segment.minMs < toMs && segment.maxMs >= fromMs;
}

/** Few spans that cover all of `spans`, so that far-apart needs don't read what lies between. */
export function clusters(
  spans: readonly { readonly fromMs: number; readonly toMs: number }[],
): { fromMs: number; toMs: number }[] {
  const sorted = [...spans].sort((left, right) => left.fromMs - right.fromMs);
  const found: { fromMs: number; toMs: number }[] = [];
  for (const { fromMs, toMs } of sorted) {
    const last = found.at(-1);
    if (last !== undefined && (fromMs <= last.toMs + CLUSTER_GAP_MS || found.length >= CLUSTERS_MAX)) {
      last.toMs = Math.max(last.toMs, toMs);
    } else {
      found.push({ fromMs, toMs });
    }
  }
  return found;
}
