/**
 * `deno task bench:restart [READINGS]`: how long a partition takes to start with so many readings (1,000,000) in open
 * windows: the store is opened, its state read and the fold rebuilt.
 */
import process from "node:process";
import { configHash } from "../aggregator/hashes.ts";
import { defaultConfig } from "../core/config.ts";
import { Partition } from "../core/partition.ts";
import type { LogRecord } from "../core/ports/log.ts";
import { openPublisher } from "../platform/duckdb/publisher.ts";
import { openStore } from "../platform/duckdb/store.ts";
import { standard, workload } from "./workload.ts";

const readings = Number(Deno.args[0] ?? 1_000_000);
const RECORDS_PER_COMMIT = 20_000;
const options = {
  directory: await Deno.makeTempDir({ prefix: "isotherm-restart-" }),
  partition: 0,
  retentionMs: defaultConfig.retentionMs,
};
const hash = configHash(defaultConfig, 1);
const openFrom = Partition.openFrom(defaultConfig);

async function fill(): Promise<number> {
  const store = await openStore(options);
  const publisher = await openPublisher(store);
  const fold = Partition.restore(defaultConfig, 0, 1, await store.load(openFrom));
  const encoder = new TextEncoder();
  let [records, offset, commits] = [[] as LogRecord[], 0, 0];
  const commit = async () => {
    const prepared = fold.prepare(records);
    fold.apply(prepared, await store.lookup(prepared.needs));
    await store.commit(fold.takeChanges(null, hash));
    records = [];
    // The last two transactions are left to the live file, as after a kill.
    if (++commits % 8 === 0) await publisher.publish(fold.openWindows(), Date.now());
  };
  for (const { key, value, sentMs } of workload({ ...standard, readings })) {
    const place = { partition: 0, offset: offset++, appendMs: sentMs + 50 };
    records.push({ ...place, key, value: encoder.encode(value), headers: {} });
    if (records.length === RECORDS_PER_COMMIT) await commit();
  }
  await commit();
  await publisher.close();
  await store.close();
  return fold.openWindowCount;
}

const open = await fill();
const [startedMs, startedCpu] = [performance.now(), process.cpuUsage()];
const store = await openStore(options);
const state = await store.load(openFrom);
const fold = Partition.restore(defaultConfig, 0, 1, state);
const seconds = (performance.now() - startedMs) / 1_000;
const { user, system } = process.cpuUsage(startedCpu);
if (state.openReadings.length !== readings) throw new Error("not all readings are in open windows");
if (fold.openWindowCount !== open) throw new Error("the rebuilt fold has other open windows");
console.log(
  `${state.openReadings.length.toLocaleString("en")} readings in ${
    open.toLocaleString("en")
  } open windows: ready in ${seconds.toFixed(2)} s, ${((user + system) / 1e6).toFixed(2)} CPU s`,
);
await store.close();
await Deno.remove(options.directory, { recursive: true });
Deno.exit(0);
