import assert from "node:assert/strict";
import { DuckDBInstance } from "@duckdb/node-api";
import type { Changes } from "../../core/ports/store.ts";
import { StoreRefused } from "../../core/ports/store.ts";
import type { WindowRow } from "../../core/rows.ts";
import {
  alertRow,
  bootRow,
  changes,
  channelRow,
  deviceRow,
  emptyChannel,
  positionRow,
  quarantineRow,
  readingRow,
  releaseRow,
  startMs,
  windowRow,
} from "../../core/testing/builders.ts";
import { rowDigest } from "./digest.ts";
import { openPublisher, publishedGraceMs } from "./publisher.ts";
import { dataPaths, readRecords } from "./published.ts";
import { Catalogue } from "./reader.ts";
import { openStore } from "./store.ts";
import { sha256OfFile } from "../durable_files.ts";
import { ask, type Opened, storeTest } from "../testing/opened_store.ts";
import { segmentLimits } from "./segments.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

const test = (name: string, body: (opened: Opened) => Promise<void>, retentionMs = 30 * DAY_MS) =>
  storeTest(name, body, { retentionMs });

const minute = (index: number, fields: Partial<WindowRow> = {}) =>
  windowRow({ startMs: startMs + index * MINUTE_MS, ...fields });

/** One of everything. */
const everything: Changes = changes({
  position: positionRow({ nextOffset: 5, epoch: 2 }),
  readings: [
    readingRow(),
    readingRow({ seq: 1, temperatureMilliC: null, humidityMilliPct: null, fault: "timeout" }),
  ],
  quarantined: [quarantineRow({ offset: 1 }), quarantineRow({ offset: 2, device: null, tsMs: null })],
  released: [releaseRow({ offset: 1, byOffset: 4 })],
  windows: [minute(0)],
  devices: [deviceRow({ watermarkMs: startMs, quarantined: 1 }), deviceRow({ device: "", counted: 0 })],
  boots: [bootRow({ slots: 3 })],
});

test("what is committed can be queried after a publication, with open windows apart", async (opened) => {
  const { store, publisher, ask } = opened;
  await store.commit(everything);
  await publisher.publish([minute(1, { closedBy: null })], startMs);
  assert.deepEqual(
    await ask("SELECT device, ts, temperature_c, humidity_pct, fault FROM readings ORDER BY seq"),
    [
      ["desk", "2026-01-01 00:00:00", 21.5, 40, null],
      ["desk", "2026-01-01 00:00:00", null, null, "timeout"],
    ],
  );
  assert.deepEqual(
    await ask("SELECT device, reason, released_by_offset FROM quarantine ORDER BY log_offset"),
    [
      ["desk", "out_of_range", 4],
      [null, "out_of_range", null],
    ],
  );
  assert.deepEqual(await ask("SELECT window_start, closed_by, temperature_c_mean, expected FROM windows"), [
    ["2026-01-01 00:00:00", "watermark", 21.5, 6],
  ]);
  assert.deepEqual(await ask("SELECT window_start, closed_by FROM windows_live ORDER BY window_start"), [
    ["2026-01-01 00:00:00", "watermark"],
    ["2026-01-01 00:01:00", null],
  ]);
  assert.deepEqual(
    await ask("SELECT device, readings, quarantined, watermark FROM devices ORDER BY device"),
    [
      ["", 0, 0, null],
      ["desk", 1, 1, "2026-01-01 00:00:00"],
    ],
  );
  assert.deepEqual(await ask("SELECT device, slots, counted, missing FROM ledger_slots"), [[
    "desk",
    3,
    1,
    2,
  ]]);
  assert.deepEqual(await ask("SELECT device, arrivals FROM ledger_arrivals ORDER BY device"), [["", 0], [
    "desk",
    2,
  ]]);
  assert.deepEqual(await ask("FROM log_position"), [[0, 5, "2026-01-01 00:00:00.5", 2, "11"]]);
  assert.equal((await ask("FROM windows_filled")).length, 2);
});

test("every documented view and each of its columns carries its comment in the catalogue", async ({ store, publisher, ask }) => {
  await store.commit(changes());
  await publisher.publish([], startMs);
  const views = await ask(
    "SELECT view_name FROM duckdb_views() WHERE NOT internal AND view_name NOT LIKE '%_rows' ORDER BY 1",
  );
  assert.deepEqual(views.flat(), [
    "alert_rules",
    "alerts",
    "configuration",
    "devices",
    "ledger_arrivals",
    "ledger_slots",
    "log_gaps",
    "log_position",
    "quarantine",
    "readings",
    "window_versions",
    "windows",
    "windows_filled",
    "windows_live",
  ]);
  const bare = await ask(
    "SELECT view_name FROM duckdb_views() WHERE NOT internal AND view_name NOT LIKE '%_rows' AND comment IS NULL " +
      "UNION ALL SELECT table_name || '.' || column_name FROM duckdb_columns() " +
      "WHERE NOT internal AND table_name NOT LIKE '%_rows' AND comment IS NULL",
  );
  assert.deepEqual(bare, []);
});

test("the manifest tells position, epoch and digest, and its SHA-256 are those of the files", async (opened) => {
  const { directory, store, publisher } = opened;
  await store.commit(everything);
  const manifest = await publisher.publish([minute(1, { closedBy: null })], startMs + 7);
  assert.deepEqual(JSON.parse(await Deno.readTextFile(`${directory}/published/manifest.json`)), manifest);
  assert.equal(manifest.publishedMs, startMs + 7);
  assert.equal(manifest.configHash, "11");
  const [partition] = manifest.partitions;
  assert.equal(partition?.nextOffset, 5);
  assert.equal(partition?.epoch, 2);
  assert.equal(partition?.rowDigest, rowDigest([minute(0)]));
  assert.deepEqual(partition?.files.map(({ table, rows }) => `${table} ${rows}`), [
    "reading_rows 2",
    "quarantine_rows 2",
    "release_rows 1",
    "window_rows 1",
    "device_rows 2",
    "boot_rows 1",
    "open_windows 1",
  ]);
  for (const file of partition!.files) {
    const path = `${directory}/published/${file.path}`;
    assert.equal(await sha256OfFile(path), file.sha256);
    assert.equal((await Deno.stat(path)).size, file.bytes);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o444);
  }
});

test("without anything new the last manifest is given again and no file is written", async (opened) => {
  const { directory, store, publisher } = opened;
  await store.commit(everything);
  const first = await publisher.publish([], startMs);
  const again = await publisher.publish([], startMs + 1_000);
  assert.deepEqual(again, first);
  assert.equal([...Deno.readDirSync(`${directory}/published/segments/0`)].length, 6);
});

test("the newest version of a window is shown, all versions are kept, and the digest follows", async (opened) => {
  const { store, publisher, ask } = opened;
  const late = (revision: number) =>
    minute(0, {
      revision,
      replaces: revision - 1,
      late: revision,
      temperature: channelRow(21_500 + revision),
    });
  let digest = "";
  const publish = async (transaction: Changes) => {
    await store.commit(transaction);
    digest = (await publisher.publish([], startMs)).partitions[0]!.rowDigest;
  };
  await publish(changes({ windows: [minute(0), minute(1)] }));
  assert.equal(digest, rowDigest([minute(0), minute(1)]));
  await publish(changes({ windows: [late(1)] }));
  assert.equal(digest, rowDigest([late(1), minute(1)]));
  await store.commit(changes({ windows: [late(2), minute(2)] }));
  await publish(changes({ windows: [late(3)] }));
  assert.equal(digest, rowDigest([minute(2), minute(1), late(3)]));
  assert.deepEqual(
    await ask("SELECT revision, late, temperature_c_mean FROM windows ORDER BY window_start"),
    [
      [3, 3, 21.503],
      [0, 0, 21.5],
      [0, 0, 21.5],
    ],
  );
  assert.equal((await ask("FROM window_versions")).length, 6);
  await opened.reopen();
  await opened.store.commit(changes({ windows: [late(4)] }));
  const manifest = await opened.publisher.publish([], startMs);
  assert.equal(manifest.partitions[0]!.rowDigest, rowDigest([late(4), minute(1), minute(2)]));
});

test("DuckDB and TypeScript agree on the digest of any window", async ({ store, publisher }) => {
  const odd = [
    minute(0, { device: 'a "quoted" \\ name / with ü, 🌡 and 温度', closedBy: "silence", everyMs: null }),
    minute(1, {
      temperature: emptyChannel,
      humidity: channelRow(-1, { sumSquares: 10n ** 37n, sum: -9_007_199_254_740_991 }),
    }),
    minute(2, { temperature: channelRow(0, { p50: null, p95: null, first: -40_000, last: 80_000 }) }),
    minute(-30_000_000, { revision: 7 }),
  ];
  const many = Array.from({ length: 2_500 }, (_, index) => minute(10 + index, { readings: index }));
  await store.commit(changes({ windows: [...odd, ...many] }));
  const manifest = await publisher.publish([], startMs);
  assert.equal(manifest.partitions[0]!.rowDigest, rowDigest([...odd, ...many]));
});

test("dozens of publications leave at most 64 files named, every row once, in a live file that stays small", async (opened) => {
  const { directory, store, publisher } = opened;
  const transactions = 24;
  for (let index = 0; index < transactions; index++) {
    await store.commit(changes({
      position: positionRow({ nextOffset: index + 1 }),
      readings: [readingRow({ offset: index, seq: index })],
      windows: [minute(index)],
      devices: [deviceRow({ counted: index + 1 })],
      boots: [bootRow({ slots: index + 1 })],
      quarantined: [quarantineRow({ offset: index })],
    }));
    const manifest = await publisher.publish(
      [minute(index + 1, { closedBy: null })],
      startMs + index * 1_000,
    );
    assert.ok(manifest.partitions[0]!.files.length <= segmentLimits.segmentsMax);
  }
  assert.deepEqual(await ask(directory, "SELECT count(*), count(DISTINCT seq), sum(seq) FROM readings"), [
    [transactions, transactions, transactions * (transactions - 1) / 2],
  ]);
  assert.deepEqual(await ask(directory, "SELECT count(*), count(DISTINCT window_start) FROM windows"), [
    [transactions, transactions],
  ]);
  assert.deepEqual(await ask(directory, "SELECT readings FROM devices"), [[transactions]]);
  assert.deepEqual(await ask(directory, "SELECT count(*) FROM quarantine"), [[transactions]]);
  const record = (await readRecords(dataPaths(directory, 0))).get(0)!;
  assert.ok(record.segments.length < 30, `${record.segments.length} segments`);
  for (const table of new Set(record.segments.map((segment) => segment.table))) {
    const versions = record.segments.filter((segment) => segment.table === table);
    versions.slice(1).forEach((segment, index) =>
      assert.ok(segment.firstVersion > versions[index]!.lastVersion, `${table} in version order`)
    );
  }
});

test("files of older publications stay readable for five minutes, then they are deleted", async (opened) => {
  const { directory, store, publisher } = opened;
  const files = () => [...Deno.readDirSync(`${directory}/published/segments/0`)].length;
  await store.commit(changes({ windows: [minute(0)] }));
  await publisher.publish([minute(1, { closedBy: null })], startMs);
  const catalogue = await Catalogue.open(directory);
  await store.commit(changes({ windows: [minute(1)] }));
  await publisher.publish([minute(2, { closedBy: null })], startMs + 1_000);
  assert.equal(files(), 4);
  assert.deepEqual((await catalogue.query("SELECT count(*) FROM windows_live", 1)).rows, [[2]]);
  await store.commit(changes({ windows: [minute(2)] }));
  await publisher.publish([], startMs + 1_000 + publishedGraceMs - 1);
  assert.equal(files(), 5);
  assert.deepEqual((await catalogue.query("SELECT count(*) FROM windows_live", 1)).rows, [[2]]);
  catalogue.close();
  await store.commit(changes({ windows: [minute(3)] }));
  await publisher.publish([], startMs + 1_000 + publishedGraceMs);
  // The open window of the first publication has gone; that of the second was named until five minutes ago.
  assert.equal(files(), 5);
  assert.deepEqual(await ask(directory, "SELECT count(*) FROM windows_live"), [[4]]);
});

test("readings leave when their retention is over in log time, windows stay", async (opened) => {
  const { store, publisher, ask } = opened;
  const at = (day: number) => startMs + day * DAY_MS;
  const publish = async (day: number) => {
    await store.commit(changes({
      position: positionRow({ nextOffset: day + 1, appendHighMs: at(day) }),
      readings: [readingRow({ tsMs: at(day), appendMs: at(day), offset: day })],
      quarantined: [quarantineRow({ tsMs: at(day), appendMs: at(day), offset: day })],
      windows: [windowRow({ startMs: at(day) })],
    }));
    await publisher.publish([], at(day));
  };
  for (let day = 0; day <= 3; day++) await publish(day);
  // Kept: the day of the append time, and two days more. At the start of day 3 that of day 0 is over.
  assert.deepEqual(await ask("SELECT count(*), min(ts) FROM readings"), [[3, "2026-01-02 00:00:00"]]);
  assert.deepEqual(await ask("SELECT count(*) FROM quarantine"), [[3]]);
  assert.deepEqual(await ask("SELECT count(*) FROM windows"), [[4]]);
}, 2 * DAY_MS);

test("what was published before a restart isn't published again, what wasn't is", async (opened) => {
  await opened.store.commit(changes({ readings: [readingRow()], windows: [minute(0)] }));
  await opened.publisher.publish([], startMs);
  await opened.store.commit(
    changes({ position: positionRow({ nextOffset: 2 }), readings: [readingRow({ offset: 1 })] }),
  );
  await opened.reopen();
  assert.equal((await opened.store.load(() => 0)).position?.nextOffset, 2);
  await opened.publisher.publish([], startMs);
  await opened.reopen();
  await opened.publisher.publish([], startMs);
  assert.deepEqual(await opened.ask("SELECT count(*) FROM readings"), [[2]]);
  assert.deepEqual(await opened.ask("SELECT count(*) FROM windows"), [[1]]);
});

test("two partitions of one data folder share the catalogue, each seen as of its own publication", async (opened) => {
  const { directory, store, publisher } = opened;
  const other = await openStore({ directory, partition: 1, retentionMs: DAY_MS });
  const otherPublisher = await openPublisher(other, { mergeInline: true });
  try {
    await store.commit(changes({ readings: [readingRow()], devices: [deviceRow()] }));
    await publisher.publish([], startMs);
    await other.commit(changes({
      position: positionRow({ partition: 1, nextOffset: 9 }),
      readings: [readingRow({ device: "attic" })],
      devices: [deviceRow({ device: "attic" })],
    }));
    const manifest = await otherPublisher.publish([], startMs);
    assert.deepEqual(manifest.partitions.map(({ partition, nextOffset }) => [partition, nextOffset]), [
      [0, 1],
      [1, 9],
    ]);
    assert.deepEqual(await ask(directory, "SELECT device FROM readings ORDER BY 1"), [["attic"], ["desk"]]);
    assert.deepEqual(await ask(directory, "SELECT log_partition, next_offset FROM log_position ORDER BY 1"), [
      [0, 1],
      [1, 9],
    ]);
  } finally {
    await otherPublisher.close();
    await other.close();
  }
});

test("a worker whose partition has a newer owner is refused, and readers keep the newer rows", async (opened) => {
  const { directory, store, publisher } = opened;
  const paths = dataPaths(directory, 0);
  await store.commit(changes({ position: positionRow({ epoch: 4 }), windows: [minute(0)] }));
  await publisher.publish([], startMs);
  const record = (await readRecords(paths)).get(0)!;
  const newer = { ...record, generation: 9, position: { ...record.position, epoch: 11, nextOffset: 77 } };
  await Deno.writeTextFile(`${paths.records}/0@11.json`, JSON.stringify(newer));
  await store.commit(changes({ position: positionRow({ epoch: 4, nextOffset: 2 }), windows: [minute(1)] }));
  await assert.rejects(
    publisher.publish([], startMs),
    (error) =>
      error instanceof StoreRefused && /belongs to a newer owner \(epoch 11, ours is 4\)/.test(error.message),
  );
  assert.equal((await readRecords(paths)).get(0)!.position.nextOffset, 77);
});

test("a file that another worker removes while what nobody names is looked for is no failure", async (opened) => {
  const { directory, store, publisher } = opened;
  const { segments, records } = dataPaths(directory, 0);
  // Listed, and gone when it is looked at.
  await Deno.symlink(`${segments}/gone`, `${segments}/window_rows-1-1.parquet`);
  await Deno.symlink(`${records}/gone`, `${records}/0@1.json.tmp`);
  await store.commit(everything);
  await publisher.publish([], startMs + publishedGraceMs + 1);
  assert.equal((await opened.ask("FROM windows")).length > 0, true);
});

test("an empty data folder takes over what is published: the same state, and it goes on from there", async (opened) => {
  const { directory } = opened;
  const silent = minute(5, { closedBy: "silence" });
  await opened.store.commit(everything);
  await opened.store.commit(changes({
    position: positionRow({ nextOffset: 6, epoch: 2 }),
    windows: [silent],
    devices: [deviceRow({ watermarkMs: startMs, counted: 2 })],
    alerts: {
      alerts: [alertRow(), alertRow({ index: 1 })],
      rules: [{ partition: 0, name: "warm", position: 0, definition: "{}", sinceMs: startMs }],
      states: [{ device: "desk", state: "{}" }],
    },
  }));
  await opened.publisher.publish([], startMs);
  const before = await opened.store.load(() => startMs);
  const elsewhere = await Deno.makeTempDir({ prefix: "isotherm-restored-" });
  try {
    await new Deno.Command("cp", { args: ["-r", `${directory}/published`, elsewhere] }).output();
    const store = await openStore({ directory: elsewhere, partition: 0, retentionMs: 30 * DAY_MS });
    const publisher = await openPublisher(store, { mergeInline: true });
    assert.deepEqual(await store.load(() => startMs), before);
    assert.deepEqual(before.closedAhead, [silent]);
    assert.equal(before.alerts.newest.length, 2);
    await store.commit(changes({ position: positionRow({ nextOffset: 7, epoch: 2 }), windows: [minute(6)] }));
    await publisher.publish([], startMs + 1);
    assert.deepEqual(await ask(elsewhere, "SELECT count(*) FROM windows"), [[3]]);
    assert.deepEqual(await ask(elsewhere, "SELECT alert_id, rule, value FROM alerts ORDER BY log_index"), [
      ["0-1-0", "warm", 31],
      ["0-1-1", "warm", 31],
    ]);
    await publisher.close();
    await store.close();
  } finally {
    await Deno.remove(elsewhere, { recursive: true });
  }
});

test("a publication that fails leaves none of its files, and the next one has its rows", async (opened) => {
  const { directory, store, publisher, ask } = opened;
  const segments = () => [...Deno.readDirSync(`${directory}/published/segments/0`)].length;
  await store.commit(changes({ readings: [readingRow()], windows: [minute(0)] }));
  await publisher.publish([], startMs);
  await store.commit(changes({ position: positionRow({ nextOffset: 2 }), windows: [minute(1)] }));
  // A folder in the place of the record: it can't be written.
  const record = `${directory}/published/partitions/0@-1-11.json.tmp`;
  await Deno.mkdir(record);
  await assert.rejects(publisher.publish([], startMs));
  assert.equal(segments(), 2);
  await Deno.remove(record);
  await publisher.publish([], startMs);
  assert.deepEqual(await ask("SELECT count(*) FROM windows"), [[2]]);
});

test("a publication whose record stands counts, and the next one brings the catalogue up to it", async (opened) => {
  const { directory, store, publisher, ask } = opened;
  await store.commit(changes({ windows: [minute(0)] }));
  await publisher.publish([], startMs);
  await store.commit(changes({ position: positionRow({ nextOffset: 2 }), windows: [minute(1)] }));
  // A folder in the place of the catalogue: it can't be written, and isn't empty, so it can't be removed.
  const catalogue = `${directory}/published/catalogue.duckdb.tmp`;
  await Deno.mkdir(`${catalogue}/in the way`, { recursive: true });
  await assert.rejects(publisher.publish([], startMs));
  assert.deepEqual(await ask("SELECT count(*) FROM windows"), [[1]]);
  assert.equal((await readRecords(dataPaths(directory, 0))).get(0)!.position.nextOffset, 2);
  await Deno.remove(catalogue, { recursive: true });
  const manifest = await publisher.publish([], startMs);
  assert.equal(manifest.partitions[0]!.rowDigest, rowDigest([minute(0), minute(1)]));
  assert.deepEqual(await ask("SELECT count(*) FROM windows"), [[2]]);
  await opened.reopen();
  await opened.publisher.publish([], startMs);
  assert.deepEqual(await ask("SELECT count(*) FROM windows"), [[2]]);
});

test(
  "merging behind publications that go on, and whose files are soon over, keeps every file that it reads",
  async (opened) => {
    const { directory, store } = opened;
    await opened.publisher.close();
    opened.publisher = await openPublisher(store);
    for (let hour = 0; hour < 30; hour++) {
      await store.commit(changes({
        position: positionRow({ nextOffset: hour + 1, appendHighMs: startMs + hour * 60 * MINUTE_MS }),
        readings: [
          readingRow({ offset: hour, tsMs: startMs + hour, appendMs: startMs + hour * 60 * MINUTE_MS }),
        ],
        windows: [minute(hour), ...hour === 0 ? [] : [minute(hour - 1, { revision: 1, replaces: 0 })]],
      }));
      // Each publication is an hour after the last one: what it replaces may go with the next.
      await opened.publisher.publish([minute(hour + 1, { closedBy: null })], startMs + hour * 60 * MINUTE_MS);
    }
    await opened.publisher.settled();
    const versions = await opened.ask("SELECT count(*), count(*) FILTER (revision = 1) FROM windows");
    assert.deepEqual(versions, [[30, 29]]);
    const record = (await readRecords(dataPaths(directory, 0))).get(0)!;
    const named = new Set([...record.segments, ...record.retired].map(({ path }) => path));
    const files = [...Deno.readDirSync(`${directory}/published/segments/0`)].map(({ name }) =>
      `segments/0/${name}`
    );
    // What is merged since the last publication has no name yet.
    assert.ok(files.filter((file) => !named.has(file)).length <= 4, files.join(" "));
    for (const { path } of record.segments) assert.ok(files.includes(path), path);
  },
  DAY_MS / 12,
);

test("commits go on while a publication is under way, and come with the next one", async ({ store, publisher, ask }) => {
  await store.commit(changes({ readings: [readingRow()], windows: [minute(0)] }));
  const publication = publisher.publish([], startMs);
  const commits = Array.from(
    { length: 5 },
    (_, index) =>
      store.commit(
        changes({
          position: positionRow({ nextOffset: index + 2 }),
          readings: [readingRow({ offset: index + 1 })],
        }),
      ),
  );
  const manifest = await publication;
  await Promise.all(commits);
  assert.equal(manifest.partitions[0]!.nextOffset, 1);
  assert.deepEqual(await ask("SELECT count(*) FROM readings"), [[1]]);
  await publisher.publish([], startMs);
  assert.deepEqual(await ask("SELECT count(*) FROM readings"), [[6]]);
});

test("a catalogue answers from any working directory and under any name", async ({ directory, store, publisher }) => {
  await store.commit(changes({ windows: [minute(0)] }));
  await publisher.publish([], startMs);
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  await connection.run(`ATTACH '${directory}/published/catalogue.duckdb' AS greenhouse (READ_ONLY)`);
  const reader = await connection.runAndReadAll("SELECT count(*) FROM greenhouse.windows");
  assert.deepEqual(reader.getRowsJson(), [["1"]]);
  connection.closeSync();
  instance.closeSync();
});

test("a data folder whose name SQL would take for a pattern is refused with a sentence", async () => {
  await assert.rejects(
    openStore({ directory: "/tmp/data[1]", partition: 0, retentionMs: DAY_MS }),
    (error) =>
      error instanceof StoreRefused && /has one of \* \? \[ \] \{ \} in its path/.test(error.message),
  );
});
