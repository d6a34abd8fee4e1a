/**
 * Appending to Kafka: acknowledged by all in-sync replicas, one send at a time, the next as soon as the last is
 * acknowledged; what arrives meanwhile shares it. No timer collects records.
 *
 * *Known down at once.* A send that fails or takes longer than its deadline refuses everything that waits, and from then
 * on every append is refused immediately, until a new connection has been made; that is tried all the time, so readiness
 * comes back by itself. While nothing is sent, a look at the topic every second finds out whether the broker is still
 * there.
 *
 * *A producer is used for one failure only.* kafkajs numbers the records of an idempotent producer, and takes the
 * numbers back when a send fails. Whether that send was stored is unknown: if it was, the next batch of the same size
 * would carry the same numbers, and the broker would acknowledge it as a repetition without storing it. So after a
 * failure the producer is thrown away with its numbers. The caller's own retry may then be stored twice, which the port
 * allows and the ledger takes for what it is.
 */
import { type Admin, type Message, Partitioners, type Producer } from "kafkajs";
import type { Clock } from "../core/ports/clock.ts";
import {
  type Appended,
  assertAppendable,
  LogRefused,
  LogUnavailable,
  type LogWriter,
  type NewRecord,
  queuedBytes,
} from "../core/ports/log.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Trace } from "../core/ports/trace.ts";
import { bufferOf, KafkaClient, kafkaFailure, nameOf, RETRY_AFTER_MS, within } from "./kafka_client.ts";
import { checkPartitions, partitionsOf, settleTopic, type TopicNeeds } from "./kafka_topic.ts";

export interface KafkaWriterOptions extends Omit<TopicNeeds, "mustExist"> {
  readonly clientId: string;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly metrics: Metrics;
  readonly queueBytesMax: number;
  /** Longest from an append to its answer. */
  readonly deadlineMs: number;
}

/** Records and bytes of one send. A partition's part of it is one batch, which has to fit `max.message.bytes`. */
const SEND_RECORDS_MAX = 2_000;
const SEND_BYTES_MAX = 1_000_000;
/** Between two attempts to connect, and between two looks at an idle connection. */
const RECONNECT_MS = 250;
const WATCH_MS = 1_000;
/** A connection attempt, all its steps together. */
const CONNECT_MS_MAX = 8_000;
/** A clean goodbye may take so long. */
const GOODBYE_MS = 1_000;

interface Job {
  readonly records: readonly NewRecord[];
  readonly bytes: number;
  readonly deadlineMs: number;
  readonly places: (Appended | undefined)[];
  /** Records handed to sends so far. */
  sent: number;
  readonly resolve: (places: readonly Appended[]) => void;
  readonly reject: (error: unknown) => void;
}

/** A part of a job in one send. */
interface Part {
  readonly job: Job;
  readonly from: number;
  readonly to: number;
}

interface Connection {
  readonly client: KafkaClient;
  readonly admin: Admin;
  readonly producer: Producer;
}

type State =
  | { readonly kind: "down"; readonly error: LogUnavailable }
  | { readonly kind: "up"; readonly connection: Connection }
  | { readonly kind: "refused"; readonly error: LogRefused };

export class KafkaWriter implements LogWriter {
  readonly partitions: number;
  readonly #options: KafkaWriterOptions;
  readonly #clock: Clock;
  readonly #trace: Trace;
  readonly #metrics: Metrics;
  #state: State;
  readonly #queue: Job[] = [];
  #inFlight: readonly Part[] = [];
  #pendingBytes = 0;
  #sendCount = 0;
  #isSending = false;
  #answeredMs = 0;
  #everUp = false;
  #closed: Promise<void> | null = null;
  readonly #end = new AbortController();
  #whenIdle: (() => void) | null = null;

  constructor(options: KafkaWriterOptions) {
    this.partitions = options.partitions;
    this.#options = options;
    this.#clock = options.clock;
    this.#trace = options.trace;
    this.#metrics = options.metrics;
    const error = new LogUnavailable(`${nameOf(options)} is not connected yet`, RETRY_AFTER_MS);
    this.#state = { kind: "down", error };
  }

  /**
   * Makes the first attempt to connect and goes on by itself. Rejects with {@link LogRefused}; a broker that is away
   * only leaves the writer unavailable.
   */
  async start(): Promise<void> {
    await this.#tryConnect();
    if (this.#state.kind === "refused") throw this.#state.error;
    void this.#keepConnected();
  }

  append(records: readonly NewRecord[]): Promise<readonly Appended[]> {
    assertAppendable(records, this.partitions);
    if (this.#options.replay) {
      const message = `${nameOf(this.#options)} is read with --replay, where nothing is appended`;
      return Promise.reject(new LogRefused(message));
    }
    if (this.#closed !== null) return Promise.reject(new LogUnavailable("the log is closed", RETRY_AFTER_MS));
    if (this.#state.kind !== "up") return Promise.reject(this.#state.error);
    if (records.length === 0) return Promise.resolve([]);
    let bytes = 0;
    for (const record of records) bytes += queuedBytes(record);
    const { queueBytesMax, deadlineMs } = this.#options;
    if (this.#pendingBytes > 0 && this.#pendingBytes + bytes > queueBytesMax) {
      this.#metrics.count("log_appends_refused_total", 1);
      const message =
        `can't append ${bytes} bytes: ${this.#pendingBytes} of ${queueBytesMax} already wait for Kafka; ` +
        "try again later";
      return Promise.reject(new LogUnavailable(message, RETRY_AFTER_MS));
    }
    return new Promise((resolve, reject) => {
      const deadline = this.#clock.monotonicMs() + deadlineMs;
      this.#queue.push({ records, bytes, deadlineMs: deadline, places: [], sent: 0, resolve, reject });
      this.#pendingBytes += bytes;
      if (!this.#isSending) void this.#pump();
    });
  }

  available(): boolean {
    return this.#closed === null && this.#state.kind === "up" && !this.#options.replay;
  }

  pendingBytes(): number {
    return this.#pendingBytes;
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
    if (this.#state.kind === "up") this.#state.connection.client.cut();
    this.#queue.length = 0;
    this.#inFlight = [];
    this.#whenIdle?.();
  }

  // Sending.

  async #pump(): Promise<void> {
    this.#isSending = true;
    try {
      while (this.#queue.length > 0 && this.#state.kind === "up") await this.#send(this.#state.connection);
    } finally {
      this.#isSending = false;
      if (this.#queue.length === 0) this.#whenIdle?.();
    }
  }

  async #send(connection: Connection): Promise<void> {
    const parts = this.#takeParts();
    this.#inFlight = parts;
    const startMs = this.#clock.monotonicMs();
    const { deadlineMs, topic } = this.#options;
    const leftMs = Math.max(1, (parts[0]?.job.deadlineMs ?? 0) - startMs);
    const records = parts.flatMap(({ job, from, to }) => job.records.slice(from, to));
    try {
      const sent = connection.producer.send({
        topic,
        acks: -1,
        timeout: deadlineMs,
        messages: records.map(messageOf),
      });
      const answers = await within(this.#clock, leftMs, `append to ${nameOf(this.#options)}`, sent);
      const places = placesOf(records, answers);
      // Given up or killed meanwhile: the calls are answered already.
      if (this.#inFlight !== parts) return;
      this.#inFlight = [];
      this.#answeredMs = this.#clock.monotonicMs();
      this.#sendCount++;
      this.#settle(parts, places);
      this.#metrics.count("log_records_appended_total", records.length);
      this.#metrics.observe("log_commit_seconds", (this.#answeredMs - startMs) / 1_000);
    } catch (error) {
      if (this.#inFlight === parts) this.#goDown(connection, kafkaFailure(error, "append to", this.#options));
    }
  }

  /** What goes out next: at most a send's worth, calls cut where it is full. */
  #takeParts(): readonly Part[] {
    const parts: Part[] = [];
    let count = 0;
    let bytes = 0;
    for (const job of this.#queue) {
      const from = job.sent;
      while (job.sent < job.records.length && count < SEND_RECORDS_MAX) {
        const next = queuedBytes(job.records[job.sent]!);
        if (count > 0 && bytes + next > SEND_BYTES_MAX) break;
        bytes += next;
        count++;
        job.sent++;
      }
      if (job.sent > from) parts.push({ job, from, to: job.sent });
      if (job.sent < job.records.length) break;
    }
    return parts;
  }

  #settle(parts: readonly Part[], places: readonly Appended[]): void {
    let at = 0;
    let done = 0;
    for (const { job, from, to } of parts) {
      for (let i = from; i < to; i++) job.places[i] = places[at++];
      if (job.places.length === job.records.length) done++;
    }
    for (const job of this.#queue.splice(0, done)) {
      this.#pendingBytes -= job.bytes;
      job.resolve(job.places as readonly Appended[]);
    }
  }

  #goDown(connection: Connection, error: LogUnavailable | LogRefused): void {
    if (this.#state.kind !== "up" || this.#state.connection !== connection) return;
    connection.client.cut();
    this.#setState(error);
    this.#inFlight = [];
    for (const job of this.#queue.splice(0)) {
      this.#pendingBytes -= job.bytes;
      job.reject(error);
    }
  }

  #setState(error: LogUnavailable | LogRefused): void {
    const { kind } = this.#state;
    if (error instanceof LogRefused) {
      this.#state = { kind: "refused", error };
      this.#trace.emit("error", "log.refused", { message: error.message });
    } else {
      this.#state = { kind: "down", error };
      if (kind === "up" || !this.#everUp) this.#trace.emit("warn", "log.down", { message: error.message });
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
    const client = new KafkaClient(this.#options, this.#options.clientId, this.#trace);
    try {
      const connection = await within(this.#clock, CONNECT_MS_MAX, "connect", this.#connect(client));
      if (this.#end.signal.aborted) return client.cut();
      this.#state = { kind: "up", connection };
      this.#answeredMs = this.#clock.monotonicMs();
      this.#everUp = true;
      this.#trace.emit("info", "log.up", {
        topic: this.#options.topic,
        brokers: this.#options.brokers.join(","),
      });
    } catch (error) {
      client.cut();
      if (!this.#end.signal.aborted) this.#setState(kafkaFailure(error, "connect to", this.#options));
    }
  }

  async #connect(client: KafkaClient): Promise<Connection> {
    const { kafka } = client;
    const admin = kafka.admin({ retry: { retries: 1 } });
    await admin.connect();
    await settleTopic(admin, { ...this.#options, mustExist: this.#everUp });
    const producer = kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    return { client, admin, producer };
  }

  /** Looks whether an idle connection's broker and topic are still there. */
  async #watch(): Promise<void> {
    if (this.#state.kind !== "up" || this.#isSending) return;
    if (this.#clock.monotonicMs() - this.#answeredMs < WATCH_MS) return;
    const { connection } = this.#state;
    try {
      const metadata = partitionsOf(connection.admin, this.#options.topic);
      const count = await within(this.#clock, this.#options.deadlineMs, "look at the topic", metadata);
      if (count === null) throw new LogUnavailable(`${nameOf(this.#options)} is not there`, RETRY_AFTER_MS);
      checkPartitions(this.#options, count);
    } catch (error) {
      this.#goDown(connection, kafkaFailure(error, "reach", this.#options));
    }
  }

  async #close(): Promise<void> {
    if (this.#queue.length > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#whenIdle = resolve;
      await promise;
    }
    this.#end.abort();
    if (this.#state.kind !== "up") return;
    const { client, admin, producer } = this.#state.connection;
    const goodbye = Promise.all([producer.disconnect(), admin.disconnect()]);
    await within(this.#clock, GOODBYE_MS, "say goodbye", goodbye).catch(() => {});
    client.cut();
  }
}

function messageOf({ partition, key, value, headers }: NewRecord): Message {
  return {
    partition,
    key,
    value: value === null ? null : bufferOf(value),
    headers: headers as Record<string, string>,
  };
}

interface SendAnswer {
  readonly partition: number;
  readonly baseOffset?: string;
  readonly logAppendTime?: string;
}

/** Offsets are dense within a partition of one send. */
function placesOf(records: readonly NewRecord[], answers: readonly SendAnswer[]): readonly Appended[] {
  const next = new Map<number, { offset: number; appendMs: number }>();
  for (const { partition, baseOffset, logAppendTime } of answers) {
    next.set(partition, { offset: Number(baseOffset), appendMs: Number(logAppendTime) });
  }
  return records.map(({ partition }) => {
    const place = next.get(partition);
    if (place === undefined || !(place.offset >= 0)) throw new Error(`no answer for partition ${partition}`);
    return { partition, offset: place.offset++, appendMs: place.appendMs };
  });
}
