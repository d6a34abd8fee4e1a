import assert from "node:assert/strict";
import fc from "fast-check";
import { defaultConfig } from "../../core/config.ts";
import { Partition } from "../../core/partition.ts";
import { type Opened, storeTest } from "../testing/opened_store.ts";
import { openRowsSql } from "./open_windows.ts";
import { quoted } from "./published.ts";
import { openWindowTable, selectList } from "./tables.ts";

const START_MS = 1_767_225_600_000;
const MINUTE_MS = 60_000;
const encoder = new TextEncoder();

/** A fold that commits what it is sent, and publishes. */
function folding(opened: Opened) {
  const fold = new Partition(defaultConfig, 0, 1);
  let [offset, appendMs] = [0, START_MS];
  return {
    fold,
    async send(devices: readonly string[], afterMs: number, ageMs = 0): Promise<void> {
      appendMs += afterMs;
      const records = devices.map((device) => {
        const [seq, ts] = [offset, appendMs - ageMs];
        const values = seq % 7 === 0
          ? { humidity_pct: 40 }
          : { temperature_c: seq % 40 - 20, humidity_pct: 40.5 };
        // Some without an identity: they have no boot and seq in their places.
        const identity = seq % 3 === 0 ? {} : { boot: 7, seq };
        const value = encoder.encode(
          JSON.stringify({ device, ...identity, ts, every_ms: 10_000, ...values }),
        );
        return { partition: 0, offset: offset++, appendMs, key: device, value, headers: {} };
      });
      const prepared = fold.prepare(records);
      fold.apply(prepared, await opened.store.lookup(prepared.needs));
      await opened.store.commit(fold.takeChanges(null, ""));
    },
    publish: () => opened.publisher.publish(fold.openWindows(), appendMs),
  };
}

/** The open windows as the catalogue shows them, and as the fold has them, in the same words. */
async function bothOf(opened: Opened, fold: Partition): Promise<[unknown[], unknown[]]> {
  const rows = await opened.ask(
    `SELECT ${selectList(openWindowTable).replaceAll(/\b\w*(_start|_end|_time)\b/g, "epoch_ms($&)")}
     FROM open_window_rows ORDER BY device, window_size, window_start`,
  );
  const key = (row: { device: string; windowSize: string; startMs: number }) =>
    `${row.device} ${row.windowSize} ${row.startMs}`;
  const open = fold.openRows().sort((a, b) => key(a) < key(b) ? -1 : 1);
  const text = (cell: unknown) => cell === null ? "" : String(cell);
  return [
    rows.map((row) => row.map(text)),
    open.map((row) => openWindowTable.columns.map(({ get }) => text(get(row)))),
  ];
}

async function sameAsFold(opened: Opened, fold: Partition): Promise<void> {
  const [shown, held] = await bothOf(opened, fold);
  assert.deepEqual(shown, held);
}

const filesOf = ({ store }: Opened) =>
  store.record!.segments.filter(({ table }) => table === "open_windows").map(({ rows }) => rows);

const names = (count: number) => Array.from({ length: count }, (_, at) => `device-${at}-on-the-roof`);

storeTest(
  "few changed windows are written alone, all when they have added up, and readers see what is open",
  async (opened) => {
    const { fold, send, publish } = folding(opened);
    await send(names(300), 0);
    await publish();
    assert.deepEqual(filesOf(opened), [900]);
    const seen: number[][] = [];
    for (let round = 0; round < 6; round++) {
      await send(names(20), 5_000);
      await publish();
      seen.push(filesOf(opened));
      await sameAsFold(opened, fold);
    }
    assert.deepEqual(seen, [
      [900, 60],
      [900, 60, 60],
      [900, 60, 60, 60],
      [900, 60, 60, 60, 60],
      [900],
      [900, 60],
    ]);
    await send(names(160), 5_000);
    await publish();
    assert.deepEqual(filesOf(opened), [900]);
    await sameAsFold(opened, fold);
  },
);

storeTest("a window that closes is among the open no more with the next publication", async (opened) => {
  const { fold, send, publish } = folding(opened);
  await send(names(300), 0);
  await publish();
  await send(names(2), 2 * MINUTE_MS);
  await publish();
  assert.deepEqual(filesOf(opened), [900, 8]);
  await sameAsFold(opened, fold);
  const [[both]] = await opened.ask(
    `SELECT count(*) FROM open_window_rows JOIN window_rows USING (device, window_size, window_start)`,
  ) as [[number]];
  assert.equal(both, 0);
});

storeTest(
  "a process that starts, and one that failed to publish, writes all that is open",
  async (opened) => {
    const { fold, send, publish } = folding(opened);
    await send(names(300), 0);
    await publish();
    await send(names(5), 1_000);
    await opened.reopen();
    await publish();
    assert.deepEqual(filesOf(opened), [900]);
    await send(names(5), 1_000);
    // The folder is away: nothing of this publication counts.
    const segments = opened.store.paths.segments;
    await Deno.rename(segments, `${segments}.away`);
    await assert.rejects(publish());
    await Deno.rename(`${segments}.away`, segments);
    await publish();
    assert.deepEqual(filesOf(opened), [900]);
    await sameAsFold(opened, fold);
  },
);

storeTest("whatever is sent between publications, readers see what is open", async (opened) => {
  const { fold, send, publish } = folding(opened);
  await send(names(250), 0);
  await publish();
  let changes = 0;
  const step = fc.record({
    devices: fc.uniqueArray(fc.integer({ min: 0, max: 259 }), { maxLength: 40 }),
    afterMs: fc.constantFrom(1_000, 20_000, 70_000, 310_000),
    ageMs: fc.constantFrom(0, 25_000, 90_000),
  });
  for (const { devices, afterMs, ageMs } of fc.sample(step, { numRuns: 40, seed: 5 })) {
    await send(devices.map((device) => names(260)[device]!), afterMs, ageMs);
    await publish();
    if (filesOf(opened).length > 1) changes++;
    await sameAsFold(opened, fold);
  }
  assert.ok(changes >= 10, `${changes} publications had changes`);
});

storeTest(
  "files of open windows that an earlier build has published are shown beside ours",
  async (opened) => {
    const { send, publish } = folding(opened);
    await send(names(4), 0);
    await publish();
    const segment = opened.store.record!.segments.find(({ table }) => table === "open_windows")!;
    const ours = `${opened.store.paths.published}/${segment.path}`;
    const theirs = `${opened.directory}/theirs.parquet`;
    const connection = opened.store.live.writer;
    // As it wrote them: rows of `open_window_rows`.
    await connection.run(`COPY (${openRowsSql([ours])}) TO ${quoted(theirs)} (FORMAT parquet)`);
    const rowsOf = async (sql: string) =>
      (await connection.runAndReadAll(`FROM (${sql}) ORDER BY ALL`)).getRowsJson();
    const alone = await rowsOf(openRowsSql([ours]));
    assert.equal(alone.length, 12);
    assert.deepEqual(await rowsOf(openRowsSql([], [theirs])), alone);
    const both = await rowsOf(openRowsSql([ours], [theirs]));
    assert.deepEqual(both, alone.flatMap((row) => [row, row]));
  },
);
