/** Fills a topic with the workload. */
import { deviceName, standard, type Workload, workload } from "./workload.ts";
import { partitionOf } from "../core/murmur2.ts";
import { noMetrics } from "../core/ports/metrics.ts";
import type { NewRecord } from "../core/ports/log.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { machineClock } from "../platform/clock.ts";
import { openLogAt } from "../platform/log_address.ts";
import { machineRandom } from "../platform/random.ts";

const RECORDS_PER_APPEND = 2_000;

/** Appends the workload to the log at `address` (`kafka://host:port/topic`); gives the number of records. */
export async function fill(address: string, load: Workload = standard, partitions = 1): Promise<number> {
  const ports = { clock: machineClock, random: machineRandom, trace: silentTrace, metrics: noMetrics };
  const log = await openLogAt(address, partitions, ports);
  const partitionsOf = new Map<string, number>();
  for (let i = 0; i < load.devices; i++) {
    partitionsOf.set(deviceName(i), partitionOf(deviceName(i), partitions));
  }
  const encoder = new TextEncoder();
  let records = 0;
  let batch: NewRecord[] = [];
  const flush = async () => {
    await log.writer.append(batch);
    records += batch.length;
    batch = [];
  };
  for (const { key, value } of workload(load)) {
    batch.push({ partition: partitionsOf.get(key)!, key, value: encoder.encode(value), headers: {} });
    if (batch.length === RECORDS_PER_APPEND) await flush();
  }
  if (batch.length > 0) await flush();
  await log.close();
  return records;
}
