/**
 * A process whose files may not grow beyond a limit that its parent sets: fills the store in the data folder
 * `Deno.args[0]`, says `ready`, goes on to commit or only to publish (`Deno.args[1]`) until that fails, says how, checks
 * that nothing of the failure was kept, and tries again until it works.
 */
import { changes, positionRow, readingRow, startMs } from "../../core/testing/builders.ts";
import { StoreUnavailable } from "../../core/ports/store.ts";
import { machineClock } from "../clock.ts";
import { openPublisher } from "../duckdb/publisher.ts";
import { openStore } from "../duckdb/store.ts";

const ROWS = 3_000;
const [directory = "", what = "commit"] = Deno.args;
const store = await openStore({ directory, partition: 0, retentionMs: 30 * 86_400_000 });
const publisher = await openPublisher(store);
let next = store.position?.nextOffset ?? 0;
let failures = 0;

async function commit(): Promise<void> {
  await store.commit(changes({
    position: positionRow({ nextOffset: next + ROWS }),
    readings: Array.from({ length: ROWS }, (_, index) =>
      readingRow({
        device: `device-${index % 10}`,
        seq: next + index,
        offset: next + index,
        tsMs: startMs + next + index,
        temperatureMilliC: (index * 7_919 + next) % 80_000,
      })),
  }));
  next += ROWS;
}

for (let filling = 0; filling < 5; filling++) await commit();
console.log("ready");
for (let steps = 0; steps < 2_000; steps++) {
  try {
    if (what === "commit") await commit();
    const manifest = await publisher.publish([], startMs);
    if (failures === 0) {
      // Not yet limited: make something new to publish.
      await machineClock.sleep(5);
      await commit();
      continue;
    }
    console.log(`works again after ${failures} failures, ${manifest.partitions[0]!.nextOffset} published`);
    break;
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
    failures++;
    const { position } = await store.load(() => Number.MAX_SAFE_INTEGER);
    if ((position?.nextOffset ?? 0) !== next) throw new Error(`kept ${position?.nextOffset}, not ${next}`);
    if (failures === 1) console.log(`refused: ${error.message}`);
    if (failures === 3) console.log("still refused");
    await machineClock.sleep(20);
  }
}
await publisher.close();
await store.close();
