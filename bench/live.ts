/**
 * `deno task bench:live [SECONDS [PER_SECOND]]`: from the send of a reading to its committed row, at a steady rate through
 * a real Kafka broker. The sender is a process of its own (`live_sender.ts`): the CPU that is printed is the aggregator's,
 * publications every 2 s included.
 */
import process from "node:process";
import { createLiveFeed } from "../aggregator/live_feed.ts";
import { createAggregator, defaultAggregatorConfig } from "../aggregator/mod.ts";
import { noMetrics } from "../core/ports/metrics.ts";
import type { Publisher } from "../core/ports/publisher.ts";
import type { Store } from "../core/ports/store.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { machineClock } from "../platform/clock.ts";
import { openPublisher } from "../platform/duckdb/publisher.ts";
import { openStore } from "../platform/duckdb/store.ts";
import { openLogAt } from "../platform/log_address.ts";
import { machineRandom } from "../platform/random.ts";
import { startKafka } from "../platform/testing/kafka_broker.ts";

const [seconds = "30", perSecond = "1000"] = Deno.args;
const DEVICES = "1000";
/** Not measured: the JIT, the first fetches. */
const WARM_UP_SECONDS = 10;

const folder = await Deno.makeTempDir({ prefix: "isotherm-live-" });
const broker = await startKafka();
const ports = { clock: machineClock, random: machineRandom, trace: silentTrace, metrics: noMetrics };
const log = await openLogAt(`kafka://${broker.address}/readings`, 1, ports);
/** From a reading's `ts`, when it was sent, to the end of its transaction; whole milliseconds. */
const latencies: number[] = [];
let isMeasuring = false;
let committed = 0;
let transactions = 0;
let publications = 0;

function timed(store: Store): Store {
  return {
    partition: store.partition,
    load: (openFrom) => store.load(openFrom),
    lookup: (needs) => store.lookup(needs),
    async commit(changes) {
      await store.commit(changes);
      committed += changes.readings.length;
      if (!isMeasuring) return;
      transactions++;
      const nowMs = Date.now();
      for (const { tsMs } of changes.readings) latencies.push(nowMs - tsMs);
    },
    close: () => store.close(),
  };
}

function counted(publisher: Publisher): Publisher {
  return {
    publish: (open, nowMs) => {
      if (isMeasuring) publications++;
      return publisher.publish(open, nowMs);
    },
    close: () => publisher.close(),
  };
}

const abort = new AbortController();
const aggregator = createAggregator({
  ...{ reader: log.reader, writer: log.writer, clock: machineClock, trace: silentTrace, metrics: noMetrics },
  live: createLiveFeed(silentTrace),
  openPartition: async (partition) => {
    const { retentionMs } = defaultAggregatorConfig.judge;
    const store = await openStore({ directory: folder, partition, retentionMs });
    return { store: timed(store), publisher: counted(await openPublisher(store)) };
  },
}, defaultAggregatorConfig);
const done = aggregator.run(abort.signal);

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const wholeSeconds = WARM_UP_SECONDS + Number(seconds);
const sender = new Deno.Command(Deno.execPath(), {
  args: ["run", "-A", new URL("live_sender.ts", import.meta.url).pathname].concat(
    [broker.address, String(wholeSeconds), perSecond, DEVICES],
  ),
  stderr: "inherit",
}).output();
while (committed === 0) await sleep(50);
await sleep(WARM_UP_SECONDS * 1_000);
isMeasuring = true;
const [cpuBefore, startedMs] = [process.cpuUsage(), performance.now()];
await sleep(Number(seconds) * 1_000 - 1_000);
const { user, system } = process.cpuUsage(cpuBefore);
const measuredSeconds = (performance.now() - startedMs) / 1_000;
isMeasuring = false;
const sent = Number(new TextDecoder().decode((await sender).stdout));
const deadlineMs = performance.now() + 10_000;
while (committed < sent && performance.now() < deadlineMs) await sleep(50);
if (committed !== sent) throw new Error(`${sent} readings were sent, ${committed} are committed`);
abort.abort();
await done;
const sorted = latencies.toSorted((a, b) => a - b);
const at = (part: number) => sorted[Math.ceil(part * sorted.length) - 1];
console.log(
  `${sorted.length} readings at ${perSecond}/s: sent → committed p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${
    at(1)
  } ms; the aggregator took ${((user + system) / 1e4 / measuredSeconds).toFixed(1)} % of a core, ` +
    `${(transactions / measuredSeconds).toFixed(0)} transactions/s, ${publications} publications ` +
    `(load ${Deno.loadavg()[0]!.toFixed(1)})`,
);
await log.close();
await broker.remove();
await Deno.remove(folder, { recursive: true });
Deno.exit(0);
