/** What the aggregator does with a topic that isn't what it has to be, and with records that aren't: contract 3, on a real broker. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { partitionOf } from "../core/murmur2.ts";
import { newRecord } from "../core/testing/log_contract.ts";
import { machineClock } from "../platform/clock.ts";
import { openKafkaLog } from "../platform/kafka/log.ts";
import { type KafkaBroker, startKafka } from "../platform/testing/kafka_broker.ts";
import { freePort, Process, taskArgs, until } from "../platform/testing/process.ts";
import { askPublished } from "../platform/testing/published.ts";

const partitions = 2;
const port = freePort();
/** Devices of partition 0 and 1. */
const [zero = "", one = ""] = [0, 1].map((at) =>
  Array.from({ length: 20 }, (_, i) => `device-${i}`).find((name) => partitionOf(name, partitions) === at)
);

const open = (broker: KafkaBroker) =>
  openKafkaLog({ brokers: [broker.address], topic: "readings", partitions, clock: machineClock });

async function startAggregator(broker: KafkaBroker, data: string): Promise<Process> {
  return new Process({
    args: await taskArgs("start:aggregator"),
    env: {
      ISOTHERM_LOG: `kafka://${broker.address}/readings?session_ms=1500`,
      ISOTHERM_PARTITIONS: String(partitions),
      ISOTHERM_DATA: data,
      ISOTHERM_AGGREGATOR_PORT: String(port),
    },
  });
}

/** It ends by itself with exit code 1; gives what it wrote. */
async function refusal(broker: KafkaBroker, data: string): Promise<string> {
  await using aggregator = await startAggregator(broker, data);
  const ended = await Promise.race([aggregator.ended, machineClock.sleep(30_000)]);
  ok(ended !== undefined, `it goes on:\n${aggregator.text}`);
  equal(ended.code, 1, aggregator.text);
  return aggregator.text;
}

/** One line of the console producer: headers, key, value. */
const line = (headers: string, key: string, value: string) => `${headers}\t${key}|${value}\n`;

const produce = (broker: KafkaBroker, lines: readonly string[], more: readonly string[] = []) =>
  broker.tool("org.apache.kafka.tools.ConsoleProducer", [
    "--bootstrap-server",
    broker.address,
    "--topic",
    "readings",
    ...["parse.headers=true", "parse.key=true", "key.separator=|"].flatMap((
      property,
    ) => ["--reader-property", property]),
    ...more,
  ], lines.join(""));

Deno.test({
  name:
    "records of other tools are counted, quarantined or stop their partition, and another topic is refused, each with a sentence",
  // kafkajs's retries outlive a connection that was cut, for a few seconds.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const broker = await startKafka();
    const data = await Deno.makeTempDir({ prefix: "isotherm-wrong-logs-" });
    try {
      await takeRecordsOfOtherTools(broker, data);
      await refuseOtherTopics(broker, data);
    } finally {
      await broker.remove();
      await Deno.remove(data, { recursive: true });
    }
  },
});

async function takeRecordsOfOtherTools(broker: KafkaBroker, data: string): Promise<void> {
  const log = await open(broker);
  await using aggregator = await startAggregator(broker, data);
  const ts = machineClock.nowMs() - 60_000;
  const reading = (device: string, seconds: number) =>
    `{"device":"${device}","ts":${ts + seconds * 1_000},"temperature_c":21.5}`;
  await produce(broker, [
    line("isotherm:1", zero, reading(zero, 0)),
    line("traceparent:00-1-1-00", one, reading(one, 0)),
    line("isotherm:1", zero, "no batch at all"),
  ]);
  // A producer that deals its records out in turn, whatever their key.
  const lines = [1, 2, 3, 4, 5, 6].map((seconds) => line("isotherm:1", zero, reading(zero, seconds)));
  const roundRobin = "partitioner.class=org.apache.kafka.clients.producer.RoundRobinPartitioner";
  await produce(broker, lines, ["--command-property", roundRobin]);
  const rows = (sql: string) =>
    askPublished(data, sql).then((found) => found.map((row) => row.map(String).join(" ")));
  // Each partition is published by itself.
  await until("every record's reading is published, counted or quarantined", async () => {
    ok(aggregator.isRunning, aggregator.text);
    const all = "SELECT (SELECT count(*) FROM quarantine) + (SELECT count(*) FROM readings)";
    return (await rows(all).catch(() => []))[0] === String(3 + lines.length);
  });
  const wrong = await rows("SELECT raw FROM quarantine WHERE reason = 'wrong_partition'");
  ok(
    wrong.length > 0 && wrong.length < lines.length &&
      wrong.every((raw) => raw.includes(`"device":"${zero}"`)),
    wrong.join("\n"),
  );
  deepEqual(await rows("SELECT raw FROM quarantine WHERE reason = 'malformed'"), ["no batch at all"]);
  const counted = await rows("SELECT device, count(*) FROM readings GROUP BY ALL ORDER BY ALL");
  deepEqual(counted.toSorted(), [`${zero} ${1 + lines.length - wrong.length}`, `${one} 1`].toSorted());

  await log.writer.append([
    newRecord({ partition: 0, key: zero, value: reading(zero, 7), headers: { isotherm: "2.0" } }),
    newRecord({ partition: 0, key: zero, value: reading(zero, 8), headers: { isotherm: "1" } }),
    newRecord({ partition: 1, key: one, value: reading(one, 8), headers: { isotherm: "1" } }),
  ]);
  const readiness = await until("the stopped partition is told", async () => {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`);
    const body = await response.text();
    return !response.ok && /has version/.test(body) && body;
  });
  match(
    readiness,
    /has version .*2\.0.*, this build reads 1: run a newer Isotherm on this log; nothing was skipped/,
  );
  await until(
    "the other partition goes on",
    async () => (await rows(`SELECT count(*) FROM readings WHERE device = '${one}'`))[0] === "2",
  );
  deepEqual(await rows(`SELECT count(*) FROM readings WHERE device = '${zero}'`), [
    String(1 + lines.length - wrong.length),
  ]);
  await aggregator.stop("SIGTERM");
  await log.close();
}

async function refuseOtherTopics(broker: KafkaBroker, data: string): Promise<void> {
  const server = ["--bootstrap-server", broker.address];
  await broker.tool("org.apache.kafka.tools.TopicCommand", [...server, "--delete", "--topic", "readings"]);
  match(
    await refusal(broker, data),
    /partition \d of the log ends at 0, but rows up to \d+ are stored: it was truncated or re-created\. Bring the old log/,
  );

  const log = await open(broker);
  for (const partition of [0, 1]) {
    await log.writer.append(Array.from({ length: 50 }, () => newRecord({ partition, value: "{}" })));
  }
  await log.close();
  match(
    await refusal(broker, data),
    /record \d+ of partition \d is not the one that the stored rows end with: this is another log\. Point to the log/,
  );

  const settings = [
    ...server,
    "--alter",
    "--entity-type",
    "topics",
    "--entity-name",
    "readings",
    "--add-config",
  ];
  await broker.tool("kafka.admin.ConfigCommand", [...settings, "message.timestamp.type=CreateTime"]);
  match(
    await refusal(broker, data),
    /has message\.timestamp\.type=CreateTime, so that the time of a record would be/,
  );

  await broker.tool("org.apache.kafka.tools.TopicCommand", [
    ...server,
    "--alter",
    "--topic",
    "readings",
    "--partitions",
    "3",
  ]);
  match(
    await refusal(broker, data),
    /has 3 partitions, 2 are configured, and devices can't move between them/,
  );
}
