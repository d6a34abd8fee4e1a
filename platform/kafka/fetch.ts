/**
 * Fetching one partition from its leader over a connection of its own: Kafka's request Fetch, version 4, the lowest that
 * brokers of 3.9 to 4.x take, so the one with the least to it. Answers are read into memory that is used again.
 *
 * Everything else (finding brokers, the group, topics, writing) is kafkajs's. Its own fetching was replaced because it
 * makes some twenty objects for each record and copies each answer several times; docs/decisions/011 has the figures.
 *
 * https://kafka.apache.org/protocol#The_Messages_Fetch
 */
import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Aborted, FetchedRecords } from "./records.ts";

export interface FetchPlace {
  readonly hostname: string;
  readonly port: number;
  readonly topic: string;
  readonly partition: number;
  readonly clientId: string;
}

export interface FetchLimits {
  /** How long the broker holds the request while there is no record. */
  readonly waitMs: number;
  /** Bytes of record batches at the most; a single batch that is larger comes alone. */
  readonly bytesMax: number;
}

const FETCH = 1, FETCH_VERSION = 4;
const READ_COMMITTED = 1;
/** A broker that hasn't answered so long after its wait was over has hung. */
const ANSWER_MS = 5_000;
const CONNECT_MS = 1_000;
/** An answer that says to be larger is none: the largest batch, and what else may be in one. */
const ANSWER_BYTES_MAX = 128 * 2 ** 20;
const FIRST_BYTES = 64 * 1_024;

/** Error codes of Kafka. */
export const fetchErrors = { none: 0, offsetOutOfRange: 1, topicAuthorizationFailed: 29 } as const;

const encoder = new TextEncoder();

export class KafkaFetch {
  #correlation = 0;
  #isClosed = false;

  private constructor(
    private readonly connection: Deno.TcpConn,
    private readonly place: FetchPlace,
    private readonly clock: Clock,
  ) {}

  /** Rejects when there is no connection within a second. */
  static async connect(place: FetchPlace, clock: Clock): Promise<KafkaFetch> {
    const { hostname, port } = place;
    const connecting = Deno.connect({ hostname, port });
    let isLate = false;
    const late = Promise.withResolvers<never>();
    const cancel = clock.after(CONNECT_MS, () => {
      isLate = true;
      late.reject(new Error(`no connection to ${hostname}:${port} within ${CONNECT_MS} ms`));
    });
    connecting.then((connection) => isLate && connection.close(), () => {});
    try {
      const connection = await Promise.race([connecting, late.promise]);
      connection.setNoDelay(true);
      return new KafkaFetch(connection, place, clock);
    } finally {
      cancel();
    }
  }

  /**
   * Fetches from `offset` on into `records`, and gives Kafka's error code. One at a time. Rejects when the connection is
   * lost or the broker doesn't answer; the fetch is of no use any more then.
   */
  async fetch(offset: number, limits: FetchLimits, records: ReusedRecords): Promise<number> {
    const correlation = ++this.#correlation;
    const cancel = this.clock.after(limits.waitMs + ANSWER_MS, () => this.close());
    try {
      await this.#write(fetchRequest(this.place, correlation, offset, limits));
      const size = await this.#readSize(records);
      await this.#fill(records.buffer, size);
      return readAnswer(this.place, correlation, offset, size, records);
    } catch (error) {
      this.close();
      throw error;
    } finally {
      cancel();
    }
  }

  /** Ends it at once; a fetch under way rejects. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.connection.close();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) done += await this.connection.write(bytes.subarray(done));
  }

  async #readSize(records: ReusedRecords): Promise<number> {
    records.reserve(FIRST_BYTES);
    await this.#fill(records.buffer, 4);
    const size = new DataView(records.buffer.buffer).getInt32(0);
    if (size < 8 || size > ANSWER_BYTES_MAX) throw new Error(`an answer of ${size} bytes is none of Kafka's`);
    records.reserve(size);
    records.size = size;
    return size;
  }

  async #fill(buffer: Uint8Array, size: number): Promise<void> {
    for (let done = 0; done < size;) {
      const count = await this.connection.read(buffer.subarray(done, size));
      if (count === null) throw new Error("the broker has closed the connection");
      done += count;
    }
  }
}

/** Memory for an answer and the records in it. */
export class ReusedRecords {
  buffer: Uint8Array<ArrayBuffer> = new Uint8Array();
  /** Bytes of the answer. */
  size = 0;

  constructor(readonly records: FetchedRecords) {}

  reserve(size: number): void {
    if (this.buffer.length < size) this.buffer = new Uint8Array(Math.max(size, 2 * this.buffer.length));
  }
}

function fetchRequest(
  { topic, partition, clientId }: FetchPlace,
  correlation: number,
  offset: number,
  { waitMs, bytesMax }: FetchLimits,
): Uint8Array {
  const [topicBytes, clientBytes] = [encoder.encode(topic), encoder.encode(clientId)];
  const bytes = new Uint8Array(57 + clientBytes.length + topicBytes.length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  const int16 = (value: number) => (view.setInt16(at, value), at += 2);
  const int32 = (value: number) => (view.setInt32(at, value), at += 4);
  const text = (value: Uint8Array) => (int16(value.length), bytes.set(value, at), at += value.length);
  int32(bytes.length - 4);
  int16(FETCH);
  int16(FETCH_VERSION);
  int32(correlation);
  text(clientBytes);
  int32(-1); // no replica
  int32(waitMs);
  int32(1); // bytes to wait for
  int32(bytesMax);
  view.setInt8(at++, READ_COMMITTED);
  int32(1); // topics
  text(topicBytes);
  int32(1); // partitions
  int32(partition);
  view.setBigInt64(at, BigInt(offset));
  at += 8;
  int32(bytesMax);
  assert(at === bytes.length, "the request has the size that it says");
  return bytes;
}

function readAnswer(
  { topic, partition }: FetchPlace,
  correlation: number,
  offset: number,
  size: number,
  reused: ReusedRecords,
): number {
  const view = new DataView(reused.buffer.buffer, 0, size);
  if (view.getInt32(0) !== correlation) throw new Error("an answer to another request");
  let at = 8; // behind the time that we are throttled by: the broker has held the answer for so long itself
  const topics = view.getInt32(at);
  const topicBytes = view.getInt16(at + 4);
  at += 6 + topicBytes;
  const partitions = view.getInt32(at);
  const index = view.getInt32(at + 4);
  if (topics !== 1 || partitions !== 1 || index !== partition) {
    throw new Error(`an answer that isn't about partition ${partition} of ${topic}`);
  }
  const error = view.getInt16(at + 8);
  at += 10 + 16; // high watermark, last stable offset
  const aborted: Aborted[] = [];
  const abortedCount = view.getInt32(at);
  at += 4;
  for (let i = 0; i < abortedCount; i++, at += 16) {
    aborted.push({ producerId: view.getBigInt64(at), firstOffset: Number(view.getBigInt64(at + 8)) });
  }
  const length = Math.max(0, view.getInt32(at));
  at += 4;
  if (at + length > size) throw new Error("an answer that is cut off");
  reused.records.read(reused.buffer, at, at + length, offset, aborted);
  return error;
}
