/** What publishing, asking and looking up cost beside 5,000,000 stored rows. Figures are printed; ratios are asserted. */
import assert from "node:assert/strict";
import {
  changes,
  deviceRow,
  needs,
  positionRow,
  readingRow,
  startMs,
  windowRow,
} from "../../core/testing/builders.ts";
import { machineClock } from "../clock.ts";
import { type DuckdbPublisher, openPublisher } from "./publisher.ts";
import { Catalogue } from "./reader.ts";
import { type DuckdbStore, openStore } from "./store.ts";
import { writeStoredRows } from "../testing/stored_rows.ts";

const MINUTE_MS = 60_000;
const devices = 100;

/** Commits one minute of a fleet: 600 readings, 100 windows, 100 devices. */
function minuteOf(minute: number) {
  const names = Array.from({ length: devices }, (_, index) => `device-${index}`);
  const at = startMs + minute * MINUTE_MS;
  return changes({
    position: positionRow({ nextOffset: 10_000_000 + minute, appendHighMs: at }),
    readings: names.flatMap((device) =>
      Array.from(
        { length: 6 },
        (_, index) => readingRow({ device, tsMs: at + index * 10_000, appendMs: at + 60_000 }),
      )
    ),
    windows: names.map((device) => windowRow({ device, startMs: at })),
    devices: names.map((device) => deviceRow({ device, watermarkMs: at })),
  });
}

const median = (values: readonly number[]) =>
  values.toSorted((left, right) => left - right)[values.length >> 1]!;

async function timed(task: () => Promise<unknown>): Promise<number> {
  const startedMs = machineClock.monotonicMs();
  await task();
  return machineClock.monotonicMs() - startedMs;
}

interface Place {
  readonly directory: string;
  readonly store: DuckdbStore;
  readonly publisher: DuckdbPublisher;
  readonly publishMs: number[];
  readonly askMs: number[];
  readonly lookupMs: number[];
}

async function openPlace(directory: string): Promise<Place> {
  const store = await openStore({ directory, partition: 0, retentionMs: 400 * 86_400_000 });
  await store.guard.settled();
  return { directory, store, publisher: await openPublisher(store), publishMs: [], askMs: [], lookupMs: [] };
}

/** Times of publishing one new minute, of a query for the newest windows, and of a lookup of a week-old hour. */
async function measureMinute(
  { directory, store, publisher, publishMs, askMs, lookupMs }: Place,
  minute: number,
) {
  await store.commit(minuteOf(minute));
  publishMs.push(await timed(() => publisher.publish([], startMs + minute)));
  await publisher.settled();
  const ask = async () => {
    const catalogue = await Catalogue.open(directory);
    const { rows } = await catalogue.query("FROM windows ORDER BY window_start DESC LIMIT 5", 10);
    assert.equal(rows.length, 5);
    catalogue.close();
  };
  askMs.push(await timed(ask));
  const old = startMs - 7 * 86_400_000;
  const wanted = needs({
    readings: [{ device: "device-7", fromMs: old, toMs: old + 60 * MINUTE_MS }],
    windows: [{ device: "device-7", windowSize: "1m", startMs: old }],
  });
  lookupMs.push(await timed(() => store.lookup(wanted)));
}

Deno.test("publishing one new minute costs no more beside 5,000,000 stored rows than beside none", async () => {
  const folders = [
    await Deno.makeTempDir({ prefix: "isotherm-cost-" }),
    await Deno.makeTempDir({ prefix: "isotherm-cost-" }),
  ] as const;
  const [empty, full] = folders;
  const places: Place[] = [];
  try {
    // 2,500,000 windows and as many readings.
    await writeStoredRows(full, {
      devices,
      minutes: 24_999,
      readingsPerMinute: 1,
      segments: 3,
      revisedOneIn: 1_000,
    });
    for (const folder of [empty, full]) places.push(await openPlace(folder));
    // In turns, so that a busy moment of the machine meets both.
    for (let minute = 0; minute < 6; minute++) {
      for (const place of places) await measureMinute(place, minute);
    }
    const [small, large] = places as [Place, Place];
    const text = ({ publishMs, askMs, lookupMs }: Place) =>
      `publish ${median(publishMs).toFixed(1)} ms (best ${
        Math.min(...publishMs).toFixed(1)
      }), newest five windows ${median(askMs).toFixed(1)} ms, lookup ${median(lookupMs).toFixed(1)} ms`;
    console.log(`  beside no rows:            ${text(small)}`);
    console.log(`  beside 5,000,000 rows:     ${text(large)}`);
    const best = (place: Place) => Math.min(...place.publishMs);
    assert.ok(best(large) < 2 * best(small), "publishing follows the new rows");
  } finally {
    for (const { publisher, store } of places) {
      await publisher.close();
      await store.close();
    }
    for (const folder of folders) await Deno.remove(folder, { recursive: true });
  }
});
