/**
 * Reading from Redis by position. A read is one call of a script, which compares the log's identity each time; a reader
 * that has come to the end sleeps until the appender's message wakes it (`PUBLISH` in the same script), and looks every
 * two seconds all the same.
 *
 * *A hole is told.* Offsets are dense, so a record that is missing was removed by somebody: it is `expired`, and the gap
 * goes into the ledger or stops the start, as with any retention.
 *
 * *Removal.* With `retentionMs`, this reader removes what is older, but only what its caller has called settled: rows are
 * published then, and no other worker will ask for it again. The last settled record stays, so that the log can be
 * recognised.
 *
 * *A connection that breaks is replaced.* Until the next one, partitions stay ours and reads reject with
 * `LogUnavailable`. Whoever was silent for too long was taken for gone, and starts over with what it is given then.
 */
import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/ports/clock.ts";
import {
  type Assignments,
  type LogReader,
  type LogRecord,
  LogRefused,
  LogUnavailable,
  type ReadLimits,
  type ReadOutcome,
} from "../../core/ports/log.ts";
import type { Trace } from "../../core/ports/trace.ts";
import { before, RETRY_AFTER_MS } from "../deadline.ts";
import { nameOf, RedisConnection, redisFailure, type RedisReply } from "./client.ts";
import { shareOf } from "./group.ts";
import { memberScript, rangeScript, readScript, trimScript } from "./scripts.ts";
import { checkServer, type RedisNeeds, settleLog } from "./server.ts";
import { sleepUntilWoken } from "../sleeper.ts";

export interface RedisReaderOptions extends RedisNeeds {
  readonly group: string;
  /** Name of this reader, one that no other living one has. */
  readonly member: string;
  /** After so long without a word, a reader's partitions go to others. */
  readonly sessionMs: number;
  /** Settled records older than this are removed; null keeps all. */
  readonly retentionMs: number | null;
  /** For a log that is made. */
  readonly newIdentity: string;
  readonly clock: Clock;
  readonly trace: Trace;
}

/** A call that takes longer counts as a log that is away. */
const CALL_MS_MAX = 3_000;
const CONNECT_MS_MAX = 8_000;
const RECONNECT_MS = 250;
/** Without a message, the end is looked at so often. */
const LOOK_MS = 2_000;
const GOODBYE_MS = 1_000;
/** A partition's old records are removed so often at the most. */
const TRIM_EVERY_MS = 10_000;

/** An assigned partition. */
interface Slot {
  readonly partition: number;
  /** The last record read: reading on needs no search. */
  last: { readonly offset: number; readonly id: string } | null;
  /** Counts the appender's messages. */
  version: number;
  trimDueMs: number;
  wake: (() => void) | null;
}

interface Session {
  readonly connection: RedisConnection;
  /** Only listens. */
  readonly listener: RedisConnection;
  readonly identity: string;
  readonly shas: Readonly<Record<"member" | "range" | "read" | "trim", string>>;
  readonly ended: Promise<unknown>;
  readonly end: (reason: unknown) => void;
}

export class RedisReader implements LogReader {
  readonly partitions: number;
  readonly #options: RedisReaderOptions;
  readonly #clock: Clock;
  readonly #trace: Trace;
  #assignments: Assignments | null = null;
  #session: Session | null = null;
  #failure: Error;
  readonly #slots = new Map<number, Slot>();
  #identity: string | null = null;
  #isClosed = false;
  readonly #end = new AbortController();
  #wakeMember: (() => void) | null = null;
  /** Members have come or gone since we asked for them. */
  #hasNews = false;
  /** Partitions that are to be ours; null when the caller has been told. */
  #wanted: readonly number[] | null = null;
  #wantsAnew = false;
  #isSharing = false;
  readonly #firstAssignment = Promise.withResolvers<void>();

  constructor(options: RedisReaderOptions) {
    this.partitions = options.partitions;
    this.#options = options;
    this.#clock = options.clock;
    this.#trace = options.trace;
    this.#failure = new LogUnavailable(`${nameOf(options)} is not connected yet`, RETRY_AFTER_MS);
    this.#firstAssignment.promise.catch(() => {});
  }

  join(assignments: Assignments): Promise<void> {
    assert(this.#assignments === null, "a reader joins once");
    this.#assignments = assignments;
    if (this.#isClosed) return Promise.resolve();
    void this.#keepSession();
    return this.#firstAssignment.promise;
  }

  async range(partition: number): Promise<{ readonly earliest: number; readonly next: number }> {
    assert(partition >= 0 && partition < this.partitions, "a partition of the log");
    const [earliest, next] = await this.#call("range", partition, []) as readonly number[];
    return { earliest: earliest!, next: next! };
  }

  async read(partition: number, offset: number, limits: ReadLimits): Promise<ReadOutcome> {
    const deadlineMs = this.#clock.monotonicMs() + limits.waitMs;
    for (;;) {
      const slot = this.#slots.get(partition);
      if (this.#isClosed || slot === undefined) return { kind: "revoked" };
      const { version } = slot;
      const outcome = await this.#fetch(slot, offset, limits);
      if (this.#isClosed || this.#slots.get(partition) !== slot) return { kind: "revoked" };
      const leftMs = deadlineMs - this.#clock.monotonicMs();
      const isOver = leftMs <= 0 || limits.signal?.aborted === true;
      if (outcome.kind !== "records" || outcome.records.length > 0 || isOver) return outcome;
      if (slot.version === version) {
        await sleepUntilWoken(this.#clock, slot, Math.min(leftMs, LOOK_MS), limits.signal);
      }
    }
  }

  hint(): void {}

  settled(partition: number, nextOffset: number): void {
    const slot = this.#slots.get(partition);
    const { retentionMs, replay } = this.#options;
    const nowMs = this.#clock.monotonicMs();
    if (retentionMs === null || replay || nextOffset < 1 || slot === undefined || nowMs < slot.trimDueMs) {
      return;
    }
    slot.trimDueMs = nowMs + TRIM_EVERY_MS;
    this.#call("trim", partition, [String(nextOffset), String(retentionMs)]).then(
      (removed) => this.#trace.emit("debug", "log.trimmed", { partition, removed: Number(removed) }),
      () => {}, // tried again with what is settled next
    );
  }

  async dismiss(worker: string): Promise<void> {
    if (this.#session === null) throw this.#failure;
    await this.#say(this.#session, 0, worker);
    this.#trace.emit("info", "log.dismissed", { worker });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    const session = this.#session;
    const goodbye: Promise<unknown> = session === null
      ? Promise.resolve()
      : this.#say(session, 0, this.#options.member);
    this.#endReading();
    await before(this.#clock, GOODBYE_MS, "can't say goodbye: no answer", goodbye).catch(() => {});
    if (session !== null) cut(session);
  }

  /** Ends as a killed process does: without leaving the group. */
  kill(): void {
    if (this.#session !== null) cut(this.#session);
    this.#endReading();
  }

  #endReading(): void {
    this.#isClosed = true;
    this.#end.abort();
    this.#firstAssignment.resolve();
    this.#wakeMember?.();
    this.#wakeAll();
  }

  // Reading.

  async #call(
    script: "range" | "read" | "trim",
    partition: number,
    more: readonly string[],
  ): Promise<RedisReply> {
    const session = this.#session;
    if (session === null) throw this.#failure;
    const { name } = this.#options;
    const args = ["EVALSHA", session.shas[script], "2", name, `${name}:${partition}`];
    const answer = session.connection.bytes([...args, session.identity, String(partition), ...more]);
    try {
      return await before(
        this.#clock,
        CALL_MS_MAX,
        `can't read ${nameOf(this.#options)}: Redis did not answer`,
        answer,
      );
    } catch (error) {
      const failure = redisFailure(error, "read", this.#options);
      if (this.#session === session) session.end(failure);
      throw failure;
    }
  }

  async #fetch(slot: Slot, offset: number, { recordsMax, bytesMax }: ReadLimits): Promise<ReadOutcome> {
    const after = slot.last?.offset === offset - 1 ? slot.last.id : "";
    const bounds = [String(Math.max(1, recordsMax)), String(Number.isFinite(bytesMax) ? bytesMax : 2 ** 53)];
    const [next, earliest, entries] = await this.#call(
      "read",
      slot.partition,
      [String(offset), after, ...bounds],
    ) as readonly [number, number, readonly Entry[]];
    if (offset > next) return { kind: "beyond_end", next };
    if (offset < earliest) return { kind: "expired", earliest };
    const records: LogRecord[] = [];
    for (const entry of entries) {
      const record = recordOf(slot.partition, entry);
      if (record.offset !== offset + records.length) {
        // A hole: what lies before it is given now, and the hole itself is met by the next read.
        if (records.length === 0) return { kind: "expired", earliest: record.offset };
        break;
      }
      records.push(record);
      slot.last = { offset: record.offset, id: String(entry[0]) };
    }
    if (records.length === 0 && offset < next) return { kind: "expired", earliest: next };
    return { kind: "records", records };
  }

  #wakeAll(): void {
    for (const slot of this.#slots.values()) slot.wake?.();
  }

  // The group.

  async #keepSession(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted && !(this.#failure instanceof LogRefused)) {
      let reason: unknown;
      const opened: RedisConnection[] = [];
      try {
        const sentence = `can't connect to ${nameOf(this.#options)}: Redis did not answer`;
        const session = await before(this.#clock, CONNECT_MS_MAX, sentence, this.#connect(opened));
        if (!signal.aborted) {
          this.#session = session;
          reason = await Promise.race([session.ended, this.#keepMembership(session)]);
        }
      } catch (error) {
        reason = error;
      }
      if (signal.aborted) {
        // A close says goodbye first, and cuts then.
        if (this.#session === null) opened.forEach((connection) => connection.cut());
        break;
      }
      opened.forEach((connection) => connection.cut());
      this.#fail(reason instanceof Error ? this.#failureOf(reason) : new Error(String(reason)));
      if (!(this.#failure instanceof LogRefused)) await this.#clock.sleep(RECONNECT_MS, signal);
    }
  }

  #failureOf(reason: Error): Error {
    return redisFailure(reason, "read", this.#options);
  }

  async #connect(opened: RedisConnection[]): Promise<Session> {
    const { promise: ended, resolve: end } = Promise.withResolvers<unknown>();
    const connection = new RedisConnection(this.#options, end);
    const listener = new RedisConnection(this.#options, end);
    opened.push(connection, listener);
    await connection.connect();
    await checkServer(connection, this.#options);
    const mustExist = this.#identity !== null;
    const identity = await settleLog(connection, this.#options, this.#options.newIdentity, mustExist);
    this.#identity ??= identity;
    if (identity !== this.#identity) {
      throw new LogRefused(
        `${
          nameOf(this.#options)
        } was deleted and made anew while it was read: bring the old one back, or start again`,
      );
    }
    const load = async (script: string) => String(await connection.text(["SCRIPT", "LOAD", script]));
    const shas = {
      member: await load(memberScript),
      range: await load(rangeScript),
      read: await load(readScript),
      trim: await load(trimScript),
    };
    await listener.connect();
    await listener.subscribe(`${this.#options.name}:appended`, (message) => this.#onMessage(message));
    return { connection, listener, identity, shas, ended, end };
  }

  /** A partition's number, or that members have come or gone. */
  #onMessage(message: string): void {
    if (message === "members") {
      this.#hasNews = true;
      return this.#wakeMember?.();
    }
    const slot = this.#slots.get(Number(message));
    if (slot === undefined) return;
    slot.version++;
    slot.wake?.();
  }

  /** Says that we are there, and takes and gives what the group's members make of it. Ends with the session. */
  async #keepMembership(session: Session): Promise<never> {
    const { signal } = this.#end;
    for (;;) {
      this.#hasNews = false;
      const { isKnown, members } = await this.#say(session, this.#options.sessionMs, this.#options.member);
      this.#wantsAnew ||= !isKnown;
      this.#wanted = shareOf(this.#options.member, members, this.partitions);
      if (!this.#isSharing) void this.#keepShare();
      await new Promise<void>((resolve) => {
        if (this.#hasNews) return resolve();
        const cancel = this.#clock.after(this.#options.sessionMs / 3, resolve);
        this.#wakeMember = () => {
          cancel();
          resolve();
        };
      });
      this.#wakeMember = null;
      if (signal.aborted) throw new Error("the reader is closed");
    }
  }

  /** Says that a member is there for so long, or with 0 that it is gone. */
  async #say(
    session: Session,
    ms: number,
    member: string,
  ): Promise<{ isKnown: boolean; members: readonly string[] }> {
    const { name, group } = this.#options;
    const answer = session.connection.text(
      ["EVALSHA", session.shas.member, "1", `${name}:group:${group}`, member, String(ms), `${name}:appended`],
    );
    const sentence = `can't reach ${nameOf(this.#options)}: Redis did not answer`;
    const [known, members] = await before(this.#clock, CALL_MS_MAX, sentence, answer) as [number, string[]];
    return { isKnown: known === 1, members };
  }

  /** Gives the caller what the group has come to, the newest if that changes meanwhile: he may take his time. */
  async #keepShare(): Promise<void> {
    this.#isSharing = true;
    try {
      while (this.#wanted !== null && !this.#isClosed) {
        const [share, anew] = [this.#wanted, this.#wantsAnew];
        this.#wanted = null;
        this.#wantsAnew = false;
        await this.#share(share, anew);
      }
    } catch (error) {
      this.#firstAssignment.reject(error);
      this.#session?.end(error);
    } finally {
      this.#isSharing = false;
    }
  }

  /** Calls of the caller's come one at a time: what we lose first (all, if the group took us for gone), then what we gain. */
  async #share(share: readonly number[], anew: boolean): Promise<void> {
    const assignments = this.#assignments;
    if (assignments === null) return;
    const lost = [...this.#slots.keys()].filter((partition) => anew || !share.includes(partition));
    if (lost.length > 0) {
      const revoked = assignments.revoked(lost);
      for (const partition of lost) {
        const slot = this.#slots.get(partition);
        this.#slots.delete(partition);
        slot?.wake?.();
      }
      await revoked;
    }
    const gained = share.filter((partition) => !this.#slots.has(partition));
    for (const partition of gained) {
      this.#slots.set(partition, { partition, last: null, version: 0, trimDueMs: 0, wake: null });
    }
    if (gained.length > 0) {
      this.#trace.emit("info", "log.assigned", { partitions: share.join(",") });
      await assignments.assigned(gained);
    }
    this.#firstAssignment.resolve();
  }

  /** No session any more, for now or for good. Partitions stay ours until the group says otherwise. */
  #fail(failure: Error): void {
    const wasUp = this.#session !== null;
    this.#failure = failure;
    this.#session = null;
    for (const slot of this.#slots.values()) slot.last = null;
    this.#wakeAll();
    if (failure instanceof LogRefused) {
      this.#firstAssignment.reject(failure);
      this.#trace.emit("error", "log.refused", { message: failure.message });
    } else if (wasUp) {
      this.#trace.emit("warn", "log.reader_down", { message: failure.message });
    }
  }
}

function cut({ connection, listener }: Session): void {
  connection.cut();
  listener.cut();
}

/** An entry of a stream: id, then fields and values. */
type Entry = readonly [RedisReply, readonly RedisReply[]];

function recordOf(partition: number, [id, fields]: Entry): LogRecord {
  let offset = -1;
  let appendMs = Number.parseInt(String(id));
  let key: string | null = null;
  let value: Uint8Array | null = null;
  const headers: Record<string, string> = {};
  for (let i = 0; i < fields.length; i += 2) {
    const name = String(fields[i]);
    const content = fields[i + 1] as Uint8Array;
    if (name === "offset") offset = Number(String(content));
    else if (name === "key") key = String(content);
    else if (name === "value") value = new Uint8Array(content.buffer, content.byteOffset, content.byteLength);
    else if (name === "time") appendMs = Number(String(content));
    else if (name.startsWith("h:")) headers[name.slice(2)] = String(content);
  }
  return { partition, offset, appendMs, key, value, headers };
}
