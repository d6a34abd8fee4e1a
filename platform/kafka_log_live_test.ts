/** The log's contract, and what is Kafka's own, on a real broker. */
import assert from "node:assert/strict";
import { Kafka, logLevel } from "kafkajs";
import { type Log, LogRefused, LogUnavailable } from "../core/ports/log.ts";
import {
  joinAll,
  logContract,
  type LogUnderTest,
  newRecord,
  newTick,
  readAll,
  readLimits,
  recordsOf,
} from "../core/testing/log_contract.ts";
import { machineClock } from "./clock.ts";
import { type KafkaLog, type KafkaLogOptions, openKafkaLog } from "./kafka_log.ts";
import { type KafkaBroker, startKafka } from "./testing/kafka_broker.ts";

let broker: KafkaBroker;
let topicCount = 0;
const newTopic = () => `topic-${++topicCount}`;

Deno.test.beforeAll(async () => {
  broker = await startKafka();
});
Deno.test.afterAll(async () => {
  await broker.remove();
});

/** kafkajs's retries outlive a connection that was cut, for a few seconds. */
const register = (definition: Deno.TestDefinition) =>
  Deno.test({ ...definition, sanitizeOps: false, sanitizeResources: false });

async function withAdmin<T>(body: (admin: ReturnType<Kafka["admin"]>) => Promise<T>): Promise<T> {
  const admin = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    return await body(admin);
  } finally {
    await admin.disconnect();
  }
}

const kafka: LogUnderTest = {
  name: "the Kafka log",
  deadlineMs: 3_000,
  recoveryMs: 2_000,
  create({ partitions, queueBytesMax }) {
    const topic = newTopic();
    const opened = new Map<Log, KafkaLog>();
    return Promise.resolve({
      clock: machineClock,
      async open() {
        const log = await openKafkaLog({
          brokers: [broker.address],
          topic,
          group: topic,
          partitions,
          queueBytesMax,
          clock: machineClock,
          sessionMs: 1_500,
        });
        opened.set(log, log);
        return log;
      },
      abandon: (log) => Promise.resolve(opened.get(log)?.kill()),
      breakDown: () => Promise.resolve(broker.freeze()),
      repair: () => Promise.resolve(broker.thaw()),
      expire: (partition, offset) =>
        withAdmin(async (admin) => {
          // kafkajs deletes only where it has looked at the topic before.
          await admin.fetchTopicOffsets(topic);
          await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] });
        }),
      commits: () => [...opened.values()].reduce((sum, log) => sum + log.commits(), 0),
      remove: () => Promise.resolve(broker.thaw()),
    });
  },
};

logContract(kafka, register);
