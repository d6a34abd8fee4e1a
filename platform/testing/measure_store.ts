/**
 * Measures the store alone; prints rows a second, CPU and transaction times.
 *
 *     deno run -A platform/testing/measure_store.ts commit     raw appends in transactions of 20,000 readings
 *     deno run -A platform/testing/measure_store.ts restart    loading 1,000,000 readings of open windows
 */
import { changes, deviceRow, positionRow, readingRow, startMs } from "../../core/testing/builders.ts";
import { machineClock } from "../clock.ts";
import { openPublisher } from "../duckdb/publisher.ts";
import { openStore } from "../duckdb/store.ts";

const [what = "commit", readingsText = "1000000"] = Deno.args;
const READINGS = Number(readingsText);
const EACH = 20_000;
const DEVICES = 1_000;

/** User and system time of this process in seconds; 0 where the system doesn't tell. */
function cpuSeconds(): number {
  if (Deno.build.os !== "linux") return 0;
  const fields = Deno.readTextFileSync("/proc/self/stat").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function residentMb(): number {
  return Math.round(Deno.memoryUsage().rss / 1_048_576);
}

const directory = await Deno.makeTempDir({ prefix: "isotherm-measure-" });
const options = { directory, partition: 0, retentionMs: 30 * 86_400_000 };
try {
  let store = await openStore(options);
  const names = Array.from({ length: DEVICES }, (_, index) => `greenhouse-${index}`);
  const batches: ReturnType<typeof changes>[] = [];
  for (let from = 0; from < READINGS; from += EACH) {
    batches.push(changes({
      position: positionRow({ nextOffset: from + EACH }),
      readings: Array.from({ length: EACH }, (_, index) =>
        readingRow({
          device: names[(from + index) % DEVICES]!,
          boot: 5_212_873_469_012_345,
          seq: Math.floor((from + index) / DEVICES),
          offset: from + index,
          tsMs: startMs + Math.floor((from + index) / DEVICES) * 10_000,
          temperatureMilliC: 20_000 + (from + index) % 5_000,
        })),
    }));
  }
  const times: number[] = [];
  const [startedMs, startedCpu] = [machineClock.monotonicMs(), cpuSeconds()];
  for (const batch of batches) {
    const beforeMs = machineClock.monotonicMs();
    await store.commit(batch);
    times.push(machineClock.monotonicMs() - beforeMs);
  }
  const seconds = (machineClock.monotonicMs() - startedMs) / 1_000;
  const cpu = cpuSeconds() - startedCpu;
  times.sort((left, right) => left - right);
  const at = (part: number) => times[Math.min(times.length - 1, Math.floor(part * times.length))]!.toFixed(1);
  console.log(
    `commit: ${Math.round(READINGS / seconds)} readings/s, ${cpu.toFixed(2)} CPU s (${
      (cpu / READINGS * 1e6).toFixed(2)
    } µs each), a transaction p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${residentMb()} MiB`,
  );
  if (what === "restart") {
    await store.commit(changes({
      position: positionRow({ nextOffset: READINGS }),
      devices: names.map((device) => deviceRow({ device, watermarkMs: startMs })),
    }));
    const publisher = await openPublisher(store);
    const publishMs = machineClock.monotonicMs();
    await publisher.publish([], startMs);
    console.log(`publish: ${Math.round(machineClock.monotonicMs() - publishMs)} ms for ${READINGS} readings`);
    await publisher.close();
    await store.close();
    const beforeMs = machineClock.monotonicMs();
    store = await openStore(options);
    const openedMs = machineClock.monotonicMs();
    const openedCpu = cpuSeconds();
    const { openReadings } = await store.load(() => startMs);
    const loadedMs = machineClock.monotonicMs();
    console.log(
      `restart: opened in ${Math.round(openedMs - beforeMs)} ms, ${openReadings.length} readings loaded in ${
        Math.round(loadedMs - openedMs)
      } ms, ${(cpuSeconds() - openedCpu).toFixed(2)} CPU s, ${residentMb()} MiB`,
    );
  }
  await store.close();
} finally {
  await Deno.remove(directory, { recursive: true });
}
