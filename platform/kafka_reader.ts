/**
 * Reading from Kafka by position, in a consumer group that only proposes owners.
 *
 * kafkajs pushes batches; the port pulls. Each assigned partition has a small buffer here: `eachBatch` fills it and
 * returns at once, so that no partition holds another up and heartbeats go on; a buffer that is full pauses its partition
 * until half of it is read. `read` takes from the buffer; an offset other than the next one is sought.
 *
 * *Positions are the caller's.* A partition is paused from the moment it is given to us (synchronously in `GROUP_JOIN`,
 * before the first fetch) until its first `read` seeks. Committed offsets are never read, only written as a hint.
 *
 * *Another log is noticed.* kafkajs answers an offset that doesn't exist by starting over from the earliest one. So every
 * batch has to begin where the last one ended; anything else, and every two seconds without a record, leads to a look at
 * the partition's range, whose answer is `expired` or `beyond_end`.
 *
 * *Rebalances* are eager. `REBALANCING` is emitted before the group is joined again, and the caller is told; what it had
 * not stored is read again from its position by whoever gets the partition. kafkajs doesn't wait for handlers, so the next
 * owner may start while we still put things away: that is what owner records are for.
 *
 * *A consumer that crashes is replaced*, not restarted. Until the next one has joined, partitions stay ours and reads
 * reject with `LogUnavailable`.
 */
import type { Admin, Consumer, EachBatchPayload, KafkaMessage } from "kafkajs";
import { assert } from "../core/assert.ts";
import type { Clock } from "../core/ports/clock.ts";
import {
  type Assignments,
  type LogReader,
  type LogRecord,
  LogRefused,
  LogUnavailable,
  type ReadLimits,
  type ReadOutcome,
} from "../core/ports/log.ts";
import type { Trace } from "../core/ports/trace.ts";
import { RETRY_AFTER_MS } from "./deadline.ts";
import { KafkaClient, kafkaFailure, kafkaRetry, nameOf, within } from "./kafka_client.ts";
import { dismissFormer, membersOf } from "./kafka_group.ts";
import { checkPartitions, settleTopic, type TopicNeeds } from "./kafka_topic.ts";

export interface KafkaReaderOptions extends Omit<TopicNeeds, "mustExist"> {
  readonly clientId: string;
  /** `clientId` is that of one living process at most, so that members who have it when this one joins are dead. */
  readonly isSoleMember: boolean;
  readonly groupId: string;
  /**
   * How long the group waits for a member that went silent before its partitions go to others. Where the broker takes
   * nothing below 6 s, it becomes that.
   */
  readonly sessionMs: number;
  readonly clock: Clock;
  readonly trace: Trace;
}

/** One fetch of one partition; a compressed one may hold ten times as much. */
const FETCH_BYTES_MAX = 1_048_576;
/** A partition's buffer pauses at so many bytes and goes on at half. */
const BUFFER_BYTES_MAX = 4_000_000;
/** The longest that a broker holds a fetch without records, and that a paused loop sleeps. */
const FETCH_WAIT_MS = 100;
const REBALANCE_MS = 20_000;
/** The shortest session that a broker of default settings takes (`group.min.session.timeout.ms`). */
const SESSION_MS_STOCK = 6_000;
/** Without a record for so long, the partition's range is looked at. */
const LOOK_MS = 2_000;
/** A look at the range that takes longer counts as a log that is away. */
const LOOK_MS_MAX = 3_000;
const RECONNECT_MS = 250;
const CONNECT_MS_MAX = 8_000;
const GOODBYE_MS = 2_000;
/** Positions are told to the group so often at the most. */
const HINT_MS = 5_000;
/** Metadata is refreshed so often: finds partitions that were added. */
const METADATA_MS = 10_000;

/** An assigned partition. */
interface Slot {
  readonly partition: number;
  /** What was fetched and not yet read. */
  records: LogRecord[];
  bytes: number;
  /** Offset that the next read gets without seeking; −1 before the first. */
  next: number;
  /** Offset at which the next batch has to begin; −1 while none is expected. */
  fetchNext: number;
  /** A batch began further on than expected: look at the range before anything is read. */
  isDoubtful: boolean;
  isPaused: boolean;
  lookedMs: number;
  wake: (() => void) | null;
}

interface Session {
  readonly client: KafkaClient;
  readonly admin: Admin;
  readonly consumer: Consumer;
  /** Resolves with the reason when the consumer has ended. */
  readonly ended: Promise<unknown>;
}

export class KafkaReader implements LogReader {
  readonly partitions: number;
  readonly #options: KafkaReaderOptions;
  readonly #clock: Clock;
  readonly #trace: Trace;
  #assignments: Assignments | null = null;
  /** Of the newest attempt, whether it has come to a session or not. */
  #client: KafkaClient | null = null;
  #session: Session | null = null;
  /** Why reads can't work now: the log is away, or refused for good. */
  #failure: Error;
  readonly #slots = new Map<number, Slot>();
  /** Partitions of the newest assignment; the caller may not have been told yet. */
  #given: readonly number[] = [];
  #generation = 0;
  /** Calls to the caller, one after the other. */
  #telling: Promise<void> = Promise.resolve();
  #everUp = false;
  #sessionMs: number;
  #isClosed = false;
  readonly #end = new AbortController();
  readonly #hints = new Map<number, number>();
  #cancelHint: (() => void) | null = null;
  readonly #firstAssignment = Promise.withResolvers<void>();

  constructor(options: KafkaReaderOptions) {
    this.partitions = options.partitions;
    this.#options = options;
    this.#sessionMs = options.sessionMs;
    this.#clock = options.clock;
    this.#trace = options.trace;
    this.#failure = new LogUnavailable(`${nameOf(options)} is not connected yet`, RETRY_AFTER_MS);
    this.#firstAssignment.promise.catch(() => {});
  }

  /** Resolves once the first partitions are given out; rejects with {@link LogRefused}. */
  join(assignments: Assignments): Promise<void> {
    assert(this.#assignments === null, "a reader joins once");
    this.#assignments = assignments;
    if (this.#isClosed) return Promise.resolve();
    void this.#keepSession();
    return this.#firstAssignment.promise;
  }

  async range(partition: number): Promise<{ readonly earliest: number; readonly next: number }> {
    assert(partition >= 0 && partition < this.partitions, "a partition of the log");
    if (this.#session === null) throw this.#failure;
    const ranges = this.#session.admin.fetchTopicOffsets(this.#options.topic);
    try {
      const all = await within(this.#clock, LOOK_MS_MAX, `look at ${nameOf(this.#options)}`, ranges);
      checkPartitions(this.#options, all.length);
      const found = all.find((entry) => entry.partition === partition);
      if (found === undefined) throw new Error(`no range of partition ${partition}`);
      return { earliest: Number(found.low), next: Number(found.high) };
    } catch (error) {
      const failure = kafkaFailure(error, "look at", this.#options);
      if (failure instanceof LogRefused) this.#refuse(failure);
      throw failure;
    }
  }

  async read(partition: number, offset: number, limits: ReadLimits): Promise<ReadOutcome> {
    const deadlineMs = this.#clock.monotonicMs() + limits.waitMs;
    for (;;) {
      const slot = this.#slots.get(partition);
      if (this.#isClosed || slot === undefined) return { kind: "revoked" };
      if (this.#session === null) throw this.#failure;
      if (slot.next !== offset || slot.isDoubtful) {
        const outcome = await (slot.next === offset ? this.#look(slot) : this.#seek(slot, offset));
        if (outcome !== null) return outcome;
        continue;
      }
      if (slot.records.length > 0) return { kind: "records", records: this.#take(slot, limits) };
      const leftMs = deadlineMs - this.#clock.monotonicMs();
      const isOver = leftMs <= 0 || limits.signal?.aborted === true;
      if (!isOver) await this.#sleep(slot, leftMs, limits.signal);
      else if (!this.#isLookDue(slot)) return { kind: "records", records: [] };
      else {
        const outcome = await this.#look(slot);
        if (outcome !== null) return outcome;
      }
    }
  }

  hint(partition: number, nextOffset: number): void {
    if (this.#isClosed || this.#session === null) return;
    this.#hints.set(partition, nextOffset);
    this.#cancelHint ??= this.#clock.after(HINT_MS, () => {
      this.#cancelHint = null;
      void this.#commitHints();
    });
  }

  /** The broker removes by age alone. */
  settled(): void {}

  async close(): Promise<void> {
    if (this.#isClosed) return;
    const session = this.#session;
    const lastHints = session === null ? Promise.resolve() : this.#commitHints();
    this.#endReading();
    if (session === null) return this.#client?.cut();
    const goodbye = lastHints.then(() => session.consumer.disconnect()).then(() =>
      session.admin.disconnect()
    );
    await within(this.#clock, GOODBYE_MS, "say goodbye", goodbye).catch(() => {});
    session.client.cut();
  }

  /** Ends as a killed process does: without leaving the group. */
  kill(): void {
    this.#client?.cut();
    void this.#session?.consumer.stop().catch(() => {});
    this.#endReading();
  }

  #endReading(): void {
    this.#isClosed = true;
    this.#cancelHint?.();
    this.#end.abort();
    this.#firstAssignment.resolve();
    this.#wakeAll();
  }

  // Reading.

  /** Makes `offset` the next one. Null when that is done, else the outcome. */
  async #seek(slot: Slot, offset: number): Promise<ReadOutcome | null> {
    const session = this.#session;
    this.#drop(slot);
    slot.next = -1;
    this.#pause(slot);
    const outcome = outcomeAt(offset, await this.range(slot.partition));
    if (outcome !== null) return outcome;
    // Another session or generation meanwhile: start over.
    if (session === null || session !== this.#session || this.#slots.get(slot.partition) !== slot) {
      return null;
    }
    slot.next = slot.fetchNext = offset;
    slot.isDoubtful = false;
    slot.lookedMs = this.#clock.monotonicMs();
    session.consumer.seek({ topic: this.#options.topic, partition: slot.partition, offset: String(offset) });
    this.#resume(slot);
    return null;
  }

  #isLookDue(slot: Slot): boolean {
    return this.#clock.monotonicMs() - slot.lookedMs >= LOOK_MS;
  }

  /** Looks whether the next offset is still one of this log. */
  async #look(slot: Slot): Promise<ReadOutcome | null> {
    slot.lookedMs = this.#clock.monotonicMs();
    const outcome = outcomeAt(slot.next, await this.range(slot.partition));
    if (outcome === null) slot.isDoubtful = false;
    return outcome;
  }

  #take(slot: Slot, limits: ReadLimits): readonly LogRecord[] {
    let count = 0;
    let bytes = 0;
    while (
      count < slot.records.length && (count === 0 || (count < limits.recordsMax && bytes < limits.bytesMax))
    ) {
      bytes += slot.records[count]!.value?.length ?? 0;
      count++;
    }
    const records = slot.records.splice(0, count);
    for (const record of records) slot.bytes -= sizeOf(record);
    slot.next = records.at(-1)!.offset + 1;
    slot.lookedMs = this.#clock.monotonicMs();
    if (slot.isPaused && slot.bytes < BUFFER_BYTES_MAX / 2) this.#resume(slot);
    return records;
  }

  #drop(slot: Slot): void {
    slot.records = [];
    slot.bytes = 0;
    slot.fetchNext = -1;
  }

  /** Until records come, something happens to the partition, the time is up, or an abort. */
  #sleep(slot: Slot, ms: number, signal: AbortSignal | undefined): Promise<void> {
    assert(slot.wake === null, "one read of a partition at a time");
    return new Promise((resolve) => {
      const wake = () => {
        cancel();
        signal?.removeEventListener("abort", wake);
        slot.wake = null;
        resolve();
      };
      const cancel = this.#clock.after(ms, wake);
      signal?.addEventListener("abort", wake, { once: true });
      slot.wake = wake;
    });
  }

  #wakeAll(): void {
    for (const slot of this.#slots.values()) slot.wake?.();
  }

  #pause(slot: Slot): void {
    slot.isPaused = true;
    this.#session?.consumer.pause([{ topic: this.#options.topic, partitions: [slot.partition] }]);
  }

  #resume(slot: Slot): void {
    slot.isPaused = false;
    this.#session?.consumer.resume([{ topic: this.#options.topic, partitions: [slot.partition] }]);
  }

  /** kafkajs has fetched a batch. */
  #onBatch({ batch, isStale }: EachBatchPayload): void {
    const slot = this.#slots.get(batch.partition);
    if (slot === undefined || slot.fetchNext < 0 || isStale()) return;
    const { fetchedOffset } = batch as unknown as { readonly fetchedOffset: string };
    if (Number(fetchedOffset) < slot.fetchNext) {
      this.#drop(slot);
      slot.next = -1;
      slot.wake?.();
      return;
    }
    // Further on: a transaction's marker was skipped, which is fine, or records have expired.
    if (Number(fetchedOffset) > slot.fetchNext) slot.isDoubtful = true;
    slot.fetchNext = Number(batch.lastOffset()) + 1;
    for (const message of batch.messages) {
      const record = recordOf(batch.partition, message);
      slot.records.push(record);
      slot.bytes += sizeOf(record);
    }
    if (slot.bytes >= BUFFER_BYTES_MAX) this.#pause(slot);
    if (slot.records.length > 0) slot.wake?.();
  }

  async #commitHints(): Promise<void> {
    const { topic } = this.#options;
    const offsets = [...this.#hints].map(([partition, offset]) => ({
      topic,
      partition,
      offset: String(offset),
    }));
    this.#hints.clear();
    if (offsets.length === 0) return;
    try {
      await this.#session?.consumer.commitOffsets(offsets);
    } catch {
      // It is only a hint.
    }
  }

  // The group.

  async #keepSession(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted && !(this.#failure instanceof LogRefused)) {
      const client = this.#client = new KafkaClient(this.#options, this.#options.clientId, this.#trace);
      let reason: unknown;
      try {
        const session = await within(this.#clock, CONNECT_MS_MAX, "connect", this.#connect(client));
        // Closed meanwhile: nobody has joined, so nobody need be told.
        if (!signal.aborted) reason = await session.ended;
      } catch (error) {
        reason = error;
      }
      client.cut();
      if (signal.aborted) break;
      if (this.#sessionMs < SESSION_MS_STOCK && isSessionRefused(reason)) {
        this.#sessionMs = SESSION_MS_STOCK;
        continue;
      }
      this.#fail(kafkaFailure(reason, "read", this.#options));
      if (!(this.#failure instanceof LogRefused)) await this.#clock.sleep(RECONNECT_MS, signal);
    }
  }

  async #connect(client: KafkaClient): Promise<Session> {
    const { topic, groupId, clientId } = this.#options;
    const sessionMs = this.#sessionMs;
    const { promise: ended, resolve: end } = Promise.withResolvers<unknown>();
    const admin = client.kafka.admin({ retry: { retries: 1 } });
    await admin.connect();
    await settleTopic(admin, { ...this.#options, mustExist: this.#everUp });
    const consumer = client.kafka.consumer({
      groupId,
      sessionTimeout: sessionMs,
      heartbeatInterval: Math.min(500, Math.floor(sessionMs / 5)),
      rebalanceTimeout: REBALANCE_MS,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      maxBytesPerPartition: FETCH_BYTES_MAX,
      metadataMaxAge: METADATA_MS,
      allowAutoTopicCreation: false,
      retry: { ...kafkaRetry, restartOnFailure: () => Promise.resolve(false) },
    });
    consumer.on(consumer.events.CRASH, ({ payload }) => end(payload.error));
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      this.#joined(session, payload.memberAssignment[topic] ?? []);
    });
    consumer.on(consumer.events.REBALANCING, () => this.#revokeAll());
    const former = this.#options.isSoleMember ? await membersOf(admin, { groupId, clientId }) : [];
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    const session: Session = { client, admin, consumer, ended };
    const eachBatch = (payload: EachBatchPayload) => Promise.resolve(this.#onBatch(payload));
    const running = consumer.run({ autoCommit: false, partitionsConsumedConcurrently: 4, eachBatch });
    running.catch(end);
    const parts = { client, admin, clock: this.#clock, trace: this.#trace, signal: this.#end.signal };
    dismissFormer(parts, { groupId, clientId }, former).catch((error) => {
      this.#trace.emit("warn", "log.former_stays", { message: String(error) });
    });
    return session;
  }

  /** Synchronous: nothing may be fetched before the caller has named its position. */
  #joined(session: Session, partitions: readonly number[]): void {
    if (this.#isClosed) return;
    session.consumer.pause([{ topic: this.#options.topic, partitions: [...partitions] }]);
    const added = partitions.find((partition) => partition >= this.partitions);
    if (added !== undefined) {
      try {
        checkPartitions(this.#options, added + 1);
      } catch (error) {
        return this.#refuse(error as LogRefused);
      }
    }
    this.#revokeAll();
    this.#session = session;
    this.#everUp = true;
    this.#given = partitions;
    const generation = ++this.#generation;
    this.#trace.emit("info", "log.assigned", { partitions: partitions.join(",") });
    this.#tell(async (assignments) => {
      if (generation !== this.#generation || this.#isClosed) return;
      for (const partition of partitions) {
        this.#slots.set(partition, {
          partition,
          records: [],
          bytes: 0,
          next: -1,
          fetchNext: -1,
          isDoubtful: false,
          isPaused: true,
          lookedMs: this.#clock.monotonicMs(),
          wake: null,
        });
      }
      if (partitions.length > 0) await assignments.assigned(partitions);
      this.#firstAssignment.resolve();
    });
  }

  /** The group takes back what it gave; the caller hears of it before its reads end. */
  #revokeAll(): void {
    const partitions = this.#given;
    if (partitions.length === 0) return;
    this.#given = [];
    this.#generation++;
    this.#hints.clear();
    this.#tell(async (assignments) => {
      const told = partitions.filter((partition) => this.#slots.has(partition));
      const revoked = told.length === 0 ? Promise.resolve() : assignments.revoked(told);
      for (const partition of told) {
        const slot = this.#slots.get(partition);
        this.#slots.delete(partition);
        slot?.wake?.();
      }
      await revoked;
    });
  }

  /** Calls of the caller's come one at a time. One that throws ends the reading: the caller's own reads say why. */
  #tell(call: (assignments: Assignments) => Promise<void>): void {
    const { signal } = this.#end;
    this.#telling = this.#telling.then(async () => {
      if (signal.aborted || this.#assignments === null) return;
      await call(this.#assignments);
    }).catch((error) => {
      this.#firstAssignment.reject(error);
      this.#fail(error);
    });
  }

  /** No session any more, for now or for good. Partitions stay ours until another assignment says otherwise. */
  #fail(failure: Error): void {
    const wasUp = this.#session !== null;
    this.#failure = failure;
    this.#session = null;
    for (const slot of this.#slots.values()) {
      this.#drop(slot);
      slot.next = -1;
    }
    this.#wakeAll();
    if (failure instanceof LogRefused) {
      this.#firstAssignment.reject(failure);
      this.#trace.emit("error", "log.refused", { message: failure.message });
    } else if (wasUp) {
      this.#trace.emit("warn", "log.reader_down", { message: failure.message });
    }
  }

  /** It is no longer our log: reads say so from now on. */
  #refuse(failure: LogRefused): void {
    const session = this.#session;
    this.#fail(failure);
    session?.client.cut();
    void session?.consumer.stop().catch(() => {});
  }
}

/** Whether the broker takes no session as short as the one that was asked for. */
const isSessionRefused = (error: unknown) =>
  error instanceof Error &&
  [error, error.cause].some((each) =>
    (each as { type?: unknown } | undefined)?.type === "INVALID_SESSION_TIMEOUT"
  );

/** What a range says of an offset, null when it is one of the log's. */
function outcomeAt(
  offset: number,
  { earliest, next }: { earliest: number; next: number },
): ReadOutcome | null {
  if (offset < earliest) return { kind: "expired", earliest };
  if (offset > next) return { kind: "beyond_end", next };
  return null;
}

const decoder = new TextDecoder();

function recordOf(partition: number, message: KafkaMessage): LogRecord {
  const { key, value } = message;
  const headers: Record<string, string> = {};
  for (const [name, content] of Object.entries(message.headers ?? {})) {
    const last = Array.isArray(content) ? content.at(-1) : content;
    if (last !== undefined && last !== null) {
      headers[name] = typeof last === "string" ? last : decoder.decode(last);
    }
  }
  return {
    partition,
    offset: Number(message.offset),
    appendMs: Number(message.timestamp),
    key: key === null ? null : decoder.decode(key),
    value: value === null ? null : new Uint8Array(value.buffer, value.byteOffset, value.byteLength),
    headers,
  };
}

/** Bytes that a fetched record takes, about. */
const sizeOf = ({ key, value }: LogRecord) => 200 + (key?.length ?? 0) + (value?.length ?? 0);
