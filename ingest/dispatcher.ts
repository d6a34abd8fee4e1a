/**
 * Between requests and the log: a bounded window of appends that are under way, and behind it a fair, bounded queue.
 * What is in the window can't be reordered any more, so it is kept as small as keeps the log busy; what waits is in fair
 * order between devices. When the log goes away, whatever waits is refused at once: the device is the spool.
 */
import type { Clock } from "../core/ports/clock.ts";
import { type Appended, LogUnavailable, type LogWriter, type NewRecord } from "../core/ports/log.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import { below, type Random } from "../core/ports/random.ts";
import { type Refusal, refused } from "./answers.ts";
import { Credit } from "./credit.ts";
import { FairQueue } from "./fair_queue.ts";
import type { IngestLimits } from "./limits.ts";
import { RecentSenders } from "./recent_senders.ts";

/** What a request costs besides its bytes, in bytes: measured, a reading more costs 2 µs, a request more 120 µs. */
const REQUEST_BYTES = 4_000;

export interface DispatcherPorts {
  readonly log: LogWriter;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
}

export type SubmitOutcome = { readonly kind: "appended"; readonly appended: readonly Appended[] } | Refusal;

/** What is to be appended in one turn. */
export interface Submission {
  /** Whose turn it uses. */
  readonly sender: string;
  readonly records: readonly NewRecord[];
  readonly readings: number;
  readonly bytes: number;
}

interface Waiting extends Omit<Submission, "sender"> {
  readonly sinceMs: number;
  resolve(outcome: SubmitOutcome): void;
  reject(error: unknown): void;
}

export class Dispatcher {
  readonly #ports: DispatcherPorts;
  readonly #limits: IngestLimits;
  readonly #queue: FairQueue<Waiting>;
  readonly #credit: Credit;
  readonly #senders: RecentSenders;
  #windowBytes = 0;
  #windowRecords = 0;
  #windowRequests = 0;
  #waitingReadings = 0;
  #stopping = false;
  #idle: (() => void) | null = null;

  constructor(ports: DispatcherPorts, limits: IngestLimits) {
    this.#ports = ports;
    this.#limits = limits;
    this.#queue = new FairQueue(limits.turnBytes);
    const nowMs = ports.clock.monotonicMs();
    this.#credit = new Credit(limits, nowMs);
    this.#senders = new RecentSenders(limits.sendersMs, nowMs);
  }

  /** Readings that the next request may carry. */
  credit(): number {
    const underWay = this.#queue.keys + this.#windowRequests;
    return this.#credit.for(Math.max(underWay, this.#senders.count(this.#ports.clock.monotonicMs())));
  }

  /** For a refusal under load: how long what waits will take, at least a second, spread over the fleet. */
  retryAfterMs(): number {
    return this.#spreadMs(Math.max(1_000, this.#credit.msFor(this.#waitingReadings)));
  }

  /** Why nothing is taken now, or null. */
  closed(): Refusal | null {
    if (this.#stopping) {
      return refused("busy", "the service is stopping", { retryAfterMs: this.#spreadMs(2_000) });
    }
    return this.#ports.log.available() ? null : this.#logDown(1_000);
  }

  /** Appends the records when it is `sender`'s turn; resolves when they are durable, or with why they aren't. */
  submit(
    { sender, records, readings, bytes }: Submission,
  ): Promise<SubmitOutcome> | Refusal {
    const closed = this.closed();
    if (closed !== null) return closed;
    if (this.#queue.waiting(sender) >= this.#limits.waitingPerDeviceMax) {
      const detail =
        `${this.#limits.waitingPerDeviceMax} requests of it wait already: send one after the other`;
      return refused("too-many", detail, { retryAfterMs: this.retryAfterMs() });
    }
    return new Promise((resolve, reject) => {
      const sinceMs = this.#ports.clock.monotonicMs();
      this.#senders.note(sender, sinceMs);
      this.#waitingReadings += readings;
      this.#queue.push(sender, bytes + REQUEST_BYTES, { records, readings, bytes, sinceMs, resolve, reject });
      this.#pump(sinceMs);
    });
  }

  /** Takes no more, and resolves when everything under way is durable or refused; the log's own deadline bounds it. */
  stop(): Promise<void> {
    this.#stopping = true;
    if (this.#windowRecords === 0 && this.#queue.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle = resolve);
  }

  #pump(nowMs: number): void {
    while (this.#hasRoom()) {
      const next = this.#take();
      if (next === undefined) break;
      this.#append(next, nowMs);
    }
    this.#ports.metrics.gauge("isotherm_ingest_waiting_requests", this.#queue.length);
    if (this.#windowRecords === 0 && this.#queue.length === 0) this.#idle?.();
  }

  #take(): Waiting | undefined {
    const next = this.#queue.take();
    this.#waitingReadings -= next?.readings ?? 0;
    return next;
  }

  /** A request larger than the window goes alone. */
  #hasRoom(): boolean {
    return this.#windowBytes < this.#limits.windowBytesMax &&
      this.#windowRecords < this.#limits.windowRecordsMax;
  }

  #append(next: Waiting, startMs: number): void {
    const { log, clock, metrics } = this.#ports;
    metrics.observe("isotherm_ingest_wait_seconds", (startMs - next.sinceMs) / 1_000);
    this.#windowBytes += next.bytes;
    this.#windowRecords += next.records.length;
    this.#windowRequests++;
    const left = () => {
      this.#windowBytes -= next.bytes;
      this.#windowRecords -= next.records.length;
      this.#windowRequests--;
    };
    log.append(next.records).then(
      (appended) => {
        const nowMs = clock.monotonicMs();
        metrics.observe("isotherm_ingest_append_seconds", (nowMs - startMs) / 1_000);
        this.#credit.observe(next.readings, this.#queue.length > 0, nowMs);
        next.resolve({ kind: "appended", appended });
        left();
        this.#pump(nowMs);
      },
      (error: unknown) => {
        if (!(error instanceof LogUnavailable)) next.reject(error);
        else {
          next.resolve(this.#logDown(error.retryAfterMs));
          if (!log.available()) this.#refuseWaiting(error.retryAfterMs);
        }
        left();
        this.#pump(clock.monotonicMs());
      },
    );
  }

  #refuseWaiting(retryAfterMs: number): void {
    for (let next = this.#take(); next !== undefined; next = this.#take()) {
      next.resolve(this.#logDown(retryAfterMs));
    }
  }

  #logDown(retryAfterMs: number): Refusal {
    return refused("log-down", "the log does not take records now: keep them and send them again", {
      retryAfterMs: this.#spreadMs(retryAfterMs),
    });
  }

  /** Between once and twice `ms`, so that a fleet doesn't come back in one instant. */
  #spreadMs(ms: number): number {
    const bounded = Math.max(1, Math.min(ms, this.#limits.retryAfterMsMax / 2));
    return bounded + below(this.#ports.random, Math.ceil(bounded));
  }
}
