/**
 * The embedded log: one SQLite file, the default of `deno task dev`.
 *
 * *Durability.* An append is acknowledged after a commit with write-ahead log and `synchronous=FULL`, so with the disk's
 * own word (fsync) that it is stored: it survives a killed process and a power cut, though not the loss of the disk.
 *
 * *Group commit without a timer.* Appends queue up; one commit takes what has queued up by the end of this turn of the
 * event loop, and what arrives meanwhile shares the next. Alone, an append waits for one commit; under load, hundreds
 * share one fsync. A commit takes a bounded number of records, so the thread comes up for air.
 *
 * *One thread.* Commits run on the caller's thread. A worker would keep it free during an fsync (measured here: 0.1 ms),
 * at the price of a second heap and a copy of each value; a board that sends every few minutes doesn't feel it.
 *
 * *Two processes.* Ingest and aggregator may run apart on the same file. Offsets are given out inside the transaction,
 * a lock held by the other is waited for without blocking the thread, and a waiting read looks every `pollMs` whether
 * another process has committed. In the same process it is woken by the commit itself.
 *
 * *Our file.* It carries an application id, a version, its number of partitions and an identity drawn at its creation.
 * Anything else in its place is refused. A file that is moved or replaced while it is open would swallow appends, so
 * every commit checks that the path still leads to it.
 *
 * *Layout.* One table; `id` = partition · 2^44 + offset, so that a partition is one run of the table's own B-tree and
 * an append goes to its end without a second index.
 */
import { setImmediate } from "node:timers";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { dirname } from "node:path";
import type { Clock } from "../core/ports/clock.ts";
import type { Random } from "../core/ports/random.ts";
import {
  type Appended,
  assertAppendable,
  type Assignments,
  type Log,
  type LogReader,
  type LogRecord,
  LogRefused,
  LogUnavailable,
  type LogWriter,
  type NewRecord,
  queuedBytes,
  type ReadLimits,
  type ReadOutcome,
} from "../core/ports/log.ts";
import { type Metrics, noMetrics } from "../core/ports/metrics.ts";
import { silentTrace, type Trace } from "../core/ports/trace.ts";
import { assert } from "../core/assert.ts";
import { machineRandom } from "./random.ts";
import { SMALL_ANSWER_BYTES, SMALL_EVERY_MS } from "./small_answers.ts";

export interface SqliteLogOptions {
  readonly path: string;
  /** 1 … 256. A file that exists has to have as many. */
  readonly partitions: number;
  /** Gives the append times and the deadlines. */
  readonly clock: Clock;
  readonly random?: Random;
  readonly trace?: Trace;
  readonly metrics?: Metrics;
  /** Bytes that may wait for a commit (default 32 MiB); an append above is refused at once. */
  readonly queueBytesMax?: number;
  /** How long an append waits for another process's lock before it is refused (default 2 s). */
  readonly deadlineMs?: number;
  /** How often a waiting read looks for another process's appends (default 50 ms). */
  readonly pollMs?: number;
  /** Records older than this are removed, in append time; null (the default) keeps all. */
  readonly retentionMs?: number | null;
  /** The file grows to at most so many bytes; then appends are refused as if the disk were full. Null: no bound. */
  readonly fileBytesMax?: number | null;
}

/** An open embedded log. */
export interface SqliteLog extends Log {
  /** Drawn when the file was created: another log in the same place has another one. */
  readonly identity: string;
  /** Commits made by this process. */
  commits(): number;
}

const APPLICATION_ID = 0x49736f74; // "Isot"
const VERSION = 1;
const OFFSET_BITS = 44;
const OFFSETS = 2 ** OFFSET_BITS;
const PARTITIONS_MAX = 256;
/** One commit takes at most so much, about 10 ms of work. */
const COMMIT_RECORDS_MAX = 2_000;
const COMMIT_BYTES_MAX = 4_000_000;
/** Between two tries to get another process's lock. */
const LOCK_RETRY_MS = 5;
/** Between two tries whether a failed disk takes appends again, and what a caller is told to wait. */
const PROBE_MS = 250;
const RETRY_AFTER_MS = 1_000;
/** Written by a probe: about what a batch needs, so that a disk with less room still counts as full. */
const PROBE_BYTES = 64_000;
/** Retention looks at most so often, and removes at most so many records in one commit. */
const RETENTION_EVERY_MS = 10_000;
const RETENTION_RECORDS_MAX = 2_000;

const SCHEMA = `
CREATE TABLE log (identity TEXT NOT NULL, created_ms INTEGER NOT NULL, probe BLOB);
CREATE TABLE partitions (partition INTEGER PRIMARY KEY, earliest INTEGER NOT NULL, next INTEGER NOT NULL);
CREATE TABLE records (
  id INTEGER PRIMARY KEY, -- partition * 2^${OFFSET_BITS} + offset
  append_ms INTEGER NOT NULL,
  key TEXT,
  value BLOB,
  headers TEXT, -- JSON, null for none
  "partition" INTEGER GENERATED ALWAYS AS (id >> ${OFFSET_BITS}) VIRTUAL,
  "offset" INTEGER GENERATED ALWAYS AS (id & ${OFFSETS - 1}) VIRTUAL
);
PRAGMA application_id = ${APPLICATION_ID};
PRAGMA user_version = ${VERSION};
`;

/** Opens the log, or creates it where there is none. Rejects with {@link LogRefused} or {@link LogUnavailable}. */
export async function openSqliteLog(options: SqliteLogOptions): Promise<SqliteLog> {
  const { path, partitions, clock, random = machineRandom, deadlineMs = 2_000 } = options;
  assert(
    Number.isInteger(partitions) && partitions >= 1 && partitions <= PARTITIONS_MAX,
    `1 to ${PARTITIONS_MAX} partitions`,
  );
  const isNew = prepareFolder(path);
  const deadline = clock.monotonicMs() + deadlineMs;
  for (;;) {
    const database = tryOpen(path);
    try {
      const identity = initialise(database, path, partitions, clock, random);
      if (isNew) {
        syncFolders(path);
        options.trace?.emit("info", "log.created", { path, partitions, identity });
      }
      return new OpenSqliteLog(database, identity, options);
    } catch (error) {
      database.close();
      const failure = classify(error, `open the log ${path}`);
      if (failure.kind === "busy" && clock.monotonicMs() < deadline) await clock.sleep(LOCK_RETRY_MS);
      else throw failure.error;
    }
  }
}

function prepareFolder(path: string): boolean {
  try {
    const { isFile } = Deno.statSync(path);
    if (!isFile) throw new LogRefused(`the log ${path} is not a file: name a file, or move it away`);
    return false;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  try {
    Deno.mkdirSync(dirname(path), { recursive: true });
  } catch (error) {
    throw new LogRefused(
      `can't create the folder of the log ${path}: ${messageOf(error)}; choose another data folder`,
      { cause: error },
    );
  }
  return true;
}

/** A new file survives a power cut only when its folder's entry is on the disk too. */
function syncFolders(path: string): void {
  for (const folder of [dirname(path), dirname(dirname(path))]) {
    try {
      using file = Deno.openSync(folder);
      file.syncSync();
    } catch {
      // Not every system opens folders; those that don't write their entries at once.
    }
  }
}

function tryOpen(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: 0 });
  } catch (error) {
    throw new LogRefused(
      `can't open the log ${path}: ${messageOf(error)}; check that it may be read and written`,
      { cause: error },
    );
  }
}

/** Checks that the file is ours, or makes it so. Returns the identity. */
function initialise(
  database: DatabaseSync,
  path: string,
  partitions: number,
  clock: Clock,
  random: Random,
): string {
  const number = (sql: string) => Number(Object.values(database.prepare(sql).get() ?? {})[0]);
  const isEmpty = () =>
    number("PRAGMA application_id") === 0 && number("SELECT count(*) FROM sqlite_schema") === 0;
  if (!isEmpty()) check();
  // From here on the file is ours or empty.
  run(database, "PRAGMA journal_mode = WAL");
  run(database, "PRAGMA synchronous = FULL");
  run(database, "PRAGMA journal_size_limit = 64000000");
  run(database, "BEGIN IMMEDIATE");
  if (isEmpty()) {
    for (const statement of SCHEMA.split(";\n").filter((text) => text.trim() !== "")) {
      run(database, statement);
    }
    const identity = Array.from({ length: 4 }, () => random.uint32().toString(16).padStart(8, "0")).join("");
    database.prepare("INSERT INTO log (identity, created_ms) VALUES (?, ?)").run(identity, clock.nowMs());
    const insert = database.prepare("INSERT INTO partitions VALUES (?, 0, 0)");
    for (let partition = 0; partition < partitions; partition++) insert.run(partition);
  }
  run(database, "COMMIT");
  check();
  return String(database.prepare("SELECT identity FROM log").get()?.identity);

  function check(): void {
    if (number("PRAGMA application_id") !== APPLICATION_ID) {
      throw new LogRefused(
        `${path} is a SQLite database but no Isotherm log: move it away or choose another data folder`,
      );
    }
    const version = number("PRAGMA user_version");
    if (version !== VERSION) {
      throw new LogRefused(
        `the log ${path} has version ${version}, this build reads ${VERSION}: run the Isotherm that wrote it`,
      );
    }
    const found = number("SELECT count(*) FROM partitions");
    if (found !== partitions) {
      throw new LogRefused(
        `the log ${path} has ${found} partitions, ${partitions} are configured, and devices can't move between them: ` +
          `configure ${found}, or start a new log in another data folder`,
      );
    }
  }
}

/** Errors of `exec` carry no code in Deno, those of a statement do. */
function run(database: DatabaseSync, sql: string): void {
  database.prepare(sql).run();
}

const messageOf = (error: unknown) => error instanceof Error ? error.message : String(error);

type Failure =
  | { readonly kind: "busy"; readonly error: LogUnavailable }
  | { readonly kind: "unavailable"; readonly error: LogUnavailable }
  | { readonly kind: "fatal"; readonly error: unknown };

/** Primary result codes of SQLite (sqlite.org/rescode.html). */
function classify(error: unknown, action: string): Failure {
  if (error instanceof LogRefused || error instanceof LogUnavailable) return { kind: "fatal", error };
  const code = (error as { errcode?: unknown }).errcode;
  const sentence = (what: string) => `can't ${action}: ${messageOf(error)}; ${what}`;
  switch (typeof code === "number" ? code & 0xff : -1) {
    case 5: // BUSY
    case 6: { // LOCKED
      const message = sentence("another program holds its lock");
      return { kind: "busy", error: new LogUnavailable(message, RETRY_AFTER_MS, { cause: error }) };
    }
    case 7: // NOMEM
    case 8: // READONLY
    case 10: // IOERR
    case 13: // FULL
    case 14: { // CANTOPEN
      const message = sentence("make room on the disk or check it; appends are taken again by themselves");
      return { kind: "unavailable", error: new LogUnavailable(message, RETRY_AFTER_MS, { cause: error }) };
    }
    case 11: // CORRUPT
    case 26: { // NOTADB
      const message = sentence(
        "the file is damaged or no Isotherm log: restore it, or choose another data folder",
      );
      return { kind: "fatal", error: new LogRefused(message, { cause: error }) };
    }
    default:
      return { kind: "fatal", error };
  }
}

/** One call of `append` in the queue. */
interface Job {
  readonly records: readonly NewRecord[];
  readonly bytes: number;
  readonly deadlineMs: number;
  readonly places: Appended[];
  readonly resolve: (places: readonly Appended[]) => void;
  readonly reject: (error: unknown) => void;
}

type Health =
  | { readonly kind: "up" }
  | { readonly kind: "down"; readonly error: LogUnavailable }
  | { readonly kind: "refused"; readonly error: unknown };

interface Fetched {
  readonly outcome: ReadOutcome;
  /** Of the records' values. */
  readonly bytes: number;
}

class OpenSqliteLog implements SqliteLog {
  readonly identity: string;
  readonly writer: LogWriter;
  readonly reader: LogReader;
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  readonly #options: SqliteLogOptions;
  readonly #clock: Clock;
  readonly #trace: Trace;
  readonly #metrics: Metrics;
  readonly #inode: number | null;
  #commitCount = 0;
  #openEnds = 2;

  readonly #queue: Job[] = [];
  #queuedBytes = 0;
  #isScheduled = false;
  #writerClosed: Promise<void> | null = null;
  #whenIdle: (() => void) | null = null;
  #health: Health = { kind: "up" };
  #cancelProbe: (() => void) | null = null;
  #retentionDueMs = 0;

  #assigned = false;
  #readerClosed = false;
  /** Reads at the end of a partition; a commit wakes them. */
  readonly #sleepers = new Set<() => void>();
  /** Reads that are held up so that records come in groups; only the end wakes them. */
  readonly #held = new Set<() => void>();
  /** By partition: what its last small answer ended with, and when the next may be given. */
  readonly #small = new Map<number, { readonly next: number; readonly dueMs: number }>();
  #cancelPoll: (() => void) | null = null;
  #dataVersion = 0;

  constructor(database: DatabaseSync, identity: string, options: SqliteLogOptions) {
    this.identity = identity;
    this.#database = database;
    this.#options = options;
    this.#clock = options.clock;
    this.#trace = options.trace ?? silentTrace;
    this.#metrics = options.metrics ?? noMetrics;
    this.#inode = Deno.statSync(options.path).ino;
    const { fileBytesMax = null } = options;
    if (fileBytesMax !== null) {
      const pageBytes = Number(database.prepare("PRAGMA page_size").get()?.page_size);
      database.prepare(`PRAGMA max_page_count = ${Math.max(1, Math.floor(fileBytesMax / pageBytes))}`).get();
    }
    this.#statements = prepare(database);
    this.#dataVersion = this.#readDataVersion();
    const { partitions } = options;
    this.writer = {
      partitions,
      append: (records) => this.#append(records),
      available: () => this.#writerClosed === null && this.#health.kind === "up",
      pendingBytes: () => this.#queuedBytes,
      close: () => this.#writerClosed ??= this.#closeWriter(),
    };
    this.reader = {
      partitions,
      join: (assignments) => this.#join(assignments),
      range: (partition) => this.#guarded(() => this.#range(partition)),
      read: (partition, offset, limits) => this.#read(partition, offset, limits),
      hint: () => {},
      settled: () => {},
      close: () => this.#closeReader(),
    };
  }

  commits(): number {
    return this.#commitCount;
  }

  async close(): Promise<void> {
    await this.writer.close();
    await this.reader.close();
  }

  // The writer.

  #append(records: readonly NewRecord[]): Promise<readonly Appended[]> {
    assertAppendable(records, this.#options.partitions);
    if (this.#writerClosed !== null) {
      return Promise.reject(new LogUnavailable("the log is closed", RETRY_AFTER_MS));
    }
    if (this.#health.kind !== "up") return Promise.reject(this.#health.error);
    if (records.length === 0) return Promise.resolve([]);
    let bytes = 0;
    for (const record of records) bytes += queuedBytes(record);
    const { queueBytesMax = 32 * 2 ** 20, deadlineMs = 2_000 } = this.#options;
    if (this.#queue.length > 0 && this.#queuedBytes + bytes > queueBytesMax) {
      this.#metrics.count("log_appends_refused_total", 1);
      const message =
        `can't append ${bytes} bytes: ${this.#queuedBytes} of ${queueBytesMax} already wait for the disk; ` +
        "try again later";
      return Promise.reject(new LogUnavailable(message, RETRY_AFTER_MS));
    }
    return new Promise((resolve, reject) => {
      const deadline = this.#clock.monotonicMs() + deadlineMs;
      this.#queue.push({ records, bytes, deadlineMs: deadline, places: [], resolve, reject });
      this.#queuedBytes += bytes;
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#commitQueued());
  }

  #commitQueued(): void {
    this.#isScheduled = false;
    if (this.#queue.length === 0) return;
    try {
      this.#commit();
    } catch (error) {
      this.#failed(classify(error, `append to the log ${this.#options.path}`));
    }
    if (this.#queue.length > 0) this.#schedule();
    else this.#whenIdle?.();
  }

  /** Stores the head of the queue in one transaction and answers the calls that are complete. */
  #commit(): void {
    const startMs = this.#clock.monotonicMs();
    this.#checkPlace();
    const { begin, nextOf, insert, setNext, commit } = this.#statements;
    begin.run();
    const appendMs = Math.floor(this.#clock.nowMs());
    const next = new Map<number, number>();
    let count = 0;
    let bytes = 0;
    const taken: { job: Job; places: Appended[] }[] = [];
    for (const job of this.#queue) {
      const places: Appended[] = [];
      for (let i = job.places.length; i < job.records.length; i++) {
        if (count === COMMIT_RECORDS_MAX || bytes >= COMMIT_BYTES_MAX) break;
        const { partition, key, value, headers } = job.records[i]!;
        const offset = next.get(partition) ?? Number(nextOf.get(partition)!.next);
        insert.run(partition * OFFSETS + offset, appendMs, key, value, headersText(headers));
        next.set(partition, offset + 1);
        places.push({ partition, offset, appendMs });
        count++;
        bytes += value?.length ?? 0;
      }
      taken.push({ job, places });
      if (count === COMMIT_RECORDS_MAX || bytes >= COMMIT_BYTES_MAX) break;
    }
    for (const [partition, offset] of next) setNext.run(offset, partition);
    this.#expireOld(appendMs);
    commit.run();
    this.#commitCount++;
    for (const { job, places } of taken) {
      for (const place of places) job.places.push(place);
    }
    const lastIsCut = taken.length > 0 && taken.at(-1)!.job.places.length < taken.at(-1)!.job.records.length;
    for (const job of this.#leave(taken.length - (lastIsCut ? 1 : 0))) job.resolve(job.places);
    this.#metrics.count("log_records_appended_total", count);
    this.#metrics.observe("log_commit_seconds", (this.#clock.monotonicMs() - startMs) / 1_000);
    this.#wake();
  }

  /** Takes the first `count` calls out of the queue. */
  #leave(count: number): readonly Job[] {
    const jobs = this.#queue.splice(0, count);
    for (const job of jobs) this.#queuedBytes -= job.bytes;
    return jobs;
  }

  #checkPlace(): void {
    const { path } = this.#options;
    let inode: number | null = null;
    try {
      inode = Deno.statSync(path).ino;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      inode = -1;
    }
    if (inode === this.#inode) return;
    throw new LogRefused(
      `the log ${path} was ${inode === -1 ? "removed" : "replaced"} while it was open: ` +
        "put it back and start again; what was acknowledged is in the old file",
    );
  }

  #failed(failure: Failure): void {
    this.#rollback();
    if (failure.kind === "busy") {
      this.#waitForLock(failure.error);
    } else if (failure.kind === "unavailable") {
      this.#goDown(failure.error);
    } else {
      this.#health = { kind: "refused", error: failure.error };
      this.#trace.emit("error", "log.refused", { message: messageOf(failure.error) });
      this.#rejectAll(failure.error);
    }
  }

  #rollback(): void {
    if (!this.#database.isTransaction) return;
    try {
      this.#statements.rollback.run();
    } catch {
      // SQLite has rolled back by itself.
    }
  }

  /** Another process is committing: the queue waits, and calls whose time is up are refused. */
  #waitForLock(error: LogUnavailable): void {
    const nowMs = this.#clock.monotonicMs();
    const waiting = this.#queue.findIndex((job) => job.deadlineMs > nowMs);
    for (const job of this.#leave(waiting === -1 ? this.#queue.length : waiting)) job.reject(error);
    if (this.#queue.length === 0) return this.#goDown(error);
    this.#isScheduled = true;
    this.#clock.after(LOCK_RETRY_MS, () => this.#commitQueued());
  }

  #goDown(error: LogUnavailable): void {
    if (this.#health.kind === "up") this.#trace.emit("warn", "log.down", { message: error.message });
    this.#health = { kind: "down", error };
    this.#rejectAll(error);
    if (this.#writerClosed === null) this.#cancelProbe = this.#clock.after(PROBE_MS, () => this.#probe());
  }

  #rejectAll(error: unknown): void {
    for (const job of this.#leave(this.#queue.length)) job.reject(error);
  }

  /** Tries whether the disk takes a batch again. */
  #probe(): void {
    this.#cancelProbe = null;
    const { begin, probe, commit } = this.#statements;
    try {
      this.#checkPlace();
      for (const bytes of [new Uint8Array(PROBE_BYTES), null]) {
        begin.run();
        probe.run(bytes);
        commit.run();
      }
      this.#health = { kind: "up" };
      this.#trace.emit("info", "log.up");
    } catch (error) {
      const failure = classify(error, `append to the log ${this.#options.path}`);
      if (failure.kind === "fatal") return this.#failed(failure);
      this.#rollback();
      this.#goDown(failure.error);
    }
  }

  /** Removes the oldest records, as part of a commit. */
  #expireOld(appendMs: number): void {
    const { retentionMs = null, partitions } = this.#options;
    if (retentionMs === null || this.#clock.monotonicMs() < this.#retentionDueMs) return;
    this.#retentionDueMs = this.#clock.monotonicMs() + RETENTION_EVERY_MS;
    for (let partition = 0; partition < partitions; partition++) {
      const { earliest, next } = this.#range(partition);
      const from = partition * OFFSETS;
      const limit = Math.min(next, earliest + RETENTION_RECORDS_MAX);
      const kept = this.#statements.firstSince.get(from + earliest, from + limit, appendMs - retentionMs);
      const firstKept = kept === undefined ? limit : Number(kept.id) - from;
      this.#statements.remove.run(from + earliest, from + firstKept);
      this.#statements.setEarliest.run(firstKept, partition);
    }
  }

  async #closeWriter(): Promise<void> {
    this.#cancelProbe?.();
    if (this.#queue.length > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#whenIdle = resolve;
      this.#schedule();
      await promise;
    }
    this.#releaseEnd();
  }

  // The reader.

  async #join(assignments: Assignments): Promise<void> {
    assert(!this.#assigned, "a reader joins once");
    if (this.#readerClosed) return;
    this.#assigned = true;
    await assignments.assigned(Array.from({ length: this.#options.partitions }, (_, partition) => partition));
  }

  #range(partition: number): { earliest: number; next: number } {
    const row = this.#statements.range.get(partition);
    assert(row !== undefined, "a partition of the log");
    return { earliest: Number(row.earliest), next: Number(row.next) };
  }

  async #read(partition: number, offset: number, limits: ReadLimits): Promise<ReadOutcome> {
    const deadlineMs = this.#clock.monotonicMs() + limits.waitMs;
    const isAborted = () => limits.signal?.aborted === true;
    const small = this.#small.get(partition);
    if (small !== undefined && small.next === offset && !this.#readerClosed && !isAborted()) {
      const heldMs = Math.min(deadlineMs, small.dueMs) - this.#clock.monotonicMs();
      if (heldMs > 0) await this.#sleep(heldMs, limits.signal, this.#held);
    }
    for (;;) {
      if (this.#readerClosed || !this.#assigned) return { kind: "revoked" };
      const { outcome, bytes } = await this.#guarded(() => this.#fetch(partition, offset, limits));
      if (outcome.kind !== "records") return outcome;
      const { length } = outcome.records;
      if (length > 0) {
        const isSmall = length < limits.recordsMax && bytes < SMALL_ANSWER_BYTES;
        const dueMs = this.#clock.monotonicMs() + SMALL_EVERY_MS;
        if (isSmall) this.#small.set(partition, { next: offset + length, dueMs });
        return outcome;
      }
      const leftMs = deadlineMs - this.#clock.monotonicMs();
      if (leftMs <= 0 || isAborted()) return outcome;
      await this.#sleep(leftMs, limits.signal, this.#sleepers);
    }
  }

  /** Runs a read of the file; its failures become those of the port. */
  #guarded<T>(read: () => T): Promise<T> {
    try {
      return Promise.resolve(read());
    } catch (error) {
      return Promise.reject(classify(error, `read the log ${this.#options.path}`).error);
    }
  }

  #fetch(partition: number, offset: number, limits: ReadLimits): Fetched {
    const { earliest, next } = this.#range(partition);
    if (offset < earliest) return { outcome: { kind: "expired", earliest }, bytes: 0 };
    if (offset > next) return { outcome: { kind: "beyond_end", next }, bytes: 0 };
    const records: LogRecord[] = [];
    let bytes = 0;
    const from = partition * OFFSETS;
    for (
      const row of this.#statements.select.iterate(from + offset, from + next, Math.max(1, limits.recordsMax))
    ) {
      const record = recordOf(row, partition, from);
      // Another process's retention went by between the two statements: look again.
      if (record.offset !== offset + records.length) return this.#fetch(partition, offset, limits);
      records.push(record);
      bytes += record.value?.length ?? 0;
      if (bytes >= limits.bytesMax) break;
    }
    return { outcome: { kind: "records", records }, bytes };
  }

  /** Until those `sleepers` are woken, the time is up, an abort, or close. */
  #sleep(ms: number, signal: AbortSignal | undefined, sleepers: Set<() => void>): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        cancel();
        signal?.removeEventListener("abort", wake);
        sleepers.delete(wake);
        if (this.#sleepers.size === 0) this.#stopPolling();
        resolve();
      };
      const cancel = this.#clock.after(ms, wake);
      signal?.addEventListener("abort", wake, { once: true });
      sleepers.add(wake);
      if (this.#sleepers.size > 0 && this.#cancelPoll === null) this.#poll();
    });
  }

  #wake(): void {
    for (const wake of [...this.#sleepers]) wake();
  }

  #poll(): void {
    this.#cancelPoll = this.#clock.after(this.#options.pollMs ?? 50, () => {
      this.#cancelPoll = null;
      const version = this.#readDataVersion();
      if (version !== this.#dataVersion) {
        this.#dataVersion = version;
        this.#wake();
      }
      if (this.#sleepers.size > 0 && this.#cancelPoll === null) this.#poll();
    });
  }

  #stopPolling(): void {
    this.#cancelPoll?.();
    this.#cancelPoll = null;
  }

  /** Changes when another connection commits; a failure wakes the readers, who will meet it themselves. */
  #readDataVersion(): number {
    try {
      return Number(this.#statements.dataVersion.get()?.data_version);
    } catch {
      return -1;
    }
  }

  #closeReader(): Promise<void> {
    if (!this.#readerClosed) {
      this.#readerClosed = true;
      this.#wake();
      for (const wake of [...this.#held]) wake();
      this.#releaseEnd();
    }
    return Promise.resolve();
  }

  #releaseEnd(): void {
    this.#openEnds--;
    if (this.#openEnds === 0) this.#database.close();
  }
}

type Statements = ReturnType<typeof prepare>;

function prepare(database: DatabaseSync) {
  const statement = (sql: string): StatementSync => database.prepare(sql);
  return {
    begin: statement("BEGIN IMMEDIATE"),
    commit: statement("COMMIT"),
    rollback: statement("ROLLBACK"),
    nextOf: statement("SELECT next FROM partitions WHERE partition = ?"),
    setNext: statement("UPDATE partitions SET next = ? WHERE partition = ?"),
    setEarliest: statement("UPDATE partitions SET earliest = ? WHERE partition = ?"),
    insert: statement("INSERT INTO records (id, append_ms, key, value, headers) VALUES (?, ?, ?, ?, ?)"),
    remove: statement("DELETE FROM records WHERE id >= ? AND id < ?"),
    firstSince: statement(
      "SELECT id FROM records WHERE id >= ? AND id < ? AND append_ms >= ? ORDER BY id LIMIT 1",
    ),
    range: statement("SELECT earliest, next FROM partitions WHERE partition = ?"),
    select: statement(
      "SELECT id, append_ms, key, value, headers FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
    ),
    probe: statement("UPDATE log SET probe = ?"),
    dataVersion: statement("PRAGMA data_version"),
  };
}

function headersText(headers: Readonly<Record<string, string>>): string | null {
  for (const _ in headers) return JSON.stringify(headers);
  return null;
}

function recordOf(row: Record<string, unknown>, partition: number, from: number): LogRecord {
  return {
    partition,
    offset: Number(row.id) - from,
    appendMs: Number(row.append_ms),
    key: row.key as string | null,
    value: row.value as Uint8Array | null,
    headers: row.headers === null ? {} : JSON.parse(String(row.headers)),
  };
}
