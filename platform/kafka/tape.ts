/**
 * A recorded log played into a scratch topic, to be read with `--replay`: explicit partitions, and the recorded append
 * times as `CreateTime`, which the broker then leaves alone.
 */
import { Partitioners } from "kafkajs";
import type { Clock } from "../../core/ports/clock.ts";
import { type LogRecord, LogRefused } from "../../core/ports/log.ts";
import { silentTrace } from "../../core/ports/trace.ts";
import { bufferOf, KafkaClient, kafkaFailure, type KafkaPlace, nameOf } from "./client.ts";
import { partitionsOf } from "./topic.ts";

const SEND_RECORDS_MAX = 500;
/** Below the topic's `max.message.bytes` with all around it. */
const SEND_BYTES_MAX = 800_000;

export interface TapeOptions extends KafkaPlace {
  readonly partitions: number;
  readonly clock: Clock;
  readonly replicas?: number;
}

/** Creates the topic, which must not exist, and writes `records` into it in their order. */
export async function writeKafkaTape(options: TapeOptions, records: Iterable<LogRecord>): Promise<void> {
  const client = new KafkaClient(options, "isotherm-tape", silentTrace);
  try {
    await createTopic(client, options);
    const producer = client.kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    for (const part of partsOf(records)) {
      await producer.send({
        topic: options.topic,
        acks: -1,
        messages: part.map(({ partition, key, value, headers, appendMs }) => ({
          partition,
          key,
          value: value === null ? null : bufferOf(value),
          headers: headers as Record<string, string>,
          timestamp: String(appendMs),
        })),
      });
    }
    await producer.disconnect();
  } catch (error) {
    throw kafkaFailure(error, "write a tape to", options);
  } finally {
    client.cut();
  }
}

async function createTopic(client: KafkaClient, options: TapeOptions): Promise<void> {
  const { topic, partitions, replicas = 1, clock } = options;
  const admin = client.kafka.admin();
  await admin.connect();
  if (await partitionsOf(admin, topic) !== null) {
    throw new LogRefused(
      `${nameOf(options)} exists already: a tape goes into a topic of its own, name another one`,
    );
  }
  await admin.createTopics({
    topics: [{
      topic,
      numPartitions: partitions,
      replicationFactor: replicas,
      configEntries: Object.entries({
        "message.timestamp.type": "CreateTime",
        "message.timestamp.after.max.ms": "9223372036854775807",
        "retention.ms": "-1",
      }).map(([name, value]) => ({ name, value })),
    }],
  });
  // The first leader may need a moment (kafkajs's own wait was seen to return too early).
  for (let tries = 0; await partitionsOf(admin, topic) === null && tries < 50; tries++) {
    await clock.sleep(100);
  }
  await admin.disconnect();
}

/** Runs of records that go out together. */
function* partsOf(records: Iterable<LogRecord>): Generator<readonly LogRecord[]> {
  let part: LogRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    const size = 200 + (record.value?.length ?? 0);
    if (part.length === SEND_RECORDS_MAX || (part.length > 0 && bytes + size > SEND_BYTES_MAX)) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(record);
    bytes += size;
  }
  if (part.length > 0) yield part;
}
