/**
 * The store: one DuckDB file per partition for what is being written, immutable Parquet segments for what is published.
 *
 *     const store = await openStore({ directory: "data", partition: 0, retentionMs: config.retentionMs });
 *     const publisher = await openPublisher(store);        // platform/duckdb_publisher.ts
 *     const state = await store.load(openFrom);            // position, devices, boots, open readings
 *     await store.commit(changes);                         // one transaction, durable when it resolves
 *     await publisher.publish(openWindows, clock.nowMs()); // when it suits: commits go on meanwhile
 *     await publisher.close();
 *     await store.close();
 *
 * A row lives in the live file until it is published durably, then in a segment only, so the live file stays small and
 * what people read is the data itself, not a copy. Newest devices and boots stay in the live file as well, and so do
 * windows that silence closed ahead of their device's watermark: with them `load` reads no history. `version`, the
 * number of the transaction, tells what is where: up to the published version a row is in a segment, above it is not.
 *
 * Rejected: one growing file (readers are locked out, publishing costs its size, deleting gives nothing back);
 * upserts under an index (rows are never freed, commits cost twice as much).
 */
import type { DuckDBConnection } from "@duckdb/node-api";
import { assert } from "../core/assert.ts";
import type { PositionRow } from "../core/rows.ts";
import {
  type Changes,
  type Known,
  type Needs,
  type Store,
  type StoredState,
  StoreUnavailable,
} from "../core/ports/store.ts";
import { type Column, readRows, TableWriter } from "./duckdb_columns.ts";
import { LiveFile, readParquet } from "./duckdb_live.ts";
import { type DataPaths, dataPaths, type PartitionRecord, readRecords } from "./duckdb_published.ts";
import type { Segment } from "./duckdb_segments.ts";
import { storeError } from "./duckdb_errors.ts";
import {
  bootTable,
  deviceTable,
  kindsOf,
  newestOf,
  positionTable,
  quarantineTable,
  readingTable,
  releaseTable,
  selectList,
  type Table,
  type TableShape,
  windowTable,
} from "./duckdb_tables.ts";

export interface StoreOptions {
  /** The data folder; made if it is not there. Partitions of one log share it. */
  readonly directory: string;
  readonly partition: number;
  /** `JudgeConfig.retentionMs`: how long readings and quarantined ones are kept, in log time. */
  readonly retentionMs: number;
  /** DuckDB's threads; 1 unless large queries matter more than a quiet machine. */
  readonly threads?: number;
  /** Bound of DuckDB's buffers in MiB (64 to 4,096). */
  readonly memoryMb?: number;
}

/** Tables whose rows are published in segments of new rows. */
export const segmentTables: readonly TableShape[] = [
  readingTable,
  quarantineTable,
  releaseTable,
  windowTable,
  deviceTable,
  bootTable,
];

/** Opens the store of one partition; see the top of this file. Throws `StoreRefused` or `StoreUnavailable`. */
export async function openStore(options: StoreOptions): Promise<DuckdbStore> {
  const paths = dataPaths(options.directory, options.partition);
  try {
    await Deno.mkdir(paths.liveFolder, { recursive: true });
    const record = (await readRecords(paths)).get(options.partition) ?? null;
    const live = await LiveFile.open({
      path: paths.live,
      threads: options.threads ?? 1,
      memoryMb: options.memoryMb ?? 192,
    });
    const store = new DuckdbStore(options.partition, options.retentionMs, paths, live, record);
    await store.settle();
    return store;
  } catch (error) {
    throw storeError(`opening the data folder ${options.directory}`, error);
  }
}

interface NeedReading {
  readonly device: string;
  readonly fromMs: number;
  readonly toMs: number;
}

interface NeedWindow {
  readonly device: string;
  readonly windowSize: string;
  readonly startMs: number;
}

const needReadingColumns: readonly Column<NeedReading>[] = [
  { name: "device", kind: "text", get: (need) => need.device },
  { name: "from_ts", kind: "time", get: (need) => need.fromMs },
  { name: "to_ts", kind: "time", get: (need) => need.toMs },
];
const needWindowColumns: readonly Column<NeedWindow>[] = [
  { name: "device", kind: "text", get: (need) => need.device },
  { name: "window_size", kind: "text", get: (need) => need.windowSize },
  { name: "window_start", kind: "time", get: (need) => need.startMs },
];

/** Years 1677 and 2262, beyond every event time: stand for −∞ and ∞ in SQL. */
const LOWEST_MS = -9_223_372_036_854;
const HIGHEST_MS = 9_999_999_999_999 + 1;
/** Event times further apart than this are looked up separately, so that what lies between is not read. */
const CLUSTER_GAP_MS = 86_400_000;
const CLUSTERS_MAX = 8;

export class DuckdbStore implements Store {
  readonly #writers = {
    readings: new TableWriter(readingTable.name, readingTable.columns, true),
    quarantined: new TableWriter(quarantineTable.name, quarantineTable.columns, true),
    released: new TableWriter(releaseTable.name, releaseTable.columns, true),
    windows: new TableWriter(windowTable.name, windowTable.columns, true),
    devices: new TableWriter(deviceTable.name, deviceTable.columns, true),
    boots: new TableWriter(bootTable.name, bootTable.columns, true),
    position: new TableWriter(positionTable.name, positionTable.columns, true),
    needReadings: new TableWriter("need_readings", needReadingColumns, false),
    needWindows: new TableWriter("need_windows", needWindowColumns, false),
  };
  #version = 0;
  #position: PositionRow | null = null;
  #record: PartitionRecord | null;
  /** State rows appended since older versions were trimmed last. */
  #untrimmed = 0;

  /** Use {@link openStore}. */
  constructor(
    readonly partition: number,
    readonly retentionMs: number,
    readonly paths: DataPaths,
    readonly live: LiveFile,
    record: PartitionRecord | null,
  ) {
    this.#record = record;
  }

  /** Number of the last committed transaction; 0 before the first. */
  get version(): number {
    return this.#version;
  }

  /** The committed position. */
  get position(): PositionRow | null {
    return this.#position;
  }

  /** What is published; rows above its version are in the live file only. */
  get record(): PartitionRecord | null {
    return this.#record;
  }

  /** Brings live file and publication into agreement after opening. */
  async settle(): Promise<void> {
    await this.live.exclusive(async () => {
      await this.#readPosition();
      if (this.#record === null) return;
      if (this.#version < this.#record.version) await this.#takeFromPublished(this.#record);
      else await this.#retire(this.#record.version);
    });
  }

  load(openFrom: (watermarkMs: number | null) => number): Promise<StoredState> {
    return this.#guarded("reading the stored state", async (connection) => {
      await this.#readPosition();
      const devices = await this.#newest(connection, deviceTable);
      const boots = await this.#newest(connection, bootTable);
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
      const openReadings = await this.#rowsBetween(connection, readingTable, needs);
      return { position: this.#position, devices, boots, closedAhead, openReadings };
    });
  }

  lookup(needs: Needs): Promise<Known> {
    return this.#guarded("looking up stored rows", async (connection) => {
      const spans = needs.readings.map(({ device, fromMs, toMs }) => ({
        device,
        fromMs: finite(fromMs),
        toMs: finite(toMs),
      }));
      return {
        readings: await this.#rowsBetween(connection, readingTable, spans),
        quarantined: await this.#rowsBetween(connection, quarantineTable, spans),
        windows: await this.#newestWindows(connection, needs.windows),
      };
    });
  }

  commit(changes: Changes): Promise<void> {
    assert(changes.position.partition === this.partition, "a transaction is of the store's partition");
    return this.live.exclusive(async () => {
      const version = this.#version + 1;
      try {
        await this.live.transaction("committing", (writer) => this.#append(writer, changes, version));
      } catch (error) {
        // A failure after the commit became durable (its reply was lost) is a commit all the same.
        if (!(error instanceof StoreUnavailable) || await this.#storedVersion() !== version) throw error;
      }
      this.#version = version;
      this.#position = changes.position;
      this.#untrimmed += changes.devices.length + changes.boots.length + 1;
    });
  }

  async close(): Promise<void> {
    await this.live.exclusive(() => {
      this.live.close();
      return Promise.resolve();
    });
  }

  /**
   * Says that everything up to the record's version is durable in its segments: it leaves the live file, except newest
   * devices and boots and windows that are ahead. A crash in the middle is made good by the next {@link settle}.
   */
  async published(record: PartitionRecord): Promise<void> {
    await this.live.exclusive(async () => {
      this.#record = record;
      await this.#retire(record.version);
      await this.live.checkpointIfLarge();
    });
  }

  /** Says that some segments were merged: the rows are the same, in other files. */
  segmentsReplaced(record: PartitionRecord): void {
    this.#record = record;
  }

  async #append(writer: DuckDBConnection, changes: Changes, version: number): Promise<void> {
    const writers = this.#writers;
    await writers.readings.append(writer, changes.readings, version);
    await writers.quarantined.append(writer, changes.quarantined, version);
    await writers.released.append(writer, changes.released, version);
    await writers.windows.append(writer, changes.windows, version);
    await writers.devices.append(writer, changes.devices, version);
    await writers.boots.append(writer, changes.boots, version);
    await writers.position.append(writer, [changes.position], version);
  }

  #guarded<T>(action: string, task: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
    return this.live.exclusive(async () => {
      try {
        return await task(this.live.writer);
      } catch (error) {
        throw storeError(action, error);
      }
    });
  }

  async #readPosition(): Promise<void> {
    const [newest] = await readRows(
      await this.live.writer.stream(
        `SELECT version, ${selectList(positionTable)} FROM position_rows ORDER BY version DESC LIMIT 1`,
      ),
      ["int64", ...kindsOf(positionTable)],
      (cells, index) => ({
        version: cells[0]![index] as number,
        position: positionTable.make(cells.slice(1), index),
      }),
    );
    this.#version = newest?.version ?? 0;
    this.#position = newest?.position ?? null;
  }

  /** The last transaction in the file, null if it can't be read now. */
  async #storedVersion(): Promise<number | null> {
    try {
      const reader = await this.live.writer.runAndReadAll(
        "SELECT coalesce(max(version), 0) FROM position_rows",
      );
      return Number(reader.getRows()[0]?.[0]);
    } catch {
      return null;
    }
  }

  async #newest<Row>(connection: DuckDBConnection, table: Table<Row>): Promise<Row[]> {
    const key = table.newestBy!.join(", ");
    const result = await connection.stream(
      `SELECT ${selectList(table)} FROM ${newestOf(`FROM ${table.name}`, table.newestBy!)} ORDER BY ${key}`,
    );
    return await readRows(result, kindsOf(table), table.make);
  }

  /** Rows of a table by device and event time, published or not, each once, in log order. */
  async #rowsBetween<Row extends { readonly offset: number; readonly index: number }>(
    connection: DuckDBConnection,
    table: Table<Row>,
    needs: readonly NeedReading[],
  ): Promise<Row[]> {
    if (needs.length === 0) return [];
    await connection.run(
      "CREATE OR REPLACE TEMP TABLE need_readings (device VARCHAR, from_ts TIMESTAMP, to_ts TIMESTAMP)",
    );
    await this.#writers.needReadings.append(connection, needs, 0, "temp");
    const rows: Row[] = [];
    for (const { fromMs, toMs } of clusters(needs)) {
      const between = `${table.timeColumn} >= ${timestamp(fromMs)} AND ${table.timeColumn} < ${
        timestamp(toMs)
      }`;
      const result = await connection.stream(
        `SELECT ${selectList(table)} FROM (${this.#everywhere(table, between, fromMs, toMs)}) r
         WHERE EXISTS (FROM need_readings n
           WHERE n.device = r.device AND r.${table.timeColumn} >= n.from_ts AND r.${table.timeColumn} < n.to_ts)`,
      );
      rows.push(...await readRows(result, kindsOf(table), table.make));
    }
    return rows.sort((left, right) => left.offset - right.offset || left.index - right.index);
  }

  async #newestWindows(connection: DuckDBConnection, needs: readonly NeedWindow[]) {
    if (needs.length === 0) return [];
    await connection.run(
      "CREATE OR REPLACE TEMP TABLE need_windows (device VARCHAR, window_size VARCHAR, window_start TIMESTAMP)",
    );
    await this.#writers.needWindows.append(connection, needs, 0, "temp");
    const rows = [];
    const spans = needs.map(({ startMs }) => ({ fromMs: startMs, toMs: startMs + 1 }));
    for (const { fromMs, toMs } of clusters(spans)) {
      const between = `window_start >= ${timestamp(fromMs)} AND window_start < ${timestamp(toMs)}`;
      const versions = `FROM (${this.#everywhere(windowTable, between, fromMs, toMs)})
        SEMI JOIN need_windows USING (device, window_size, window_start)`;
      await connection.run(`CREATE OR REPLACE TEMP TABLE known_windows AS ${versions}`);
      const result = await connection.stream(
        `SELECT ${selectList(windowTable)} FROM ${newestOf("FROM known_windows", windowKey)}
         ORDER BY window_start, device, window_size`,
      );
      rows.push(...await readRows(result, kindsOf(windowTable), windowTable.make));
    }
    return rows;
  }

  /** SQL for the rows of a table with time in [fromMs, toMs), each once: unpublished ones and those in segments. */
  #everywhere(table: TableShape, where: string, fromMs: number, toMs: number): string {
    const list = `version, ${selectList(table)}`;
    const live = `SELECT ${list} FROM ${table.name} WHERE version > ${
      this.#record?.version ?? 0
    } AND ${where}`;
    const paths = (this.#record?.segments ?? [])
      .filter((segment) => segment.table === table.name && holds(segment, fromMs, toMs))
      .map((segment) => `${this.paths.published}/${segment.path}`);
    if (paths.length === 0) return live;
    return `${live} UNION ALL SELECT ${list} FROM ${readParquet(paths)} WHERE ${where}`;
  }

  /** Removes what is published, and versions of state that newer ones have replaced. */
  async #retire(version: number): Promise<void> {
    const trims = this.#untrimmed > 2_000 || this.#untrimmed === 0;
    await this.live.transaction("trimming published rows", async (writer) => {
      for (const table of [readingTable, quarantineTable, releaseTable]) {
        await writer.run(`DELETE FROM ${table.name} WHERE version <= ${version}`);
      }
      await writer.run(
        `DELETE FROM window_rows WHERE version <= ${version} AND rowid NOT IN (
           SELECT w.rowid FROM window_rows w JOIN (${newestDevices}) d USING (device)
           WHERE ${isAhead} AND w.version <= ${version})`,
      );
      if (!trims) return;
      for (const table of [deviceTable, bootTable, positionTable]) {
        await writer.run(
          `DELETE FROM ${table.name} WHERE version <= ${version} AND rowid NOT IN (
             SELECT arg_max(rowid, version) FROM ${table.name} GROUP BY ${table.newestBy!.join(", ")})`,
        );
      }
    });
    if (trims) this.#untrimmed = 1;
  }

  /** The live file is new or older than the publication: the publication's state takes its place. */
  async #takeFromPublished(record: PartitionRecord): Promise<void> {
    const source = (table: TableShape) =>
      readParquet(
        record.segments.filter((segment) => segment.table === table.name)
          .map((segment) => `${this.paths.published}/${segment.path}`),
      );
    const has = (table: TableShape) => record.segments.some((segment) => segment.table === table.name);
    await this.live.transaction("taking over what is published", async (writer) => {
      for (const table of [...segmentTables, positionTable]) await writer.run(`DELETE FROM ${table.name}`);
      for (const table of [deviceTable, bootTable]) {
        if (!has(table)) continue;
        await writer.run(
          `INSERT INTO ${table.name} SELECT version, ${selectList(table)}
           FROM ${newestOf(`FROM ${source(table)}`, table.newestBy!)}`,
        );
      }
      if (has(windowTable)) {
        await writer.run(
          `INSERT INTO window_rows SELECT w.version, ${prefixed("w", selectList(windowTable))}
           FROM ${source(windowTable)} w JOIN (${newestDevices}) d USING (device) WHERE ${isAhead}`,
        );
      }
      await this.#writers.position.append(writer, [record.position], record.version);
    });
    await this.#readPosition();
  }
}

const newestDevices =
  "SELECT device, arg_max({'ms': watermark}, version).ms AS watermark FROM device_rows GROUP BY device";

const windowKey = ["device", "window_size", "window_start"];

/** Closed windows `w` whose end is above their device's watermark `d`: only silence closes a window so. */
const isAhead = "w.closed_by = 'silence' AND (d.watermark IS NULL OR w.window_end > d.watermark)";

function prefixed(alias: string, list: string): string {
  return list.split(", ").map((name) => `${alias}.${name}`).join(", ");
}

function finite(ms: number): number {
  return Math.min(HIGHEST_MS, Math.max(LOWEST_MS, ms));
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
