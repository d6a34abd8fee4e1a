import assert from "node:assert/strict";
import { defaultConfig } from "./config.ts";
import { Partition } from "./partition.ts";
import { MemoryDisk } from "./testing/memory_store.ts";

const START_MS = 1_767_225_600_000;
const MINUTE_MS = 60_000;
const encoder = new TextEncoder();

/** Numbers below `bound`, the same for the same seed. */
function numbersFrom(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(state / 2 ** 32 * bound);
  };
}

/** The same by a walk through all devices. */
function walked(fold: Partition): [number, number | null] {
  const views = [...fold.views(null)];
  const watermarks = views.filter(({ open, row }) => open.length > 0 && row.watermarkMs !== null)
    .map(({ row }) => row.watermarkMs!);
  const lowest = watermarks.length === 0 ? null : Math.min(...watermarks);
  return [views.reduce((count, { open }) => count + open.length, 0), lowest];
}

Deno.test("open windows and the lowest watermark are what a walk through the devices finds, whatever comes", async () => {
  const lowest = new Set<number | null>();
  for (let seed = 1; seed <= 40; seed++) {
    const below = numbersFrom(seed);
    const store = new MemoryDisk().open(0);
    let fold = new Partition(defaultConfig, 0, 1);
    let [offset, appendMs] = [0, START_MS];
    assert.deepEqual([fold.openWindowCount, fold.lowestWatermarkMs], [0, null]);
    for (let step = 0; step < 12; step++) {
      // More devices than there is room for at first; some without a clock, and times in which silence closes days.
      const records = Array.from({ length: below(40) }, () => {
        appendMs += below(20) === 0 ? below(30 * 60 * MINUTE_MS) : below(3_000);
        const device = `d${below(150)}`;
        const reading = { seq: offset, ts: appendMs - below(2 * MINUTE_MS), temperature_c: 20 };
        const batch = { device, boot: 1, synced: below(6) > 0, readings: [reading] };
        const value = encoder.encode(JSON.stringify(batch));
        return { partition: 0, offset: offset++, appendMs, key: device, value, headers: {} };
      });
      const prepared = fold.prepare(records);
      fold.apply(prepared, await store.lookup(prepared.needs));
      await store.commit(fold.takeChanges("00", "11"));
      if (below(10) === 0) {
        fold = Partition.restore(defaultConfig, 0, 1, await store.load(Partition.openFrom(defaultConfig)));
      }
      assert.deepEqual(
        [fold.openWindowCount, fold.lowestWatermarkMs],
        walked(fold),
        `seed ${seed}, step ${step}`,
      );
      lowest.add(fold.lowestWatermarkMs);
    }
  }
  assert.ok(lowest.size > 100, `${lowest.size} different watermarks`);
});
