/**
 * `deno task bench:ingest [--seconds N]`: ingest on a real Kafka broker, beside a bare Hono handler on the same server, a
 * bare kafkajs producer, and Kafka's own producer performance tool as the limit. Everything runs on this machine, so what
 * one takes the others lack: compare the rows of one run with each other, not with those of another machine.
 */
import { type KafkaBroker, startKafka } from "../../platform/testing/kafka_broker.ts";
import { taskArgs } from "../../platform/testing/process.ts";
import type { LoadOptions, LoadResult } from "./load.ts";

const PARTITIONS = 4;
const root = new URL("../../", import.meta.url).pathname;
const seconds = Number(/^--seconds=?(\d+)$/.exec(Deno.args.join("="))?.[1] ?? 10);
/** The flags of `deno task start:ingest`, which are part of what is measured. */
const startArgs = await taskArgs("start:ingest");

interface Row {
  readonly what: string;
  readonly readingsPerSecond: number;
  readonly requestsPerSecond?: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly cpuMicros?: number;
  readonly peakMib?: number;
  readonly note?: string;
}

const decoder = new TextDecoder();

/** A process that prints its URL; ends with the scope. */
async function start(args: readonly string[], env: Record<string, string>) {
  const child = new Deno.Command("deno", {
    args: [...args],
    env,
    cwd: root,
    stdout: "piped",
    stderr: "inherit",
  })
    .spawn();
  const reader = child.stdout.getReader();
  const line = decoder.decode((await reader.read()).value);
  const port = Number(/:(\d+)/.exec(line.slice(line.indexOf("//")))?.[1]);
  if (!port) throw new Error(`it did not start: ${line}`);
  return {
    port,
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.status;
      await reader.cancel();
    },
  };
}

/** CPU time in seconds and peak memory in MiB of a process (Linux). By `cat`: Deno itself reads /proc only with all rights. */
async function usageOf(pid: number): Promise<{ readonly cpuSeconds: number; readonly peakMib: number }> {
  const files = ["stat", "status"].map((file) => `/proc/${pid}/${file}`);
  const { success, stdout } = await new Deno.Command("cat", { args: files, stderr: "null" }).output();
  if (!success) throw new Error(`process ${pid} has ended`);
  const text = decoder.decode(stdout);
  const fields = text.slice(text.indexOf(") ") + 2).split(" ");
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100,
    peakMib: Math.round(Number(/VmHWM:\s+(\d+)/.exec(text)?.[1] ?? NaN) / 1_024),
  };
}

async function output(args: readonly string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command("deno", {
    args: [...args],
    cwd: root,
    stderr: "inherit",
  })
    .output();
  if (!success) throw new Error(`${args.join(" ")} failed`);
  return decoder.decode(stdout);
}

async function load(
  what: string,
  server: { port: number; pid: number },
  { cpuIsShared = false, ...options }: Partial<LoadOptions> & { readonly cpuIsShared?: boolean },
): Promise<Row> {
  const before = await usageOf(server.pid);
  const all: LoadOptions = {
    port: server.port,
    connections: 1,
    readings: 1,
    seconds,
    warmupSeconds: 2,
    ...options,
  };
  const result = JSON.parse(
    await output(["run", "-A", "bench/ingest/load.ts", JSON.stringify(all)]),
  ) as LoadResult;
  const after = await usageOf(server.pid);
  const share = seconds / (seconds + (all.warmupSeconds ?? 0));
  const readings = result.readingsPerSecond * seconds;
  const bad = Object.entries(result.statuses).filter(([status]) => status !== "202");
  return {
    what,
    readingsPerSecond: result.readingsPerSecond,
    requestsPerSecond: result.requestsPerSecond,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    ...cpuIsShared ? {} : { cpuMicros: ((after.cpuSeconds - before.cpuSeconds) * share * 1e6) / readings },
    peakMib: after.peakMib,
    note: bad.map(([status, count]) => `${count} × ${status}`).join(", "),
  };
}

async function bareProducer(broker: KafkaBroker, readings: number): Promise<Row> {
  const options = {
    broker: broker.address,
    topic: `bare-${readings}`,
    partitions: PARTITIONS,
    readings,
    seconds,
  };
  const child = new Deno.Command("deno", {
    args: ["run", "-A", "platform/testing/bare_producer.ts", JSON.stringify(options)],
    cwd: root,
    stdout: "piped",
    stderr: "null",
    env: { KAFKAJS_NO_PARTITIONER_WARNING: "1" },
  }).spawn();
  let usage = await usageOf(child.pid);
  let isRunning = true;
  const watching = (async () => {
    // Until it has ended; the last look counts.
    while (isRunning) {
      const now = await usageOf(child.pid).catch(() => usage);
      if (!Number.isNaN(now.peakMib)) usage = now; // a process that has just ended has no memory to tell of
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  const { stdout } = await child.output();
  isRunning = false;
  await watching;
  const result = JSON.parse(decoder.decode(stdout)) as { readingsPerSecond: number; records: number };
  return {
    what: `bare kafkajs producer, records of ${readings}`,
    readingsPerSecond: result.readingsPerSecond,
    cpuMicros: (usage.cpuSeconds * 1e6) / (result.records * readings),
    peakMib: usage.peakMib,
  };
}

async function kafkaTool(broker: KafkaBroker, readings: number): Promise<Row> {
  const bytes = 60 + readings * 75;
  const records = Math.round(Math.min(1_000_000, 400_000_000 / bytes));
  const text = await broker.tool("org.apache.kafka.tools.ProducerPerformance", [
    ...["--topic", `bare-${readings}`, "--num-records", String(records), "--record-size", String(bytes)],
    ...["--throughput", "-1", "--bootstrap-server", broker.address, "--command-property", "acks=all"],
  ]);
  const perSecond = Number(/([\d.]+) records\/sec/.exec(text.trim().split("\n").at(-1) ?? "")?.[1] ?? NaN);
  return {
    what: `Kafka's ProducerPerformance, records of ${readings}`,
    readingsPerSecond: Math.round(perSecond * readings),
  };
}

function printed(rows: readonly Row[]): string {
  const number = (value: number | undefined, digits = 0) =>
    value === undefined ? "" : value.toLocaleString("en-US", { maximumFractionDigits: digits });
  const cells = rows.map((row) => [
    row.what,
    number(row.readingsPerSecond),
    number(row.requestsPerSecond),
    number(row.p50Ms, 1),
    number(row.p99Ms, 1),
    number(row.cpuMicros, 2),
    number(row.peakMib),
    row.note ?? "",
  ]);
  const head = [
    "what",
    "readings/s",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "CPU µs a reading",
    "peak MiB",
    "not 202",
  ];
  const line = (row: readonly string[]) => `| ${row.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...cells.map(line)].join("\n");
}

const broker = await startKafka();
const startIngest = (topic: string) =>
  start(startArgs, {
    ISOTHERM_LOG: `kafka://${broker.address}/${topic}`,
    ISOTHERM_PARTITIONS: String(PARTITIONS),
    ISOTHERM_PORT: "0",
    ISOTHERM_TRACE: "error",
  });
const rows: Row[] = [];
const add = (row: Row) => {
  rows.push(row);
  console.error(row.what, JSON.stringify(row));
};
try {
  {
    await using ingest = await startIngest("bench");
    add(await load("ingest, batches of 60, 60 connections", ingest, { connections: 60, readings: 60 }));
    add(
      await load("ingest, single readings, 500 connections, paced", ingest, {
        connections: 500,
        pauseMs: 85,
      }),
    );
    add(await load("ingest, single readings, 500 connections, flat out", ingest, { connections: 500 }));
  }
  {
    // A thousand boards come back with a backlog each and send what credit allows; fifty others send a reading now and then.
    await using ingest = await startIngest("drain");
    const [drain, live] = await Promise.all([
      load("a thousand boards drain their backlogs", ingest, {
        connections: 1_000,
        readings: 100,
        honoursCredit: true,
        name: "drain",
      }),
      load("… and fifty live ones beside them", ingest, {
        connections: 50,
        pauseMs: 200,
        name: "live",
        cpuIsShared: true,
      }),
    ]);
    add(drain);
    add(live);
  }
  {
    await using bare = await start(["run", "-A", "bench/ingest/bare_hono.ts"], {});
    add(
      await load("bare Hono handler, batches of 60, 60 connections", bare, { connections: 60, readings: 60 }),
    );
    add(
      await load("bare Hono handler, single readings, 500 connections, flat out", bare, { connections: 500 }),
    );
  }
  add(await bareProducer(broker, 60));
  add(await bareProducer(broker, 1));
  add(await kafkaTool(broker, 60));
  add(await kafkaTool(broker, 1));
} finally {
  await broker.remove();
}
console.log(printed(rows));
Deno.exit(0);
