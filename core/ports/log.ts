/**
 * The record log: partitions of records in offset order, each stamped by the log with its append time.
 *
 * Implementations: `platform/sqlite_log.ts` (embedded), `platform/kafka/log.ts`, `platform/redis/log.ts`, `sim/log.ts`
 * (with faults), all under the contract suite `core/testing/log_contract.ts`. What the records mean is no business of the
 * log's.
 */
import { assert } from "../assert.ts";
import { limits } from "../limits.ts";

/** One record as the log holds it. */
export interface LogRecord {
  readonly partition: number;
  /** Position in the partition; grows, but may skip numbers (a broker's own markers). */
  readonly offset: number;
  /** Unix ms by the log's clock as stored; may step back, the reader of a partition takes the running maximum. */
  readonly appendMs: number;
  readonly key: string | null;
  readonly value: Uint8Array | null;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Records of one partition in offset order that share one buffer: what a reader gives that makes no object for each.
 * Good until the caller lets go of it.
 */
export interface RecordBlock {
  readonly partition: number;
  readonly length: number;
  /** By number of record, as in {@link LogRecord}. */
  readonly offsets: Float64Array;
  readonly appendMs: Float64Array;
  /** Value `i` lies in `bytes` from `starts[i]` to `ends[i]`; a start of −1 says that there is none. */
  readonly bytes: Uint8Array;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** 1: it has a value, and its headers say nothing but version 1 of the format, or there are none. */
  readonly plain: Uint8Array;
  /** One of them as an object; its value is a part of `bytes`. */
  record(index: number): LogRecord;
  /** The first `count` of them. */
  head(count: number): RecordBlock;
}

/**
 * A record to append. `partition` is explicit: the caller has hashed the key (see `core/murmur2.ts`). The value has at
 * most `limits.batchBytesMax` bytes; an empty value is not the same as none.
 */
export interface NewRecord {
  readonly partition: number;
  readonly key: string | null;
  readonly value: Uint8Array | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** Where an appended record came to lie. */
export interface Appended {
  readonly partition: number;
  readonly offset: number;
  readonly appendMs: number;
}

/** The log can't take or give records now and may again later: answer 503, keep the position, try again. */
export class LogUnavailable extends Error {
  override name = "LogUnavailable";
  constructor(message: string, readonly retryAfterMs: number, options?: ErrorOptions) {
    super(message, options);
  }
}

/** The log is not what it has to be (another topic, other settings): a person has to act; the message says how. */
export class LogRefused extends Error {
  override name = "LogRefused";
}

export interface LogWriter {
  /** Number of partitions, fixed for the life of the log. */
  readonly partitions: number;
  /**
   * Appends all records, in order within a partition, and resolves when all are durable. Concurrent calls share a
   * commit. Rejects with {@link LogUnavailable} within the writer's deadline when the log is down, or at once when
   * more than the bounded queue waits: some of the records may be in the log even so, so a retry can append twice. A closed writer is unavailable.
   */
  append(records: readonly NewRecord[]): Promise<readonly Appended[]>;
  /** True while appends are expected to succeed; drives readiness. */
  available(): boolean;
  /** Bytes that wait for a commit; drives back-pressure. */
  pendingBytes(): number;
  /** Resolves when what waited is durable or refused; bounded by the writer's deadline. */
  close(): Promise<void>;
}

export interface ReadLimits {
  /** At most so many records; at least one is returned if there is one. */
  readonly recordsMax: number;
  /** Stop after the record that reaches so many value bytes. */
  readonly bytesMax: number;
  /** The caller takes a {@link RecordBlock} as well, if the reader has them. */
  readonly blocks?: boolean;
  /** How long to wait for the first record before returning none. */
  readonly waitMs: number;
  readonly signal?: AbortSignal;
}

export type ReadOutcome =
  /** Records at and after the asked offset, in order; none if the wait ended first. */
  | { readonly kind: "records"; readonly records: readonly LogRecord[] }
  /** The same in another form, if the caller takes it; never empty. */
  | { readonly kind: "block"; readonly block: RecordBlock }
  /** The asked offset is no longer kept; `earliest` is the first that is. */
  | { readonly kind: "expired"; readonly earliest: number }
  /** The log ends before the asked offset: it is not the log that was read before. */
  | { readonly kind: "beyond_end"; readonly next: number }
  /** The partition is not ours: never assigned, given to another worker, or the reader is closed. */
  | { readonly kind: "revoked" };

/**
 * Told which partitions this reader is to work on. Calls come one at a time and are awaited; a reader that lets revoked
 * partitions be read on doesn't wait for `revoked`.
 */
export interface Assignments {
  /**
   * From now on these are ours: load their state, then `read` from their position. May name some that are ours already:
   * then the log says so anew.
   */
  assigned(partitions: readonly number[]): Promise<void>;
  /**
   * No longer ours. Reads of them return `revoked` at once, or go on until this resolves, so that rows don't stand still
   * before the next owner begins; `assigned` may name them again meanwhile.
   */
  revoked(partitions: readonly number[]): Promise<void>;
}

export interface LogReader {
  readonly partitions: number;
  /**
   * Starts the assignment of partitions; an embedded log assigns all, a consumer group its share. Resolves when the first
   * are given out, which may take as long as the log is away, or when the reader is closed; rejects with
   * {@link LogRefused}.
   */
  join(assignments: Assignments): Promise<void>;
  /** First kept offset and the offset that the next record will get. */
  range(partition: number): Promise<{ readonly earliest: number; readonly next: number }>;
  /**
   * Reads an assigned partition by position, from within `assigned` on; any kept offset may be asked for again. One call
   * a partition at a time; several partitions may be read side by side. Ends early with what it has, maybe nothing, when
   * `limits.signal` aborts. Rejects with {@link LogUnavailable}, or {@link LogRefused} when it is no longer our log.
   */
  read(partition: number, offset: number, limits: ReadLimits): Promise<ReadOutcome>;
  /** A hint for the outside how far we are (a group's committed offset); never read back. May be ignored. */
  hint(partition: number, nextOffset: number): void;
  /**
   * What lies below `nextOffset` is in rows that are published, so that no worker will ask for it again: a log that
   * removes old records only when nobody needs them may remove it. May be ignored; never rejects.
   */
  settled(partition: number, nextOffset: number): void;
  /**
   * Tells the group that others shall have our partitions, and lets us read them on until we close. False if there is
   * nobody else, or nobody could be told; bounded, never rejects. A log without a group of workers has no such thing.
   */
  leave?(): Promise<boolean>;
  /**
   * Tells the group that the worker of this name is dead, so that its partitions go to others now and not when its
   * silence has lasted long enough; one that lives all the same joins again. Rejects with {@link LogUnavailable}.
   */
  dismiss?(worker: string): Promise<void>;
  /** Leaves and releases everything; bounded, never hangs. */
  close(): Promise<void>;
}

/** Both ends of one log; closing it closes both. */
export interface Log {
  readonly writer: LogWriter;
  readonly reader: LogReader;
  close(): Promise<void>;
}

/** Bytes that a record takes in a writer's queue; the constant stands for what the runtime keeps around it. */
export function queuedBytes(record: NewRecord): number {
  let bytes = 100 + (record.value?.length ?? 0) + 2 * (record.key?.length ?? 0);
  for (const name of Object.keys(record.headers)) {
    bytes += 2 * (name.length + (record.headers[name]?.length ?? 0));
  }
  return bytes;
}

/** The caller's side of {@link LogWriter.append}, checked by every implementation. */
export function assertAppendable(records: readonly NewRecord[], partitions: number): void {
  for (const { partition, value } of records) {
    assert(Number.isInteger(partition) && partition >= 0 && partition < partitions, "a partition of the log");
    assert(value === null || value.length <= limits.batchBytesMax, "a value that fits into a record");
  }
}
