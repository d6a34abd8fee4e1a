/**
 * Reading from Kafka by position, in a consumer group that only proposes owners.
 *
 * kafkajs keeps the group and never fetches: every partition is paused from the moment it is given to us (synchronously
 * in `GROUP_JOIN`) for as long as we have it. Records come by a fetch of our own (`kafka_fetch.ts`) over one connection a
 * partition, one answer ahead: while the caller works on one, the next is under way into the other of two buffers.
 *
 * *Positions are the caller's.* Committed offsets are never read, only written as a hint.
 *
 * *Another log is noticed.* A broker that doesn't have an offset says so; then, and every two seconds without a record, the
 * partition's range is looked at, whose answer is `expired` or `beyond_end`.
 *
 * *Rebalances.* The group's protocol is eager, this reader isn't: partitions that are ours before and after stay so, and
 * are read on while the group makes up its mind. What goes to another is taken back when we hear of it; by then the other
 * may have started. That is what owner records are for.
 *
 * *A consumer that crashes is replaced*, not restarted. Until the next one has joined, partitions stay ours and reads
 * reject with `LogUnavailable`.
 */
import type { Admin, Consumer } from "kafkajs";
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
import { fetchErrors, KafkaFetch, ReusedRecords } from "./kafka_fetch.ts";
import { FetchedRecords } from "./kafka_records.ts";
import { checkPartitions, settleTopic, type TopicNeeds } from "./kafka_topic.ts";
import { sleepUntilWoken } from "./sleeper.ts";

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

/** Record batches of one answer: a catch-up's transaction. Two such buffers a partition at the most. */
const FETCH_BYTES_MAX = 4 * 2 ** 20;
/** The longest that a broker holds a fetch without records. */
const FETCH_WAIT_MS = 500;
/**
 * After an answer of fewer bytes the next is asked for so much later: a transaction costs the same for one record as for
 * a hundred, so live records are taken in groups. It is the longest that it holds a record up.
 */
const SMALL_ANSWER_BYTES = 65_536;
const SMALL_EVERY_MS = 15;
/** The longest that kafkajs's loop, which has nothing to fetch, sleeps between heartbeats. */
const PAUSED_WAIT_MS = 100;
const REBALANCE_MS = 20_000;
/** So long it takes a member at the most to hear that the group is being shared out anew. */
const HEARTBEAT_MS = 250;
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
  /** Offset that the next read gets; −1 before the first. */
  next: number;
  /** What is read from, and how much of it was; null while there is nothing. */
  current: Fetched | null;
  taken: number;
  /** Another answer that has come, to be read next. */
  ahead: Fetched | null;
  /** Buffers that nothing is read from. */
  readonly free: Fetched[];
  /** Offset of the next fetch. */
  fetchNext: number;
  isFetching: boolean;
  /** The next fetch is not before that. */
  fetchDueMs: number;
  cancelFetch: (() => void) | null;
  /** Which fetches count: one that was started under an older number is let go of. */
  epoch: number;
  connection: KafkaFetch | null;
  /** Why the last fetch failed; told to the next read. */
  failure: Error | null;
  /** The broker doesn't have the offset: look at the range before anything is read. */
  isDoubtful: boolean;
  lookedMs: number;
  wake: (() => void) | null;
}

type Fetched = ReusedRecords;

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
      const outcome = this.#take(slot, limits);
      this.#fetchAhead(slot);
      if (outcome !== null) return outcome;
      if (slot.failure !== null) {
        const failure = slot.failure;
        slot.failure = null;
        throw failure;
      }
      const leftMs = deadlineMs - this.#clock.monotonicMs();
      const isOver = leftMs <= 0 || limits.signal?.aborted === true;
      if (!isOver) await sleepUntilWoken(this.#clock, slot, leftMs, limits.signal);
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
    for (const slot of this.#slots.values()) this.#drop(slot);
    this.#wakeAll();
  }

  // Reading.

  /** Makes `offset` the next one. Null when that is done, else the outcome. */
  async #seek(slot: Slot, offset: number): Promise<ReadOutcome | null> {
    const session = this.#session;
    this.#drop(slot);
    const outcome = outcomeAt(offset, await this.range(slot.partition));
    if (outcome !== null) return outcome;
    // Another session or generation meanwhile: start over.
    if (session === null || session !== this.#session || this.#slots.get(slot.partition) !== slot) {
      return null;
    }
    slot.next = slot.fetchNext = offset;
    slot.isDoubtful = false;
    slot.lookedMs = this.#clock.monotonicMs();
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

  /** Records that have come; null if there are none. */
  #take(slot: Slot, limits: ReadLimits): ReadOutcome | null {
    if (slot.current !== null && slot.taken === slot.current.records.length) {
      slot.free.push(slot.current); // its reader has come back, so it is done with it
      slot.current = null;
    }
    if (slot.current === null) {
      if (slot.ahead === null) return null;
      [slot.current, slot.ahead, slot.taken] = [slot.ahead, null, 0];
    }
    const { records } = slot.current;
    const from = slot.taken;
    let [to, bytes] = [from, 0];
    while (
      to < records.length && (to === from || (to - from < limits.recordsMax && bytes < limits.bytesMax))
    ) {
      bytes += records.starts[to]! < 0 ? 0 : records.ends[to]! - records.starts[to]!;
      to++;
    }
    slot.taken = to;
    slot.next = records.offsets[to - 1]! + 1;
    slot.lookedMs = this.#clock.monotonicMs();
    if (limits.blocks === true) return { kind: "block", block: records.part(from, to) };
    return { kind: "records", records: Array.from({ length: to - from }, (_, i) => kept(records, from + i)) };
  }

  /** Sees to it that a fetch is under way while there is a free buffer. Its failure is told to the next read. */
  #fetchAhead(slot: Slot): void {
    const session = this.#session;
    if (slot.isFetching || slot.ahead !== null || slot.failure !== null || session === null) return;
    if (slot.fetchNext < 0 || slot.isDoubtful || slot.cancelFetch !== null) return;
    const dueInMs = slot.fetchDueMs - this.#clock.monotonicMs();
    if (dueInMs > 0) {
      slot.cancelFetch = this.#clock.after(dueInMs, () => {
        slot.cancelFetch = null;
        this.#fetchAhead(slot);
      });
      return;
    }
    const into = slot.free.pop() ?? new ReusedRecords(new FetchedRecords(slot.partition));
    const { epoch, fetchNext } = slot;
    slot.isFetching = true;
    this.#fetch(session, slot, fetchNext, into).then((error) => {
      if (epoch !== slot.epoch) return;
      slot.isFetching = false;
      if (error === fetchErrors.none) {
        slot.fetchNext = into.records.nextOffset;
        if (into.size < SMALL_ANSWER_BYTES) slot.fetchDueMs = this.#clock.monotonicMs() + SMALL_EVERY_MS;
        if (into.records.length > 0) slot.ahead = into;
        else slot.free.push(into);
        // Records further on than asked for come behind a transaction's marker, which is fine.
        if (into.records.length === 0 && slot.wake !== null) this.#fetchAhead(slot);
      } else if (error === fetchErrors.offsetOutOfRange) {
        slot.free.push(into);
        slot.isDoubtful = true;
      } else {
        this.#disconnect(slot);
        slot.failure = fetchFailure(error, this.#options);
      }
      if (slot.ahead !== null || slot.isDoubtful || slot.failure !== null) slot.wake?.();
    }, (error) => {
      if (epoch !== slot.epoch) return;
      slot.isFetching = false;
      this.#disconnect(slot);
      slot.failure = kafkaFailure(error, "read", this.#options);
      slot.wake?.();
    });
  }

  async #fetch(session: Session, slot: Slot, offset: number, into: Fetched): Promise<number> {
    const { epoch } = slot;
    if (slot.connection === null) {
      const connection = await this.#connectToLeader(session, slot.partition);
      if (epoch !== slot.epoch) connection.close();
      else slot.connection = connection;
    }
    if (slot.connection === null) throw new Error("the partition was given up");
    return await slot.connection.fetch(offset, { waitMs: FETCH_WAIT_MS, bytesMax: FETCH_BYTES_MAX }, into);
  }

  async #connectToLeader(session: Session, partition: number): Promise<KafkaFetch> {
    const { topic, clientId } = this.#options;
    const asked = Promise.all([
      session.admin.fetchTopicMetadata({ topics: [topic] }),
      session.admin.describeCluster(),
    ]);
    const [{ topics }, { brokers }] = await within(this.#clock, LOOK_MS_MAX, `find ${topic}'s leader`, asked);
    const found = topics[0]?.partitions.find(({ partitionId }) => partitionId === partition);
    const leader = brokers.find(({ nodeId }) => nodeId === found?.leader);
    if (leader === undefined) throw new Error(`partition ${partition} has no leader`);
    return await KafkaFetch.connect(
      { hostname: leader.host, port: leader.port, topic, partition, clientId },
      this.#clock,
    );
  }

  #disconnect(slot: Slot): void {
    slot.connection?.close();
    slot.connection = null;
  }

  /** Lets go of what was fetched and of the fetch under way. */
  #drop(slot: Slot): void {
    slot.epoch++;
    slot.cancelFetch?.();
    slot.cancelFetch = null;
    slot.fetchDueMs = -Infinity;
    this.#disconnect(slot);
    slot.current = slot.ahead = slot.failure = null;
    slot.isFetching = slot.isDoubtful = false;
    slot.next = slot.fetchNext = -1;
  }

  #wakeAll(): void {
    for (const slot of this.#slots.values()) slot.wake?.();
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
      heartbeatInterval: Math.min(HEARTBEAT_MS, Math.floor(sessionMs / 5)),
      rebalanceTimeout: REBALANCE_MS,
      maxWaitTimeInMs: PAUSED_WAIT_MS,
      metadataMaxAge: METADATA_MS,
      allowAutoTopicCreation: false,
      retry: { ...kafkaRetry, restartOnFailure: () => Promise.resolve(false) },
    });
    consumer.on(consumer.events.CRASH, ({ payload }) => end(payload.error));
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      this.#joined(session, payload.memberAssignment[topic] ?? []);
    });
    const former = this.#options.isSoleMember ? await membersOf(admin, { groupId, clientId }) : [];
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    const session: Session = { client, admin, consumer, ended };
    const running = consumer.run({ autoCommit: false, eachBatch: () => Promise.resolve() });
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
    this.#session = session;
    this.#everUp = true;
    this.#given = partitions;
    this.#hints.clear();
    this.#trace.emit("info", "log.assigned", { partitions: partitions.join(",") });
    this.#tell(async (assignments) => {
      const gone = [...this.#slots.keys()].filter((partition) => !this.#given.includes(partition));
      if (gone.length > 0) await this.#takeBack(assignments, gone);
      // What is given may have changed while the caller put things away: then another call of this is waiting.
      const given = this.#given;
      for (const partition of given) {
        if (!this.#slots.has(partition)) this.#slots.set(partition, this.#newSlot(partition));
      }
      if (given.length > 0) await assignments.assigned(given);
      this.#firstAssignment.resolve();
    });
  }

  #newSlot(partition: number): Slot {
    return {
      partition,
      next: -1,
      current: null,
      taken: 0,
      ahead: null,
      free: [],
      fetchNext: -1,
      isFetching: false,
      fetchDueMs: -Infinity,
      cancelFetch: null,
      epoch: 0,
      connection: null,
      failure: null,
      isDoubtful: false,
      lookedMs: this.#clock.monotonicMs(),
      wake: null,
    };
  }

  /** The caller hears that partitions are no longer ours before its reads of them end. */
  async #takeBack(assignments: Assignments, partitions: readonly number[]): Promise<void> {
    const revoked = assignments.revoked(partitions);
    for (const partition of partitions) {
      const slot = this.#slots.get(partition);
      this.#slots.delete(partition);
      if (slot !== undefined) this.#drop(slot);
      slot?.wake?.();
    }
    await revoked;
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
    for (const slot of this.#slots.values()) this.#drop(slot);
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

/** Kafka's error codes that waiting doesn't mend are those of `kafkaFailure`; a fetch can meet one. */
function fetchFailure(error: number, place: TopicNeeds | KafkaReaderOptions): Error {
  if (error === fetchErrors.topicAuthorizationFailed) {
    return new LogRefused(`can't read ${nameOf(place)}: allow this client to describe and read the topic`);
  }
  return new LogUnavailable(`can't read ${nameOf(place)}: Kafka's error ${error}`, RETRY_AFTER_MS);
}

/** A record that outlives its block. */
function kept(records: FetchedRecords, index: number): LogRecord {
  const record = records.record(index);
  return { ...record, value: record.value === null ? null : record.value.slice() };
}
