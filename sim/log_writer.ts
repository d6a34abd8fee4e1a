/** The simulated log's writer: one commit at a time; what queues up meanwhile shares the next. */
import type { Clock } from "../core/ports/clock.ts";
import {
  type Appended,
  assertAppendable,
  LogUnavailable,
  type LogWriter,
  type NewRecord,
  queuedBytes,
} from "../core/ports/log.ts";
import type { SimLog, SimLogOptions } from "./log.ts";
import { RETRY_AFTER_MS } from "./log_faults.ts";

const PROBE_MS = 250;
/** A commit takes 1 to so many milliseconds. */
const COMMIT_MS_MAX = 4;
/** Records of one commit, as the real logs have it. */
const COMMIT_RECORDS_MAX = 2_000;

interface Job {
  readonly records: readonly NewRecord[];
  readonly bytes: number;
  readonly resolve: (places: readonly Appended[]) => void;
  readonly reject: (error: LogUnavailable) => void;
  readonly cancelDeadline: () => void;
  isAnswered: boolean;
}

export class SimWriter implements LogWriter {
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
