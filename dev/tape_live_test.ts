import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { Clock } from "../core/ports/clock.ts";
import type { Log, LogRecord } from "../core/ports/log.ts";
import { machineClock } from "../platform/clock.ts";
import { openKafkaLog } from "../platform/kafka/log.ts";
import { writeKafkaTape } from "../platform/kafka/tape.ts";
import { machineRandom } from "../platform/random.ts";
import { openRedisLog } from "../platform/redis/log.ts";
import { writeRedisTape } from "../platform/redis/tape.ts";
import { openSqliteLog } from "../platform/sqlite_log.ts";
import { startKafka } from "../platform/testing/kafka_broker.ts";
import { startRedis } from "../platform/testing/redis_server.ts";
import { SimLog } from "../sim/log.ts";
import { seededRandom } from "../sim/random.ts";
import { drawTape, endsOfTape, publishLog } from "./testing/tape.ts";

const partitions = 2;

/** The embedded log with this tape in it. */
async function embeddedWith(tape: readonly LogRecord[], path: string): Promise<Log> {
  let nowMs = 0;
  const clock: Clock = { ...machineClock, nowMs: () => nowMs };
  const log = await openSqliteLog({ path, partitions, clock });
  for (const record of tape) {
    nowMs = record.appendMs;
    await log.writer.append([record]);
  }
  return log;
}

/** Reads all of `log` in fetches of at most `records`, and gives the digests of what is published then. */
const digestsOf = async (log: Log, tape: readonly LogRecord[], folder: string, records: number) =>
  (await publishLog(log, endsOfTape(tape, partitions), folder, records)).map(({ rowDigest }) => rowDigest);

Deno.test({
  name:
    "one recorded log gives one digest: simulated, embedded, Kafka and Redis, in fetches of 1, 7 and 5,000 records",
  // kafkajs's retries outlive a connection that was cut, for a few seconds.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const tape = drawTape({ seed: 3, devices: 8, slotsPerDevice: 400, partitions });
    ok(tape.length > 120 && tape.some(({ appendMs }, i) => appendMs < (tape[i - 1]?.appendMs ?? 0)));
    const folder = await Deno.makeTempDir({ prefix: "isotherm-tape-" });
    const broker = await startKafka();
    const redisServer = await startRedis();
    try {
      const kafka = { brokers: [broker.address], topic: "tape", partitions, clock: machineClock };
      await writeKafkaTape(kafka, tape);
      const { host, port } = redisServer;
      const redis = { host, port, name: "tape", partitions, random: machineRandom };
      await writeRedisTape(redis, tape);
      await rejects(
        openRedisLog({ ...redis, clock: machineClock }),
        /holds a tape, whose times are recorded ones/,
      );
      await rejects(writeRedisTape(redis, tape), /exists already: a tape goes into a log of its own/);
      const found: Record<string, readonly string[]> = {};
      for (const records of [1, 7, 5_000]) {
        const sim = new SimLog({ partitions, clock: machineClock, random: seededRandom(1) });
        for (const at of [0, 1]) sim.load(at, tape.filter(({ partition }) => partition === at));
        const logs: Record<string, () => Promise<Log>> = {
          simulated: () => Promise.resolve(sim.open()),
          embedded: () => embeddedWith(tape, `${folder}/log-${records}.sqlite`),
          kafka: () => openKafkaLog({ ...kafka, group: `fetch-${records}`, replay: true }),
          redis: () => openRedisLog({ ...redis, clock: machineClock, replay: true }),
        };
        for (const [name, open] of Object.entries(logs)) {
          found[`${name} ${records}`] = await digestsOf(
            await open(),
            tape,
            `${folder}/${name}-${records}`,
            records,
          );
        }
      }
      const [first] = Object.values(found);
      equal(Object.keys(found).length, 12);
      equal(first?.length, partitions);
      for (const [name, digests] of Object.entries(found)) deepEqual(digests, first, name);
    } finally {
      await broker.remove();
      await redisServer.remove();
      await Deno.remove(folder, { recursive: true });
    }
  },
});
