/**
 * A bare kafkajs producer as the measure for ingest: the same records, `acks=all`, idempotent, one send in flight with as
 * much as ingest's writer sends. Prints a JSON line.
 *
 * `deno run -A platform/testing/bare_producer.ts '{"broker":"127.0.0.1:9092","topic":"t","readings":60,"seconds":8}'`
 */
import { CompressionTypes, Kafka, logLevel, Partitioners } from "kafkajs";

const { broker, topic, partitions, readings, seconds } = JSON.parse(Deno.args[0] ?? "{}") as {
  broker: string;
  topic: string;
  partitions: number;
  readings: number;
  seconds: number;
};
const kafka = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING });
const admin = kafka.admin();
await admin.connect();
const configEntries = [{ name: "message.timestamp.type", value: "LogAppendTime" }];
await admin.createTopics({ topics: [{ topic, numPartitions: partitions, configEntries }] });
await admin.disconnect();
const producer = kafka.producer({
  idempotent: true,
  maxInFlightRequests: 1,
  retry: { retries: 60 },
  createPartitioner: Partitioners.DefaultPartitioner,
});
await producer.connect();

const rows = Array.from(
  { length: readings },
  (_, i) => `{"seq":${i},"ts":${1_763_950_000_000 + i * 10_000},"temperature_c":21.4,"humidity_pct":48.2}`,
);
const value = `{"device":"load-123","boot":1763950000000,"every_ms":10000,"readings":[${rows.join(",")}]}`;
const perSend = Math.min(2_000, Math.max(1, Math.floor(1_000_000 / value.length)));
let sent = 0;
const endMs = performance.now() + seconds * 1_000;
while (performance.now() < endMs) {
  const messages = Array.from({ length: perSend }, (_, i) => ({
    key: `load-${i % 500}`,
    value,
    headers: { isotherm: "1" },
  }));
  await producer.send({ topic, acks: -1, compression: CompressionTypes.None, messages });
  sent += perSend;
}
await producer.disconnect();
console.log(JSON.stringify({ records: sent, readingsPerSecond: Math.round((sent * readings) / seconds) }));
Deno.exit(0);
