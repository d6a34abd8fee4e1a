/**
 * The store: one DuckDB file per partition for what is being written, immutable Parquet segments for what is published.
 *
 *     const store = await openStore({ directory: "data", partition: 0, retentionMs: config.retentionMs });
 *     const publisher = await openPublisher(store);        // platform/duckdb/publisher.ts
 *     const state = await store.load(openFrom);            // position, devices, boots, open readings
 *     await store.commit(changes);                         // one transaction, durable when it resolves
 *     await publisher.publish(openWindows, clock.nowMs()); // when it suits: commits go on meanwhile
 *     await publisher.close();
 *     await store.close();
 *
 * A row lives in the live file until it is published durably, then in a segment only, so the live file stays small and
 * what people read is the data itself, not a copy. Readings of large transactions are in a segment from the start
 * (`sealer.ts`), small transactions are one row until they are needed (`journal.ts`). Newest devices, boots
 * and alerts stay in the live file as well, and so do windows that silence closed ahead of their device's watermark: with
 * them `load` reads no history. `version`, the number of the transaction, tells what is where: up to the published
 * version a row is in a segment, above it is not.
 *
 * Rejected: one growing file (readers are locked out, publishing costs its size, deleting gives nothing back);
 * upserts under an index (rows are never freed, commits cost twice as much).
 */
import type { DuckDBConnection } from "@duckdb/node-api";
import { assert } from "../../core/assert.ts";
import { silentTrace, type Trace } from "../../core/ports/trace.ts";
import type { PublishedConfig } from "../../core/manifest.ts";
import type { PositionRow } from "../../core/rows.ts";
import {
  type Changes,
  type Known,
  type Needs,
  type RowsConfig,
  type Store,
  type StoredState,
  StoreUnavailable,
} from "../../core/ports/store.ts";
import { type BoundsByTable, boundsOf, joinTables, rowsOf } from "./bounds.ts";
import { ChangesWriter } from "./changes_writer.ts";
import type { Versioned } from "./columns.ts";
import { Journal } from "./journal.ts";
import { type CreateInstance, LiveFile } from "./live.ts";
import { type DataPaths, dataPaths, newestRecord, type PartitionRecord } from "./published.ts";
import { finite, Lookup } from "./lookup.ts";
import { SegmentGuard, StoreDamaged } from "./damage.ts";
import { Sealer } from "./sealer.ts";
import type { Segment } from "./segments.ts";
import { openDespiteDamage } from "./recovery.ts";
import {
  checkStates,
  readPosition,
  readState,
  readUnpublished,
  removePublished,
  removeSuperseded,
  takePublished,
} from "./state.ts";
import { storeError } from "./errors.ts";
import { liveTables, quarantineTable, readingTable } from "./tables.ts";

export interface StoreOptions {
  /** The data folder; made if it is not there. Partitions of one log share it. */
  readonly directory: string;
  readonly partition: number;
  /** Where the live files lie, if workers on other machines publish to `directory` too; default: there. */
  readonly privateDirectory?: string;
  /** `JudgeConfig.retentionMs`: how long readings and quarantined ones are kept, in log time. */
  readonly retentionMs: number;
  /** DuckDB's threads; 1 unless large queries matter more than a quiet machine. */
  readonly threads?: number;
  /** Bound of DuckDB's buffers in MiB (64 to 4,096). */
  readonly memoryMb?: number;
  /**
   * First offset that the partition's log still has, asked only when published rows are damaged: if it is 0, they are
   * made anew from the log; without it they are named as lost. For instance
   * `async () => (await log.reader.range(partition)).earliest`.
   */
  readonly earliestOffset?: () => Promise<number>;
  /** The configuration that rows are to have. Those of another one are left to readers, see `published.ts`. */
  readonly rows?: RowsConfig;
  /** Readings of a transaction from which on they go straight into a segment; it doesn't change what is stored. */
  readonly sealedReadingsMin?: number;
  /** How DuckDB instances are made; a simulation makes ones that fail. */
  readonly createInstance?: CreateInstance;
  /** Compares the SHA-256 of published files while others work (default), or only before rows are read from them. */
  readonly checkInBackground?: boolean;
  /** Told of damage and what was done about it. */
  readonly trace?: Trace;
}

/** Published rows that are removed from the live file together: one by one it would cost a commit each publication. */
const RETIRED_ROWS_MIN = 30_000;
/** Rows after which a commit makes the checkpoint if no publication does: 100 MB of log, 2 s to replay. */
const LOGGED_ROWS_MAX = 1_000_000;
/** Old versions of state rows that are removed together: for 100,000 devices it takes 50 ms. */
const SUPERSEDED_ROWS_MAX = 200_000;

/** A segment of its own costs a file, a merge and 15 ms: as much as 20,000 readings save. */
const SEALED_READINGS_MIN = 50_000;

/** Opens the store of one partition; see the top of this file. Throws `StoreRefused` or `StoreUnavailable`. */
export async function openStore(options: StoreOptions): Promise<DuckdbStore> {
  const { directory, partition, retentionMs, threads = 1, memoryMb = 128, trace = silentTrace } = options;
  const paths = dataPaths(directory, partition, options.privateDirectory);
  const earliestOffset = options.earliestOffset ?? null;
  const rows = options.rows ?? null;
  const configHash = rows?.config.hash ?? null;
  try {
    await Deno.mkdir(paths.liveFolder, { recursive: true });
    return await openDespiteDamage(
      { paths, partition, configHash, earliestOffset, trace },
      async (record) => {
        const { createInstance, sealedReadingsMin = SEALED_READINGS_MIN } = options;
        const live = await LiveFile.open({
          path: paths.live,
          ...{ threads, memoryMb },
          ...createInstance === undefined ? {} : { createInstance },
        });
        const { config = null } = rows ?? {};
        const store = new DuckdbStore(partition, retentionMs, paths, live, record, config, sealedReadingsMin);
        try {
          await store.settle(rows);
        } catch (error) {
          await store.close();
          throw error;
        }
        if (options.checkInBackground ?? true) store.checkInBackground(trace);
        return store;
      },
    );
  } catch (error) {
    throw storeError(`opening the data folder ${directory}`, error);
  }
}

/** One transaction. */
interface Attempt {
  readonly version: number;
  readonly changes: Changes;
  readonly sealed: Segment | null;
  /** In the journal, not in the tables. */
  readonly isJournaled: boolean;
}

export class DuckdbStore implements Store {
  readonly #writer = new ChangesWriter();
  readonly #lookup: Lookup;
  /** Checks segments before anything is read from them. */
  readonly guard: SegmentGuard;
  readonly #sealer: Sealer;
  readonly #journal: Journal;
  #damage: StoreDamaged | null = null;
  /** A transaction that may stand or not: its reply was lost, and nothing can be read since. */
  #doubtful: Attempt | null = null;
  #version = 0;
  #position: PositionRow | null = null;
  #record: PartitionRecord | null;
  #unpublished: BoundsByTable = new Map();
  /** State rows appended since older versions were removed last. */
  #superseded = 0;
  /** Rows in the live file that are published. */
  #retirable = 0;
  /** Rows committed since the last checkpoint, about: what a start would have to replay. */
  #logged = 0;

  /** Use {@link openStore}. */
  constructor(
    readonly partition: number,
    readonly retentionMs: number,
    readonly paths: DataPaths,
    readonly live: LiveFile,
    record: PartitionRecord | null,
    /** What its records say of its configuration. */
    readonly config: PublishedConfig | null = null,
    sealedReadingsMin: number = SEALED_READINGS_MIN,
  ) {
    this.#record = record;
    this.guard = new SegmentGuard(paths);
    this.#journal = new Journal(live);
    this.#sealer = new Sealer(paths, partition, this.guard, live, sealedReadingsMin);
    this.#lookup = new Lookup(paths, this.guard, () => this.#record, () => this.#sealer.waiting);
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
  async settle(rows: RowsConfig | null = null): Promise<void> {
    await this.live.exclusive(async () => {
      await this.#journal.restore();
      await this.#drain();
      await this.#readPosition();
      if (rows !== null) await this.#leaveOthers(rows);
      if (this.#record !== null) {
        // Another owner has published since: what it has numbered is not what we have.
        const isOlder = this.#position === null || this.#position.epoch < this.#record.position.epoch;
        if (isOlder || this.#version < this.#record.version) await this.#takeFromPublished(this.#record);
        else await this.#retire(this.#record.version);
      }
      await this.#sealer.restore(this.#record?.version ?? 0);
      this.#unpublished = await readUnpublished(this.live.writer, this.#record);
    });
  }

  /**
   * Rows of another configuration have no place in the live file. Those that are published stay, so that a crash, or the
   * way back to that configuration, loses nothing.
   */
  async #leaveOthers({ config, mayRebuild }: RowsConfig): Promise<void> {
    const stored = this.#position?.configHash ?? null;
    if (stored === config.hash) return;
    if (this.#record === null) {
      const published = await newestRecord(this.paths, this.partition);
      const other = stored ?? published?.position.configHash ?? null;
      if (other === null) return;
      await mayRebuild(other);
    }
    if (stored === null) return;
    await this.live.transaction("leaving rows of another configuration", async (writer) => {
      for (const table of liveTables) await writer.run(`DELETE FROM ${table.name}`);
    });
    await this.#readPosition();
  }

  /** Compares the SHA-256 of all published files; what is damaged fails every later call until the store is opened anew. */
  checkInBackground(trace: Trace): void {
    this.guard.checkInBackground(this.#record?.segments ?? [], (error) => {
      this.#damage = error;
      trace.emit("error", "store.damaged", { partition: this.partition, message: error.message });
    });
  }

  /** Rows that the next publication has to write: handed out once, see {@link giveBack}. */
  takeUnpublished(): BoundsByTable {
    const taken = this.#unpublished;
    this.#unpublished = new Map();
    this.#journal.snapshot(this.#version);
    return taken;
  }

  /** Committed segments that the next publication only has to name, in version order. */
  get sealed(): readonly Segment[] {
    return this.#sealer.waiting;
  }

  /** The publication has failed: its rows are unpublished again. */
  giveBack(taken: BoundsByTable): void {
    this.#unpublished = joinTables(this.#unpublished, taken);
  }

  load(openFrom: (watermarkMs: number | null) => number): Promise<StoredState> {
    return this.#guarded("reading the stored state", async (connection) => {
      await this.#readPosition();
      const state = await readState(connection, openFrom, this.#lookup);
      return { position: this.#position, ...state };
    });
  }

  lookup(needs: Needs): Promise<Known> {
    return this.#guarded("looking up stored rows", async (connection) => {
      this.#journal.lookedUp();
      const spans = needs.readings.map(({ device, fromMs, toMs }) => ({
        device,
        fromMs: finite(fromMs),
        toMs: finite(toMs),
      }));
      return {
        readings: await this.#lookup.rowsBetween(connection, readingTable, spans),
        quarantined: await this.#lookup.rowsBetween(connection, quarantineTable, spans),
        windows: await this.#lookup.windows(connection, needs.windows, needs.allVersions === true),
      };
    });
  }

  async commit(changes: Changes): Promise<void> {
    assert(changes.position.partition === this.partition, "a transaction is of the store's partition");
    if (this.#damage !== null) throw this.#damage;
    if (this.#doubtful !== null && await this.#hasHappened(this.#doubtful)) return;
    if (!this.#sealer.takes(changes.readings.length)) return await this.#commit(changes, null);
    // Before its turn: lookups go on meanwhile.
    const segment = await this.#sealer.seal(changes, this.#version + 1);
    await this.#commit({ ...changes, readings: [] }, segment);
  }

  /** `sealed`: the segment that has the transaction's readings; null if they are among the changes. */
  #commit(changes: Changes, sealed: Segment | null): Promise<void> {
    return this.live.exclusive(async () => {
      if (this.#damage !== null) throw this.#damage;
      const version = this.#version + 1;
      const isJournaled = sealed === null && this.#journal.takes(changes);
      const attempt: Attempt = { version, changes, sealed, isJournaled };
      try {
        if (isJournaled) await this.#journal.write(changes, version);
        else await this.#intoTables([{ version, rows: changes }], sealed);
      } catch (error) {
        // A failure after the commit became durable (its reply was lost) is a commit all the same.
        this.#doubtful = attempt;
        if (!(error instanceof StoreUnavailable) || !await this.#stands(attempt)) throw error;
      }
      await this.#committed(attempt);
    });
  }

  /** Whether an attempt whose outcome could not be told has happened; the caller repeats it, and no other, until then. */
  #hasHappened(attempt: Attempt): Promise<boolean> {
    return this.live.exclusive(async () => {
      const stands = await this.live.use("committing", () => this.#stands(attempt));
      if (stands === null) {
        throw new StoreUnavailable("committing: whether the last transaction stands can't be read");
      }
      if (stands) await this.#committed(attempt);
      return stands;
    });
  }

  /** Null if it can't be told now. */
  async #stands(attempt: Attempt): Promise<boolean | null> {
    const stored = await this.#storedVersion();
    if (stored === null) return null;
    this.#doubtful = null;
    if (stored === attempt.version) return true;
    if (attempt.sealed !== null) await this.#sealer.abandoned(attempt.sealed);
    return false;
  }

  /** A transaction stands. */
  async #committed({ version, changes, sealed, isJournaled }: Attempt): Promise<void> {
    if (sealed !== null) this.#sealer.committed(sealed);
    if (isJournaled) this.#journal.committed(changes, version);
    else this.#journal.drained();
    this.#version = version;
    this.#position = changes.position;
    const bounds = boundsOf(changes);
    this.#unpublished = joinTables(this.#unpublished, bounds);
    this.#logged += rowsOf(bounds);
    const { rules, states } = changes.alerts;
    this.#superseded += changes.devices.length + changes.boots.length + rules.length + states.length + 1;
    await this.#tidied(async () => {
      if (this.#superseded > SUPERSEDED_ROWS_MAX) await this.#removeSuperseded();
      if (this.#logged > LOGGED_ROWS_MAX) await this.#checkpoint();
    });
  }

  /**
   * Tidies up after a transaction or a publication that stands, so it must not fail for this: without room it is tried
   * again after the next one; damage stops the calls after this one.
   */
  async #tidied(tidy: () => Promise<void>): Promise<void> {
    try {
      await tidy();
    } catch (error) {
      if (error instanceof StoreUnavailable) return;
      if (!(error instanceof StoreDamaged)) throw error;
      this.#damage = error;
    }
  }

  async close(): Promise<void> {
    await this.guard.close();
    await this.live.exclusive(() => {
      this.#sealer.close();
      this.live.close();
      return Promise.resolve();
    });
  }

  /** From now on the rows up to the record's version are read from its segments; they are still in the live file too. */
  adopt(record: PartitionRecord): void {
    this.#record = record;
    this.#sealer.published(record.version);
  }

  /**
   * Says that `rows`, everything up to the record's version, are durable in its segments. They leave the live file when
   * they have become many, except newest devices and boots and windows that are ahead of their device.
   */
  async published(record: PartitionRecord, rows: BoundsByTable): Promise<void> {
    await this.live.exclusive(async () => {
      this.#retirable += rowsOf(rows);
      const isLarge = await this.live.isWalLarge();
      if (!isLarge && this.#retirable < RETIRED_ROWS_MIN) return;
      await this.#tidied(async () => {
        await this.#retire(record.version);
        if (isLarge) await this.#checkpoint();
      });
    });
  }

  /** Puts what waits in the journal into the tables, for those who read them. */
  drain(): Promise<void> {
    return this.live.exclusive(() => this.#drain());
  }

  async #drain(): Promise<void> {
    if (this.#journal.waiting.length === 0) return;
    await this.#intoTables([], null);
    this.#journal.drained();
  }

  /** One transaction: what waits in the journal, and `more`. */
  async #intoTables(more: readonly Versioned<Changes>[], sealed: Segment | null): Promise<void> {
    await this.#journal.resolve();
    const transactions = [...this.#journal.unseen(), ...more];
    if (transactions.length === 0) return;
    try {
      await this.live.transaction("committing", async (writer) => {
        await this.#writer.append(writer, transactions);
        await this.#journal.clear(writer);
        if (sealed !== null) await this.#sealer.name(writer, sealed, transactions.at(-1)!.version);
      });
    } catch (error) {
      this.#journal.doubt();
      throw error;
    }
  }

  #guarded<T>(action: string, task: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
    return this.live.exclusive(async () => {
      if (this.#damage !== null) throw this.#damage;
      await this.#drain();
      return await this.live.use(action, task);
    });
  }

  async #readPosition(): Promise<void> {
    const newest = await readPosition(this.live.writer);
    this.#version = newest?.version ?? 0;
    this.#position = newest?.position ?? null;
  }

  /** The last transaction in the file, null if it can't be read now. */
  async #storedVersion(): Promise<number | null> {
    try {
      const reader = await this.live.writer.runAndReadAll(
        `SELECT coalesce(max(version), 0)
         FROM (SELECT version FROM position_rows UNION ALL SELECT version FROM journal_rows)`,
      );
      return Number(reader.getRows()[0]?.[0]);
    } catch {
      return null;
    }
  }

  /** Removes published rows from the live file, and what newer versions have replaced. */
  async #retire(version: number): Promise<void> {
    await this.live.transaction("removing published rows", (writer) => removePublished(writer, version));
    await this.#removeSuperseded();
    this.#retirable = 0;
  }

  async #removeSuperseded(): Promise<void> {
    await this.live.transaction("removing superseded rows", removeSuperseded);
    this.#superseded = 0;
  }

  async #checkpoint(): Promise<void> {
    await this.live.checkpoint();
    this.#logged = 0;
  }

  /** The live file is new or older than the publication: the publication's state takes its place. */
  async #takeFromPublished(record: PartitionRecord): Promise<void> {
    await checkStates(record, this.guard);
    await this.live.transaction("taking over what is published", async (writer) => {
      await takePublished(writer, this.paths, record);
      await this.#writer.appendPosition(writer, record.position, record.version);
    });
    await this.#readPosition();
  }
}
