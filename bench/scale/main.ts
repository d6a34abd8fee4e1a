/**
 * `deno task bench:scale [--devices 1000,10000,100000] [--readings 2000000] [--per-record 1] [--every 10]`: simulated
 * fleets of growing size through the production aggregator into real DuckDB files, as fast as it goes: what a reading
 * and a device cost in CPU, memory and disk. Each size runs in a process of its own. docs/scale.md reckons with it.
 */
import { parseArgs } from "node:util";
import { type Cost, costOf } from "./cost.ts";

const { values } = parseArgs({
  options: {
    devices: { type: "string", default: "1000,10000,100000" },
    readings: { type: "string", default: "2000000" },
    "per-record": { type: "string", default: "1" },
    every: { type: "string", default: "10" },
    /** Of the processes that are started for one size: prints its cost as JSON. */
    one: { type: "boolean", default: false },
  },
});
const [perRecord, everyMs] = [Number(values["per-record"]), Number(values.every) * 1_000];

if (values.one) {
  const devices = Number(values.devices);
  const records = Math.floor(Number(values.readings) / perRecord);
  console.log(JSON.stringify(await costOf({ devices, everyMs, perRecord, records })));
} else {
  console.log(
    "| devices | readings | readings/s | CPU µs a reading | peak MiB | log time | bytes on disk a reading |",
  );
  console.log("| --- | --- | --- | --- | --- | --- | --- |");
  for (const devices of values.devices.split(",")) {
    const args = [
      ...["--devices", devices, "--readings", values.readings],
      ...["--per-record", values["per-record"], "--every", values.every],
    ];
    const { success, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", import.meta.filename!, "--one", ...args],
      stderr: "inherit",
    }).output();
    if (!success) throw new Error(`${devices} devices: the run failed`);
    console.log(rowOf(JSON.parse(new TextDecoder().decode(stdout))));
  }
}

function rowOf(cost: Cost): string {
  const whole = (value: number) => Math.round(value).toLocaleString("en-US");
  const cells = [
    whole(cost.devices),
    whole(cost.readings),
    whole(cost.readings / cost.wallSeconds),
    (cost.cpuSeconds * 1e6 / cost.readings).toFixed(2),
    whole(cost.peakMiB),
    `${(cost.logSeconds / 3_600).toFixed(1)} h`,
    (cost.diskBytes / cost.readings).toFixed(1),
  ];
  return `| ${cells.join(" | ")} |`;
}
