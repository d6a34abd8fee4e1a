import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { LogRefused } from "../../core/ports/log.ts";
import { FetchedRecords } from "./records.ts";

const encoder = new TextEncoder();
const T0 = 1_767_225_600_000;

interface TestRecord {
  readonly delta: number;
  readonly timeDelta?: number;
  readonly key?: string | null;
  readonly value?: string | null;
  readonly headers?: readonly (readonly [string, string | null])[];
}

interface TestBatch {
  readonly baseOffset?: number;
  readonly lastDelta?: number;
  /** Bits of the attributes: 8 append time, 16 transactional, 32 control. */
  readonly attributes?: number;
  readonly codec?: number;
  readonly producerId?: bigint;
  readonly magic?: number;
  readonly records: readonly TestRecord[];
}

/** Zigzag, seven bits a byte. */
function varint(value: number): number[] {
  let rest = value >= 0 ? BigInt(value) * 2n : BigInt(-value) * 2n - 1n;
  const bytes: number[] = [];
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

function text(value: string | null): number[] {
  if (value === null) return varint(-1);
  const bytes = encoder.encode(value);
  return [...varint(bytes.length), ...bytes];
}

function recordBytes({ delta, timeDelta = 0, key = null, value = "{}", headers = [] }: TestRecord): number[] {
  const body = [
    ...[0, ...varint(timeDelta), ...varint(delta), ...text(key), ...text(value)],
    ...varint(headers.length),
    ...headers.flatMap(([name, content]) => [...text(name), ...text(content)]),
  ];
  return [...varint(body.length), ...body];
}

/** A record batch by the layout in Kafka's documentation; its CRC is zero. */
function batchBytes(batch: TestBatch): Uint8Array<ArrayBuffer> {
  const { baseOffset = 0, attributes = 8, codec = 0, producerId = -1n, magic = 2, records } = batch;
  const plain = Uint8Array.from(records.flatMap(recordBytes));
  const body = codec === 1 ? gzipSync(plain) : plain;
  const bytes = new Uint8Array(61 + body.length);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, BigInt(baseOffset));
  view.setInt32(8, bytes.length - 12);
  view.setInt8(16, magic);
  view.setInt16(21, attributes | codec);
  view.setInt32(23, batch.lastDelta ?? records.at(-1)?.delta ?? 0);
  view.setBigInt64(27, BigInt(T0));
  view.setBigInt64(35, BigInt(T0 + 5_000));
  view.setBigInt64(43, producerId);
  view.setInt32(57, records.length);
  bytes.set(body, 61);
  return bytes;
}

function read(
  batches: readonly Uint8Array[],
  { fromOffset = 0, cut = 0, aborted = [] }: {
    fromOffset?: number;
    cut?: number;
    aborted?: { producerId: bigint; firstOffset: number }[];
  } = {},
): FetchedRecords {
  const before = 7; // what stands before the batches in an answer
  const source = new Uint8Array(before + batches.reduce((sum, { length }) => sum + length, 0));
  let at = before;
  for (const batch of batches) {
    source.set(batch, at);
    at += batch.length;
  }
  const records = new FetchedRecords(3);
  records.read(source, before, source.length - cut, fromOffset, aborted);
  return records;
}

const offsetsOf = (records: FetchedRecords) => [...records.offsets.subarray(0, records.length)];

Deno.test("a record is read with key, value, headers and the batch's append time", () => {
  const headers = [["isotherm", "1"], ["isotherm-kind", "tick"], ["none", null]] as const;
  const records = read([
    batchBytes({ baseOffset: 5_000_000_000, records: [{ delta: 0, key: "desk", value: "ä", headers }] }),
  ]);
  assert.deepEqual(records.record(0), {
    partition: 3,
    offset: 5_000_000_000,
    appendMs: T0 + 5_000,
    key: "desk",
    value: encoder.encode("ä"),
    headers: { isotherm: "1", "isotherm-kind": "tick" },
  });
  assert.equal(records.nextOffset, 5_000_000_001);
});

Deno.test("without append times each record has the producer's, also one before the batch's first", () => {
  const records = read([
    batchBytes({
      attributes: 0,
      records: [{ delta: 0 }, { delta: 1, timeDelta: 70_000 }, { delta: 2, timeDelta: -9 }],
    }),
  ]);
  assert.deepEqual([...records.appendMs.subarray(0, 3)], [T0, T0 + 70_000, T0 - 9]);
});

Deno.test("plain is what has a value and says nothing but version 1", () => {
  const cases: [TestRecord, number][] = [
    [{ delta: 0 }, 1],
    [{ delta: 0, headers: [["isotherm", "1"]] }, 1],
    [{ delta: 0, value: "" }, 1],
    [{ delta: 0, value: null }, 0],
    [{ delta: 0, headers: [["isotherm", "2"]] }, 0],
    [{ delta: 0, headers: [["isotherm", "1.1"]] }, 0],
    [{ delta: 0, headers: [["isotherm", null]] }, 0],
    [{ delta: 0, headers: [["isotherm-kind", "tick"]] }, 0],
    [{ delta: 0, headers: [["isotherm", "1"], ["isotherm-kind", "tick"]] }, 0],
  ];
  for (const [record, plain] of cases) {
    assert.equal(read([batchBytes({ records: [record] })]).plain[0], plain, JSON.stringify(record));
  }
});

Deno.test("what lies before the offset is left out, and so is a last batch that is cut off", () => {
  const first = batchBytes({ baseOffset: 10, records: [{ delta: 0 }, { delta: 1 }, { delta: 4 }] });
  const second = batchBytes({ baseOffset: 20, records: [{ delta: 0 }] });
  assert.deepEqual(offsetsOf(read([first, second], { fromOffset: 11 })), [11, 14, 20]);
  for (const cut of [1, second.length - 1, second.length]) {
    const records = read([first, second], { fromOffset: 11, cut });
    assert.deepEqual([offsetsOf(records), records.nextOffset], [[11, 14], 15]);
  }
});

Deno.test("offsets that compaction or a marker left empty are passed", () => {
  const records = read([
    batchBytes({ baseOffset: 10, lastDelta: 9, records: [{ delta: 2 }] }),
    batchBytes({ baseOffset: 20, attributes: 8 | 16 | 32, producerId: 1n, records: [{ delta: 0 }] }),
  ]);
  assert.deepEqual([offsetsOf(records), records.nextOffset], [[12], 21]);
});

Deno.test("records of an aborted transaction don't count, those of its producer before and after do", () => {
  const of = (baseOffset: number, producerId: bigint, attributes = 8 | 16) =>
    batchBytes({ baseOffset, producerId, attributes, records: [{ delta: 0 }] });
  const marker = (baseOffset: number, producerId: bigint) => of(baseOffset, producerId, 8 | 16 | 32);
  const batches = [of(0, 1n), marker(1, 1n), of(2, 1n), of(3, 2n), marker(4, 1n), of(5, 1n), of(6, 1n, 8)];
  const records = read(batches, { aborted: [{ producerId: 1n, firstOffset: 2 }] });
  assert.deepEqual(offsetsOf(records), [0, 3, 5, 6]);
});

Deno.test("gzip is unpacked between plain batches; snappy, lz4, zstd and older formats are refused with a sentence", () => {
  const plain = (baseOffset: number) => batchBytes({ baseOffset, records: [{ delta: 0 }] });
  const packed = batchBytes({
    baseOffset: 1,
    codec: 1,
    records: [{ delta: 0, value: "a" }, { delta: 1, value: "b" }],
  });
  const records = read([plain(0), packed, plain(3)]);
  assert.deepEqual(offsetsOf(records), [0, 1, 2, 3]);
  assert.deepEqual(records.record(2).value, encoder.encode("b"));
  for (const [codec, name] of [[2, "snappy"], [3, "lz4"], [4, "zstd"]] as const) {
    const refused = new RegExp(`partition 3 holds records in ${name}: .*compression.type=uncompressed`);
    assert.throws(
      () => read([batchBytes({ codec, records: [{ delta: 0 }] })]),
      (error) => error instanceof LogRefused && refused.test(error.message),
    );
  }
  assert.throws(() => read([batchBytes({ magic: 1, records: [{ delta: 0 }] })]), LogRefused);
});

Deno.test("a part of a block is a block, and its memory is used again by the next read", () => {
  const records = read([
    batchBytes({ records: [{ delta: 0, value: "a" }, { delta: 1, value: "b" }, { delta: 2 }] }),
  ]);
  const part = records.part(1, 3);
  assert.deepEqual([part.length, part.offsets[0], part.head(1).length], [2, 1, 1]);
  assert.deepEqual(part.record(0).value, encoder.encode("b"));
  assert.deepEqual(part.head(1).record(0).value, encoder.encode("b"));
  const again = batchBytes({ baseOffset: 9, records: [{ delta: 0, value: "c" }] });
  records.read(again, 0, again.length, 9, []);
  assert.deepEqual([offsetsOf(records), records.record(0).value], [[9], encoder.encode("c")]);
});

Deno.test("numbers of records, offsets and times may be large", () => {
  const count = 5_000;
  const many = Array.from({ length: count }, (_, delta) => ({ delta, timeDelta: delta * 1_000_000 }));
  const records = read([batchBytes({ baseOffset: 2 ** 40, attributes: 0, records: many })]);
  assert.equal(records.length, count);
  assert.equal(records.record(count - 1).offset, 2 ** 40 + count - 1);
  assert.equal(records.appendMs[count - 1], T0 + (count - 1) * 1_000_000);
});
