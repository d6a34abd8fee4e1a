import assert from "node:assert/strict";
import fc from "fast-check";
import { StoreUnavailable } from "../../core/ports/store.ts";
import {
  bootRow,
  changes,
  channelRow,
  deviceRow,
  positionRow,
  quarantineRow,
  readingBlock,
  readingRow,
  releaseRow,
  startMs,
  windowRow,
} from "../../core/testing/builders.ts";
import { packChanges, unpackChanges } from "./journal_text.ts";
import { openPublisher } from "./publisher.ts";
import { type DuckdbStore, openStore } from "./store.ts";
import { rowsIn, seqsKnown } from "../testing/opened_store.ts";

const retentionMs = 30 * 86_400_000;

Deno.test("a transaction is packed as it was yesterday: files of another build have it", () => {
  const packed = packChanges(changes({
    position: positionRow({ nextOffset: 3, lastOffset: 2, lastHash: "ab", configHash: "cd", epoch: 0 }),
    readings: [
      readingRow({ device: "desk", seq: 7, offset: 1, humidityMilliPct: null }),
      readingRow({ device: "shelf", seq: 5, offset: 2, tsMs: startMs - 10, late: true }),
    ],
  }));
  assert.deepEqual(JSON.parse(packed), {
    texts: ["desk", "shelf", "ab", "cd"],
    tables: {
      reading_rows: [
        2,
        ...[[0, 1], 1, [7, -2], [1_767_225_600_000, -10], 1_767_225_600_500, [1, 1], 0, 21_500],
        ...[[null, 40_000], null, null, [false, true], false, false, 10_000],
      ],
      position_rows: [1, 0, 3, positionRow().appendHighMs, 0, 2, 2, 3],
    },
  });
});

Deno.test("what is unpacked is what was packed, every row of every table", () => {
  const large = 2n ** 100n;
  const whole = changes({
    position: positionRow({ lastOffset: null, lastHash: null }),
    readings: [
      readingRow(),
      readingRow({ device: "", boot: null, seq: null, fault: "checksum", flag: "stuck" }),
    ],
    quarantined: [quarantineRow({ device: null, tsMs: null }), quarantineRow({ raw: '"\u0000\ud83c\udf21' })],
    released: [releaseRow()],
    gaps: [{ partition: 0, fromOffset: 0, toOffset: 4, appendMs: startMs }],
    windows: [windowRow(), windowRow({ temperature: channelRow(1, { sumSquares: large }), replaces: 0 })],
    devices: [deviceRow(), deviceRow({ device: "shelf", displayName: "Küche", retired: true })],
    boots: [bootRow(), bootRow({ boot: Number.MAX_SAFE_INTEGER, spans: "0-3:f" })],
    alerts: {
      alerts: [],
      rules: [{ partition: 0, name: "hot", position: 0, definition: null, sinceMs: startMs }],
      states: [{ device: "desk", state: "{}" }],
    },
  });
  assert.deepEqual(unpackChanges(packChanges(whole)), whole);
  const block = readingBlock([readingRow(), readingRow({ seq: 9 })]);
  assert.deepEqual(unpackChanges(packChanges(changes({ readings: block }))).readings, [...block]);
});

Deno.test("any column of integers comes back, however far apart they are", () => {
  const integer = fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.constant(null));
  fc.assert(fc.property(fc.array(integer, { minLength: 1 }), (seqs) => {
    const rows = seqs.map((seq) => readingRow({ seq }));
    const { readings } = unpackChanges(packChanges(changes({ readings: rows })));
    assert.deepEqual([...readings].map(({ seq }) => seq), seqs);
  }));
});

// In the store.

/** Reading `offset` of one device. */
function reading(offset: number) {
  return changes({
    position: positionRow({ nextOffset: offset + 1, lastOffset: offset }),
    readings: [readingRow({ device: "shelf", seq: offset, offset, tsMs: startMs + offset * 1_000 })],
    devices: [deviceRow({ device: "shelf", counted: offset + 1 })],
  });
}

function test(name: string, body: (store: DuckdbStore, directory: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const directory = await Deno.makeTempDir({ prefix: "isotherm-journal-" });
    const store = await openStore({ directory, partition: 0, retentionMs });
    try {
      await body(store, directory);
    } finally {
      await store.close();
      await Deno.remove(directory, { recursive: true });
    }
  });
}

const known = (store: DuckdbStore) => seqsKnown(store, "shelf");

/** Something waits, and is put into the tables with a reply that is lost; it may stand or not. */
async function loseDrain(store: DuckdbStore, stands: boolean): Promise<void> {
  const { transaction } = store.live;
  store.live.transaction = async (action, task) => {
    if (stands) await transaction.call(store.live, action, task);
    throw new StoreUnavailable("the reply was lost");
  };
  await assert.rejects(store.drain(), StoreUnavailable);
  Object.assign(store.live, { transaction });
}

test("small transactions wait in the journal until something is looked up", async (store) => {
  for (let offset = 0; offset < 3; offset++) await store.commit(reading(offset));
  assert.deepEqual([await rowsIn(store, "journal_rows"), await rowsIn(store, "reading_rows")], [3, 0]);
  assert.deepEqual(await known(store), [0, 1, 2]);
  assert.deepEqual([await rowsIn(store, "journal_rows"), await rowsIn(store, "reading_rows")], [0, 3]);
});

test("whoever looks something up before each transaction has them in the tables at once", async (store) => {
  for (let offset = 0; offset < 3; offset++) {
    await known(store);
    await store.commit(reading(offset));
    assert.deepEqual([await rowsIn(store, "journal_rows"), await rowsIn(store, "reading_rows")], [
      0,
      offset + 1,
    ]);
  }
  await store.commit(reading(3));
  assert.equal(await rowsIn(store, "journal_rows"), 1);
});

test("a transaction that isn't small goes into the tables, those that wait before it", async (store) => {
  const many = (from: number, count: number) =>
    changes({
      position: positionRow({ nextOffset: from + count }),
      readings: Array.from(
        { length: count },
        (_, index) =>
          readingRow({
            device: "shelf",
            seq: from + index,
            offset: from + index,
            tsMs: startMs + from + index,
          }),
      ),
    });
  await store.commit(many(0, 500));
  assert.deepEqual([await rowsIn(store, "journal_rows"), await rowsIn(store, "reading_rows")], [1, 0]);
  await store.commit(many(500, 501));
  assert.deepEqual([await rowsIn(store, "journal_rows"), await rowsIn(store, "reading_rows")], [0, 1_001]);
  assert.equal(await rowsIn(store, "position_rows"), 2);
});

test("at most 20,000 rows wait", async (store) => {
  const rows = Array.from({ length: 500 }, (_, index) => readingRow({ seq: index, offset: index }));
  for (let at = 0; at < 40; at++) await store.commit(changes({ readings: rows }));
  assert.equal(await rowsIn(store, "journal_rows"), 40);
  await store.commit(reading(0));
  assert.deepEqual([await rowsIn(store, "journal_rows"), await rowsIn(store, "reading_rows")], [0, 20_001]);
});

test("a publication has what waits, and leaves what comes after it", async (store, directory) => {
  const publisher = await openPublisher(store, { mergeInline: true });
  try {
    await store.commit(reading(0));
    await store.commit(reading(1));
    const manifest = await publisher.publish([], startMs);
    assert.equal(manifest.partitions[0]!.nextOffset, 2);
    const rows = manifest.partitions[0]!.files.filter(({ table }) => table === "reading_rows");
    assert.deepEqual(rows.map(({ rows }) => rows), [2]);
    await store.commit(reading(2));
    assert.equal(await rowsIn(store, "journal_rows"), 1);
  } finally {
    await publisher.close();
  }
  await store.close();
  const again = await openStore({ directory, partition: 0, retentionMs });
  try {
    assert.equal(again.position?.nextOffset, 3);
    assert.deepEqual(again.takeUnpublished().get("reading_rows")?.rows, 1);
    assert.deepEqual(await known(again), [0, 1, 2]);
    assert.equal(again.version, 3);
  } finally {
    await again.close();
  }
});

test(
  "states that newer ones replace don't come into the tables, but for what a publication shows",
  async (store, directory) => {
    const publisher = await openPublisher(store, { mergeInline: true });
    try {
      for (const offset of [0, 1]) await store.commit(reading(offset));
      // Asked for while a transaction is under way: it is published with the next.
      const committing = store.commit(reading(2));
      await Promise.all([publisher.publish([], startMs), committing]);
      const states = await store.live.writer.runAndReadAll(
        "SELECT version, counted FROM device_rows ORDER BY ALL",
      );
      assert.deepEqual(states.getRowsJson(), [["2", "2"], ["3", "3"]]);
    } finally {
      await publisher.close();
    }
    const elsewhere = await Deno.makeTempDir({ prefix: "isotherm-journal-" });
    try {
      const again = await openStore({ directory, privateDirectory: elsewhere, partition: 0, retentionMs });
      const { position, devices } = await again.load(() => startMs);
      assert.deepEqual([position?.nextOffset, devices.map(({ counted }) => counted)], [2, [2]]);
      await again.close();
    } finally {
      await Deno.remove(elsewhere, { recursive: true });
    }
  },
);

test("what waits is put into the tables once, when the reply was lost too", async (store) => {
  for (const stands of [true, false]) {
    const before = await rowsIn(store, "reading_rows");
    await store.commit(reading(before));
    await store.commit(reading(before + 1));
    await loseDrain(store, stands);
    await store.drain();
    assert.equal(await rowsIn(store, "reading_rows"), before + 2);
    assert.equal(await rowsIn(store, "journal_rows"), 0);
  }
});

test("so it is when more is committed before it is asked whether the lost reply stands", async (store) => {
  for (const stands of [true, false]) {
    const before = await rowsIn(store, "reading_rows");
    await store.commit(reading(before));
    await store.commit(reading(before + 1));
    await loseDrain(store, stands);
    await store.commit(reading(before + 2));
    assert.equal(await rowsIn(store, "journal_rows"), stands ? 1 : 3);
    await store.drain();
    assert.equal(await rowsIn(store, "reading_rows"), before + 3);
    assert.equal(await rowsIn(store, "journal_rows"), 0);
  }
  assert.deepEqual(await known(store), [0, 1, 2, 3, 4, 5]);
});

test("a small transaction whose reply was lost, and that is repeated, is there once", async (store) => {
  const { insert } = store.live;
  for (const stands of [true, false]) {
    const { version } = store;
    store.live.insert = async (...call) => {
      if (stands) await insert.apply(store.live, call);
      throw new StoreUnavailable("the reply was lost");
    };
    const first = store.commit(reading(version));
    if (stands) await first;
    else await assert.rejects(first, StoreUnavailable);
    Object.assign(store.live, { insert });
    if (!stands) await store.commit(reading(version));
    assert.equal(store.version, version + 1);
    assert.equal(await rowsIn(store, "journal_rows"), version + 1);
  }
  assert.deepEqual(await known(store), [0, 1]);
});

test("the statement that writes the journal works after a checkpoint and when its table was emptied", async (store) => {
  for (let offset = 0; offset < 3; offset++) {
    await store.commit(reading(offset));
    await store.drain();
    await store.live.exclusive(() => store.live.checkpoint());
  }
  await store.commit(reading(3));
  assert.equal(await rowsIn(store, "journal_rows"), 1);
  assert.deepEqual(await known(store), [0, 1, 2, 3]);
});
