/**
 * A writer over a connection that may break: one send at a time, the next as soon as the last is acknowledged; what
 * arrives meanwhile shares it. No timer collects records. Kafka's and Redis's writers are this with a link of their own.
 *
 * *Known down at once.* A send that fails or takes longer than its deadline refuses everything that waits, and from then
 * on every append is refused immediately, until a new link has been made; that is tried all the time, so readiness comes
 * back by itself. While nothing is sent, a look every second finds out whether the log is still there.
 *
 * *A link is used for one failure only.* Whether a send that failed was stored is unknown, and a client may keep state
 * about it (kafkajs's sequence numbers, answers of Redis that are still to come). The caller's own retry may then be
 * stored twice, which the port allows and the ledger takes for what it is.
 */
import type { Clock } from "../core/ports/clock.ts";
import {
  type Appended,
  assertAppendable,
  LogRefused,
  LogUnavailable,
  type LogWriter,
  type NewRecord,
} from "../core/ports/log.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Trace } from "../core/ports/trace.ts";
import { AppendQueue, type Part } from "./append_queue.ts";
import { before, RETRY_AFTER_MS } from "./deadline.ts";

/** One connection to a log. Its rejections are any errors; {@link LinkedLog.failure} says what they mean. */
export interface Link {
  /** Connects and settles that it is our log; `mustExist`: it was there before and must not be made anew. */
  connect(mustExist: boolean): Promise<void>;
  /** Resolves with the places of all records, in their order, when all are durable. */
  send(records: readonly NewRecord[]): Promise<readonly Appended[]>;
  /** Rejects when the log is no longer there, or no longer ours. */
  look(): Promise<void>;
  goodbye(): Promise<void>;
  /** Ends everything at once and for ever. */
  cut(): void;
}

/** What a writer has to know of its log. */
export interface LinkedLog {
  /** As a person knows it, for messages: "topic readings on host:9092". */
  readonly name: string;
  /** Who answers or doesn't: "Kafka". */
  readonly server: string;
  createLink(): Link;
  failure(error: unknown, action: string): LogUnavailable | LogRefused;
  /** Records and bytes of one send at the most. */
  readonly sendRecordsMax: number;
  readonly sendBytesMax: number;
}

export interface LinkedWriterOptions {
  readonly partitions: number;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly metrics: Metrics;
  /** Bytes that may wait to be sent. */
  readonly queueBytesMax: number;
  /** Longest from an append to its answer. */
  readonly deadlineMs: number;
  /** A recorded log is read: nothing is appended. */
  readonly replay: boolean;
}

/** Between two attempts to connect, and between two looks at an idle link. */
const RECONNECT_MS = 250;
const WATCH_MS = 1_000;
/** An attempt to connect, all its steps together. */
const CONNECT_MS_MAX = 8_000;
/** A clean goodbye may take so long. */
const GOODBYE_MS = 1_000;

type State =
  | { readonly kind: "down"; readonly error: LogUnavailable }
  | { readonly kind: "up"; readonly link: Link }
  | { readonly kind: "refused"; readonly error: LogRefused };

export class LinkedWriter implements LogWriter {
  readonly partitions: number;
  readonly #log: LinkedLog;
  readonly #options: LinkedWriterOptions;
  readonly #clock: Clock;
  readonly #queue: AppendQueue;
  #state: State;
  #inFlight: readonly Part[] = [];
  #sendCount = 0;
  #isSending = false;
  #answeredMs = 0;
  #everUp = false;
  #closed: Promise<void> | null = null;
  readonly #end = new AbortController();
  #whenIdle: (() => void) | null = null;

  constructor(log: LinkedLog, options: LinkedWriterOptions) {
    this.partitions = options.partitions;
    this.#log = log;
    this.#options = options;
    this.#clock = options.clock;
    this.#queue = new AppendQueue(options.queueBytesMax, log.server, options.metrics);
    const error = new LogUnavailable(`${log.name} is not connected yet`, RETRY_AFTER_MS);
    this.#state = { kind: "down", error };
  }

  /**
   * Makes the first attempt to connect and goes on by itself. Rejects with {@link LogRefused}; a log that is away only
   * leaves the writer unavailable.
   */
  async start(): Promise<void> {
    await this.#tryConnect();
    if (this.#state.kind === "refused") throw this.#state.error;
    void this.#keepConnected();
  }

  async append(records: readonly NewRecord[]): Promise<readonly Appended[]> {
    assertAppendable(records, this.partitions);
    if (this.#options.replay) {
      throw new LogRefused(`${this.#log.name} is read with --replay, where nothing is appended`);
    }
    if (this.#closed !== null) throw new LogUnavailable("the log is closed", RETRY_AFTER_MS);
    if (this.#state.kind !== "up") throw this.#state.error;
    if (records.length === 0) return [];
    const pushed = this.#queue.push(records, this.#clock.monotonicMs() + this.#options.deadlineMs);
    if (!this.#isSending) void this.#pump();
    return await pushed;
  }

  available(): boolean {
    return this.#closed === null && this.#state.kind === "up" && !this.#options.replay;
  }

  pendingBytes(): number {
    return this.#queue.bytes;
  }

  /** Sends that were acknowledged. */
  commits(): number {
    return this.#sendCount;
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  /** Ends as a killed process does: nothing is answered any more. */
  kill(): void {
    this.#closed ??= Promise.resolve();
    this.#end.abort();
    if (this.#state.kind === "up") this.#state.link.cut();
    this.#queue.forget();
    this.#inFlight = [];
    this.#whenIdle?.();
  }

  // Sending.

  async #pump(): Promise<void> {
    this.#isSending = true;
    try {
      while (!this.#queue.isEmpty && this.#state.kind === "up") await this.#send(this.#state.link);
    } finally {
      this.#isSending = false;
      if (this.#queue.isEmpty) this.#whenIdle?.();
    }
  }

  async #send(link: Link): Promise<void> {
    const { name, server, sendRecordsMax, sendBytesMax } = this.#log;
    const parts = this.#queue.take(sendRecordsMax, sendBytesMax);
    this.#inFlight = parts;
    const startMs = this.#clock.monotonicMs();
    const leftMs = Math.max(1, (parts[0]?.job.deadlineMs ?? 0) - startMs);
    const records = parts.flatMap(({ job, from, to }) => job.records.slice(from, to));
    try {
      const sentence = `can't append to ${name}: ${server} did not answer`;
      const places = await before(this.#clock, leftMs, sentence, link.send(records));
      // Given up or killed meanwhile: the calls are answered already.
      if (this.#inFlight !== parts) return;
      this.#inFlight = [];
      this.#answeredMs = this.#clock.monotonicMs();
      this.#sendCount++;
      this.#queue.settle(parts, places);
      const { metrics } = this.#options;
      metrics.count("log_records_appended_total", records.length);
      metrics.observe("log_commit_seconds", (this.#answeredMs - startMs) / 1_000);
    } catch (error) {
      if (this.#inFlight === parts) this.#goDown(link, this.#log.failure(error, "append to"));
    }
  }

  #goDown(link: Link, error: LogUnavailable | LogRefused): void {
    if (this.#state.kind !== "up" || this.#state.link !== link) return;
    link.cut();
    this.#setState(error);
    this.#inFlight = [];
    this.#queue.rejectAll(error);
  }

  #setState(error: LogUnavailable | LogRefused): void {
    const { kind } = this.#state;
    const { trace } = this.#options;
    if (error instanceof LogRefused) {
      this.#state = { kind: "refused", error };
      trace.emit("error", "log.refused", { message: error.message });
    } else {
      this.#state = { kind: "down", error };
      if (kind === "up" || !this.#everUp) trace.emit("warn", "log.down", { message: error.message });
    }
  }

  // Staying connected.

  async #keepConnected(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted && this.#state.kind !== "refused") {
      if (this.#state.kind === "down") {
        await this.#clock.sleep(RECONNECT_MS, signal);
        if (!signal.aborted) await this.#tryConnect();
      } else {
        await this.#clock.sleep(WATCH_MS, signal);
        if (!signal.aborted) await this.#watch();
      }
    }
  }

  async #tryConnect(): Promise<void> {
    const link = this.#log.createLink();
    try {
      const sentence = `can't connect: ${this.#log.server} did not answer`;
      await before(this.#clock, CONNECT_MS_MAX, sentence, link.connect(this.#everUp));
      if (this.#end.signal.aborted) return link.cut();
      this.#state = { kind: "up", link };
      this.#answeredMs = this.#clock.monotonicMs();
      this.#everUp = true;
      this.#options.trace.emit("info", "log.up", { log: this.#log.name });
    } catch (error) {
      link.cut();
      if (!this.#end.signal.aborted) this.#setState(this.#log.failure(error, "connect to"));
    }
  }

  /** Looks whether an idle link's log is still there. */
  async #watch(): Promise<void> {
    if (this.#state.kind !== "up" || this.#isSending) return;
    if (this.#clock.monotonicMs() - this.#answeredMs < WATCH_MS) return;
    const { link } = this.#state;
    try {
      const sentence = `can't look at ${this.#log.name}: ${this.#log.server} did not answer`;
      await before(this.#clock, this.#options.deadlineMs, sentence, link.look());
    } catch (error) {
      this.#goDown(link, this.#log.failure(error, "reach"));
    }
  }

  async #close(): Promise<void> {
    if (!this.#queue.isEmpty) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#whenIdle = resolve;
      await promise;
    }
    this.#end.abort();
    if (this.#state.kind !== "up") return;
    const { link } = this.#state;
    await before(this.#clock, GOODBYE_MS, "can't say goodbye: no answer", link.goodbye()).catch(() => {});
    link.cut();
  }
}
