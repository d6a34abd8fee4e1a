import assert from "node:assert/strict";
import type { Changes } from "../../core/ports/store.ts";
import { StoreRefused } from "../../core/ports/store.ts";
import type { Trace } from "../../core/ports/trace.ts";
import { below } from "../../core/ports/random.ts";
import {
  bootRow,
  changes,
  channelRow,
  deviceRow,
  needs,
  positionRow,
  quarantineRow,
  readingRow,
  startMs,
  windowRow,
} from "../../core/testing/builders.ts";
import { seededRandom } from "../../sim/random.ts";
import { StoreDamaged } from "./damage.ts";
import { openPublisher } from "./publisher.ts";
import { dataPaths, newestRecord } from "./published.ts";
import { Catalogue } from "./reader.ts";
import { openStore, type StoreOptions } from "./store.ts";

/** Damaged places in this test; the soak raises it. */
const damages = Number(Deno.env.get("ISOTHERM_SOAK_DAMAGES") ?? "3");
const RECORDS = 30;
const MINUTE_MS = 60_000;

/** What record `offset` of the log makes: a pure function, as the fold is. */
function transaction(offset: number): Changes {
  const device = `device-${offset % 3}`;
  const late = offset % 5 === 4;
  return changes({
    position: positionRow({
      nextOffset: offset + 1,
      lastOffset: offset,
      appendHighMs: startMs + offset * MINUTE_MS,
    }),
    readings: [
      readingRow({
        device,
        seq: offset,
        offset,
        tsMs: startMs + offset * MINUTE_MS,
        temperatureMilliC: offset,
      }),
    ],
    quarantined: offset % 10 === 0 ? [quarantineRow({ device, offset, tsMs: startMs + offset })] : [],
    windows: [
      windowRow({
        device,
        startMs: startMs + offset * MINUTE_MS,
        closedBy: offset % 7 === 0 ? "silence" : "watermark",
      }),
      ...late
        ? [windowRow({
          device: `device-${(offset - 3) % 3}`,
          startMs: startMs + (offset - 3) * MINUTE_MS,
          temperature: channelRow(offset),
          closedBy: (offset - 3) % 7 === 0 ? "silence" : "watermark",
          revision: 1,
          replaces: 0,
        })]
        : [],
    ],
    devices: [deviceRow({ device, counted: offset, watermarkMs: startMs + offset * MINUTE_MS })],
    boots: [bootRow({ device, slots: offset })],
  });
}

/** Works off the log from where the store is, publishing now and then; the last records stay unpublished. */
async function work(options: StoreOptions, until: number): Promise<void> {
  const store = await openStore(options);
  try {
    const publisher = await openPublisher(store, { mergeInline: true });
    try {
      for (let offset = store.position?.nextOffset ?? 0; offset < until; offset++) {
        await store.commit(transaction(offset));
        if (offset % 10 === 9 || offset === RECORDS + 4) {
          await publisher.publish([windowRow({ closedBy: null })], startMs);
        }
      }
    } finally {
      await publisher.close();
    }
  } finally {
    await store.close();
  }
}

const facts = [
  "SELECT device, seq, ts, temperature_c FROM readings ORDER BY log_offset",
  "SELECT device, ts, reason FROM quarantine ORDER BY log_offset",
  "SELECT device, window_start, revision, temperature_c_mean FROM windows ORDER BY window_start",
  "SELECT device, window_start, revision FROM window_versions ORDER BY ALL",
  "SELECT * FROM ledger_slots ORDER BY device",
  "SELECT * FROM ledger_arrivals ORDER BY device",
  "FROM log_position",
];

async function readFacts(directory: string): Promise<unknown[]> {
  const catalogue = await Catalogue.open(directory);
  try {
    const found: unknown[] = [];
    for (const sql of facts) found.push((await catalogue.query(sql, 10_000)).rows);
    return found;
  } finally {
    catalogue.close();
  }
}

interface Place {
  readonly directory: string;
  readonly options: StoreOptions;
  readonly events: string[];
}

async function withPlace(
  body: (place: Place) => Promise<void>,
  fields: Partial<StoreOptions> = {},
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "isotherm-damage-" });
  const events: string[] = [];
  const trace: Trace = { emit: (_level, event) => events.push(event) };
  const options: StoreOptions = {
    directory,
    partition: 0,
    retentionMs: 30 * 86_400_000,
    earliestOffset: () => Promise.resolve(0),
    checkInBackground: false,
    trace,
    ...fields,
  };
  try {
    await work(options, RECORDS - 7);
    await body({ directory, options, events });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function flip(path: string, at: number, bit: number): Promise<void> {
  const bytes = await Deno.readFile(path);
  bytes[at]! ^= 1 << bit;
  await Deno.chmod(path, 0o644);
  await Deno.writeFile(path, bytes);
}

async function segmentOf(directory: string, table: string) {
  const record = await newestRecord(dataPaths(directory, 0), 0);
  const segment = record!.segments.find((candidate) => candidate.table === table)!;
  return { segment, path: `${directory}/published/${segment.path}` };
}

Deno.test("files that are cut or have a flipped bit anywhere are found, moved aside, and all rows made anew", async () => {
  let undamaged: unknown[] = [];
  await withPlace(async ({ directory, options }) => {
    await work(options, RECORDS + 5);
    undamaged = await readFacts(directory);
  });
  const random = seededRandom(20_260_101);
  const outcomes = new Map<string, number>();
  for (let damage = 0; damage < damages; damage++) {
    await withPlace(async ({ directory, options, events }) => {
      const record = (await newestRecord(dataPaths(directory, 0), 0))!;
      const segments = record.segments.map(({ path }) => `${directory}/published/${path}`);
      const files = damage % 3 === 0 ? [dataPaths(directory, 0).live] : segments;
      const file = files[below(random, files.length)]!;
      const size = (await Deno.stat(file)).size;
      await Deno.chmod(file, 0o644);
      if (below(random, 2) === 0) await Deno.truncate(file, below(random, size));
      else await flip(file, below(random, size), below(random, 8));
      // Whatever is damaged is found while the work goes on, at the latest by the check in the background.
      for (let attempt = 0;; attempt++) {
        const checked = openStore(options).then(async (store) => {
          store.checkInBackground({ emit: (_level, event) => events.push(event) });
          await store.guard.settled();
          await store.close();
        });
        await checked.catch((error) => assert.ok(error instanceof StoreRefused, String(error)));
        try {
          await work(options, RECORDS + 5);
          break;
        } catch (error) {
          assert.ok(error instanceof StoreDamaged && attempt < 3, String(error));
        }
      }
      assert.deepEqual(await readFacts(directory), undamaged, `${file} damaged`);
      const what = events.length === 0 ? "in unused bytes" : events.at(0)!;
      outcomes.set(what, (outcomes.get(what) ?? 0) + 1);
    });
  }
  console.log(
    `  ${damages} damages: ${[...outcomes].map(([what, count]) => `${count} × ${what}`).join(", ")}`,
  );
});

Deno.test("no row is ever served from a segment with a flipped bit: the lookup is refused and the file is moved", async () => {
  await withPlace(async ({ directory, options }) => {
    const { segment, path } = await segmentOf(directory, "reading_rows");
    await flip(path, Math.floor(segment.bytes / 2), 3);
    const store = await openStore(options);
    try {
      const wanted = needs({
        readings: [{ device: "device-1", fromMs: startMs, toMs: startMs + RECORDS * MINUTE_MS }],
      });
      await assert.rejects(store.lookup(wanted), (error) =>
        error instanceof StoreDamaged &&
        /^the published file segments\/0\/reading_rows\S+ \(\d+ rows of reading_rows\) is damaged and was moved to \S+\/damaged\/0\/1-reading_rows\S+: start again, its rows are then made anew$/
          .test(error.message));
      await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
    } finally {
      await store.close();
    }
  });
});

Deno.test("the check in the background stops the store when a segment has changed", async () => {
  await withPlace(async ({ directory, options, events }) => {
    const { path } = await segmentOf(directory, "window_rows");
    await flip(path, 100, 0);
    const store = await openStore({ ...options, checkInBackground: true });
    try {
      await store.guard.settled();
      assert.deepEqual(events, ["store.damaged"]);
      await assert.rejects(store.commit(transaction(RECORDS - 7)), StoreDamaged);
      await assert.rejects(store.load(() => 0), StoreDamaged);
    } finally {
      await store.close();
    }
  });
});

Deno.test("rows that the log no longer has are named as lost, and everything else stays", async () => {
  await withPlace(async ({ directory, options, events }) => {
    const { segment, path } = await segmentOf(directory, "window_rows");
    const before = await readFacts(directory);
    await Deno.remove(path);
    await work(options, RECORDS + 5);
    assert.deepEqual(events, ["store.segment_damaged", "store.rows_lost"]);
    const record = await newestRecord(dataPaths(directory, 0), 0);
    const { table, rows, minMs, maxMs } = segment;
    assert.deepEqual(record!.lost, [{ table, rows, minMs, maxMs }]);
    const after = await readFacts(directory);
    assert.equal((after[0] as unknown[]).length, RECORDS + 5);
    assert.ok((after[2] as unknown[]).length < (before[2] as unknown[]).length + 12);
  }, { earliestOffset: () => Promise.resolve(1) });
});

Deno.test("state that is damaged with the live file gone is refused unless the log has everything", async () => {
  for (const earliest of [1, 0]) {
    await withPlace(async ({ directory, options, events }) => {
      const paths = dataPaths(directory, 0);
      await Deno.remove((await segmentOf(directory, "device_rows")).path);
      await Deno.truncate(paths.live, 100);
      if (earliest === 0) {
        await work(options, RECORDS + 5);
        assert.deepEqual(events, ["store.segment_damaged", "store.live_file_damaged", "store.starts_over"]);
        assert.equal(((await readFacts(directory))[0] as unknown[]).length, RECORDS + 5);
        return;
      }
      await assert.rejects(
        openStore(options),
        (error) =>
          error instanceof StoreRefused && /restore the folder `published` from a backup/.test(error.message),
      );
    }, { earliestOffset: () => Promise.resolve(earliest) });
  }
});

Deno.test("a log of transactions that is cut at any byte gives a state that was committed", async () => {
  const directory = await Deno.makeTempDir({ prefix: "isotherm-damage-" });
  try {
    const options = { directory, partition: 0, retentionMs: 30 * 86_400_000 };
    const store = await openStore(options);
    for (let offset = 0; offset < 20; offset++) await store.commit(transaction(offset));
    const { live } = dataPaths(directory, 0);
    const [file, log] = [await Deno.readFile(live), await Deno.readFile(`${live}.wal`)];
    await store.close();
    for (let cut = 0; cut < 12; cut++) {
      await Deno.writeFile(live, file);
      await Deno.writeFile(`${live}.wal`, log.subarray(0, Math.floor(log.length * cut / 12)));
      const opened = await openStore(options);
      const { position, openReadings } = await opened.load(() => 0);
      await opened.close();
      assert.deepEqual(
        openReadings.map(({ offset }) => offset),
        Array.from({ length: position?.nextOffset ?? 0 }, (_, i) => i),
      );
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
