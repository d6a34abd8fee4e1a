/**
 * Reading from Kafka by position, in a consumer group that only proposes owners: `session.ts` keeps the membership,
 * `partition.ts` fetches, and this joins the two behind the port.
 *
 * *Positions are the caller's.* Committed offsets are never read, only written as a hint.
 *
 * *Another log is noticed.* A broker that doesn't have an offset says so; then, and every two seconds without a record, the
 * partition's range is looked at, whose answer is `expired` or `beyond_end`.
 *
 * *Rebalances.* The group's protocol is eager, this reader isn't: partitions that are ours before and after stay so, and
 * are read on while the group makes up its mind. What goes to another is read on as well until the caller lets go of it,
 * which is when it has read the other's owner record.
 *
 * *A consumer that crashes is replaced*, not restarted. Until the next one has joined, partitions stay ours and reads
 * reject with `LogUnavailable`.
 */
import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/ports/clock.ts";
import {
  type Assignments,
  type LogReader,
  LogRefused,
  LogUnavailable,
  type ReadLimits,
  type ReadOutcome,
} from "../../core/ports/log.ts";
import type { Trace } from "../../core/ports/trace.ts";
import { RETRY_AFTER_MS } from "../deadline.ts";
import { KafkaClient, kafkaFailure, nameOf, within } from "./client.ts";
import { clientIdOf, leaveFor, membersOf } from "./group.ts";
import { KafkaPartition, LOOK_MS_MAX } from "./partition.ts";
import { isSessionRefused, type MemberOptions, openSession, type Session } from "./session.ts";
import { checkPartitions } from "./topic.ts";
import { sleepUntilWoken } from "../sleeper.ts";

export interface KafkaReaderOptions extends MemberOptions {
  /**
   * How long the group waits for a member that went silent before its partitions go to others. Where the broker takes
   * nothing below 6 s, it becomes that.
   */
  readonly sessionMs: number;
}

/** The shortest session that a broker of default settings takes (`group.min.session.timeout.ms`). */
const SESSION_MS_STOCK = 6_000;
const RECONNECT_MS = 250;
const CONNECT_MS_MAX = 8_000;
const GOODBYE_MS = 2_000;
/** Positions are told to the group so often at the most. */
const HINT_MS = 5_000;

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
  readonly #slots = new Map<number, KafkaPartition>();
  /** Partitions that have gone to others and are read on until the caller lets go of them; which time, each. */
  readonly #leaving = new Map<number, symbol>();
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
      const outcome = slot.take(limits);
      slot.fetchAhead(this.#session.admin);
      if (outcome !== null) return outcome;
      const failure = slot.takeFailure();
      if (failure !== null) throw failure;
      const leftMs = deadlineMs - this.#clock.monotonicMs();
      const isOver = leftMs <= 0 || limits.signal?.aborted === true;
      if (!isOver) await sleepUntilWoken(this.#clock, slot, leftMs, limits.signal);
      else if (!slot.isLookDue()) return { kind: "records", records: [] };
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

  async leave(): Promise<boolean> {
    const session = this.#session;
    if (session === null) return false;
    const left = async () => {
      const { groups } = await session.admin.describeGroups([this.#options.groupId]);
      if ((groups[0]?.members.length ?? 0) < 2) return false;
      await session.consumer.stop();
      return true;
    };
    return await within(this.#clock, GOODBYE_MS, "leave the group", left()).catch(() => false);
  }

  async dismiss(worker: string): Promise<void> {
    const session = this.#session;
    if (session === null) throw this.#failure;
    const { groupId } = this.#options;
    const dismissed = async () => {
      const members = await membersOf(session.admin, { groupId, clientId: clientIdOf(worker) });
      if (members.length > 0) await leaveFor(session.client, groupId, members);
      this.#trace.emit("info", "log.dismissed", { worker, members: members.length });
    };
    try {
      await within(this.#clock, LOOK_MS_MAX, `dismiss ${worker}`, dismissed());
    } catch (error) {
      throw kafkaFailure(error, "reach the group of", this.#options);
    }
  }

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
    for (const slot of this.#slots.values()) slot.drop();
    this.#wakeAll();
  }

  // Reading.

  /** Makes `offset` the next one. Null when that is done, else the outcome. */
  async #seek(slot: KafkaPartition, offset: number): Promise<ReadOutcome | null> {
    const session = this.#session;
    slot.drop();
    const outcome = outcomeAt(offset, await this.range(slot.partition));
    if (outcome !== null) return outcome;
    // Another session or generation meanwhile: start over.
    const isStillOurs = session !== null && session === this.#session &&
      this.#slots.get(slot.partition) === slot;
    if (isStillOurs) slot.seek(offset);
    return null;
  }

  /** Looks whether the next offset is still one of this log. */
  async #look(slot: KafkaPartition): Promise<ReadOutcome | null> {
    slot.looks();
    const outcome = outcomeAt(slot.next, await this.range(slot.partition));
    if (outcome === null) slot.isAssured();
    return outcome;
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
        const session = await within(this.#clock, CONNECT_MS_MAX, "connect", this.#open(client));
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

  #open(client: KafkaClient): Promise<Session> {
    return openSession(this.#options, {
      client,
      sessionMs: this.#sessionMs,
      mustExist: this.#everUp,
      signal: this.#end.signal,
      joined: (session, partitions) => this.#joined(session, partitions),
    });
  }

  /** Synchronous: nothing may be fetched before the caller has named its position. */
  #joined(session: Session, partitions: readonly number[]): void {
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
      // What is given may have changed since, while the caller took its time: then another call of this is waiting.
      const given = this.#given;
      for (const partition of this.#slots.keys()) {
        if (!given.includes(partition) && !this.#leaving.has(partition)) {
          this.#takeBack(assignments, partition);
        }
      }
      for (const partition of given) {
        this.#leaving.delete(partition);
        if (this.#slots.has(partition)) continue;
        this.#slots.set(partition, new KafkaPartition(partition, this.#options));
      }
      if (given.length > 0) await assignments.assigned(given);
      this.#firstAssignment.resolve();
    });
  }

  /** The caller reads on until it has heard of the next owner. Not waited for: it takes what is given to it meanwhile. */
  #takeBack(assignments: Assignments, partition: number): void {
    const time = Symbol();
    this.#leaving.set(partition, time);
    assignments.revoked([partition]).then(() => {
      if (this.#leaving.get(partition) !== time) return; // given to us again
      this.#leaving.delete(partition);
      const slot = this.#slots.get(partition);
      this.#slots.delete(partition);
      slot?.drop();
      slot?.wake?.();
    }, (error) => this.#fail(error));
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
    for (const slot of this.#slots.values()) slot.drop();
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

/** What a range says of an offset, null when it is one of the log's. */
function outcomeAt(
  offset: number,
  { earliest, next }: { earliest: number; next: number },
): ReadOutcome | null {
  if (offset < earliest) return { kind: "expired", earliest };
  if (offset > next) return { kind: "beyond_end", next };
  return null;
}
