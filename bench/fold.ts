/** `deno task bench:fold`: the fold alone, without log and store. */
import { defaultConfig } from "../core/config.ts";
import { Partition } from "../core/partition.ts";
import type { LogRecord } from "../core/ports/log.ts";
import type { Known, Needs } from "../core/ports/store.ts";
import type { ReadingRow, WindowRow } from "../core/rows.ts";
import { workload } from "./workload.ts";
import process from "node:process";

const [sizes = "1m", readings = "1000000", perRecord = "1", batch = "5000", devices = "1000"] = Deno.args;
const config = {
  ...defaultConfig,
  windows: defaultConfig.windows.filter((spec) => sizes.split(",").includes(spec.label)),
};
/** All values in one block, as a log's reader has them: a million objects of ours would only measure the collector. */
const block = new Uint8Array(Number(readings) * 140);
const starts: number[] = [];
const sent: number[] = [];
const encoder = new TextEncoder();
let end = 0;
const load = { readings: Number(readings), devices: Number(devices), perRecord: Number(perRecord) };
for (const { value, sentMs } of workload(load)) {
  starts.push(end);
  sent.push(sentMs);
  end += encoder.encodeInto(value, block.subarray(end)).written;
}
starts.push(end);
const headers = {};
const recordOf = (offset: number): LogRecord => ({
  partition: 0,
  offset,
  appendMs: sent[offset]! + 50,
  key: null,
  value: block.subarray(starts[offset]!, starts[offset + 1]!),
  headers,
});

const fold = new Partition(config, 0, 1);
const stored = new Map<string, WindowRow>();
const byDevice = new Map<string, ReadingRow[]>();
let [windows, needsAsked] = [0, 0];
const keyOf = (row: { device: string; windowSize: string; startMs: number }) =>
  `${row.startMs} ${row.windowSize} ${row.device}`;
function lookup(needs: Needs): Known {
  needsAsked += needs.windows.length;
  return {
    readings: needs.readings.flatMap(({ device, fromMs, toMs }) =>
      (byDevice.get(device) ?? []).filter((row) => row.tsMs >= fromMs && row.tsMs < toMs)
    ),
    quarantined: [],
    windows: needs.windows.flatMap((need) => stored.get(keyOf(need)) ?? []),
  };
}

let spentMs = 0;
let cpuMicros = 0;
const cpu = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};
for (let from = 0; from < sent.length; from += Number(batch)) {
  const slice: LogRecord[] = [];
  for (let at = from; at < Math.min(sent.length, from + Number(batch)); at++) slice.push(recordOf(at));
  const [startedMs, startedCpu] = [performance.now(), cpu()];
  const prepared = fold.prepare(slice);
  const known = prepared.needs.windows.length + prepared.needs.readings.length === 0
    ? { readings: [], quarantined: [], windows: [] }
    : lookup(prepared.needs);
  fold.apply(prepared, known);
  const changes = fold.takeChanges(null, "");
  spentMs += performance.now() - startedMs;
  cpuMicros += cpu() - startedCpu;
  windows += changes.windows.length;
  for (const row of changes.windows) stored.set(keyOf(row), row);
}
const cpuPerSecond = Math.round(Number(readings) / cpuMicros * 1e6);
const perSecond = Math.round(Number(readings) / spentMs * 1_000);
console.log(
  `${sizes}: ${perSecond.toLocaleString("en")} readings/s (${
    cpuPerSecond.toLocaleString("en")
  } a CPU second), ${windows} window versions, ${needsAsked} looked up, ` +
    `${Math.round(Deno.memoryUsage().rss / 1e6)} MB`,
);
