/**
 * `deno task tape`: records a run or a slice of a real log as a tape; `deno task tape golden` records those of the
 * repository again. `deno task replay` runs one through the production aggregator.
 */
import { parseArgs } from "node:util";
import { defaultConfig, type JudgeConfig } from "../core/config.ts";
import { windowLine } from "../core/digest.ts";
import { parseWindows } from "../core/windows_config.ts";
import type { LogReader, LogRecord } from "../core/ports/log.ts";
import { noMetrics } from "../core/ports/metrics.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { machineClock } from "../platform/clock.ts";
import { openLogAt, parseKafkaAddress, parseRedisAddress } from "../platform/log_address.ts";
import { machineRandom } from "../platform/random.ts";
import { goldenScenarios } from "./golden.ts";
import { runScenario } from "./pipeline.ts";
import { differingRows, replay, type Replayed, replayThroughEmbedded, replayThroughSim } from "./replay.ts";
import { drawScenario, judgeOf, type Scenario } from "./scenario.ts";
import { firstDifference, shrinkTape } from "./shrink_tape.ts";
import { closedRows, makeTape, readTape, type Tape, writeTape } from "./tape.ts";

const TAPES = new URL("./tapes/", import.meta.url);

const help = `deno task tape record --seed N [--devices N] [--hours H] --to FILE
deno task tape record --scenario FILE --to FILE
deno task tape record --from-log ADDRESS --partitions N [--windows LIST] [--since TIME] [--until TIME] --to FILE
deno task tape golden                      records the tapes in sim/tapes again
deno task tape shrink FILE --to FILE       the fewest records on which production code and the oracle differ
deno task tape show FILE                   its head and its rows
deno task replay TAPE [--through sim|embedded|kafka://host:port/topic|redis://host:port/name] [--batch N] [--workers N]

ADDRESS is embedded:DIR, kafka://host:port/topic or redis://host:port/name; a TIME is ISO 8601, of append time. LIST is what
ISOTHERM_WINDOWS says of the aggregator, by default 1m,1h,1d.`;

const text = { type: "string" } as const;

export async function main(args: readonly string[]): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...{
          "seed": text,
          "devices": text,
          "hours": text,
          "scenario": text,
          "from-log": text,
          "partitions": text,
          "windows": text,
        },
        ...{ "since": text, "until": text, "to": text, "through": text, "batch": text, "workers": text },
        help: { type: "boolean" },
      },
    });
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  const { positionals: [command, file], values } = parsed;
  if (values.help || command === undefined) {
    console.log(help);
    return values.help ? 0 : 2;
  }
  if (command === "golden") return await recordGolden();
  if (command === "show" && file !== undefined) return await show(file);
  if (command === "record" && values.to !== undefined) return await record(values, values.to);
  if (command === "shrink" && file !== undefined && values.to !== undefined) {
    return await shrinkFile(file, values.to);
  }
  if (command === "replay" && file !== undefined) return await replayFile(file, values);
  console.error(help);
  return 2;
}

type Values = { readonly [name: string]: string | boolean | undefined };
const number = (value: Values[string], fallback: number) => value === undefined ? fallback : Number(value);

async function record(values: Values, to: string): Promise<number> {
  const tape = values["from-log"] === undefined ? await recordRun(values) : await recordLog(values);
  const bytes = await writeTape(tape);
  await Deno.writeFile(to, bytes);
  console.log(
    `${to}: ${tape.records.length} records, ${tape.closed} closed windows, ${bytes.length} bytes; digest: ${tape.digest}`,
  );
  return 0;
}

function windowsOf(value: Values[string]): JudgeConfig["windows"] {
  if (value === undefined) return defaultConfig.windows;
  const parsed = parseWindows(String(value));
  if (parsed.kind === "ok") return parsed.windows;
  throw new Error(`--windows has problems: ${parsed.problems.join("; ")}`);
}

async function recordRun(values: Values): Promise<Tape> {
  const scenario = values.scenario === undefined
    ? drawScenario(number(values.seed, 1), {
      devices: number(values.devices, 5),
      hours: number(values.hours, 2),
    })
    : JSON.parse(await Deno.readTextFile(String(values.scenario))) as Scenario;
  return await tapeOf(`seed_${scenario.seed}`, scenario);
}

/** A scenario's log as a tape. The run itself has to be in order. */
export async function tapeOf(name: string, scenario: Scenario): Promise<Tape> {
  const { violation, log } = await runScenario(scenario, { directory: null });
  if (violation !== null) throw new Error(`the run fails: ${violation}`);
  const { partitions } = scenario;
  return await makeTape({
    name,
    partitions,
    config: judgeOf(scenario),
    source: `simulated, seed ${scenario.seed}`,
    records: log,
  });
}

async function recordLog(values: Values): Promise<Tape> {
  const address = String(values["from-log"]);
  const partitions = number(values.partitions, 1);
  const windows = windowsOf(values.windows);
  const ports = { clock: machineClock, random: machineRandom, trace: silentTrace, metrics: noMetrics };
  // A group of its own, so that no worker loses a partition to us.
  const hasGroups = parseKafkaAddress(address) !== null || parseRedisAddress(address) !== null;
  const log = await openLogAt(
    hasGroups && !address.includes("?") ? `${address}?group=isotherm-tape` : address,
    partitions,
    ports,
  );
  const at = (value: Values[string], fallback: number) =>
    value === undefined ? fallback : Date.parse(String(value));
  try {
    const records = await readAll(log.reader, at(values.since, -Infinity), at(values.until, Infinity));
    return await makeTape({
      name: "recorded",
      partitions,
      config: { ...defaultConfig, windows },
      source: address.replace(/\/\/[^/]*/, "//…"),
      records,
    });
  } finally {
    await log.close();
  }
}

async function readAll(reader: LogReader, sinceMs: number, untilMs: number): Promise<LogRecord[]> {
  const assigned = Promise.withResolvers<void>();
  await reader.join({
    assigned: () => Promise.resolve(assigned.resolve()),
    revoked: () => Promise.resolve(),
  });
  await assigned.promise;
  const records: LogRecord[] = [];
  for (let partition = 0; partition < reader.partitions; partition++) {
    const { earliest, next } = await reader.range(partition);
    for (let offset = earliest; offset < next;) {
      const outcome = await reader.read(partition, offset, {
        recordsMax: 1_000,
        bytesMax: 8_000_000,
        waitMs: 2_000,
      });
      if (outcome.kind !== "records" || outcome.records.length === 0) break;
      records.push(...outcome.records.filter(({ appendMs }) => appendMs >= sinceMs && appendMs < untilMs));
      offset = outcome.records.at(-1)!.offset + 1;
    }
  }
  return inAppendOrder(records);
}

/**
 * Records of several partitions, each in offset order, as one list: by append time as far as it tells. A partition's own
 * order stays, also where its clock was set back.
 */
export function inAppendOrder(records: readonly LogRecord[]): LogRecord[] {
  const highest = new Map<number, number>();
  return records.map((record) => {
    const atMs = Math.max(highest.get(record.partition) ?? -Infinity, record.appendMs);
    highest.set(record.partition, atMs);
    return { record, atMs };
  }).sort((a, b) =>
    a.atMs - b.atMs || a.record.partition - b.record.partition || a.record.offset - b.record.offset
  ).map(({ record }) => record);
}

async function recordGolden(): Promise<number> {
  await Deno.mkdir(TAPES, { recursive: true });
  for (const [name, scenario] of Object.entries(goldenScenarios)) {
    const tape = await tapeOf(name, scenario);
    await Deno.writeFile(new URL(`${name}.tape.gz`, TAPES), await writeTape(tape));
    await Deno.writeTextFile(new URL(`${name}.rows.txt`, TAPES), rowsText(tape));
    console.log(`${name}: ${tape.records.length} records, ${tape.closed} closed windows`);
  }
  return 0;
}

/** The rows of a tape for reading: the newest version of each closed window. */
export function rowsText(tape: Tape): string {
  const columns =
    "device, size, start, end: readings + faults (late, uncertain) every temperature humidity, closed by, revision";
  const time = (ms: number) => new Date(ms).toISOString().slice(0, 16);
  const rows = closedRows(tape).map((row) => {
    const { temperature: t, humidity: h } = row;
    const channel = (c: typeof t) =>
      `${c.count}n ${c.sum}Σ ${c.min}…${c.max} ${c.first}→${c.last} p50 ${c.p50} p95 ${c.p95}`;
    return `${row.device} ${row.windowSize} ${time(row.startMs)} ${
      time(row.endMs)
    }: ${row.readings}+${row.sensorFaults} ` +
      `(${row.late}, ${row.timeUncertain}) ${row.everyMs} | ${channel(t)} | ${
        channel(h)
      } | ${row.closedBy} r${row.revision}`;
  });
  return [`${tape.records.length} records, digest ${tape.digest}`, columns, ...rows.sort(), ""].join("\n");
}

async function show(file: string): Promise<number> {
  const tape = await readTape(await Deno.readFile(file));
  console.log(`${tape.name} (${tape.source}), ${tape.partitions} partitions\n${rowsText(tape)}`);
  return 0;
}

async function shrinkFile(file: string, to: string): Promise<number> {
  const tape = await readTape(await Deno.readFile(file));
  const smallest = await shrinkTape(tape);
  if (smallest === null) {
    console.log(`${file}: production code and the oracle agree on all ${tape.records.length} records`);
    return 0;
  }
  await Deno.writeFile(to, await writeTape(smallest));
  console.log(`${to}: ${smallest.records.length} of ${tape.records.length} records still differ:`);
  console.log(firstDifference(smallest));
  return 1;
}

async function replayFile(file: string, values: Values): Promise<number> {
  const tape = await readTape(await Deno.readFile(file));
  const options = { batchRecords: number(values.batch, 5_000), workers: number(values.workers, 1) };
  const through = String(values.through ?? "sim");
  const found = await replayThrough(tape, through, options);
  if (found.digest === tape.digest) {
    console.log(
      `${tape.records.length} records through ${through}, ${found.rows.length} closed windows; digest: ${found.digest}`,
    );
    return 0;
  }
  const differing = differingRows(tape, found.rows, windowLine);
  console.log(
    `the digest is ${found.digest}, the tape says ${tape.digest}; ` +
      (differing.length > 0
        ? "against the oracle:"
        : "the rows are the oracle's, so the build that recorded the tape made others"),
  );
  for (const line of differing) console.log(line);
  return 1;
}

async function replayThrough(
  tape: Tape,
  through: string,
  options: { readonly batchRecords: number; readonly workers: number },
): Promise<Replayed> {
  if (through === "sim") return await replayThroughSim(tape, options);
  if (through === "embedded") {
    const folder = await Deno.makeTempDir({ prefix: "isotherm-replay-" });
    try {
      return await replayThroughEmbedded(tape, `${folder}/log.sqlite`, machineClock, options);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
  return await replayThroughServer(tape, through, options);
}

/** Into a scratch log, with the recorded times, and from there. */
async function replayThroughServer(
  tape: Tape,
  address: string,
  options: { readonly batchRecords: number; readonly workers: number },
): Promise<Replayed> {
  const scratch = await writeScratchLog(tape, address);
  const ports = { clock: machineClock, random: machineRandom, trace: silentTrace, metrics: noMetrics };
  const logs = await Promise.all(
    Array.from(
      { length: options.workers },
      () => openLogAt(scratch, tape.partitions, ports, { replay: true }),
    ),
  );
  // A scratch log's offsets count from 0; a reader knows its range only when it has joined.
  const next = (partition: number) =>
    Promise.resolve(tape.records.filter((record) => record.partition === partition).length);
  return await replay(tape, logs, machineClock, options, next, () => machineClock.sleep(20));
}

/** Gives the address of the log that now holds the tape. */
async function writeScratchLog(tape: Tape, address: string): Promise<string> {
  const { partitions, records } = tape;
  const suffix = `tape-${machineRandom.uint32().toString(16)}`;
  const kafka = parseKafkaAddress(address);
  if (kafka !== null) {
    const { writeKafkaTape } = await import("../platform/kafka/tape.ts");
    const topic = `${kafka.topic}-${suffix}`;
    await writeKafkaTape({ ...kafka, topic, partitions, clock: machineClock }, records);
    return `kafka://${kafka.brokers.join(",")}/${topic}?group=${topic}`;
  }
  const redis = parseRedisAddress(address);
  if (redis !== null) {
    const { writeRedisTape } = await import("../platform/redis/tape.ts");
    const name = `${redis.name}-${suffix}`;
    await writeRedisTape({ ...redis, name, partitions, random: machineRandom }, records);
    return `${/^redis:\/\/[^/?]+/.exec(address)![0]}/${name}?group=${name}`;
  }
  throw new Error(
    `--through is sim, embedded, kafka://host:port/topic or redis://host:port/name, not ${address}`,
  );
}

if (import.meta.main) Deno.exit(await main(Deno.args));
