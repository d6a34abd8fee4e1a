/**
 * The simulated log: what `platform/kafka_log.ts` is to the real world, in memory, in virtual time, with faults drawn
 * from a seeded source. With no faults it keeps the contract of every log (`core/testing/log_contract.ts`).
 *
 * One {@link SimLog} is the broker; each {@link SimLog.open} is one process's pair of ends. Readers form a group among
 * which partitions are spread as Kafka spreads them: all are revoked, then all are given out. A zombie is a member that
 * hears of it late: it goes on reading what is no longer its own.
 *
 * The faults are those that were seen on a real broker (`retry` of an unanswered send, a restart, a set clock), not
 * those that the port excludes: the log never loses what it acknowledged, and never changes a record.
 */
import { assert } from "../core/assert.ts";
import type { Clock } from "../core/ports/clock.ts";
import {
  type Appended,
  assertAppendable,
  type Assignments,
  type Log,
  type LogReader,
  type LogRecord,
  LogUnavailable,
  type LogWriter,
  type NewRecord,
  queuedBytes,
  type ReadLimits,
  type ReadOutcome,
} from "../core/ports/log.ts";
import { below, chance, type Random } from "../core/ports/random.ts";

/** Chances per thousand, drawn at each commit or read, and the sizes of what then happens. */
export interface SimLogFaults {
  /** A commit stores nothing and its appends are refused. */
  readonly refused: number;
  /** A commit stores a part of its records, in order, and its appends are refused. */
  readonly cutOff: number;
  /** A commit stores everything, and yet its appends are refused: the answer was lost. */
  readonly unanswered: number;
  /** A commit is stored twice, as by a retry that the broker didn't recognise; the first places are answered. */
  readonly doubled: number;
  /** A commit waits up to `slowMsMax` before it is stored. */
  readonly slow: number;
  /** A commit is stored and read, but answered up to `slowMsMax` later. */
  readonly slowAnswer: number;
  readonly slowMsMax: number;
  /** The append clock is set: from then on it is up to `clockStepMsMax` before or behind. */
  readonly clockStep: number;
  readonly clockStepMsMax: number;
  /** A read is refused. */
  readonly refusedRead: number;
  /** A read gives fewer records than it could. */
  readonly shortRead: number;
  /** After a commit the group is rebalanced: everything is revoked, given out, and read again from its position. */
  readonly rebalance: number;
  /** At a rebalance a member hears of it only up to `slowMsMax` after its partitions were given to others. */
  readonly zombie: number;
}

/** Nothing goes wrong. */
export const noLogFaults: SimLogFaults = {
  refused: 0,
  cutOff: 0,
  unanswered: 0,
  doubled: 0,
  slow: 0,
  slowAnswer: 0,
  slowMsMax: 0,
  clockStep: 0,
  clockStepMsMax: 0,
  refusedRead: 0,
  shortRead: 0,
  rebalance: 0,
  zombie: 0,
};

/** Faults by name; `slowMsMax` and `clockStepMsMax` are sizes. */
export type SimLogFaultName = Exclude<keyof SimLogFaults, "slowMsMax" | "clockStepMsMax">;

export interface SimLogOptions {
  readonly partitions: number;
  readonly clock: Clock;
  /** One source for everything, or one for each purpose. */
  readonly random: Random | ((purpose: string) => Random);
  readonly faults?: SimLogFaults;
  /** Bound of each writer's queue (default 32 MiB). */
  readonly queueBytesMax?: number;
  /** An append is refused when it has waited so long (default 5 s). */
  readonly deadlineMs?: number;
}

/** One process's ends of the log. */
export interface SimLogEnds extends Log {
  /** The process dies: nothing is answered any more; a commit under way may be stored or not. */
  kill(): void;
}

const RETRY_AFTER_MS = 1_000;
const PROBE_MS = 250;
/** A commit takes 1 to so many milliseconds. */
const COMMIT_MS_MAX = 4;
/** Records of one commit, as the real logs have it. */
const COMMIT_RECORDS_MAX = 2_000;

interface Stored {
  earliest: number;
  /** The first record has offset `base`. */
  base: number;
  records: LogRecord[];
}

export class SimLog {
  readonly partitions: number;
  readonly #options: SimLogOptions;
  readonly #random: (purpose: string) => Random;
  readonly #clock: Clock;
  #faults: SimLogFaults;
  #stored: Stored[];
  #isDown = false;
  #clockErrorMs = 0;
  #commitCount = 0;
  #faultCounts = new Map<SimLogFaultName, number>();
  readonly #group: Group;
  readonly #readers = new Set<SimReader>();

  constructor(options: SimLogOptions) {
    assert(options.partitions >= 1, "a log has a partition");
    this.#options = options;
    this.partitions = options.partitions;
    this.#clock = options.clock;
    const { random } = options;
    this.#random = typeof random === "function" ? random : () => random;
    this.#faults = options.faults ?? noLogFaults;
    this.#stored = emptyPartitions(options.partitions);
    this.#group = new Group(options.partitions, options.clock, () => this.drawSlowMs("zombie"));
  }

  /** The ends of one more process. */
  open(): SimLogEnds {
    const writer = new SimWriter(this, this.#options);
    const reader = new SimReader(this, this.#group, this.#clock);
    this.#readers.add(reader);
    return {
      writer,
      reader,
      async close() {
        await writer.close();
        await reader.close();
      },
      kill: () => {
        writer.kill();
        reader.kill();
        this.#readers.delete(reader);
      },
    };
  }

  /** From now on these faults are drawn; {@link noLogFaults} begins the quiet phase. The append clock is set right. */
  setFaults(faults: SimLogFaults): void {
    this.#faults = faults;
    if (faults.clockStep === 0) this.#clockErrorMs = 0;
  }

  /** How often each fault has happened. */
  faultCounts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#faultCounts].sort(([a], [b]) => a < b ? -1 : 1));
  }

  /** Commits made so far. */
  commits(): number {
    return this.#commitCount;
  }

  /** Takes the broker down or up: a broker that is down takes and gives nothing. */
  setDown(isDown: boolean): void {
    this.#isDown = isDown;
  }

  isDown(): boolean {
    return this.#isDown;
  }

  /** Everything a partition keeps, in order: for the oracle, and as a tape. */
  records(partition: number): readonly LogRecord[] {
    const { base, earliest, records } = this.#partition(partition);
    return records.slice(earliest - base);
  }

  range(partition: number): { readonly earliest: number; readonly next: number } {
    const { base, earliest, records } = this.#partition(partition);
    return { earliest, next: base + records.length };
  }

  /** Removes the records below `offset`, as retention does. */
  expire(partition: number, offset: number): void {
    const stored = this.#partition(partition);
    assert(offset <= stored.base + stored.records.length, "what expires was there");
    stored.earliest = Math.max(stored.earliest, offset);
  }

  /** Cuts a partition off: `next` is the offset that the next record gets. A wrong log, which a worker has to refuse. */
  truncate(partition: number, next: number): void {
    const stored = this.#partition(partition);
    stored.records.length = Math.max(0, next - stored.base);
  }

  /** Puts another, empty log in this one's place. */
  recreate(): void {
    this.#stored = emptyPartitions(this.partitions);
  }

  /** Plays a tape: records as another log kept them, with their offsets and append times. */
  load(partition: number, records: readonly LogRecord[]): void {
    const stored = this.#partition(partition);
    assert(stored.records.length === 0, "a tape goes into an empty partition");
    const first = records[0]?.offset ?? 0;
    records.forEach((record, i) => assert(record.offset === first + i, "a simulated log has no gaps"));
    stored.base = stored.earliest = first;
    stored.records.push(...records);
    this.wakeReaders();
  }

  /** Rebalances the group now. Resolves when every member has been told. */
  rebalance(): Promise<void> {
    return this.#group.rebalance();
  }

  // What the ends use.

  draw(fault: SimLogFaultName): boolean {
    const perThousand = this.#faults[fault];
    if (perThousand === 0 || !chance(this.#random(fault), perThousand, 1_000)) return false;
    this.#faultCounts.set(fault, (this.#faultCounts.get(fault) ?? 0) + 1);
    return true;
  }

  below(bound: number, purpose: string): number {
    return below(this.#random(purpose), bound);
  }

  drawSlowMs(fault: SimLogFaultName): number {
    return this.draw(fault) ? 1 + this.below(Math.max(1, this.#faults.slowMsMax), fault) : 0;
  }

  /** Stores records under one append time. */
  store(records: readonly NewRecord[]): Appended[] {
    if (this.draw("clockStep")) {
      const max = this.#faults.clockStepMsMax;
      this.#clockErrorMs = this.below(2 * max + 1, "clockStep") - max;
    }
    const appendMs = Math.floor(this.#clock.nowMs()) + this.#clockErrorMs;
    this.#commitCount++;
    const places = records.map(({ partition, key, value, headers }) => {
      const stored = this.#partition(partition);
      const offset = stored.base + stored.records.length;
      const copy = value === null ? null : value.slice();
      stored.records.push({ partition, offset, appendMs, key, value: copy, headers: { ...headers } });
      return { partition, offset, appendMs };
    });
    this.wakeReaders();
    if (this.draw("rebalance")) void this.#group.rebalance();
    return places;
  }

  fetch(partition: number, offset: number, limits: ReadLimits): ReadOutcome {
    const { earliest, next } = this.range(partition);
    if (offset < earliest) return { kind: "expired", earliest };
    if (offset > next) return { kind: "beyond_end", next };
    const { base, records } = this.#partition(partition);
    let recordsMax = Math.min(Math.max(1, limits.recordsMax), next - offset);
    if (recordsMax > 1 && this.draw("shortRead")) recordsMax = 1 + this.below(recordsMax - 1, "shortRead");
    const found: LogRecord[] = [];
    let bytes = 0;
    while (found.length < recordsMax && (found.length === 0 || bytes < limits.bytesMax)) {
      const record = records[offset - base + found.length]!;
      found.push(record);
      bytes += record.value?.length ?? 0;
    }
    return { kind: "records", records: found };
  }

  wakeReaders(): void {
    for (const reader of this.#readers) reader.wake();
  }

  #partition(partition: number): Stored {
    const stored = this.#stored[partition];
    assert(stored !== undefined, "a partition of the log");
    return stored;
  }
}

const emptyPartitions = (count: number): Stored[] =>
  Array.from({ length: count }, () => ({ earliest: 0, base: 0, records: [] }));

interface Job {
  readonly records: readonly NewRecord[];
  readonly bytes: number;
  readonly resolve: (places: readonly Appended[]) => void;
  readonly reject: (error: LogUnavailable) => void;
  readonly cancelDeadline: () => void;
  isAnswered: boolean;
}

/** One commit at a time; what queues up meanwhile shares the next. */
class SimWriter implements LogWriter {
  readonly partitions: number;
  readonly #log: SimLog;
  readonly #clock: Clock;
  readonly #queueBytesMax: number;
  readonly #deadlineMs: number;
  #queue: Job[] = [];
  #inCommit: readonly Job[] = [];
  #pendingBytes = 0;
  #isCommitting = false;
  #isDown = false;
  #isClosed = false;
  #isKilled = false;
  #whenIdle: (() => void)[] = [];

  constructor(log: SimLog, options: SimLogOptions) {
    this.#log = log;
    this.partitions = options.partitions;
    this.#clock = options.clock;
    this.#queueBytesMax = options.queueBytesMax ?? 32 * 2 ** 20;
    this.#deadlineMs = options.deadlineMs ?? 5_000;
  }

  append(records: readonly NewRecord[]): Promise<readonly Appended[]> {
    assertAppendable(records, this.partitions);
    const refuse = (message: string) => Promise.reject(new LogUnavailable(message, RETRY_AFTER_MS));
    if (this.#isClosed) return refuse("the log is closed");
    if (this.#isDown) return refuse("the simulated log is down");
    if (records.length === 0) return Promise.resolve([]);
    const bytes = records.reduce((sum, record) => sum + queuedBytes(record), 0);
    if (this.#pendingBytes > 0 && this.#pendingBytes + bytes > this.#queueBytesMax) {
      return refuse(
        `${this.#pendingBytes} of ${this.#queueBytesMax} bytes already wait for the simulated log`,
      );
    }
    return new Promise((resolve, reject) => {
      const job: Job = {
        records,
        bytes,
        resolve,
        reject,
        isAnswered: false,
        cancelDeadline: this.#clock.after(this.#deadlineMs, () => this.#overdue(job)),
      };
      this.#pendingBytes += bytes;
      this.#queue.push(job);
      this.#startCommit();
    });
  }

  available(): boolean {
    return !this.#isDown && !this.#isClosed;
  }

  pendingBytes(): number {
    return this.#pendingBytes;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    while (this.#queue.length > 0 || this.#isCommitting) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#whenIdle.push(resolve);
      await promise;
    }
  }

  /** A commit under way goes on by itself, or not. */
  kill(): void {
    this.#isClosed = this.#isKilled = true;
    for (const job of [...this.#queue, ...this.#inCommit]) job.cancelDeadline();
    this.#queue = [];
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** What goes out now can't be called back: it is stored even when its callers have given up meanwhile. */
  #startCommit(): void {
    if (this.#isCommitting || this.#queue.length === 0) return;
    this.#isCommitting = true;
    this.#inCommit = this.#takeJobs();
    const delayMs = 1 + this.#log.below(COMMIT_MS_MAX, "commit") + this.#log.drawSlowMs("slow");
    this.#clock.after(delayMs, () => this.#commit(this.#inCommit));
  }

  #takeJobs(): Job[] {
    let count = 0;
    let records = 0;
    while (count < this.#queue.length && (count === 0 || records < COMMIT_RECORDS_MAX)) {
      records += this.#queue[count]!.records.length;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  #commit(jobs: readonly Job[]): void {
    if (this.#isKilled && this.#log.below(2, "killed") === 0) return;
    const fail = (what: string) => this.#answer(() => this.#fail(jobs, what));
    if (this.#log.isDown()) return fail("is down");
    if (this.#log.draw("refused")) return fail("took nothing");
    const records = jobs.flatMap((job) => job.records);
    if (records.length > 1 && this.#log.draw("cutOff")) {
      this.#log.store(records.slice(0, 1 + this.#log.below(records.length - 1, "cutOff")));
      return fail("broke off");
    }
    const places = this.#log.store(records);
    if (this.#log.draw("doubled")) this.#log.store(records);
    if (this.#log.draw("unanswered")) return fail("did not answer");
    this.#answer(() => {
      let from = 0;
      for (const job of jobs) {
        const own = places.slice(from, from += job.records.length);
        this.#settle(job, () => job.resolve(own));
      }
    });
  }

  #answer(answer: () => void): void {
    const slowMs = this.#log.drawSlowMs("slowAnswer");
    const finish = () => {
      if (!this.#isKilled) answer();
      this.#inCommit = [];
      this.#idle();
    };
    if (slowMs === 0) finish();
    else this.#clock.after(slowMs, finish);
  }

  #idle(): void {
    this.#isCommitting = false;
    if (this.#isKilled) return;
    this.#startCommit();
    if (this.#isCommitting) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  #fail(jobs: readonly Job[], what: string): void {
    const error = new LogUnavailable(`the simulated log ${what}`, RETRY_AFTER_MS);
    for (const job of [...jobs, ...this.#queue.splice(0)]) this.#settle(job, () => job.reject(error));
    this.#goDown();
  }

  #overdue(job: Job): void {
    this.#queue = this.#queue.filter((waiting) => waiting !== job);
    this.#settle(
      job,
      () => job.reject(new LogUnavailable("the simulated log did not answer in time", RETRY_AFTER_MS)),
    );
    this.#goDown();
  }

  #settle(job: Job, answer: () => void): void {
    if (job.isAnswered) return;
    job.isAnswered = true;
    job.cancelDeadline();
    this.#pendingBytes -= job.bytes;
    answer();
  }

  #goDown(): void {
    if (this.#isDown) return;
    this.#isDown = true;
    const probe = () => {
      if (this.#isClosed) return;
      if (this.#log.isDown()) this.#clock.after(PROBE_MS, probe);
      else this.#isDown = false;
    };
    this.#clock.after(PROBE_MS, probe);
  }
}

class SimReader implements LogReader {
  readonly partitions: number;
  /** Partitions of which this member believes that they are its own. */
  readonly owned = new Set<number>();
  readonly #log: SimLog;
  readonly #group: Group;
  readonly #clock: Clock;
  readonly #sleepers = new Set<() => void>();
  #isClosed = false;

  constructor(log: SimLog, group: Group, clock: Clock) {
    this.#log = log;
    this.#group = group;
    this.#clock = clock;
    this.partitions = log.partitions;
  }

  join(assignments: Assignments): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return this.#group.join(this, assignments);
  }

  range(partition: number): Promise<{ readonly earliest: number; readonly next: number }> {
    if (this.#log.isDown()) {
      return Promise.reject(new LogUnavailable("the simulated log is down", RETRY_AFTER_MS));
    }
    return Promise.resolve(this.#log.range(partition));
  }

  async read(partition: number, offset: number, limits: ReadLimits): Promise<ReadOutcome> {
    const deadlineMs = this.#clock.monotonicMs() + limits.waitMs;
    for (;;) {
      if (this.#isClosed || !this.owned.has(partition)) return { kind: "revoked" };
      if (this.#log.isDown() || this.#log.draw("refusedRead")) {
        throw new LogUnavailable("the simulated log refuses to be read", RETRY_AFTER_MS);
      }
      const outcome = this.#log.fetch(partition, offset, limits);
      const leftMs = deadlineMs - this.#clock.monotonicMs();
      const isOver = leftMs <= 0 || limits.signal?.aborted === true;
      if (outcome.kind !== "records" || outcome.records.length > 0 || isOver) return outcome;
      await this.#sleep(leftMs, limits.signal);
    }
  }

  hint(): void {}

  settled(): void {}

  close(): Promise<void> {
    this.kill();
    return Promise.resolve();
  }

  /** Leaves the group without a word. */
  kill(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.owned.clear();
    this.#group.leave(this);
    this.wake();
  }

  wake(): void {
    for (const wake of [...this.#sleepers]) wake();
  }

  #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        cancel();
        signal?.removeEventListener("abort", wake);
        this.#sleepers.delete(wake);
        resolve();
      };
      const cancel = this.#clock.after(ms, wake);
      signal?.addEventListener("abort", wake, { once: true });
      this.#sleepers.add(wake);
    });
  }
}

/** The consumer group: eager rebalances, one at a time. A callback that throws is a mistake of the worker's. */
class Group {
  readonly #partitions: number;
  readonly #clock: Clock;
  readonly #drawZombieMs: () => number;
  readonly #members = new Map<SimReader, Assignments>();
  /** Members that have been replaced and don't know. */
  readonly #zombies = new Set<SimReader>();
  #last: Promise<void> = Promise.resolve();

  constructor(partitions: number, clock: Clock, drawZombieMs: () => number) {
    this.#partitions = partitions;
    this.#clock = clock;
    this.#drawZombieMs = drawZombieMs;
  }

  join(reader: SimReader, assignments: Assignments): Promise<void> {
    assert(!this.#members.has(reader), "a reader joins once");
    this.#members.set(reader, assignments);
    return this.rebalance();
  }

  leave(reader: SimReader): void {
    this.#zombies.delete(reader);
    if (this.#members.delete(reader)) void this.rebalance();
  }

  rebalance(): Promise<void> {
    return this.#enqueue(async () => {
      for (const reader of this.#living()) {
        if (!this.#becomesZombie(reader)) await this.#revoke(reader);
      }
      const living = this.#living();
      for (const [i, reader] of living.entries()) {
        const share: number[] = [];
        for (let p = i; p < this.#partitions; p += living.length) share.push(p);
        if (share.length === 0 || !this.#members.has(reader)) continue;
        for (const partition of share) reader.owned.add(partition);
        await this.#members.get(reader)?.assigned(share);
      }
    });
  }

  #enqueue(task: () => Promise<void>): Promise<void> {
    return this.#last = this.#last.then(task, task);
  }

  #living(): SimReader[] {
    return [...this.#members.keys()].filter((reader) => !this.#zombies.has(reader));
  }

  #becomesZombie(reader: SimReader): boolean {
    if (reader.owned.size === 0 || this.#living().length < 2) return false;
    const zombieMs = this.#drawZombieMs();
    if (zombieMs === 0) return false;
    this.#zombies.add(reader);
    this.#clock.after(zombieMs, () => {
      if (!this.#zombies.has(reader)) return;
      void this.#enqueue(async () => {
        this.#zombies.delete(reader);
        await this.#revoke(reader);
      });
      void this.rebalance();
    });
    return true;
  }

  async #revoke(reader: SimReader): Promise<void> {
    const partitions = [...reader.owned];
    if (partitions.length === 0) return;
    reader.owned.clear();
    reader.wake();
    await this.#members.get(reader)?.revoked(partitions);
  }
}
