/**
 * `deno task bench [--pairs N] [--readings N] [--only NAME,…]`: the same topic through Kafka Streams, Flink and us, in
 * turns, from process start to last row. Needs Linux, Java 17 and Maven. Prints medians and their ratio to Kafka Streams;
 * on a shared machine only the ratios of one run mean something.
 */
import { parseArgs } from "node:util";
import { kafkaJars, startKafka } from "../platform/testing/kafka_broker.ts";
import { type Contender, measure, type Measured, median } from "./contender.ts";
import { build, flink, isotherm, type Job, kafkaStreams } from "./contenders.ts";
import { fill } from "./fill.ts";
import { standard } from "./workload.ts";

const { values } = parseArgs({
  options: {
    pairs: { type: "string", default: "3" },
    readings: { type: "string", default: String(standard.readings) },
    only: { type: "string", default: "kafka-streams,flink,minutes,everything,batches" },
  },
});
const load = { ...standard, readings: Number(values.readings) };
const only = values.only.split(",");
const PORT = 18_087;
const READINGS_PER_BATCH = 60;

type Named = readonly [name: string, make: (job: Job) => Contender, topic: "readings" | "batches"];
const all: readonly Named[] = [
  ["kafka-streams", kafkaStreams, "readings"],
  ["minutes", (job) => isotherm(job, "Isotherm, minutes only", "1m", PORT), "readings"],
  ["flink", flink, "readings"],
  ["everything", (job) => isotherm(job, "Isotherm, minutes, hours and days", "1m,1h,1d", PORT), "readings"],
  ["batches", (job) => isotherm(job, "Isotherm, the same in batches of 60", "1m,1h,1d", PORT), "batches"],
];
const chosen = all.filter(([name]) => only.includes(name));

if (only.includes("kafka-streams")) await build("kafka_streams");
if (only.includes("flink")) await build("flink");
const broker = await startKafka();
try {
  const ends = { readings: 0, batches: 0 };
  if (chosen.some(([, , topic]) => topic === "readings")) {
    ends.readings = await fill(`kafka://${broker.address}/readings`, load);
  }
  if (only.includes("batches")) {
    ends.batches = await fill(`kafka://${broker.address}/batches`, {
      ...load,
      perRecord: READINGS_PER_BATCH,
    });
  }
  if (only.includes("flink")) await createRowsTopic(broker.address);
  console.log(
    `${
      load.readings.toLocaleString("en")
    } readings of ${load.devices} devices; ${values.pairs} rounds, in turns`,
  );
  const results = new Map<string, { contender: string; runs: Measured[] }>();
  for (let round = 0; round < Number(values.pairs); round++) {
    for (const [name, make, topic] of chosen) {
      const folder = await Deno.makeTempDir({ prefix: "isotherm-bench-" });
      try {
        const contender = make({ broker: broker.address, topic, endOffset: ends[topic], folder });
        const measured = await measure(contender);
        const entry = results.get(name) ?? { contender: contender.name, runs: [] };
        results.set(name, entry);
        entry.runs.push(measured);
        console.log(`  ${contender.name}: ${line(measured)}`);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    }
  }
  console.log("medians");
  const base = results.get("kafka-streams");
  for (const { contender, runs } of results.values()) {
    const of = (key: Cost) => median(runs.map((run) => run[key]));
    const firsts = runs.flatMap(({ firstRowSeconds }) => firstRowSeconds ?? []);
    const own: Measured = {
      wallSeconds: of("wallSeconds"),
      cpuSeconds: of("cpuSeconds"),
      peakMiB: of("peakMiB"),
      firstRowSeconds: firsts.length === 0 ? null : median(firsts),
    };
    // Ratios of neighbours in time, then their median: load that comes and goes falls out.
    const ratio = (key: Cost) =>
      base === undefined ? "" : median(runs.map((run, i) => run[key] / base.runs[i]![key])).toFixed(2);
    const ratios = base === undefined
      ? ""
      : `; to Kafka Streams: wall ${ratio("wallSeconds")}, CPU ${ratio("cpuSeconds")}, memory ${
        ratio("peakMiB")
      }`;
    console.log(`  ${contender}: ${line(own)}${ratios}`);
  }
} finally {
  await broker.remove();
}

type Cost = "wallSeconds" | "cpuSeconds" | "peakMiB";

function line({ wallSeconds, cpuSeconds, peakMiB, firstRowSeconds }: Measured): string {
  const first = firstRowSeconds === null ? "" : `, first row after ${firstRowSeconds.toFixed(1)} s`;
  const rate = Math.round(load.readings / wallSeconds).toLocaleString("en");
  return `${wallSeconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} CPU s, ${
    peakMiB.toFixed(0)
  } MiB, ${rate} readings/s${first}`;
}

async function createRowsTopic(address: string): Promise<void> {
  const args = ["--bootstrap-server", address, "--create", "--topic", "bench-rows", "--partitions", "1"];
  const { success } = await new Deno.Command("java", {
    args: ["-cp", `${await kafkaJars()}/*`, "org.apache.kafka.tools.TopicCommand", ...args],
  }).output();
  if (!success) throw new Error("the topic bench-rows could not be created");
}
