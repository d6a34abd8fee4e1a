import assert from "node:assert/strict";
import { StoreUnavailable } from "../../core/ports/store.ts";
import { changes, deviceRow, positionRow, readingRow, startMs } from "../../core/testing/builders.ts";
import { machineClock } from "../clock.ts";
import { dataPaths, newestRecord } from "./published.ts";
import type { DuckdbStore } from "./store.ts";
import { type Opened, rowsIn, seqsKnown, storeTest } from "../testing/opened_store.ts";

const LARGE = 10;

/** Readings [from, to) of one device, a second apart, latest first: a segment has to sort them. */
function readings(from: number, to: number) {
  return changes({
    position: positionRow({ nextOffset: to, lastOffset: to - 1 }),
    readings: Array.from({ length: to - from }, (_, index) => {
      const offset = to - 1 - index;
      return readingRow({ device: "shelf", seq: offset, offset, tsMs: startMs + offset * 1_000 });
    }),
    devices: [deviceRow({ device: "shelf", counted: to })],
  });
}

const test = (name: string, body: (opened: Opened) => Promise<void>) =>
  storeTest(name, body, { sealedReadingsMin: LARGE });

const known = (store: DuckdbStore) => seqsKnown(store, "shelf");

async function published({ ask }: Opened): Promise<number[]> {
  return (await ask("SELECT seq FROM readings ORDER BY log_offset")).map(([seq]) => Number(seq));
}

async function inLiveFile(store: DuckdbStore): Promise<number> {
  await store.drain();
  return await rowsIn(store, "reading_rows");
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
const filesOf = (directory: string) =>
  [...Deno.readDirSync(dataPaths(directory, 0).segments)].map(({ name }) => name);

test("a large transaction's readings go past the live file, a small one's through it", async ({ store }) => {
  await store.commit(readings(0, LARGE - 1));
  assert.equal(await inLiveFile(store), LARGE - 1);
  assert.equal(store.sealed.length, 0);
  await store.commit(readings(LARGE - 1, 2 * LARGE));
  assert.equal(await inLiveFile(store), LARGE - 1);
  assert.deepEqual(store.sealed.map(({ rows, minMs, maxMs }) => ({ rows, minMs, maxMs })), [
    { rows: LARGE + 1, minMs: startMs + (LARGE - 1) * 1_000, maxMs: startMs + (2 * LARGE - 1) * 1_000 },
  ]);
  assert.deepEqual(await known(store), numbers(0, 2 * LARGE));
});

test("a segment's rows lie in its file latest first, those of one time by device", async ({ directory, store, ask, publisher }) => {
  const devices = ["zoo", "attic", "a name that is too long for its handle", "\u{1f321}", "\ufb01"];
  const count = 30_000; // more than a row group
  await store.commit(changes({
    position: positionRow({ nextOffset: count, lastOffset: count - 1 }),
    readings: Array.from({ length: count }, (_, offset) => {
      const device = devices[offset % devices.length]!;
      return readingRow({ device, seq: offset, offset, tsMs: startMs + (offset * 7 % 1_000) * 1_000 });
    }),
    devices: devices.map((device) => deviceRow({ device })),
  }));
  await publisher.publish([], startMs);
  const file = `${dataPaths(directory, 0).published}/${store.record!.segments[0]!.path}`;
  const misplaced = await ask(
    `SELECT count(*), count(*) FILTER (lies <> place) FROM (
       SELECT file_row_number AS lies, row_number() OVER (ORDER BY ts DESC, device, log_offset) - 1 AS place
       FROM read_parquet('${file}', file_row_number = true))`,
  );
  assert.deepEqual(misplaced.map((row) => row.map(Number)), [[count, 0]]);
});

test("a publication names sealed segments as they are, each once", async (opened) => {
  const { directory, store, publisher } = opened;
  await store.commit(readings(0, LARGE));
  await store.commit(readings(LARGE, LARGE + 3));
  await store.commit(readings(LARGE + 3, 3 * LARGE));
  const [first, second] = store.sealed;
  await publisher.publish([], startMs);
  assert.equal(store.sealed.length, 0);
  const { segments } = (await newestRecord(dataPaths(directory, 0), 0))!;
  const ofReadings = segments.filter(({ table }) => table === "reading_rows");
  assert.deepEqual(ofReadings.slice(0, 2), [first, second]);
  assert.equal(ofReadings[2]!.rows, 3);
  assert.deepEqual(await published(opened), numbers(0, 3 * LARGE));
  assert.deepEqual(await known(store), numbers(0, 3 * LARGE));
  // Five small ones more make the tables' merges due, sealed segments among them.
  for (let next = 3 * LARGE; next < 3 * LARGE + 6; next++) {
    await store.commit(readings(next, next + 1));
    await publisher.publish([], startMs + next * 1_000);
  }
  assert.deepEqual(await published(opened), numbers(0, 3 * LARGE + 6));
  await opened.reopen();
  assert.deepEqual(await known(opened.store), numbers(0, 3 * LARGE + 6));
});

test("what is sealed and not published is there after a restart", async (opened) => {
  await opened.store.commit(readings(0, LARGE));
  await opened.publisher.publish([], startMs);
  await opened.store.commit(readings(LARGE, 2 * LARGE));
  await opened.reopen();
  assert.equal(opened.store.sealed.length, 1);
  assert.deepEqual(await known(opened.store), numbers(0, 2 * LARGE));
  await opened.publisher.publish([], startMs + 1_000);
  await opened.reopen();
  assert.equal(opened.store.sealed.length, 0);
  assert.deepEqual(await published(opened), numbers(0, 2 * LARGE));
});

test("a damaged sealed segment is moved aside, and the log is read again from what is published", async (opened) => {
  const { directory } = opened;
  await opened.store.commit(readings(0, LARGE));
  await opened.publisher.publish([], startMs);
  await opened.store.commit(readings(LARGE, 2 * LARGE));
  const file = `${dataPaths(directory, 0).published}/${opened.store.sealed[0]!.path}`;
  await opened.publisher.close();
  await opened.store.close();
  const bytes = await Deno.readFile(file);
  bytes[bytes.length >> 1]! ^= 1;
  await Deno.chmod(file, 0o644);
  await Deno.writeFile(file, bytes);
  await opened.reopen();
  assert.equal(opened.store.position!.nextOffset, LARGE);
  assert.deepEqual(await known(opened.store), numbers(0, LARGE));
  assert.ok(
    [...Deno.readDirSync(dataPaths(directory, 0).damaged)].some(({ name }) => name.includes("reading_rows")),
  );
  await opened.store.commit(readings(LARGE, 2 * LARGE));
  assert.deepEqual(await known(opened.store), numbers(0, 2 * LARGE));
});

test("the segment of a transaction that failed goes, and its readings are not there", async ({ directory, store }) => {
  await store.commit(readings(0, LARGE));
  const before = filesOf(directory);
  const wrong = {
    ...readings(LARGE, 2 * LARGE),
    devices: [deviceRow({ device: null as unknown as string })],
  };
  await assert.rejects(store.commit(wrong), /NOT NULL/);
  await store.commit(readings(LARGE, LARGE + 1));
  assert.deepEqual(filesOf(directory), before);
  assert.deepEqual(await known(store), numbers(0, LARGE + 1));
});

test("a transaction whose reply was lost, and that is repeated, is there once", async ({ store }) => {
  const { transaction } = store.live;
  await store.commit(readings(0, LARGE));
  for (const [at, stands] of [[LARGE, true], [3 * LARGE, false]] as const) {
    let deaf = 0;
    store.live.transaction = async (action, task) => {
      if (stands) await transaction.call(store.live, action, task);
      deaf = 1;
      throw new StoreUnavailable("the reply was lost");
    };
    const { writer } = store.live;
    Object.defineProperty(store.live, "writer", {
      configurable: true,
      get() {
        if (deaf-- > 0) throw new StoreUnavailable("nothing can be read either");
        return writer;
      },
    });
    await assert.rejects(store.commit(readings(at, at + 2 * LARGE)), StoreUnavailable);
    Object.assign(store.live, { transaction });
    await store.commit(readings(at, at + 2 * LARGE));
    delete (store.live as { writer?: unknown }).writer;
    assert.deepEqual(await known(store), numbers(0, at + 2 * LARGE));
    assert.equal(store.position!.nextOffset, at + 2 * LARGE);
  }
  assert.equal(store.version, 3);
});

test("what is sealed while orphans are looked for stays, even if the clock was set forward", async (opened) => {
  const { store, publisher } = opened;
  await store.commit(readings(0, LARGE));
  const published = store.published.bind(store);
  store.published = async (record, rows) => {
    store.published = published;
    await published(record, rows);
    await store.commit(readings(LARGE, 2 * LARGE));
  };
  await publisher.publish([], machineClock.nowMs() + 3_600_000);
  assert.equal(store.sealed.length, 1);
  await opened.reopen();
  assert.deepEqual(await known(opened.store), numbers(0, 2 * LARGE));
});
