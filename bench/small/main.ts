/**
 * `deno task bench:small [--cores 1] [--memory 512] [--every 10] [--seconds 60] [--boards 100,1000,2000,4000]`:
 * how many boards one small machine carries: everything in one process (`deno task dev --no-board`), held by a control
 * group to a share of one core and so many MiB; the boards' requests come from outside of the group, one reading a
 * request, each board on a connection of its own.
 *
 * A number of boards is carried when every request was answered 202, 99 of 100 within a second, and every acknowledged
 * reading is in the published files ten seconds after the last. Linux, as root.
 */
import { parseArgs } from "node:util";
import type { LoadOptions, LoadResult } from "../ingest/load.ts";
import { createControlGroup, type Usage } from "./cgroup.ts";

const { values } = parseArgs({
  options: {
    cores: { type: "string", default: "1" },
    memory: { type: "string", default: "512" },
    every: { type: "string", default: "10" },
    seconds: { type: "string", default: "60" },
    boards: { type: "string", default: "100,1000,2000,4000" },
  },
});
const bounds = { cores: Number(values.cores), memoryMiB: Number(values.memory) };
const everySeconds = Number(values.every);
const seconds = Number(values.seconds);
const SETTLE_MS = 10_000;
const P99_MS_MAX = 1_000;
const root = new URL("../../", import.meta.url).pathname;
/** The flags of `deno task dev`, which are part of what is measured. */
const dev = (JSON.parse(await Deno.readTextFile(`${root}deno.json`)).tasks.dev.command as string)
  .replace(/^deno/, JSON.stringify(Deno.execPath()));

interface Row {
  readonly boards: number;
  readonly load: LoadResult;
  readonly cpuShare: number;
  readonly peakMiB: number;
  /** How the process ended, if it did. */
  readonly end: string;
  readonly isCarried: boolean;
}

async function measure(boards: number): Promise<Row> {
  const data = await Deno.makeTempDir({ prefix: "isotherm-small-" });
  const group = await createControlGroup(`isotherm-small-${Deno.pid}`, bounds);
  const child = new Deno.Command("sh", {
    args: ["-c", `${group.enter} && exec ${dev} --no-board --data ${data} --port 0`],
    cwd: root,
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let ended: Deno.CommandStatus | null = null;
  void child.status.then((status) => ended = status);
  let output = "";
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      // Its rows scroll by; the banner is what is wanted.
      if (output.length < 10_000) output += text;
    }
  })();
  try {
    const port = await until(() => /ingest\s+http:\/\/127\.0\.0\.1:(\d+)/.exec(output)?.[1], 60_000);
    const before = await group.usage();
    const load = await runLoad(Number(port), boards);
    const after = await group.usage();
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    // Killed for want of memory, or ended by a bug: either way it carries no such number.
    if (ended !== null) {
      return { boards, load, cpuShare: NaN, peakMiB: NaN, end: endOf(ended), isCarried: false };
    }
    const published = await publishedOf(data);
    const peakMiB = await peakMiBOf(child.pid);
    return {
      boards,
      load,
      cpuShare: cpuShareOf(before, after, load),
      peakMiB,
      end: "",
      isCarried: refusedOf(load) === "" && load.p99Ms <= P99_MS_MAX && published === load.acceptedInAll &&
        after.kills === 0,
    };
  } finally {
    if (ended === null) child.kill("SIGTERM");
    await child.status;
    await reading;
    await group.remove();
    await Deno.remove(data, { recursive: true });
  }
}

const endOf = ({ code, signal }: Deno.CommandStatus) =>
  signal === null ? `ended with ${code}` : `killed by ${signal}`;

/** Answers that were no 202, for a person; empty if there are none. */
const refusedOf = ({ statuses }: LoadResult) =>
  Object.entries(statuses).filter(([status]) => status !== "202")
    .map(([status, count]) => `${count} × ${status}`).join(", ");

const cpuShareOf = (before: Usage, after: Usage, load: LoadResult) =>
  (after.cpuSeconds - before.cpuSeconds) / load.wholeSeconds;

async function runLoad(port: number, boards: number): Promise<LoadResult> {
  const options: LoadOptions = {
    port,
    connections: boards,
    readings: 1,
    // A board connects at its own moment; all of them have once an interval is over.
    warmupSeconds: everySeconds,
    seconds,
    pauseMs: everySeconds * 1_000,
    startsSpread: true,
  };
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "bench/ingest/load.ts", JSON.stringify(options)],
    cwd: root,
    stderr: "inherit",
  }).output();
  if (!success) throw new Error("the load failed");
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Readings in the published files. */
async function publishedOf(data: string): Promise<number> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-prompt", "--allow-read", "--allow-ffi", "sql/main.ts", "--data", data],
      ...["--format", "json", "SELECT count(*) AS n FROM readings"],
    ],
    cwd: root,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return Number(JSON.parse(new TextDecoder().decode(stdout))[0].n);
}

async function peakMiBOf(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1_024);
}

async function until(look: () => string | undefined, deadlineMs: number): Promise<string> {
  const startedMs = performance.now();
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    if (performance.now() - startedMs > deadlineMs) throw new Error("it did not start");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

console.log(
  `everything in one process on ${bounds.cores} of a core and ${bounds.memoryMiB} MiB; a reading every ${everySeconds} s ` +
    `from each board, ${seconds} s`,
);
console.log("| boards | readings/s | p50 ms | p99 ms | core used | peak MiB | not 202 | carried |");
console.log("| --- | --- | --- | --- | --- | --- | --- | --- |");
for (const boards of values.boards.split(",").map(Number)) {
  const { load, cpuShare, peakMiB, end, isCarried } = await measure(boards);
  const cells = [
    boards,
    load.readingsPerSecond,
    load.p50Ms,
    load.p99Ms,
    `${(cpuShare * 100).toFixed(0)} %`,
    peakMiB,
    refusedOf(load),
    isCarried ? "yes" : `no ${end}`.trim(),
  ];
  console.log(`| ${cells.join(" | ")} |`);
}
