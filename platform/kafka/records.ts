/**
 * Kafka's record batches, version 2 (the only one that brokers from 4.0 on hold), read where they lie: a block of records
 * is the bytes of a fetch and five columns beside them, without an object for a record.
 *
 * Layout: https://kafka.apache.org/documentation/#recordbatch. Compressed batches are unpacked if they are gzip, and
 * refused otherwise (snappy, lz4, zstd): the topic is created so that the broker stores none (`topic.ts`). Batches
 * of aborted transactions and a broker's own markers are left out. The CRC is not compared: TCP's checksum and the
 * broker's own have seen to it, and kafkajs doesn't either.
 */
import { gunzipSync } from "node:zlib";
import { assert } from "../../core/assert.ts";
import { limits } from "../../core/limits.ts";
import { type LogRecord, LogRefused, type RecordBlock } from "../../core/ports/log.ts";
import { formatVersion, headerNames } from "../../core/schema.ts";

/** Bytes from a batch's beginning to its first record. */
const HEADER_BYTES = 61;
const [LENGTH_AT, MAGIC_AT, ATTRIBUTES_AT, LAST_DELTA_AT] = [8, 16, 21, 23];
const [BASE_TIME_AT, MAX_TIME_AT, PRODUCER_AT, COUNT_AT] = [27, 35, 43, 57];
const COMPRESSION = 0x07, APPEND_TIME = 0x08, TRANSACTIONAL = 0x10, CONTROL = 0x20;
const GZIP = 1;
const codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
/** A compressed batch may unpack to so many bytes: a hundred records of the largest kind. */
const UNPACKED_BYTES_MAX = 100 * limits.batchBytesMax;

/** A transaction that was given up: its records from `firstOffset` on don't count. */
export interface Aborted {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const versionName = encoder.encode(headerNames.version);
const versionValue = encoder.encode(formatVersion);

/** Records of one fetch. Good until {@link FetchedRecords.read} is called again: its memory is used again. */
export class FetchedRecords implements RecordBlock {
  length = 0;
  /** Offset behind everything that was read, markers included. */
  nextOffset = 0;
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array();
  offsets = new Float64Array(0);
  appendMs = new Float64Array(0);
  starts = new Int32Array(0);
  ends = new Int32Array(0);
  plain = new Uint8Array(0);
  /** Where each record begins. */
  #places = new Int32Array(0);

  constructor(readonly partition: number) {}

  /**
   * Reads the batches in `source` from `start` to `end`, of which the last may be cut off, from offset `fromOffset` on.
   * Throws {@link LogRefused} at what can't be read.
   */
  read(
    source: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    fromOffset: number,
    aborted: readonly Aborted[],
  ): void {
    this.length = 0;
    this.nextOffset = fromOffset;
    this.bytes = source;
    const unpacked = unpackBatches(source, start, end, this.partition);
    if (unpacked !== null) [this.bytes, start, end] = [unpacked, 0, unpacked.length];
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    const gone = new GoneTransactions(aborted);
    for (let at = start; end - at >= HEADER_BYTES;) {
      const size = LENGTH_AT + 4 + view.getInt32(at + LENGTH_AT);
      if (at + size > end) break;
      const attributes = view.getInt16(at + ATTRIBUTES_AT);
      const baseOffset = Number(view.getBigInt64(at));
      if ((attributes & CONTROL) !== 0) {
        gone.note(view, at);
      } else if (!gone.has(view, at, attributes, baseOffset)) {
        this.#readBatch(view, at, at + size, attributes, baseOffset, fromOffset);
      }
      this.nextOffset = Math.max(this.nextOffset, baseOffset + view.getInt32(at + LAST_DELTA_AT) + 1);
      at += size;
    }
  }

  #readBatch(
    view: DataView,
    start: number,
    end: number,
    attributes: number,
    baseOffset: number,
    fromOffset: number,
  ): void {
    const count = view.getInt32(start + COUNT_AT);
    this.#reserve(this.length + count);
    const hasAppendTime = (attributes & APPEND_TIME) !== 0;
    const timeMs = Number(view.getBigInt64(start + (hasAppendTime ? MAX_TIME_AT : BASE_TIME_AT)));
    begin(this.bytes, start + HEADER_BYTES);
    for (let i = 0; i < count; i++) {
      const place = cursor;
      const next = varint() + cursor;
      cursor++; // attributes of the record: none are defined
      const deltaMs = varint();
      const offset = baseOffset + varint();
      if (next > end) throw new LogRefused(`a record batch of partition ${this.partition} can't be read`);
      if (offset >= fromOffset) {
        this.offsets[this.length] = offset;
        this.appendMs[this.length] = hasAppendTime ? timeMs : timeMs + deltaMs;
        this.#places[this.length] = place;
        this.#readValue();
        this.length++;
      }
      cursor = next;
    }
    bytesRead = NO_BYTES;
  }

  /** Reads on behind the offset: where the value lies, and whether the headers are the usual ones. */
  #readValue(): void {
    const keyLength = varint();
    if (keyLength > 0) cursor += keyLength;
    const valueLength = varint();
    const at = this.length;
    this.starts[at] = valueLength < 0 ? -1 : cursor;
    if (valueLength > 0) cursor += valueLength;
    this.ends[at] = cursor;
    this.plain[at] = valueLength >= 0 && hasUsualHeaders() ? 1 : 0;
  }

  #reserve(count: number): void {
    if (count <= this.offsets.length) return;
    const capacity = Math.max(count, 2 * this.offsets.length);
    const grown = <T extends Float64Array | Int32Array | Uint8Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    this.offsets = grown(this.offsets, new Float64Array(capacity));
    this.appendMs = grown(this.appendMs, new Float64Array(capacity));
    this.starts = grown(this.starts, new Int32Array(capacity));
    this.ends = grown(this.ends, new Int32Array(capacity));
    this.plain = grown(this.plain, new Uint8Array(capacity));
    this.#places = grown(this.#places, new Int32Array(capacity));
  }

  record(index: number): LogRecord {
    assert(index >= 0 && index < this.length, "a record of the block");
    begin(this.bytes, this.#places[index]!);
    varint();
    cursor++;
    varint();
    varint();
    const key = text(varint());
    const [start, end] = [this.starts[index]!, this.ends[index]!];
    varint();
    cursor = end;
    const headers: Record<string, string> = {};
    for (let left = varint(); left > 0; left--) {
      const name = text(varint()) ?? "";
      const value = text(varint());
      if (value !== null) headers[name] = value;
    }
    bytesRead = NO_BYTES;
    return {
      partition: this.partition,
      offset: this.offsets[index]!,
      appendMs: this.appendMs[index]!,
      key,
      value: start < 0 ? null : this.bytes.subarray(start, end),
      headers,
    };
  }

  head(count: number): RecordBlock {
    return this.part(0, count);
  }

  /** Records [from, to); good as long as these. */
  part(from: number, to: number): RecordBlock {
    if (from === 0 && to === this.length) return this;
    const part: RecordBlock = {
      partition: this.partition,
      length: to - from,
      offsets: this.offsets.subarray(from, to),
      appendMs: this.appendMs.subarray(from, to),
      bytes: this.bytes,
      starts: this.starts.subarray(from, to),
      ends: this.ends.subarray(from, to),
      plain: this.plain.subarray(from, to),
      record: (index) => this.record(from + index),
      head: (count) => this.part(from, from + count),
    };
    return part;
  }
}

/** Which batches belong to transactions that were given up. */
class GoneTransactions {
  readonly #aborted: Aborted[];
  readonly #open = new Set<bigint>();

  constructor(aborted: readonly Aborted[]) {
    this.#aborted = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
  }

  has(view: DataView, at: number, attributes: number, baseOffset: number): boolean {
    if ((attributes & TRANSACTIONAL) === 0) return false;
    while (this.#aborted.length > 0 && this.#aborted[0]!.firstOffset <= baseOffset) {
      this.#open.add(this.#aborted.shift()!.producerId);
    }
    return this.#open.has(view.getBigInt64(at + PRODUCER_AT));
  }

  /** A marker: the producer's transaction is over, however it ended. */
  note(view: DataView, at: number): void {
    this.#open.delete(view.getBigInt64(at + PRODUCER_AT));
  }
}

/** The batches with every compressed one unpacked; null if none is. */
function unpackBatches(
  source: Uint8Array<ArrayBuffer>,
  start: number,
  end: number,
  partition: number,
): Uint8Array<ArrayBuffer> | null {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const parts: Uint8Array[] = [];
  let [from, isPacked, at] = [start, false, start];
  while (end - at >= HEADER_BYTES) {
    const size = LENGTH_AT + 4 + view.getInt32(at + LENGTH_AT);
    if (at + size > end) break;
    const magic = view.getInt8(at + MAGIC_AT);
    if (magic !== 2) {
      throw new LogRefused(
        `partition ${partition} holds records in Kafka's format ${magic}, this build reads 2: use a broker of Apache ` +
          "Kafka 3.9 to 4.x",
      );
    }
    const codec = view.getInt16(at + ATTRIBUTES_AT) & COMPRESSION;
    if (codec !== 0) {
      if (codec !== GZIP) throw new LogRefused(compressionSentence(codec, partition));
      isPacked = true;
      parts.push(source.subarray(from, at), unpacked(source, at, size));
      from = at + size;
    }
    at += size;
  }
  if (!isPacked) return null;
  parts.push(source.subarray(from, at));
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let length = 0;
  for (const part of parts) {
    whole.set(part, length);
    length += part.length;
  }
  return whole;
}

function compressionSentence(codec: number, partition: number): string {
  return `partition ${partition} holds records in ${
    codecs[codec] ?? `codec ${codec}`
  }: a program writes it with a ` +
    "compression that this build can't read; set the topic's compression.type=uncompressed, and start anew behind " +
    "that record";
}

/** One batch without its compression. */
function unpacked(source: Uint8Array<ArrayBuffer>, at: number, size: number): Uint8Array {
  const records = gunzipSync(source.subarray(at + HEADER_BYTES, at + size), {
    maxOutputLength: UNPACKED_BYTES_MAX,
  });
  const batch = new Uint8Array(HEADER_BYTES + records.length);
  batch.set(source.subarray(at, at + HEADER_BYTES));
  batch.set(records, HEADER_BYTES);
  const view = new DataView(batch.buffer);
  view.setInt32(LENGTH_AT, batch.length - LENGTH_AT - 4);
  view.setInt16(ATTRIBUTES_AT, view.getInt16(ATTRIBUTES_AT) & ~COMPRESSION);
  return batch;
}

// --- tokens: read at a cursor, as the scanner of `core/scan.ts` does -------------------------------------------------

const NO_BYTES = new Uint8Array();
let bytesRead: Uint8Array = NO_BYTES;
let cursor = 0;

function begin(bytes: Uint8Array, at: number): void {
  bytesRead = bytes;
  cursor = at;
}

/** A zigzag varint of up to 53 bits. */
function varint(): number {
  let byte = bytesRead[cursor++]!;
  if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1);
  let value = byte & 0x7f;
  let scale = 128;
  do {
    byte = bytesRead[cursor++]!;
    value += (byte & 0x7f) * scale;
    scale *= 128;
  } while (byte >= 0x80 && scale < 2 ** 56);
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/** A text of so many bytes, or null for a negative length. */
function text(length: number): string | null {
  if (length < 0) return null;
  const start = cursor;
  cursor += length;
  return decoder.decode(bytesRead.subarray(start, cursor));
}

/** Whether there are no headers, or one that says version 1 of the format. */
function hasUsualHeaders(): boolean {
  const count = varint();
  if (count === 0) return true;
  return count === 1 && isText(versionName) && isText(versionValue);
}

/** Whether a text of this content comes next; the cursor is behind it then. */
function isText(expected: Uint8Array): boolean {
  if (varint() !== expected.length) return false;
  for (let i = 0; i < expected.length; i++) if (bytesRead[cursor + i] !== expected[i]) return false;
  cursor += expected.length;
  return true;
}
