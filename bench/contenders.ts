/** The same job on each: `deno task bench`. */
import { taskArgs } from "../platform/testing/process.ts";
import type { Contender } from "./contender.ts";

const root = decodeURIComponent(new URL("../", import.meta.url).pathname);

/** Those of `deno task start:aggregator`; without the task, whose shell would be measured in its place. */
const startArgs = (await taskArgs("start:aggregator")).slice(0, -1);

export interface Job {
  /** `host:port` of the broker. */
  readonly broker: string;
  readonly topic: string;
  /** Offset at which the topic ends. */
  readonly endOffset: number;
  /** A new folder for its state. */
  readonly folder: string;
}

/** Our aggregator, as it is started in production. `windows` as in ISOTHERM_WINDOWS. Done when the rows are published. */
export function isotherm(job: Job, name: string, windows: string, port: number): Contender {
  return {
    name,
    command: Deno.execPath(),
    args: [...startArgs, `${root}aggregator/main.ts`],
    env: {
      // A group of its own: the contender before was killed, and its group waits for it for the length of a session.
      ISOTHERM_LOG: `kafka://${job.broker}/${job.topic}?group=${groupOf(job.folder)}`,
      ISOTHERM_DATA: job.folder,
      ISOTHERM_WINDOWS: windows,
      ISOTHERM_AGGREGATOR_PORT: String(port),
    },
    isDone: async () => ((await statusOf(port))?.published?.next_offset ?? 0) >= job.endOffset,
    hasRow: async () => ((await statusOf(port))?.next_offset ?? 0) > 0,
  };
}

interface PartitionStatus {
  /** Committed. */
  readonly next_offset: number;
  readonly published: { readonly next_offset: number } | null;
}

/** What our service says of partition 0; null while it doesn't answer or has none. */
async function statusOf(port: number): Promise<PartitionStatus | null> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/status`);
    const { partitions } = await response.json() as { partitions: readonly PartitionStatus[] };
    return partitions[0] ?? null;
  } catch {
    return null;
  }
}

const groupOf = (folder: string) => `bench-${folder.slice(folder.lastIndexOf("-") + 1)}`;

/** Java's usual settings for a service on two cores. */
const JAVA = ["-Xmx1g"];

function java(name: string, mainClass: string, jars: string, job: Job): Contender {
  return {
    name,
    command: "java",
    args: [
      ...JAVA,
      "-cp",
      `${root}.cache/bench-classes-${jars}:${root}.cache/bench-${jars}/*`,
      mainClass,
      job.broker,
      job.topic,
      job.folder,
      String(job.endOffset),
    ],
    isDone: (output) => Promise.resolve(/^done /m.test(output)),
  };
}

export const kafkaStreams = (job: Job): Contender =>
  java("Kafka Streams 4.3.1, exactly once", "Windows", "kafka_streams", job);
export const flink = (job: Job): Contender =>
  java("Flink 2.2.0, checkpoints every second", "Windows", "flink", job);

/** Fetches a contender's jars by Maven and compiles its job; once. */
export async function build(jars: "kafka_streams" | "flink"): Promise<void> {
  const [libraries, classes] = [`${root}.cache/bench-${jars}`, `${root}.cache/bench-classes-${jars}`];
  const maven = ["-q", "-B", "-ntp", "dependency:copy-dependencies", "-DincludeScope=runtime"];
  await run("mvn", [...maven, `-DoutputDirectory=${libraries}`], `${root}bench/${jars}`);
  await run("javac", ["-d", classes, "-cp", `${libraries}/*`, `${root}bench/${jars}/Windows.java`], root);
}

async function run(command: string, args: readonly string[], cwd: string): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args], cwd }).output();
  if (success) return;
  const decoder = new TextDecoder();
  throw new Error(
    `${command} failed (Java 17 and Maven 3.8 are needed):\n${decoder.decode(stdout)}${
      decoder.decode(stderr)
    }`,
  );
}
