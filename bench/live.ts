/**
 * `deno task bench:live [SECONDS [PER_SECOND]]`: from the send of a reading to its committed row, at a steady rate through
 * a real Kafka broker. Producer and aggregator share this process, so its CPU is an upper bound of the aggregator's.
 */
import process from "node:process";
import { createLiveFeed } from "../aggregator/live_feed.ts";
import { createAggregator, defaultAggregatorConfig } from "../aggregator/mod.ts";
import { noMetrics } from "../core/ports/metrics.ts";
import type { Store } from "../core/ports/store.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { machineClock } from "../platform/clock.ts";
import { openPublisher } from "../platform/duckdb_publisher.ts";
import { openStore } from "../platform/duckdb_store.ts";
import { openLogAt } from "../platform/log_address.ts";
import { machineRandom } from "../platform/random.ts";
import { startKafka } from "../platform/testing/kafka_broker.ts";

const [seconds = "30", perSecond = "1000"] = Deno.args;
const DEVICES = 1_000;
const EVERY_MS = 5;
/** Not measured: the JIT, the first fetches. */
const WARM_UP_MS = 5_000;

const folder = await Deno.makeTempDir({ prefix: "isotherm-live-" });
const broker = await startKafka();
const ports = { clock: machineClock, random: machineRandom, trace: silentTrace, metrics: noMetrics };
const log = await openLogAt(`kafka://${broker.address}/readings`, 1, ports);
const sentMs = new Map<number, number>();
const latencies: number[] = [];
let measuring = false;
let committed = 0;

function timed(store: Store): Store {
  return {
    partition: store.partition,
    load: (openFrom) => store.load(openFrom),
    lookup: (needs) => store.lookup(needs),
    async commit(changes) {
      await store.commit(changes);
      const nowMs = performance.now();
      for (; committed < changes.position.nextOffset; committed++) {
        const atMs = sentMs.get(committed);
        if (atMs !== undefined && measuring) latencies.push(nowMs - atMs);
        sentMs.delete(committed);
      }
    },
    close: () => store.close(),
  };
}

const abort = new AbortController();
const aggregator = createAggregator({
  ...{ reader: log.reader, writer: log.writer, clock: machineClock, trace: silentTrace, metrics: noMetrics },
  live: createLiveFeed(silentTrace),
  openPartition: async (partition) => {
    const { retentionMs } = defaultAggregatorConfig.judge;
    const store = await openStore({ directory: folder, partition, retentionMs });
    return { store: timed(store), publisher: await openPublisher(store) };
  },
}, defaultAggregatorConfig);
const done = aggregator.run(abort.signal);

let sent = 0;
const startedMs = performance.now();
let cpuBefore = process.cpuUsage();
const waiting: Promise<void>[] = [];
for (;;) {
  const elapsedMs = performance.now() - startedMs;
  if (!measuring && elapsedMs > WARM_UP_MS) {
    measuring = true;
    cpuBefore = process.cpuUsage();
  }
  if (elapsedMs > WARM_UP_MS + Number(seconds) * 1_000) break;
  const due = Math.floor(elapsedMs / 1_000 * Number(perSecond));
  const records = [];
  for (; sent < due; sent++) {
    const reading = {
      boot: 1,
      seq: Math.floor(sent / DEVICES),
      ts: Date.now(),
      temperature_c: 20 + sent % 10,
    };
    const value = new TextEncoder().encode(
      JSON.stringify({ device: `device-${sent % DEVICES}`, ...reading }),
    );
    records.push({ partition: 0, key: `device-${sent % DEVICES}`, value, headers: {} });
  }
  const atMs = performance.now();
  if (records.length > 0) {
    waiting.push(
      log.writer.append(records).then((places) => {
        for (const { offset } of places) {
          if (offset >= committed) sentMs.set(offset, atMs);
          else if (measuring) latencies.push(performance.now() - atMs); // committed before the broker had answered us
        }
      }),
    );
  }
  await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
}
const cpu = process.cpuUsage(cpuBefore);
await Promise.all(waiting);
abort.abort();
await done;
const sorted = latencies.toSorted((a, b) => a - b);
const at = (part: number) => sorted[Math.ceil(part * sorted.length) - 1]?.toFixed(1);
const share = (cpu.user + cpu.system) / 1e6 / Number(seconds) * 100;
console.log(
  `${sorted.length} readings at ${perSecond}/s: sent → committed p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${
    at(1)
  } ms; ` +
    `${share.toFixed(0)} % of a core, the producer's part included`,
);
await log.close();
await broker.remove();
await Deno.remove(folder, { recursive: true });
Deno.exit(0);
