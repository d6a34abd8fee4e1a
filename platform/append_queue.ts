/** Appends that wait for their send: bounded, in order, cut into sends, each answered when all of it is stored. */
import { assert } from "../core/assert.ts";
import { type Appended, LogUnavailable, type NewRecord, queuedBytes } from "../core/ports/log.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import { RETRY_AFTER_MS } from "./deadline.ts";

/** One call of `append`. */
export interface Job {
  readonly records: readonly NewRecord[];
  readonly bytes: number;
  /** Monotonic time by which it has to be answered. */
  readonly deadlineMs: number;
  readonly places: Appended[];
  /** Records handed to sends so far. */
  sent: number;
  readonly resolve: (places: readonly Appended[]) => void;
  readonly reject: (error: unknown) => void;
}

/** A part of a job in one send. */
export interface Part {
  readonly job: Job;
  readonly from: number;
  readonly to: number;
}

export class AppendQueue {
  readonly #jobs: Job[] = [];
  readonly #bytesMax: number;
  readonly #waitsFor: string;
  readonly #metrics: Metrics;
  #bytes = 0;

  /** `bytesMax` may wait; one job is always taken. `waitsFor` names who is waited for. */
  constructor(bytesMax: number, waitsFor: string, metrics: Metrics) {
    this.#bytesMax = bytesMax;
    this.#waitsFor = waitsFor;
    this.#metrics = metrics;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#jobs.length === 0;
  }

  /** Rejects with {@link LogUnavailable} at once when it doesn't fit, and with what {@link rejectAll} is given. */
  push(records: readonly NewRecord[], deadlineMs: number): Promise<readonly Appended[]> {
    let bytes = 0;
    for (const record of records) bytes += queuedBytes(record);
    if (this.#bytes > 0 && this.#bytes + bytes > this.#bytesMax) {
      this.#metrics.count("log_appends_refused_total", 1);
      const message =
        `can't append ${bytes} bytes: ${this.#bytes} of ${this.#bytesMax} already wait for ${this.#waitsFor}; ` +
        "try again later";
      return Promise.reject(new LogUnavailable(message, RETRY_AFTER_MS));
    }
    return new Promise((resolve, reject) => {
      this.#jobs.push({ records, bytes, deadlineMs, places: [], sent: 0, resolve, reject });
      this.#bytes += bytes;
    });
  }

  /** What goes out next: at most a send's worth, but one record at least; a call is cut where the send is full. */
  take(recordsMax: number, bytesMax: number): readonly Part[] {
    const parts: Part[] = [];
    let count = 0;
    let bytes = 0;
    for (const job of this.#jobs) {
      const from = job.sent;
      while (job.sent < job.records.length && count < recordsMax) {
        const next = queuedBytes(job.records[job.sent]!);
        if (count > 0 && bytes + next > bytesMax) break;
        bytes += next;
        count++;
        job.sent++;
      }
      if (job.sent > from) parts.push({ job, from, to: job.sent });
      if (job.sent < job.records.length) break;
    }
    return parts;
  }

  /** The parts are stored, their records in order at `places`: answers the calls that are complete. */
  settle(parts: readonly Part[], places: readonly Appended[]): void {
    let at = 0;
    let done = 0;
    for (const { job, from, to } of parts) {
      assert(job.places.length === from, "parts are settled in their order");
      for (let i = from; i < to; i++) job.places.push(places[at++]!);
      if (job.places.length === job.records.length) done++;
    }
    for (const job of this.#jobs.splice(0, done)) {
      this.#bytes -= job.bytes;
      job.resolve(job.places);
    }
  }

  rejectAll(error: unknown): void {
    for (const job of this.#jobs.splice(0)) {
      this.#bytes -= job.bytes;
      job.reject(error);
    }
  }

  /** Nobody is answered any more. */
  forget(): void {
    this.#jobs.length = 0;
    this.#bytes = 0;
  }
}
