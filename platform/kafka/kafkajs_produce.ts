/**
 * kafkajs's produce request, written into one buffer. kafkajs 2.2.4 builds it from inside to outside, in encoders that
 * double as they fill: a record's bytes are copied some ten times, and a send of 1 MB leaves 20 MB of garbage. Measured
 * (records of 60 readings): 54 µs of CPU a record with kafkajs alone.
 *
 * Here the size is known before a byte is written, so a record is copied once, into the request; what kafkajs puts in
 * front of it goes into room that was left there. The bytes are the same, which a test compares. What our writer never sends
 * (compression, transactions, times of the producer) is left to kafkajs.
 *
 * Importing this file repairs the class; the version is pinned in `deno.json`.
 */
import { Buffer } from "node:buffer";
import Encoder from "kafkajs/src/protocol/encoder.js";
import Produce from "kafkajs/src/protocol/requests/produce/index.js";
import { crc32c } from "../crc32c.ts";

/** A message as kafkajs hands it on. */
export interface ProducedMessage {
  readonly key?: string | Uint8Array | null;
  readonly value: string | Uint8Array | null;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly timestamp?: string;
}

/** What a produce request carries, as kafkajs names it. */
export interface ProduceOptions {
  readonly acks: number;
  readonly timeout: number;
  readonly compression?: number;
  readonly transactionalId?: string | null;
  /** A 64-bit number in one of kafkajs's forms. */
  readonly producerId?: { toString(): string };
  readonly producerEpoch?: number;
  readonly topicData: readonly {
    readonly topic: string;
    readonly partitions: readonly {
      readonly partition: number;
      readonly firstSequence?: number;
      readonly messages: readonly ProducedMessage[];
    }[];
  }[];
}

interface Request {
  encode(): Promise<unknown>;
}

/** From a batch's start to its records (Kafka's message format, version 2). */
const BATCH_HEAD_BYTES = 61;
/** Of those, what its length doesn't count. */
const BATCH_UNCOUNTED_BYTES = 12;
const CRC_AT = 17;
const CRC_FROM = 21;
const MAGIC = 2;
const NO_PRODUCER = "-1";

/** The request's body at a time of the producer, or null when it has something that is left to kafkajs. */
export function encodeProduce(options: ProduceOptions, nowMs: number): Buffer | null {
  if ((options.compression ?? 0) !== 0 || (options.transactionalId ?? null) !== null) return null;
  const topics = options.topicData.map(({ topic, partitions }) => ({
    name: encoder.encode(topic),
    partitions: partitions.map((data) => ({ data, records: data.messages.map(measured) })),
  }));
  let bytes = 2 + 2 + 4 + 4;
  for (const { name, partitions } of topics) {
    bytes += 2 + name.length + 4;
    for (const { records } of partitions) {
      bytes += 4 + 4 + BATCH_HEAD_BYTES;
      for (const record of records) {
        if (record === null) return null;
        bytes += sizeOfVarint(record.bytes) + record.bytes;
      }
    }
  }
  const out = new Writer(bytes, FRONT_BYTES);
  out.int16(-1);
  out.int16(options.acks);
  out.int32(options.timeout);
  out.int32(topics.length);
  for (const { name, partitions } of topics) {
    out.int16(name.length);
    out.raw(name);
    out.int32(partitions.length);
    for (const { data, records } of partitions) {
      out.int32(data.partition);
      const sizeAt = out.at;
      out.int32(0);
      writeBatch(out, options, data.firstSequence ?? 0, records as readonly Measured[], nowMs);
      out.view.setInt32(sizeAt, out.at - sizeAt - 4);
    }
  }
  return out.buffer;
}

function writeBatch(
  out: Writer,
  { producerId = NO_PRODUCER, producerEpoch = 0 }: ProduceOptions,
  firstSequence: number,
  records: readonly Measured[],
  nowMs: number,
): void {
  const start = out.at;
  out.int64(0n); // the broker counts
  out.int32(0); // length, below
  out.int32(0); // the leader's epoch is the broker's business
  out.int8(MAGIC);
  out.int32(0); // checksum, below
  out.int16(0); // no compression, no transaction
  out.int32(records.length - 1);
  out.int64(BigInt(nowMs));
  out.int64(BigInt(nowMs));
  out.int64(BigInt(producerId.toString()));
  out.int16(producerEpoch);
  out.int32(firstSequence);
  out.int32(records.length);
  for (let index = 0; index < records.length; index++) writeRecord(out, records[index]!, index);
  out.view.setInt32(start + 8, out.at - start - BATCH_UNCOUNTED_BYTES);
  out.view.setUint32(start + CRC_AT, crc32c(out.bytes, start + CRC_FROM, out.at));
}

/** A record whose size is known, but for its place in the batch. */
interface Measured {
  /** After the length in front. */
  bytes: number;
  readonly key: Uint8Array | string | null;
  readonly value: Uint8Array | null;
  readonly headers: Uint8Array;
}

function measured({ key = null, value, headers = NO_HEADERS, timestamp }: ProducedMessage, index: number) {
  const headerBytes = timestamp === undefined ? encodedHeaders(headers) : null;
  if (headerBytes === null) return null;
  const keyBytes = typeof key === "string" && isAscii(key) ? key : bytesOf(key);
  const record = { bytes: 0, key: keyBytes, value: bytesOf(value), headers: headerBytes };
  record.bytes = 1 + 1 + sizeOfVarint(index) + sizeOfBytes(record.key) + sizeOfBytes(record.value) +
    headerBytes.length;
  return record;
}

function writeRecord(out: Writer, { bytes, key, value, headers }: Measured, index: number): void {
  out.varint(bytes);
  out.int8(0); // attributes
  out.varint(0); // later than the batch by
  out.varint(index);
  out.sized(key);
  out.sized(value);
  out.raw(headers);
}

const encoder = new TextEncoder();
const NO_HEADERS = {};
/** Headers are few objects that are used again and again. */
const headersSeen = new WeakMap<Readonly<Record<string, unknown>>, Uint8Array>();

function encodedHeaders(headers: Readonly<Record<string, unknown>>): Uint8Array | null {
  const seen = headersSeen.get(headers);
  if (seen !== undefined) return seen;
  const pairs: (readonly [Uint8Array, Uint8Array])[] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== "string" && !(value instanceof Uint8Array)) return null;
    pairs.push([encoder.encode(name), bytesOf(value)!]);
  }
  const out = new Writer(
    pairs.reduce(
      (sum, [name, value]) => sum + sizeOfBytes(name) + sizeOfBytes(value),
      sizeOfVarint(pairs.length),
    ),
  );
  out.varint(pairs.length);
  for (const [name, value] of pairs) {
    out.sized(name);
    out.sized(value);
  }
  headersSeen.set(headers, out.bytes);
  return out.bytes;
}

const bytesOf = (value: string | Uint8Array | null): Uint8Array | null =>
  typeof value === "string" ? encoder.encode(value) : value;

/** Such a text has a byte a character, and needs no buffer on its way. */
function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}

/** Numbers here are −1 or not negative, in zigzag: 1 or twice themselves. */
function sizeOfVarint(value: number): number {
  let size = 1;
  for (let rest = value < 0 ? 1 : value * 2; rest > 0x7f; rest = Math.floor(rest / 128)) size++;
  return size;
}

const sizeOfBytes = (bytes: Uint8Array | string | null): number =>
  bytes === null ? sizeOfVarint(-1) : sizeOfVarint(bytes.length) + bytes.length;

/** Writes into a buffer of exactly the needed size. */
class Writer {
  readonly buffer: Buffer;
  /** The same as plain bytes, whose elements are read faster. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at = 0;

  /** `front` bytes are left free before it. */
  constructor(size: number, front = 0) {
    const { buffer } = new Uint8Array(front + size);
    this.bytes = new Uint8Array(buffer, front);
    this.buffer = Buffer.from(buffer, front);
    this.view = new DataView(buffer, front);
  }

  int8(value: number): void {
    this.bytes[this.at++] = value;
  }

  int16(value: number): void {
    this.view.setInt16(this.at, value);
    this.at += 2;
  }

  int32(value: number): void {
    this.view.setInt32(this.at, value);
    this.at += 4;
  }

  int64(value: bigint): void {
    this.view.setBigInt64(this.at, value);
    this.at += 8;
  }

  varint(value: number): void {
    let rest = value < 0 ? 1 : value * 2;
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) this.bytes[this.at++] = (rest & 0x7f) | 0x80;
    this.bytes[this.at++] = rest;
  }

  raw(value: Uint8Array): void {
    this.bytes.set(value, this.at);
    this.at += value.length;
  }

  /** The length and the bytes; a text is ASCII. */
  sized(value: Uint8Array | string | null): void {
    this.varint(value === null ? -1 : value.length);
    if (value === null) return;
    if (typeof value !== "string") return this.raw(value);
    for (let i = 0; i < value.length; i++) this.bytes[this.at++] = value.charCodeAt(i);
  }
}

/** kafkajs's own maker of produce requests, by version. */
export const kafkajsProduce: (
  version: { readonly version: number },
) => (options: ProduceOptions) => { readonly request: Request; readonly response: unknown } =
  Produce.protocol;

/** Versions 3 to 7 have the same body; older ones know no record batches. */
const VERSION_MIN = 3;

Produce.protocol = ({ version }: { version: number }) => {
  const original = kafkajsProduce({ version });
  if (version < VERSION_MIN) return original;
  return (options: ProduceOptions) => {
    const { request, response } = original(options);
    const encode = () => {
      const body = encodeProduce(options, Date.now());
      return body === null ? request.encode() : Promise.resolve(encoderOf(body));
    };
    return { request: { ...request, encode }, response };
  };
};

/** kafkajs's encoder, as far as it is used here. */
interface GrowingEncoder {
  buf: Buffer;
  offset: number;
  /** Bytes that are free in front of `buf`: whoever is to write it behind some bytes of its own takes it over. */
  front?: number;
  writeEncoder(value: GrowingEncoder): GrowingEncoder;
}

/** What kafkajs puts in front of a body: 14 bytes and the client's name. */
const FRONT_BYTES = 256;

/** Finished bytes in the shape that kafkajs goes on with. */
function encoderOf(body: Buffer): GrowingEncoder {
  const finished: GrowingEncoder = new Encoder(1);
  finished.buf = body;
  finished.offset = body.length;
  finished.front = FRONT_BYTES;
  return finished;
}

const { writeEncoder } = Encoder.prototype as GrowingEncoder;

Encoder.prototype.writeEncoder = function (this: GrowingEncoder, value: GrowingEncoder): GrowingEncoder {
  const { buf, offset } = this;
  const { front = 0 } = value;
  if (front === 0 || offset > front) return writeEncoder.call(this, value);
  const whole = Buffer.from(value.buf.buffer, value.buf.byteOffset - offset, offset + value.offset);
  whole.set(buf.subarray(0, offset));
  this.buf = whole;
  this.offset = whole.length;
  this.front = front - offset;
  return this;
};
