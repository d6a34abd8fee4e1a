/**
 * How fast a log takes and gives records: `deno run --allow-all bench/log.ts [kafka://… or redis://…]`, the embedded log in a
 * temporary folder by default. Records are batches of one reading, about 200 bytes with their headers, in 4 partitions.
 */
import { noMetrics } from "../core/ports/metrics.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { joinAll, newRecord, readLimits } from "../core/testing/log_contract.ts";
import { machineClock } from "../platform/clock.ts";
import { openLogAt } from "../platform/log_address.ts";
import { machineRandom } from "../platform/random.ts";

const SECONDS = 3;
const partitions = 4;
const value = '{"device":"greenhouse-3","boot":5212873469012345,"every_ms":10000,"readings":' +
  '[{"seq":41,"ts":1763950000123,"temperature_c":21.4,"humidity_pct":48.2}]}';

const folder = await Deno.makeTempDir({ prefix: "isotherm-bench-" });
const address = Deno.args[0] ?? `embedded:${folder}`;
const log = await openLogAt(address, partitions, {
  clock: machineClock,
  random: machineRandom,
  trace: silentTrace,
  metrics: noMetrics,
});

for (const [callers, records] of [[1, 1], [64, 1], [512, 1], [1, 1_000], [4, 1_000]] as const) {
  const startMs = performance.now();
  const tookMs: number[] = [];
  await Promise.all(Array.from({ length: callers }, async (_, caller) => {
    for (let i = caller; performance.now() - startMs < SECONDS * 1_000; i++) {
      const batch = Array.from(
        { length: records },
        () =>
          newRecord({ partition: i % partitions, key: "greenhouse-3", value, headers: { isotherm: "1" } }),
      );
      const beforeMs = performance.now();
      await log.writer.append(batch);
      tookMs.push(performance.now() - beforeMs);
    }
  }));
  const seconds = (performance.now() - startMs) / 1_000;
  tookMs.sort((a, b) => a - b);
  const at = (share: number) => tookMs[Math.floor(tookMs.length * share)]!.toFixed(2);
  const rate = Math.round(tookMs.length * records / seconds);
  console.log(
    `${callers} callers × ${records}: ${rate} records/s, append p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`,
  );
}

await joinAll(log.reader);
const ranges = await Promise.all([0, 1, 2, 3].map((partition) => log.reader.range(partition)));
const startMs = performance.now();
const counts = await Promise.all(ranges.map(async ({ earliest, next }, partition) => {
  const end = Math.min(next, earliest + 100_000);
  let offset = earliest;
  while (offset < end) {
    const limits = readLimits({ recordsMax: 5_000, bytesMax: 8_000_000, waitMs: 1_000 });
    const outcome = await log.reader.read(partition, offset, limits);
    if (outcome.kind !== "records") throw new Error(outcome.kind);
    offset = (outcome.records.at(-1)?.offset ?? offset - 1) + 1;
  }
  return offset - earliest;
}));
const read = counts.reduce((sum, count) => sum + count, 0);
console.log(`read: ${Math.round(read / ((performance.now() - startMs) / 1_000))} records/s`);
await log.close();
await Deno.remove(folder, { recursive: true });
Deno.exit(0);
