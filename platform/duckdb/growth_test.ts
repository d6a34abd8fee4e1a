/**
 * A fleet with one reading a minute, for `ISOTHERM_SOAK_DAYS` simulated days (365 in the soak, then with 100 devices): the
 * folder follows the rows that are kept, files and memory stay bounded, opening stays quick. (`deno task soak:year` leaves
 * out the check of types: it is made in the same process, and its 120 MiB would count as the store's. V8 gets the flags of
 * `deno task start:aggregator`: without them its heap grows as far as the machine lets it before it is collected.)
 */
import assert from "node:assert/strict";
import type { Changes } from "../../core/ports/store.ts";
import {
  bootRow,
  changes,
  deviceRow,
  positionRow,
  readingRow,
  startMs,
  windowRow,
} from "../../core/testing/builders.ts";
import { machineClock } from "../clock.ts";
import { type DuckdbPublisher, openPublisher } from "./publisher.ts";
import { Catalogue } from "./reader.ts";
import { segmentLimits } from "./segments.ts";
import { type DuckdbStore, openStore } from "./store.ts";
import { fileBytes } from "../durable_files.ts";

const days = Number(Deno.env.get("ISOTHERM_SOAK_DAYS") ?? "3");
/** Kept for so many days; fewer than the days, so that some expire. */
const retentionDays = days > 60 ? 30 : 1;
const devices = days > 60 ? 100 : 12;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const names = Array.from({ length: devices }, (_, index) => `greenhouse-${index}`);

/** One hour of the fleet in one transaction: readings, windows of a minute and an hour, one late revision a device. */
function hourOf(hour: number): Changes {
  const at = startMs + hour * HOUR_MS;
  const end = at + HOUR_MS;
  const minutes = Array.from({ length: 60 }, (_, minute) => at + minute * MINUTE_MS);
  return changes({
    position: positionRow({ nextOffset: (hour + 1) * 60 * devices, appendHighMs: end }),
    readings: minutes.flatMap((tsMs, minute) =>
      names.map((device, index) =>
        readingRow({
          device,
          seq: hour * 60 + minute,
          tsMs,
          appendMs: tsMs + 500,
          offset: (hour * 60 + minute) * devices + index,
          temperatureMilliC: 20_000 + (minute * 37 + index * 11 + hour) % 3_000,
        })
      )
    ),
    windows: [
      ...minutes.flatMap((start) =>
        names.map((device) => windowRow({ device, startMs: start, oldestAppendMs: start + 500 }))
      ),
      ...names.map((device) =>
        windowRow({ device, windowSize: "1h", startMs: at, endMs: end, oldestAppendMs: at + 500 })
      ),
      ...hour === 0
        ? []
        : names.map((device) =>
          windowRow({ device, startMs: at - HOUR_MS, revision: 1, replaces: 0, readings: 2 })
        ),
    ],
    devices: names.map((device) =>
      deviceRow({ device, watermarkMs: end - 30_000, counted: (hour + 1) * 60 })
    ),
    boots: names.map((device) => bootRow({ device, slots: (hour + 1) * 60 })),
  });
}

async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for await (const entry of Deno.readDir(folder)) {
    bytes += entry.isDirectory
      ? await folderBytes(`${folder}/${entry.name}`)
      : await fileBytes(`${folder}/${entry.name}`);
  }
  return bytes;
}

Deno.test(`in ${days} simulated days the folder follows the rows kept, and files, live file and memory stay bounded`, async () => {
  const directory = await Deno.makeTempDir({ prefix: "isotherm-growth-" });
  const options = { directory, partition: 0, retentionMs: retentionDays * DAY_MS };
  const seen = {
    files: 0,
    trusted: 0,
    liveBytes: [] as number[],
    rssMb: [] as number[],
    publishMs: [] as number[],
  };
  let store: DuckdbStore | null = null;
  let publisher: DuckdbPublisher | null = null;
  try {
    store = await openStore(options);
    publisher = await openPublisher(store);
    for (let hour = 0; hour < days * 24; hour++) {
      await store.commit(hourOf(hour));
      if (days <= 60 && hour % 3 !== 2) continue;
      const publishedMs = startMs + (hour + 1) * HOUR_MS;
      const beforeMs = machineClock.monotonicMs();
      const manifest = await publisher.publish([], publishedMs);
      seen.trusted = Math.max(seen.trusted, store.guard.trusted);
      seen.publishMs.push(machineClock.monotonicMs() - beforeMs);
      seen.files = Math.max(seen.files, manifest.partitions[0]!.files.length);
      if (hour % 24 !== 23) continue;
      await publisher.settled();
      seen.liveBytes.push(await fileBytes(store.paths.live) + await fileBytes(`${store.paths.live}.wal`));
      seen.rssMb.push(Deno.memoryUsage().rss / 1_048_576);
      if (hour % (24 * 30) === 23 && days > 60) {
        console.log(`  day ${(hour + 1) / 24}: ${await summary(directory, seen)}`);
      }
    }
    await publisher.settled();
    await publisher.publish([], startMs + days * DAY_MS + 3_600_000);
    await publisher.close();
    await store.close();
    console.log(`  end: ${await summary(directory, seen)}`);

    assert.ok(seen.files <= segmentLimits.segmentsMax);
    // Those that are named, and what was merged or replaced in the hour before.
    assert.ok(seen.trusted <= 2 * seen.files, `${seen.trusted} files are remembered as whole`);
    const half = Math.ceil(seen.liveBytes.length / 2);
    const most = (values: readonly number[]) => Math.max(...values);
    assert.ok(most(seen.liveBytes) < 64 * 1_048_576, `live file of ${most(seen.liveBytes)} bytes`);
    assert.ok(most(seen.rssMb.slice(half)) < most(seen.rssMb.slice(0, half)) + 150, "memory is flat");

    const beforeMs = machineClock.monotonicMs();
    store = await openStore(options);
    const { devices: loaded } = await store.load((watermarkMs) => watermarkMs ?? 0);
    const openMs = machineClock.monotonicMs() - beforeMs;
    console.log(`  opened and loaded in ${Math.round(openMs)} ms`);
    assert.equal(loaded.length, devices);
    assert.ok(openMs < 3_000, `opening took ${openMs} ms`);
    await assertRows(directory);
  } finally {
    await publisher?.close().catch(() => {});
    await store?.close();
    await Deno.remove(directory, { recursive: true });
  }
});

async function assertRows(directory: string): Promise<void> {
  const catalogue = await Catalogue.open(directory);
  const { rows } = await catalogue.query(
    `SELECT (SELECT count(*) FROM windows), (SELECT count(*) FROM window_versions),
       (SELECT count(*) FROM readings), (SELECT count(DISTINCT log_offset) FROM readings), (SELECT min(ts) FROM readings)`,
    1,
  );
  catalogue.close();
  const [windows, versions, readings, different] = rows[0]!.map(Number);
  const hours = days * 24;
  assert.equal(windows, hours * devices * 61);
  assert.equal(versions, hours * devices * 61 + (hours - 1) * devices);
  assert.equal(readings, different);
  // Kept for the retention and to the end of their day; files that hold both go with their newest row.
  const keptDays = Math.min(days, retentionDays + 2 + 4);
  assert.ok(
    readings! >= Math.min(days, retentionDays) * 1_440 * devices && readings! <= keptDays * 1_440 * devices,
  );
}

async function summary(
  directory: string,
  { files, liveBytes, rssMb, publishMs }: {
    readonly files: number;
    readonly liveBytes: readonly number[];
    readonly rssMb: readonly number[];
    readonly publishMs: readonly number[];
  },
): Promise<string> {
  const sorted = publishMs.toSorted((left, right) => left - right);
  const bytes = await folderBytes(directory);
  return `folder ${(bytes / 1e6).toFixed(0)} MB, at most ${files} files, live file ${
    (liveBytes.at(-1)! / 1e6).toFixed(1)
  } MB, memory ${rssMb.at(-1)!.toFixed(0)} MiB, publishing p50 ${
    sorted[sorted.length >> 1]!.toFixed(0)
  } ms, p99 ${sorted[Math.floor(sorted.length * 0.99)]!.toFixed(0)} ms`;
}
