/** One fleet through the production aggregator, measured from the first record to the last published row. */
import process from "node:process";
import { createLiveFeed } from "../../aggregator/live_feed.ts";
import { createAggregator, defaultAggregatorConfig } from "../../aggregator/mod.ts";
import { noMetrics } from "../../core/ports/metrics.ts";
import { silentTrace } from "../../core/ports/trace.ts";
import { machineClock } from "../../platform/clock.ts";
import { openPublisher } from "../../platform/duckdb/publisher.ts";
import { openStore } from "../../platform/duckdb/store.ts";
import { type Fleet, FleetLog } from "./fleet_log.ts";

export interface Cost {
  readonly devices: number;
  readonly readings: number;
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly peakMiB: number;
  /** From the first append to the last, by the log's clock. */
  readonly logSeconds: number;
  /** What is published at the end. */
  readonly diskBytes: number;
}

export async function costOf(fleet: Fleet): Promise<Cost> {
  const directory = await Deno.makeTempDir({ prefix: "isotherm-scale-" });
  try {
    const log = new FleetLog(fleet);
    const { judge } = defaultAggregatorConfig;
    const aggregator = createAggregator({
      ...{ reader: log, writer: log, clock: machineClock, trace: silentTrace, metrics: noMetrics },
      live: createLiveFeed(silentTrace),
      openPartition: async (partition) => {
        const store = await openStore({ directory, partition, retentionMs: judge.retentionMs });
        return { store, publisher: await openPublisher(store) };
      },
    }, { ...defaultAggregatorConfig, worker: "scale" });
    const [startedMs, before] = [performance.now(), process.cpuUsage()];
    const end = new AbortController();
    const running = aggregator.run(end.signal);
    const isDone = () => aggregator.status().some(({ nextOffset }) => nextOffset >= fleet.records);
    while (!isDone()) await Promise.race([running, new Promise((resolve) => setTimeout(resolve, 200))]);
    end.abort();
    await running;
    const { user, system } = process.cpuUsage(before);
    const last = log.recordAt(fleet.records - 1).appendMs - log.recordAt(0).appendMs;
    return {
      devices: fleet.devices,
      readings: fleet.records * fleet.perRecord,
      wallSeconds: (performance.now() - startedMs) / 1_000,
      cpuSeconds: (user + system) / 1e6,
      peakMiB: process.resourceUsage().maxRSS / 1_024,
      logSeconds: last / 1_000,
      diskBytes: await bytesUnder(`${directory}/published`),
    };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function bytesUnder(folder: string): Promise<number> {
  let bytes = 0;
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    bytes += entry.isDirectory ? await bytesUnder(path) : (await Deno.stat(path)).size;
  }
  return bytes;
}
