/**
 * The publisher: committed rows as files that any DuckDB client can open while the pipeline writes.
 *
 *     const publisher = await openPublisher(store);          // { mergeInline: true } in a simulation
 *     await publisher.publish(openWindows, clock.nowMs());   // from one caller, one at a time; commits may go on
 *     await publisher.close();
 *
 * One publication, in this order, each step durable before the next:
 * 1. new rows of each table, up to the last committed transaction, as one small Parquet file a table;
 * 2. the partition's record with the new list of files (the truth about what is published);
 * 3. the catalogue of all partitions, by rename; 4. the manifest, by rename;
 * 5. published rows may leave the live file; files that nobody names any more go once `publishedGraceMs` is over.
 *
 * A crash after 1 leaves files that nobody names (deleted later), after 2 or 3 a record that is newer than the catalogue
 * (the next publication catches up), after 4 rows in the live file that are published already (trimmed at the next
 * opening). At every point the catalogue that is in place names files that exist.
 *
 * Merging runs behind, see `merger.ts`: a publication's time follows its new rows.
 */
import { assert } from "../../core/assert.ts";
import type { Manifest } from "../../core/manifest.ts";
import { parseManifest } from "../../core/manifest.ts";
import { openWindowsOf } from "../../core/open_windows.ts";
import type { OpenWindows, Publisher } from "../../core/ports/publisher.ts";
import { PartitionTaken, StoreUnavailable } from "../../core/ports/store.ts";
import { isKept } from "../../core/retention.ts";
import type { PositionRow, WindowRow } from "../../core/rows.ts";
import { type Bounds, type BoundsByTable, noRows, replacing } from "./bounds.ts";
import { CatalogueWriter } from "./catalogue.ts";
import { readRows } from "./columns.ts";
import {
  addLanes,
  type Lanes,
  lanesOf,
  lanesSql,
  lanesText,
  noLanes,
  rowDigest,
  subtractLanes,
} from "./digest.ts";
import { stateTables } from "./damage.ts";
import { storeError } from "./errors.ts";
import { readParquet, type SideConnection } from "./live.ts";
import { applyMerges, Merger } from "./merger.ts";
import { type Drawn, hasOpenWindows, OpenWindowFiles } from "./open_windows.ts";
import {
  isWritten,
  manifestOf,
  newestOfEach,
  type PartitionRecord,
  readAllRecords,
  recordName,
  recordNames,
  type RetiredFile,
  writeRecord,
} from "./published.ts";
import { shownWith } from "./shown.ts";
import { SegmentWriter } from "./segment_writer.ts";
import { type Segment, segmentLimits } from "./segments.ts";
import { publishedVersion } from "./state.ts";
import type { DuckdbStore } from "./store.ts";
import { kindsOf, newestOf, segmentTables, selectList, type TableShape, windowTable } from "./tables.ts";
import {
  readTextIfAny,
  removeFile,
  replaceFile,
  syncFolder,
  withFileLock,
  writtenMs,
} from "../durable_files.ts";

/**
 * How long files stay readable after the last publication that named them: a connection that stays open sees the old
 * state so long, then has to be opened anew.
 */
export const publishedGraceMs = 5 * 60_000;

/** New windows whose digest is summed here; of more DuckDB does it, which costs 15 ms and then a fifth per row. */
const DIGESTED_HERE_MAX = 2_000;
/**
 * So many states of devices are published as they are: most replaced ones never left the journal, and finding the others
 * costs more than writing them. Merging does it for many at once.
 */
const STATES_WHOLE_MAX = 4_096;

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
    const writer = new SegmentWriter(store.paths, store.partition, store.guard);
    const merger = new Merger(
      store.paths,
      store.live.side(),
      writer,
      store.guard,
      () => store.record,
    );
    const connection = store.live.side();
    const { mergeInline = false } = options;
    const publisher = new DuckdbPublisher(store, connection, writer, merger, mergeInline);
    const warm = publisher.warmUp();
    if (mergeInline) await warm;
    return publisher;
  } catch (error) {
    throw storeError("opening the publisher", error);
  }
}

/** What is published of the store, taken at one moment; the open windows are drawn at the same. */
interface Snapshot {
  readonly version: number;
  readonly position: PositionRow;
  readonly before: PartitionRecord | null;
  readonly fresh: BoundsByTable;
  /** Segments that are written already. */
  readonly sealed: readonly Segment[];
}

/** How far a publication came. */
interface Attempt {
  readonly written: Segment[];
  /** Set once it is on disk: then it is the truth. */
  record: PartitionRecord | null;
  /** How sure that is: its writing may have failed after it was in place, and nobody may be able to look. */
  certainty: "durable" | "in place" | "unknown";
}

export class DuckdbPublisher implements Publisher {
  readonly #openWindows = new OpenWindowFiles();
  #manifest: Manifest | null = null;
  #orphansRemoved = false;
  #catalogue: Promise<CatalogueWriter> | null = null;

  /** Use {@link openPublisher}. */
  constructor(
    private readonly store: DuckdbStore,
    private readonly connection: SideConnection,
    private readonly writer: SegmentWriter,
    private readonly merger: Merger,
    private readonly mergeInline: boolean,
  ) {}

  /** Open windows as rows are all there are. */
  async publish(open: OpenWindows | readonly WindowRow[], publishedMs: number): Promise<Manifest> {
    const { version, position, record: before } = this.store;
    assert(position !== null, "a store is published after its first transaction");
    if (this.#manifest !== null && before?.version === version) return this.#manifest;
    // Taken before the first await, and the open windows before anything else: they are those of this transaction.
    const fresh = this.store.takeUnpublished();
    const { sealed } = this.store;
    const attempt: Attempt = { written: [], record: null, certainty: "durable" };
    try {
      const drawn = await this.connection.use((connection) =>
        this.#openWindows.draw(connection, "draw" in open ? open : openWindowsOf(open), version)
      );
      await this.store.drain();
      await this.#prepare(sealed.length);
      return await this.#publish({ version, position, before, fresh, sealed }, drawn, publishedMs, attempt);
    } catch (error) {
      await this.#giveUp(attempt, fresh);
      throw storeError("publishing", error);
    }
  }

  /**
   * A publication has failed. With its record on disk its rows are published all the same, only the catalogue is behind:
   * the next call writes it. Before that nothing of it counts, and its files go, most of all when the disk is full.
   */
  async #giveUp({ written, record, certainty }: Attempt, fresh: BoundsByTable): Promise<void> {
    this.#manifest = null;
    if (record !== null) {
      // Rows leave the live file only for a record that outlives a power cut: otherwise after the next one.
      if (certainty === "durable") await this.store.published(record, fresh);
      return;
    }
    this.#openWindows.lost();
    this.store.giveBack(fresh);
    // A record may name them; if none does, the next opening finds them.
    if (certainty === "unknown") return;
    for (const { path } of written) await this.#remove(path);
  }

  /** Resolves when no merge is running; rejects if the last one failed. */
  settled(): Promise<void> {
    return this.merger.settled();
  }

  /** Ends a merge that is running, unfinished, and releases everything. What is published stays. */
  async close(): Promise<void> {
    await this.merger.close();
    this.connection.close();
    await this.#catalogue?.then((catalogue) => catalogue.close(), () => {});
  }

  /** Tried again after it has failed. */
  #openCatalogue(): Promise<CatalogueWriter> {
    const { paths, partition } = this.store;
    this.#catalogue ??= CatalogueWriter.open(paths.liveFolders, partition).catch((error) => {
      this.#catalogue = null;
      throw error;
    });
    return this.#catalogue;
  }

  /** Gets ready for the first publication, which takes a new owner 0.1 s: meanwhile it can read already. */
  async warmUp(): Promise<void> {
    await this.#openCatalogue().catch(() => {}); // the publication says why
  }

  async #prepare(sealed: number): Promise<void> {
    const isFull = () => {
      const segments = applyMerges(this.store.record?.segments ?? [], this.merger.merged);
      return segments.length + sealed > segmentLimits.segmentsMax - segmentTables.length - 1;
    };
    // Out of room only if merging lags by two publications: then it has to be waited for.
    if (isFull()) await this.merger.settled();
    // Or if one short life after the other has published and ended before it could merge.
    if (isFull() && this.store.record !== null) {
      this.merger.start();
      await this.merger.settled();
    }
  }

  async #publish(
    snapshot: Snapshot,
    drawn: Drawn,
    publishedMs: number,
    attempt: Attempt,
  ): Promise<Manifest> {
    const { before, version, position } = snapshot;
    const fresh = await this.#writeSegments(snapshot, drawn, attempt.written);
    const rowDigest = lanesText(await this.#digest(snapshot, fresh));
    const merged = this.merger.merged;
    const isNeeded = (segment: Segment) =>
      !(drawn.isWhole && hasOpenWindows(segment)) && !isExpired(segment, position, this.store.retentionMs);
    const kept = applyMerges(before?.segments ?? [], merged).filter(isNeeded);
    const segments = [...kept, ...snapshot.sealed, ...fresh];
    assert(segments.length <= segmentLimits.segmentsMax, "a partition has at most 64 segments");
    const known = [
      ...before?.segments ?? [],
      ...merged.flatMap(({ inputs, output }) => [...inputs, output]),
    ];
    const isOver = ({ path, sinceMs }: RetiredFile) =>
      publishedMs - sinceMs >= publishedGraceMs && !this.merger.isReading(path);
    const retired = retire(before?.retired ?? [], known, kept, publishedMs, isOver);
    // State that was lost is written again with this publication.
    const lost = before?.lost?.filter(({ table }) => !stateTables.includes(table));
    const made: PartitionRecord = {
      isotherm: 1,
      generation: generationAfter(before),
      publishedMs,
      version,
      position,
      rowDigest,
      segments,
      retired: retired.kept,
      ...lost === undefined ? {} : { lost },
      ...this.store.config === null ? {} : { config: this.store.config },
    };
    const { record, manifest } = await this.#replace(made, attempt, (record) => {
      // Together, before anybody else's turn: the merger goes by the record and what it has merged since.
      attempt.record = record;
      this.store.adopt(record);
      this.#openWindows.recorded(drawn);
      this.merger.taken(merged.length);
    });
    await this.store.published(record, snapshot.fresh);
    this.#manifest = manifest;
    for (const { path } of retired.over) await this.#remove(path);
    if (!this.#orphansRemoved) await this.#removeOrphans(publishedMs);
    this.#orphansRemoved = true;
    this.merger.start();
    if (this.mergeInline) await this.merger.settled();
    return manifest;
  }

  /** Adds each segment to `segments` as soon as it is there, and returns them. */
  async #writeSegments(
    snapshot: Snapshot,
    drawn: Drawn,
    segments: Segment[],
  ): Promise<readonly Segment[]> {
    for (const table of segmentTables) {
      const bounds = snapshot.fresh.get(table.name);
      if (bounds !== undefined) segments.push(await this.#writeNew(table, bounds, snapshot));
    }
    const open = await this.connection.use((connection) =>
      this.#openWindows.write(connection, this.writer, drawn, coverOf(snapshot))
    );
    if (open !== null) segments.push(open);
    if (segments.length > 0) await syncFolder(this.store.paths.segments);
    return segments;
  }

  /** New rows of a table as one segment, newest time first. */
  async #writeNew(table: TableShape, bounds: Bounds, snapshot: Snapshot): Promise<Segment> {
    const rows = `FROM ${table.name} WHERE ${isNew(snapshot, table)}`;
    const isWhole = table.newestBy === null || bounds.rows <= STATES_WHOLE_MAX;
    const counting = isWhole ? `(${rows})` : newestOf(rows, table.newestBy);
    const order = table.timeColumn === null ? "version" : `${table.timeColumn} DESC, device`;
    const query = `SELECT version, ${selectList(table)} FROM ${counting} ORDER BY ${order}`;
    return await this.connection.use((connection) =>
      this.writer.write(connection, table, query, { ...coverOf(snapshot), bounds })
    );
  }

  /** The digest after the new rows: plus their versions, minus those that they replace. */
  async #digest(snapshot: Snapshot, fresh: readonly Segment[]): Promise<Lanes> {
    const lanes = snapshot.before === null ? noLanes : lanesOf(snapshot.before.rowDigest);
    const windows = fresh.find(({ table }) => table === windowTable.name);
    if (windows === undefined) return lanes;
    const added = windows.rows <= DIGESTED_HERE_MAX
      ? await this.#lanesHere(snapshot)
      : await this.#lanes(`FROM ${readParquet([this.#absolute(windows)])}`);
    const replaced = await this.#replacedLanes(snapshot, windows);
    return subtractLanes(addLanes(lanes, added), replaced);
  }

  async #lanesHere(snapshot: Snapshot): Promise<Lanes> {
    const query = `SELECT ${selectList(windowTable)} FROM window_rows WHERE ${isNew(snapshot, windowTable)}`;
    const rows = await this.connection.use(async (connection) =>
      await readRows(await connection.stream(query), kindsOf(windowTable), windowTable.make)
    );
    return lanesOf(rowDigest(rows));
  }

  async #replacedLanes({ before, fresh }: Snapshot, windows: Segment): Promise<Lanes> {
    const { minMs, maxMs } = fresh.get(replacing) ?? noRows;
    if (minMs === null || maxMs === null) return noLanes;
    const older = (before?.segments ?? []).filter((segment) =>
      segment.table === windowTable.name && segment.minMs! <= maxMs && segment.maxMs! >= minMs
    );
    await this.store.guard.check(older);
    const all = readParquet([...older, windows].map((segment) => this.#absolute(segment)));
    const newer = readParquet([this.#absolute(windows)]);
    return await this.#lanes(
      `SELECT old.* FROM ${all} old SEMI JOIN (
         SELECT device, window_size, window_start, replaces FROM ${newer} WHERE replaces IS NOT NULL) new
       ON new.device = old.device AND new.window_size = old.window_size AND new.window_start = old.window_start
         AND new.replaces = old.revision`,
    );
  }

  async #lanes(rows: string): Promise<Lanes> {
    const reader = await this.connection.use((connection) => connection.runAndReadAll(lanesSql(rows)));
    const cells = reader.getRows()[0]!.map((cell) => BigInt.asUintN(64, BigInt(String(cell ?? 0))));
    return [cells[0]!, cells[1]!, cells[2]!, cells[3]!];
  }

  /** Record, catalogue and manifest, while no other worker does the same; `recorded` is called once the record stands. */
  async #replace(made: PartitionRecord, attempt: Attempt, recorded: (record: PartitionRecord) => void) {
    const { paths, partition } = this.store;
    return await withFileLock(paths.lock, async (isOurs) => {
      const stillOurs = () => {
        if (!isOurs()) {
          throw new StoreUnavailable("publishing: another worker has taken the lock, we were too slow");
        }
      };
      const all = await readAllRecords(paths);
      const newest = newestOfEach(all, made.position.configHash).get(partition);
      if (newest !== undefined && newest.position.epoch > made.position.epoch) {
        throw new PartitionTaken(
          `partition ${partition} belongs to a newer owner (epoch ${newest.position.epoch}, ours is ` +
            `${made.position.epoch}): this worker stops publishing it`,
        );
      }
      const text = await readTextIfAny(paths.manifest);
      const last = text === null ? null : parseManifest(text);
      const shown = shownWith(made, all, last?.configHash ?? null);
      const record = { ...made, retired: [...made.retired, ...abandoned(made, shown.obsolete)] };
      stillOurs();
      try {
        await writeRecord(paths, record);
      } catch (error) {
        const isInPlace = await isWritten(paths, record);
        attempt.certainty = isInPlace === null ? "unknown" : "in place";
        if (isInPlace === true) recorded(record);
        throw error;
      }
      recorded(record);
      let manifest = last;
      if (shown.records !== null || manifest === null) {
        const records = new Map(shown.records ?? []).set(partition, record);
        await (await this.#openCatalogue()).write(paths, records, stillOurs);
        manifest = manifestOf(records, (last?.generation ?? 0) + 1, record);
        stillOurs();
        await replaceFile(paths.manifest, JSON.stringify(manifest, null, 1));
      }
      for (const { position } of shown.obsolete) await removeFile(`${paths.records}/${recordName(position)}`);
      return { record, manifest };
    });
  }

  /**
   * Deletes files in the segments' folder that no record names, and unfinished records: a crash left them. Only old ones, since another worker
   * that still takes itself for the owner may be writing.
   */
  async #removeOrphans(nowMs: number): Promise<void> {
    const { paths, partition } = this.store;
    // One that is gone when it is looked at was that other worker's, which has given up.
    const isOld = async (path: string) => (await writtenMs(path) ?? nowMs) < nowMs - publishedGraceMs;
    const named = new Set<string>();
    for (const name of await recordNames(paths, partition)) {
      const text = await readTextIfAny(`${paths.records}/${name}`);
      const record = JSON.parse(text ?? "{}") as Partial<PartitionRecord>;
      for (const { path } of [...record.segments ?? [], ...record.retired ?? []]) named.add(path);
    }
    // Those of transactions meanwhile are new, but by a clock that has just been set they may not seem so.
    for (const { path } of this.store.sealed) named.add(path);
    for await (const entry of Deno.readDir(paths.segments)) {
      const path = `segments/${partition}/${entry.name}`;
      if (named.has(path)) continue;
      if (await isOld(`${paths.published}/${path}`)) await removeFile(`${paths.published}/${path}`);
    }
    for await (const { name } of Deno.readDir(paths.records)) {
      if (!name.startsWith(`${partition}@`) || !name.endsWith(".tmp")) continue;
      if (await isOld(`${paths.records}/${name}`)) await removeFile(`${paths.records}/${name}`);
    }
  }

  async #remove(path: string): Promise<void> {
    this.store.guard.forget(path);
    await removeFile(`${this.store.paths.published}/${path}`);
  }

  #absolute(segment: Segment): string {
    return `${this.store.paths.published}/${segment.path}`;
  }
}

/** Files of another configuration's records, which end with this publication: they stay for those who read them. */
function abandoned(made: PartitionRecord, obsolete: readonly PartitionRecord[]): readonly RetiredFile[] {
  return obsolete.filter(({ position }) => position.configHash !== made.position.configHash)
    .flatMap(({ segments, retired }) => [
      ...segments.map(({ path }) => ({ path, sinceMs: made.publishedMs })),
      ...retired,
    ]);
}

const generationAfter = (before: PartitionRecord | null) => (before?.generation ?? 0) + 1;

const isNew = ({ before, version }: Snapshot, table: TableShape) =>
  `version > ${publishedVersion(table, before)} AND version <= ${version}`;

function coverOf({ before, version, position }: Snapshot) {
  return {
    firstVersion: (before?.version ?? 0) + 1,
    lastVersion: version,
    epoch: position.epoch,
    generation: generationAfter(before),
  };
}

/** Whether all rows of a segment are past their retention in log time. */
function isExpired(segment: Segment, position: PositionRow, retentionMs: number): boolean {
  return segment.maxAppendMs !== null && !isKept(segment.maxAppendMs, position.appendHighMs, retentionMs);
}

/** Files that are no longer named: those still to be kept for readers, and those whose time is over. */
function retire(
  before: readonly RetiredFile[],
  known: readonly Segment[],
  kept: readonly Segment[],
  publishedMs: number,
  isOver: (file: RetiredFile) => boolean,
): { readonly kept: readonly RetiredFile[]; readonly over: readonly RetiredFile[] } {
  const keptPaths = new Set(kept.map(({ path }) => path));
  const gone = new Set(known.map(({ path }) => path).filter((path) => !keptPaths.has(path)));
  const all = [...before, ...[...gone].map((path) => ({ path, sinceMs: publishedMs }))];
  return { kept: all.filter((file) => !isOver(file)), over: all.filter(isOver) };
}
