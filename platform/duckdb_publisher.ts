/**
 * The publisher: committed rows as files that any DuckDB client can open while the pipeline writes.
 *
 *     const publisher = await openPublisher(store, { mergeInline: false });
 *     await publisher.publish(openWindows, clock.nowMs());   // from one caller, one at a time; commits may go on
 *     await publisher.close();
 *
 * One publication, in this order, each step durable before the next:
 * 1. new rows of each table, up to the last committed transaction, as one small Parquet file a table;
 * 2. the partition's record with the new list of files (the truth about what is published);
 * 3. the catalogue of all partitions, by rename; 4. the manifest, by rename;
 * 5. published rows leave the live file; files that nobody needs any more are deleted once `publishedGraceMs` is over.
 *
 * A crash after 1 leaves files that nobody names (deleted at the next opening), after 2 or 3 a record that is newer than
 * the catalogue (the next publication catches up), after 4 rows in the live file that are published already (trimmed at
 * the next opening). At every point the last complete catalogue names files that exist.
 *
 * Merging runs behind, and its result is published with the next publication: a publication's time follows its new rows.
 */
import type { DuckDBConnection } from "@duckdb/node-api";
import { assert } from "../core/assert.ts";
import type { Manifest } from "../core/manifest.ts";
import { parseManifest } from "../core/manifest.ts";
import type { Publisher } from "../core/ports/publisher.ts";
import { StoreRefused } from "../core/ports/store.ts";
import { isKept } from "../core/retention.ts";
import type { PositionRow, WindowRow } from "../core/rows.ts";
import { CatalogueWriter } from "./duckdb_catalogue.ts";
import { TableWriter } from "./duckdb_columns.ts";
import {
  addLanes,
  type Lanes,
  lanesOf,
  lanesSql,
  lanesText,
  noLanes,
  subtractLanes,
} from "./duckdb_digest.ts";
import { storeError } from "./duckdb_errors.ts";
import { readParquet } from "./duckdb_live.ts";
import {
  manifestOf,
  type PartitionRecord,
  quoted,
  readRecords,
  recordName,
  recordNames,
  type RetiredFile,
  writeRecord,
} from "./duckdb_published.ts";
import { dueMerge, forcedMerge, type Merge, type Segment, segmentLimits } from "./duckdb_segments.ts";
import { type DuckdbStore, segmentTables } from "./duckdb_store.ts";
import { newestOf, openWindowTable, selectList, type TableShape, windowTable } from "./duckdb_tables.ts";
import {
  fileBytes,
  readTextIfAny,
  removeFile,
  replaceFile,
  sha256OfFile,
  syncFile,
  syncFolder,
  withFileLock,
} from "./durable_files.ts";

/**
 * How long files stay readable after the last publication that named them: a connection that stays open sees the old
 * state so long, then has to be opened anew.
 */
export const publishedGraceMs = 5 * 60_000;

/** A merge of fewer rows sorts them by time; a larger one keeps its inputs' order, newest first, without memory. */
const SORTED_ROWS_MAX = 300_000;
/** Rows of a Parquet row group: what a query for the newest rows has to decode at the least. */
const ROW_GROUP_ROWS = 61_440;
/** Readings that expire separately: segments that span more days of append time are not merged. */
const MERGED_DAYS_MAX = 4;
const DAY_MS = 86_400_000;

export interface PublisherOptions {
  /** Merge before `publish` resolves: one thing after another, as a simulation needs it. Default: behind it. */
  readonly mergeInline?: boolean;
}

/** Makes the publisher of a store's partition; see the top of this file. */
export async function openPublisher(
  store: DuckdbStore,
  options: PublisherOptions = {},
): Promise<DuckdbPublisher> {
  try {
    await Deno.mkdir(store.paths.segments, { recursive: true });
    await Deno.mkdir(store.paths.records, { recursive: true });
    const connection = await store.live.connect();
    const mergeConnection = await store.live.connect();
    const catalogue = await CatalogueWriter.open(`${store.paths.liveFolder}/catalogue_template.duckdb`);
    return new DuckdbPublisher(store, connection, mergeConnection, catalogue, options.mergeInline ?? false);
  } catch (error) {
    throw storeError("opening the publisher", error);
  }
}

/** Columns that tell the append time of a table's rows, for expiry. */
const expiring = new Set(["reading_rows", "quarantine_rows"]);

/** A merge that is written but not yet published. */
interface Merged {
  readonly inputs: readonly Segment[];
  readonly output: Segment;
}

export class DuckdbPublisher implements Publisher {
  readonly #openWindows = new TableWriter(openWindowTable.name, openWindowTable.columns, true);
  #manifest: Manifest | null = null;
  #merged: readonly Merged[] = [];
  #merging: Promise<void> | null = null;
  #mergeError: unknown = null;
  #fileNumber = 0;
  #orphansRemoved = false;
  #closed = false;

  /** Use {@link openPublisher}. `mergeConnection` is apart, so that a publication never waits for a merge. */
  constructor(
    private readonly store: DuckdbStore,
    private readonly connection: DuckDBConnection,
    private readonly mergeConnection: DuckDBConnection,
    private readonly catalogue: CatalogueWriter,
    private readonly mergeInline: boolean,
  ) {}

  async publish(open: readonly WindowRow[], publishedMs: number): Promise<Manifest> {
    // Taken together, before the first await: the open windows are those of this transaction.
    const { version, position } = this.store;
    assert(position !== null, "a store is published after its first transaction");
    try {
      const isPublished = this.#manifest !== null && this.store.record?.version === version;
      if (isPublished) return this.#manifest!;
      if (!this.#orphansRemoved) await this.#removeOrphans(publishedMs);
      this.#orphansRemoved = true;
      // Out of room only if merging lags by two publications: then it has to be waited for.
      if (this.#segments().length > segmentLimits.segmentsMax - segmentTables.length - 1) {
        await this.settled();
      }
      return await this.#publish(open, publishedMs, version, position);
    } catch (error) {
      throw storeError("publishing", error);
    }
  }

  /** Resolves when no merge is running; rejects if the last one failed. */
  async settled(): Promise<void> {
    await this.#merging;
    if (this.#mergeError !== null) throw storeError("merging published files", this.#mergeError);
  }

  /** Ends a merge that is running, unfinished, and releases everything. What is published stays. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#merging !== null) this.mergeConnection.interrupt();
    await this.#merging;
    this.mergeConnection.closeSync();
    this.connection.closeSync();
    this.catalogue.close();
    await removeFile(`${this.store.paths.liveFolder}/catalogue_template.duckdb`);
  }

  /**
   * Deletes files in the segments' folder that no record names: a crash left them. Only old ones, since another worker
   * that still takes itself for the owner may be writing.
   */
  async #removeOrphans(nowMs: number): Promise<void> {
    const { paths, partition } = this.store;
    const named = new Set<string>();
    for (const name of await recordNames(paths, partition)) {
      const text = await readTextIfAny(`${paths.records}/${name}`);
      const record = JSON.parse(text ?? "{}") as Partial<PartitionRecord>;
      for (const { path } of [...record.segments ?? [], ...record.retired ?? []]) named.add(path);
    }
    for await (const entry of Deno.readDir(paths.segments)) {
      const path = `segments/${partition}/${entry.name}`;
      if (named.has(path)) continue;
      const { mtime } = await Deno.stat(`${paths.published}/${path}`);
      if (mtime !== null && mtime.getTime() < nowMs - publishedGraceMs) {
        await removeFile(`${paths.published}/${path}`);
      }
    }
  }

  async #publish(
    open: readonly WindowRow[],
    publishedMs: number,
    version: number,
    position: PositionRow,
  ): Promise<Manifest> {
    const before = this.store.record;
    const named = { epoch: position.epoch, generation: (before?.generation ?? 0) + 1 };
    const fresh: Segment[] = [];
    for (const table of segmentTables) {
      const segment = await this.#writeNew(table, before?.version ?? 0, version, named);
      if (segment !== null) fresh.push(segment);
    }
    const rowDigest = lanesText(await this.#digest(before, version, fresh));
    const openSegment = await this.#writeOpen(open, version, named);

    const merged = this.#merged;
    const kept = applyMerges(before?.segments ?? [], merged).filter((segment) =>
      segment.table !== openWindowTable.name && !isExpired(segment, position, this.store.retentionMs)
    );
    const segments = [...kept, ...fresh, ...openSegment === null ? [] : [openSegment]];
    assert(segments.length <= segmentLimits.segmentsMax, "a partition has at most 64 segments");
    const retired = retire(before, merged, kept, publishedMs);
    const { generation } = named;
    const record: PartitionRecord = {
      isotherm: 1,
      generation,
      publishedMs,
      version,
      position,
      rowDigest,
      segments,
      retired: retired.kept,
    };
    this.#manifest = await this.#replace(record);
    this.#merged = this.#merged.slice(merged.length);
    await this.store.published(record);
    for (const file of retired.over) await removeFile(`${this.store.paths.published}/${file.path}`);
    this.#startMerging();
    if (this.mergeInline) await this.settled();
    return this.#manifest;
  }

  /** The segments of the next publication, as far as they are known. */
  #segments(): readonly Segment[] {
    return applyMerges(this.store.record?.segments ?? [], this.#merged);
  }

  /** Record, catalogue and manifest, while no other worker does the same. */
  async #replace(record: PartitionRecord): Promise<Manifest> {
    const { paths, partition } = this.store;
    return await withFileLock(paths.lock, async () => {
      const newest = (await readRecords(paths)).get(partition);
      if (newest !== undefined && newest.position.epoch > record.position.epoch) {
        throw new StoreRefused(
          `partition ${partition} belongs to a newer owner (epoch ${newest.position.epoch}, ours is ` +
            `${record.position.epoch}): this worker stops publishing it`,
        );
      }
      await writeRecord(paths, record);
      for (const name of await recordNames(paths, partition)) {
        if (name !== recordName(record.position)) await removeFile(`${paths.records}/${name}`);
      }
      const records = await readRecords(paths);
      await this.catalogue.write(paths, records);
      const last = await readTextIfAny(paths.manifest);
      const generation = (last === null ? 0 : parseManifest(last).generation) + 1;
      const manifest = manifestOf(records, generation, record.publishedMs, record.position.configHash);
      await replaceFile(paths.manifest, JSON.stringify(manifest, null, 1));
      return manifest;
    });
  }

  /** New rows of a table as one segment, newest time first; null if there are none. */
  async #writeNew(table: TableShape, after: number, to: number, named: Named): Promise<Segment | null> {
    const rows = `FROM ${table.name} WHERE version > ${after} AND version <= ${to}`;
    const counting = table.newestBy === null ? `(${rows})` : newestOf(rows, table.newestBy);
    const order = table.timeColumn === null ? "version" : `${table.timeColumn} DESC, device`;
    return await this.#write(
      table,
      `SELECT version, ${selectList(table)} FROM ${counting} ORDER BY ${order}`,
      rows,
      { firstVersion: after + 1, lastVersion: to, named },
      this.connection,
    );
  }

  async #writeOpen(open: readonly WindowRow[], version: number, named: Named): Promise<Segment | null> {
    if (open.length === 0) return null;
    await this.connection.run(
      "CREATE OR REPLACE TEMP TABLE open_window_rows AS FROM window_rows LIMIT 0",
    );
    await this.#openWindows.append(this.connection, open, version, "temp");
    const segment = await this.#write(
      openWindowTable,
      `SELECT version, ${
        selectList(openWindowTable)
      } FROM temp.open_window_rows ORDER BY window_start DESC, device`,
      "FROM temp.open_window_rows",
      { firstVersion: version, lastVersion: version, named },
      this.connection,
    );
    await this.connection.run("DROP TABLE temp.open_window_rows");
    return segment;
  }

  /** Writes one segment durably under its final name; null if the query has no rows. `bounds` has the same rows. */
  async #write(
    table: TableShape,
    query: string,
    bounds: string,
    covers: { readonly firstVersion: number; readonly lastVersion: number; readonly named: Named },
    connection: DuckDBConnection,
    compression: "snappy" | "zstd" = "snappy",
  ): Promise<Segment | null> {
    const time = table.timeColumn;
    const append = table.columns.some(({ name }) => name === "append_time") ? "append_time" : null;
    const ms = (expression: string | null, aggregate: string) =>
      expression === null ? "NULL" : `epoch_ms(${aggregate}(${expression}))`;
    const reader = await connection.runAndReadAll(
      `SELECT count(*), ${ms(time, "min")}, ${ms(time, "max")}, ${ms(append, "max")} ${bounds}`,
    );
    const [count, minMs, maxMs, maxAppendMs] = reader.getRows()[0]!.map((cell) =>
      cell === null ? null : Number(cell)
    );
    if (count === 0 || count === undefined || count === null) return null;
    const { firstVersion, lastVersion, named } = covers;
    const name = `${table.name}-${named.epoch}-${named.generation}-${++this.#fileNumber}.parquet`;
    const path = `segments/${this.store.partition}/${name}`;
    const full = `${this.store.paths.published}/${path}`;
    const result = await connection.runAndReadAll(
      `COPY (${query}) TO ${
        quoted(`${full}.tmp`)
      } (FORMAT parquet, COMPRESSION ${compression}, ROW_GROUP_SIZE ${ROW_GROUP_ROWS})`,
    );
    const rows = Number(result.getRows()[0]![0]);
    const sha256 = await this.#seal(`${full}.tmp`, full);
    const bytes = await fileBytes(full);
    return {
      path,
      table: table.name,
      rows,
      bytes,
      sha256,
      firstVersion,
      lastVersion,
      minMs: minMs ?? null,
      maxMs: maxMs ?? null,
      maxAppendMs: maxAppendMs ?? null,
    };
  }

  /** Makes a written file durable and immutable under its final name. */
  async #seal(written: string, path: string): Promise<string> {
    const sha256 = await sha256OfFile(written);
    await Deno.chmod(written, 0o444);
    await syncFile(written);
    await Deno.rename(written, path);
    await syncFolder(this.store.paths.segments);
    return sha256;
  }

  /** The digest after the new rows: plus their versions, minus those that they replace. */
  async #digest(before: PartitionRecord | null, version: number, fresh: readonly Segment[]): Promise<Lanes> {
    const lanes = before === null ? noLanes : lanesOf(before.rowDigest);
    const windows = fresh.find((segment) => segment.table === windowTable.name);
    if (windows === undefined) return lanes;
    const added = await this.#lanes(`FROM ${readParquet([this.#absolute(windows)])}`);
    return subtractLanes(addLanes(lanes, added), await this.#replacedLanes(before, version, windows));
  }

  async #replacedLanes(before: PartitionRecord | null, version: number, windows: Segment): Promise<Lanes> {
    const fresh = readParquet([this.#absolute(windows)]);
    const reader = await this.connection.runAndReadAll(
      `SELECT count(*), epoch_ms(min(window_start)), epoch_ms(max(window_start)) FROM ${fresh} WHERE replaces IS NOT NULL`,
    );
    const [count, minMs, maxMs] = reader.getRows()[0]!.map(Number);
    if (count === 0) return noLanes;
    assert(minMs !== undefined && maxMs !== undefined && version > 0, "replacing windows have a start");
    const older = (before?.segments ?? []).filter((segment) =>
      segment.table === windowTable.name && segment.minMs! <= maxMs && segment.maxMs! >= minMs
    );
    const all = readParquet([...older, windows].map((segment) => this.#absolute(segment)));
    return await this.#lanes(
      `SELECT old.* FROM ${all} old SEMI JOIN (
         SELECT device, window_size, window_start, replaces FROM ${fresh} WHERE replaces IS NOT NULL) new
       ON new.device = old.device AND new.window_size = old.window_size AND new.window_start = old.window_start
         AND new.replaces = old.revision`,
    );
  }

  async #lanes(rows: string): Promise<Lanes> {
    const reader = await this.connection.runAndReadAll(lanesSql(rows));
    const cells = reader.getRows()[0]!.map((cell) => BigInt.asUintN(64, BigInt(String(cell ?? 0))));
    return [cells[0]!, cells[1]!, cells[2]!, cells[3]!];
  }

  #absolute(segment: { readonly path: string }): string {
    return `${this.store.paths.published}/${segment.path}`;
  }

  #startMerging(): void {
    if (this.#merging !== null || this.#closed) return;
    this.#mergeError = null;
    this.#merging = this.#mergeAll()
      .catch((error) => {
        if (!this.#closed) this.#mergeError = error;
      })
      .finally(() => {
        this.#merging = null;
      });
  }

  /** Merges while something is due. The results are published with the next publication. */
  async #mergeAll(): Promise<void> {
    while (!this.#closed) {
      const due = this.#due();
      if (due === null) return;
      await this.#merge(due.table, due.merge);
    }
  }

  #due(): { table: TableShape; merge: Merge } | null {
    const tables = new Map(
      segmentTables.map((
        table,
      ) => [table.name, this.#segments().filter((segment) => segment.table === table.name)]),
    );
    for (const table of segmentTables) {
      const mayJoin = expiring.has(table.name) ? spansFewDays : () => true;
      const merge = dueMerge(tables.get(table.name)!, mayJoin);
      if (merge !== null) return { table, merge };
    }
    // Room for two publications, so that a merge that lasts as long as one is no bottleneck.
    if (this.#segments().length <= segmentLimits.segmentsMax - 2 * (segmentTables.length + 1)) return null;
    const forced = forcedMerge(tables);
    if (forced === null) return null;
    return { table: segmentTables.find((table) => table.name === forced.table)!, merge: forced.merge };
  }

  async #merge(table: TableShape, merge: Merge): Promise<void> {
    const inputs = this.#segments().filter((segment) => segment.table === table.name).slice(
      merge.from,
      merge.to,
    );
    const rows = inputs.reduce((sum, segment) => sum + segment.rows, 0);
    const files = readParquet([...inputs].reverse().map((segment) => this.#absolute(segment)));
    const counting = table.newestBy === null ? files : newestOf(`FROM ${files}`, table.newestBy);
    const sorts = table.timeColumn !== null && rows <= SORTED_ROWS_MAX;
    const order = sorts ? ` ORDER BY ${table.timeColumn} DESC, device` : "";
    const { generation, position } = this.store.record!;
    const output = await this.#write(
      table,
      `SELECT version, ${selectList(table)} FROM ${counting}${order}`,
      `FROM ${files}`,
      {
        firstVersion: inputs[0]!.firstVersion,
        lastVersion: inputs.at(-1)!.lastVersion,
        named: { epoch: position.epoch, generation },
      },
      this.mergeConnection,
      rows >= segmentLimits.levelZeroRows ? "zstd" : "snappy",
    );
    assert(output !== null, "segments have rows");
    this.#merged = [...this.#merged, { inputs, output }];
  }
}

/** What a file's name says: whose it is and which publication it was made in. */
interface Named {
  readonly epoch: number;
  readonly generation: number;
}

/** The segments with merged ones in the place of their inputs; a merge whose inputs have gone meanwhile is left out. */
function applyMerges(segments: readonly Segment[], merged: readonly Merged[]): readonly Segment[] {
  let current = segments;
  for (const { inputs, output } of merged) {
    const paths = new Set(inputs.map(({ path }) => path));
    if (current.filter(({ path }) => paths.has(path)).length !== inputs.length) continue;
    const at = current.findIndex(({ path }) => paths.has(path));
    const others = current.filter(({ path }) => !paths.has(path));
    current = [...others.slice(0, at), output, ...others.slice(at)];
  }
  return current;
}

/** Files that are no longer named: those still to be kept for readers, and those whose time is over. */
function retire(
  before: PartitionRecord | null,
  merged: readonly Merged[],
  kept: readonly Segment[],
  publishedMs: number,
): { readonly kept: readonly RetiredFile[]; readonly over: readonly RetiredFile[] } {
  const keptPaths = new Set(kept.map(({ path }) => path));
  const known = [...before?.segments ?? [], ...merged.flatMap(({ inputs, output }) => [...inputs, output])];
  const gone = new Set(known.map(({ path }) => path).filter((path) => !keptPaths.has(path)));
  const all = [...before?.retired ?? [], ...[...gone].map((path) => ({ path, sinceMs: publishedMs }))];
  const isOver = (file: RetiredFile) => publishedMs - file.sinceMs >= publishedGraceMs;
  return { kept: all.filter((file) => !isOver(file)), over: all.filter(isOver) };
}

/** Whether all rows of a segment are past their retention in log time. */
function isExpired(segment: Segment, position: PositionRow, retentionMs: number): boolean {
  if (!expiring.has(segment.table) || segment.maxAppendMs === null) return false;
  return !isKept(segment.maxAppendMs, position.appendHighMs, retentionMs);
}

function spansFewDays(segments: readonly Segment[]): boolean {
  const ends = segments.map((segment) => segment.maxAppendMs ?? 0);
  return Math.max(...ends) - Math.min(...ends) <= MERGED_DAYS_MAX * DAY_MS;
}
