/**
 * `deno task bench:fold`: the fold alone, without log and store. Prints readings a second, and what a device takes in
 * memory at the end: with 1,000 and with 100,000 devices, how cost grows with devices.
 */
import { defaultConfig } from "../core/config.ts";
import { Partition } from "../core/partition.ts";
import type { RecordBlock } from "../core/ports/log.ts";
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
const offsets = Float64Array.from(sent, (_, offset) => offset);
const appendMs = Float64Array.from(sent, (ms) => ms + 50);
const bounds = Int32Array.from(starts);
const plain = new Uint8Array(sent.length).fill(1);

/** Records [from, to) as a reader gives them. */
const blockOf = (from: number, to: number): RecordBlock => ({
  partition: 0,
  length: to - from,
  offsets: offsets.slice(from, to),
  appendMs: appendMs.subarray(from, to),
  bytes: block,
  starts: bounds.subarray(from, to),
  ends: bounds.subarray(from + 1, to + 1),
  plain: plain.subarray(from, to),
  record: (index) => ({
    partition: 0,
    offset: from + index,
    appendMs: appendMs[from + index]!,
    key: null,
    value: block.subarray(bounds[from + index]!, bounds[from + index + 1]!),
    headers: {},
  }),
  head: (count) => blockOf(from, from + count),
});

let fold: Partition | null = new Partition(config, 0, 1);
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
  const slice = blockOf(from, Math.min(sent.length, from + Number(batch)));
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
    `${Math.round(Deno.memoryUsage().rss / 1e6)} MB resident`,
);

/** Bytes of JavaScript's heap and of what its arrays hold, after a collection (needs `--v8-flags=--expose-gc`). */
function heldBytes(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}
stored.clear();
const withFold = heldBytes();
const { deviceCount } = fold;
fold = null;
console.log(`${deviceCount} devices, ${Math.round((withFold - heldBytes()) / deviceCount)} bytes a device`);
