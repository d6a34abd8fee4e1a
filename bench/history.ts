/**
 * `deno task bench:history [MILLIONS]`: what a long history costs those who come to it: a partition with so many million
 * published readings of 100 devices (10), six a minute, and their windows. How long another worker takes to take it over,
 * and how long `/explain` takes, through the endpoint and with DuckDB's files, for windows anywhere in it.
 */
import process from "node:process";
import { createLiveFeed } from "../aggregator/live_feed.ts";
import { configHash } from "../aggregator/hashes.ts";
import { createAggregator, createEndpoints, defaultAggregatorConfig } from "../aggregator/mod.ts";
import type { LogReader, LogWriter, NewRecord } from "../core/ports/log.ts";
import { noMetrics } from "../core/ports/metrics.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { positionRow, startMs } from "../core/testing/builders.ts";
import { machineClock } from "../platform/clock.ts";
import { openStoredPartition } from "../platform/duckdb/partition.ts";
import { fileBytes } from "../platform/durable_files.ts";
import { writeStoredRows } from "../platform/testing/stored_rows.ts";

const millions = Number(Deno.args[0] ?? 10);
const DEVICES = 100;
const PER_MINUTE = 6;
const ASKED = 200;
const MINUTE_MS = 60_000;
const minutes = Math.ceil(millions * 1e6 / DEVICES / PER_MINUTE / 3) * 3;
const readings = minutes * DEVICES * PER_MINUTE;
const config = { ...defaultAggregatorConfig, worker: "bench" };

const place = await Deno.makeTempDir({ prefix: "isotherm-history-" });
await writeStoredRows(place, {
  devices: DEVICES,
  minutes,
  readingsPerMinute: PER_MINUTE,
  segments: 3,
  revisedOneIn: 1_000,
  position: { configHash: configHash(config.judge, 1), lastOffset: null, lastHash: null },
});
const gb = await bytesUnder(`${place}/published`) / 1e9;
console.log(
  `${readings.toLocaleString("en")} readings and ${(minutes * DEVICES).toLocaleString("en")} windows of ` +
    `${(minutes / 1_440).toFixed(0)} days, ${(gb * 1_000).toFixed(0)} MB published`,
);

/** A log that has nothing new, and keeps what is appended to itself. */
let next = positionRow({ nextOffset: minutes * DEVICES }).nextOffset;
const reader: LogReader = {
  partitions: 1,
  join: ({ assigned }) => assigned([0]),
  range: () => Promise.resolve({ earliest: 0, next }),
  async read(_partition, _offset, { waitMs, signal }) {
    await machineClock.sleep(waitMs, signal);
    return { kind: "records", records: [] };
  },
  hint() {},
  settled() {},
  close: () => Promise.resolve(),
};
const writer: LogWriter = {
  partitions: 1,
  append: (records: readonly NewRecord[]) =>
    Promise.resolve(records.map(() => ({ partition: 0, offset: next++, appendMs: startMs }))),
  available: () => true,
  pendingBytes: () => 0,
  close: () => Promise.resolve(),
};

/** One worker with private files of its own, from its beginning to its owner record. */
async function takeOver(name: string) {
  const [startedMs, before] = [performance.now(), process.cpuUsage()];
  const feed = createLiveFeed(silentTrace);
  const ports = { reader, writer, clock: machineClock, trace: silentTrace, metrics: noMetrics, live: feed };
  const aggregator = createAggregator({
    ...ports,
    openPartition: (partition) =>
      openStoredPartition({
        directory: place,
        privateDirectory: `${place}/${name}`,
        partition,
        retentionMs: config.judge.retentionMs,
      }),
  }, config);
  const end = new AbortController();
  const done = aggregator.run(end.signal);
  while (aggregator.status()[0]?.state !== "running") {
    await Promise.race([done, machineClock.sleep(2)]);
  }
  const seconds = (performance.now() - startedMs) / 1_000;
  const { user, system } = process.cpuUsage(before);
  const cpu = (user + system) / 1e6;
  const endpoints = createEndpoints({
    ...{ aggregator, feed, clock: machineClock, metrics: noMetrics, instance: "bench", partitions: 1 },
  }, config);
  const stop = async () => {
    end.abort();
    await done;
  };
  return { seconds, cpu, endpoints, stop };
}

for (const name of ["first", "second"]) {
  const { seconds, cpu, stop } = await takeOver(name);
  console.log(
    `taken over by a ${name} worker in ${seconds.toFixed(2)} s, ${cpu.toFixed(2)} CPU s: ` +
      `${(seconds / gb).toFixed(1)} s a GB`,
  );
  await stop();
}

const { endpoints, stop } = await takeOver("asked");
for (
  const [size, sizeMs] of [["1m", MINUTE_MS], ["1h", 60 * MINUTE_MS], ["1d", 1_440 * MINUTE_MS]] as const
) {
  const took: number[] = [];
  const before = process.cpuUsage();
  for (let i = 0; i < ASKED; i++) {
    const minute = (i * 7_919) % (minutes - 1);
    const start = Math.floor((startMs - (minute + 1) * MINUTE_MS) / sizeMs) * sizeMs;
    const url = `http://here/explain?device=device-${i % DEVICES}&window_size=${size}&window_start=${start}`;
    const beforeMs = performance.now();
    const response = await endpoints.handle(new Request(url))!;
    const { readings } = await response.json() as { readings?: readonly unknown[] };
    took.push(performance.now() - beforeMs);
    if ((readings?.length ?? 0) === 0) throw new Error(`nothing explains ${url}: ${response.status}`);
  }
  const { user, system } = process.cpuUsage(before);
  const cpuMs = ((user + system) / 1_000 / ASKED).toFixed(1);
  const [first] = took;
  took.sort((a, b) => a - b);
  const at = (share: number) => took[Math.floor(share * took.length)]!.toFixed(0);
  console.log(
    `explain ${size}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms of ${ASKED}, the first ${
      first!.toFixed(0)
    } ms, ` +
      `${cpuMs} CPU ms each`,
  );
}
console.log(`load ${Deno.loadavg()[0]!.toFixed(0)}`);
await stop();
await Deno.remove(place, { recursive: true });
Deno.exit(0);

async function bytesUnder(folder: string): Promise<number> {
  let bytes = 0;
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    bytes += entry.isDirectory ? await bytesUnder(path) : await fileBytes(path);
  }
  return bytes;
}
