/**
 * One partition of Kafka as it is read: fetched over a connection of its own (`fetch.ts`), one answer ahead. While the
 * caller works on one answer, the next is under way into the other of two buffers.
 */
import type { Admin } from "kafkajs";
import type { Clock } from "../../core/ports/clock.ts";
import {
  type LogRecord,
  LogRefused,
  LogUnavailable,
  type ReadLimits,
  type ReadOutcome,
} from "../../core/ports/log.ts";
import { RETRY_AFTER_MS } from "../deadline.ts";
import { kafkaFailure, type KafkaPlace, nameOf, within } from "./client.ts";
import { fetchErrors, KafkaFetch, ReusedRecords } from "./fetch.ts";
import { FetchedRecords } from "./records.ts";
import type { Sleeper } from "../sleeper.ts";
import { SMALL_ANSWER_BYTES, SMALL_EVERY_MS } from "../small_answers.ts";

/** Record batches of one answer: a catch-up's transaction. Two such buffers a partition at the most. */
const FETCH_BYTES_MAX = 4 * 2 ** 20;
/** The longest that a broker holds a fetch without records. */
const FETCH_WAIT_MS = 500;
/** Without a record for so long, the partition's range is looked at. */
const LOOK_MS = 2_000;
/** A question about the topic that takes longer counts as a log that is away. */
export const LOOK_MS_MAX = 3_000;

export interface FetchedPlace extends KafkaPlace {
  readonly clientId: string;
  readonly clock: Clock;
}

export class KafkaPartition implements Sleeper {
  wake: (() => void) | null = null;
  readonly #place: FetchedPlace;
  readonly #clock: Clock;
  /** Offset that the next read gets; −1 before the first. */
  #next = -1;
  /** What is read from, and how much of it was; null while there is nothing. */
  #current: ReusedRecords | null = null;
  #taken = 0;
  /** Another answer that has come, to be read next. */
  #ahead: ReusedRecords | null = null;
  /** Buffers that nothing is read from. */
  readonly #free: ReusedRecords[] = [];
  /** Offset of the next fetch. */
  #fetchNext = -1;
  #isFetching = false;
  /** The next fetch is not before that. */
  #fetchDueMs = -Infinity;
  #cancelFetch: (() => void) | null = null;
  /** Which fetches count: one that was started under an older number is let go of. */
  #epoch = 0;
  #connection: KafkaFetch | null = null;
  /** Why the last fetch failed; told to the next read. */
  #failure: Error | null = null;
  #isDoubtful = false;
  #lookedMs: number;

  constructor(readonly partition: number, place: FetchedPlace) {
    this.#place = place;
    this.#clock = place.clock;
    this.#lookedMs = place.clock.monotonicMs();
  }

  get next(): number {
    return this.#next;
  }

  /** The broker doesn't have the offset: the range has to be looked at before anything is read. */
  get isDoubtful(): boolean {
    return this.#isDoubtful;
  }

  /** Whether the range has to be looked at, as there were no records for a while. */
  isLookDue(): boolean {
    return this.#clock.monotonicMs() - this.#lookedMs >= LOOK_MS;
  }

  /** The range is being looked at. */
  looks(): void {
    this.#lookedMs = this.#clock.monotonicMs();
  }

  /** It was, and it has the next offset. */
  isAssured(): void {
    this.#isDoubtful = false;
  }

  /** Makes `offset` the next one, which the range has. */
  seek(offset: number): void {
    this.#next = this.#fetchNext = offset;
    this.#isDoubtful = false;
    this.looks();
  }

  /** Why the last fetch failed, once. */
  takeFailure(): Error | null {
    const failure = this.#failure;
    this.#failure = null;
    return failure;
  }

  /** Records that have come; null if there are none. */
  take(limits: ReadLimits): ReadOutcome | null {
    if (this.#current !== null && this.#taken === this.#current.records.length) {
      this.#free.push(this.#current); // its reader has come back, so it is done with it
      this.#current = null;
    }
    if (this.#current === null) {
      if (this.#ahead === null) return null;
      [this.#current, this.#ahead, this.#taken] = [this.#ahead, null, 0];
    }
    const { records } = this.#current;
    const from = this.#taken;
    let [to, bytes] = [from, 0];
    while (
      to < records.length && (to === from || (to - from < limits.recordsMax && bytes < limits.bytesMax))
    ) {
      bytes += records.starts[to]! < 0 ? 0 : records.ends[to]! - records.starts[to]!;
      to++;
    }
    this.#taken = to;
    this.#next = records.offsets[to - 1]! + 1;
    this.looks();
    if (limits.blocks === true) return { kind: "block", block: records.part(from, to) };
    return { kind: "records", records: Array.from({ length: to - from }, (_, i) => kept(records, from + i)) };
  }

  /**
   * Sees to it that a fetch is under way while there is a free buffer; `admin` finds the leader. A failure is told to the
   * next read.
   */
  fetchAhead(admin: Admin): void {
    if (this.#isFetching || this.#ahead !== null || this.#failure !== null) return;
    if (this.#fetchNext < 0 || this.#isDoubtful || this.#cancelFetch !== null) return;
    const dueInMs = this.#fetchDueMs - this.#clock.monotonicMs();
    if (dueInMs > 0) {
      this.#cancelFetch = this.#clock.after(dueInMs, () => {
        this.#cancelFetch = null;
        this.fetchAhead(admin);
      });
      return;
    }
    const into = this.#free.pop() ?? new ReusedRecords(new FetchedRecords(this.partition));
    const epoch = this.#epoch;
    this.#isFetching = true;
    this.#fetch(admin, this.#fetchNext, into).then((error) => {
      if (epoch === this.#epoch) this.#fetched(admin, error, into);
    }, (error) => {
      if (epoch !== this.#epoch) return;
      this.#isFetching = false;
      this.#disconnect();
      this.#failure = kafkaFailure(error, "read", this.#place);
      this.wake?.();
    });
  }

  /** Lets go of what was fetched and of the fetch under way. */
  drop(): void {
    this.#epoch++;
    this.#cancelFetch?.();
    this.#cancelFetch = null;
    this.#fetchDueMs = -Infinity;
    this.#disconnect();
    this.#current = this.#ahead = this.#failure = null;
    this.#isFetching = this.#isDoubtful = false;
    this.#next = this.#fetchNext = -1;
  }

  #fetched(admin: Admin, error: number, into: ReusedRecords): void {
    this.#isFetching = false;
    if (error === fetchErrors.none) {
      this.#fetchNext = into.records.nextOffset;
      if (into.size < SMALL_ANSWER_BYTES) this.#fetchDueMs = this.#clock.monotonicMs() + SMALL_EVERY_MS;
      if (into.records.length > 0) this.#ahead = into;
      else this.#free.push(into);
      // Records further on than asked for come behind a transaction's marker, which is fine.
      if (into.records.length === 0 && this.wake !== null) this.fetchAhead(admin);
    } else if (error === fetchErrors.offsetOutOfRange) {
      this.#free.push(into);
      this.#isDoubtful = true;
    } else {
      this.#disconnect();
      this.#failure = fetchFailure(error, this.#place);
    }
    if (this.#ahead !== null || this.#isDoubtful || this.#failure !== null) this.wake?.();
  }

  async #fetch(admin: Admin, offset: number, into: ReusedRecords): Promise<number> {
    const epoch = this.#epoch;
    if (this.#connection === null) {
      const connection = await this.#connectToLeader(admin);
      if (epoch !== this.#epoch) connection.close();
      else this.#connection = connection;
    }
    if (this.#connection === null) throw new Error("the partition was given up");
    return await this.#connection.fetch(offset, { waitMs: FETCH_WAIT_MS, bytesMax: FETCH_BYTES_MAX }, into);
  }

  async #connectToLeader(admin: Admin): Promise<KafkaFetch> {
    const { topic, clientId } = this.#place;
    const { partition } = this;
    const asked = Promise.all([admin.fetchTopicMetadata({ topics: [topic] }), admin.describeCluster()]);
    const [{ topics }, { brokers }] = await within(this.#clock, LOOK_MS_MAX, `find ${topic}'s leader`, asked);
    const found = topics[0]?.partitions.find(({ partitionId }) => partitionId === partition);
    const leader = brokers.find(({ nodeId }) => nodeId === found?.leader);
    if (leader === undefined) throw new Error(`partition ${partition} has no leader`);
    return await KafkaFetch.connect(
      { hostname: leader.host, port: leader.port, topic, partition, clientId },
      this.#clock,
    );
  }

  #disconnect(): void {
    this.#connection?.close();
    this.#connection = null;
  }
}

/** Kafka's error codes that waiting doesn't mend are those of `kafkaFailure`; a fetch can meet one. */
function fetchFailure(error: number, place: KafkaPlace): Error {
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
