/** The log's contract, and what is Kafka's own, on a real broker. */
import assert from "node:assert/strict";
import { Kafka, logLevel } from "kafkajs";
import { type Log, LogRefused, LogUnavailable } from "../../core/ports/log.ts";
import {
  joinAll,
  logContract,
  type LogUnderTest,
  newRecord,
  newTick,
  readAll,
  readLimits,
  recordsOf,
} from "../../core/testing/log_contract.ts";
import { machineClock } from "../clock.ts";
import { type KafkaLog, type KafkaLogOptions, openKafkaLog } from "./log.ts";
import { follow, textOf, waitFor } from "../testing/following.ts";
import { type KafkaBroker, startKafka } from "../testing/kafka_broker.ts";

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

/** A busy broker leads a topic's partitions only some time after it has made them; until then the log is away. */
async function untilLed(log: Log): Promise<void> {
  const partitions = Array.from({ length: log.writer.partitions }, (_, partition) => partition);
  const isLed = async () => {
    if (!log.writer.available()) return false;
    const ranges = partitions.map((partition) => log.reader.range(partition));
    return await Promise.all(ranges).then(() => true, () => false);
  };
  for (let tries = 0; tries < 60 && !await isLed(); tries++) await machineClock.sleep(50);
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
        await untilLed(log);
        return log;
      },
      abandon: (log) => Promise.resolve(opened.get(log)?.kill()),
      async breakDown() {
        broker.freeze();
        await machineClock.sleep(200); // the signal reaches a running thread only when it is next scheduled
      },
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

function open(topic: string, options: Partial<KafkaLogOptions> = {}): Promise<KafkaLog> {
  return openKafkaLog({
    brokers: [broker.address],
    topic,
    group: topic,
    partitions: 1,
    clock: machineClock,
    sessionMs: 1_500,
    ...options,
  });
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof LogRefused, `rejected with ${error}`);
    return error.message;
  }
  throw new Error("it was not refused");
}

/** Asks again while it is unavailable or has no records. */
async function outcomeSoon(log: Log, partition: number, offset: number, ms = 8_000) {
  for (const deadlineMs = machineClock.monotonicMs() + ms;;) {
    try {
      const outcome = await log.reader.read(partition, offset, readLimits({ waitMs: 500 }));
      if (outcome.kind !== "records" || outcome.records.length > 0) return outcome;
    } catch (error) {
      if (!(error instanceof LogUnavailable)) throw error;
      await machineClock.sleep(50);
    }
    if (machineClock.monotonicMs() > deadlineMs) throw new Error(`nothing within ${ms} ms`);
  }
}

/** Creates a topic by hand. */
const createTopic = (topic: string, settings: Record<string, string>, numPartitions = 1) =>
  withAdmin((admin) =>
    admin.createTopics({
      topics: [{
        topic,
        numPartitions,
        configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })),
      }],
    })
  );
const ours = { "message.timestamp.type": "LogAppendTime", "retention.ms": "-1" };

register({
  name: "the Kafka log: a topic that is something else is refused, with what to do",
  async fn() {
    const cases: [RegExp, Record<string, string>, number?][] = [
      [/has message\.timestamp\.type=CreateTime.*use a new topic.*read with --replay/, {
        "retention.ms": "-1",
      }],
      [/has 3 partitions, 1 are configured.*configure 3 if/, ours, 3],
      [
        /has retention\.ms=604800000.*removed at another age: configure that retention, or set it with kafka-configs/,
        {
          "message.timestamp.type": "LogAppendTime",
        },
      ],
      [/has retention\.bytes=1000000.*removed by size: set it with/, {
        ...ours,
        "retention.bytes": "1000000",
      }],
      [/has cleanup\.policy=compact.*removed by key/, { ...ours, "cleanup.policy": "compact" }],
      [/takes records of 500000 bytes, a batch may have 920000/, { ...ours, "max.message.bytes": "500000" }],
    ];
    for (const [sentence, settings, partitions] of cases) {
      const topic = newTopic();
      await createTopic(topic, settings, partitions);
      const message = await refusal(open(topic));
      assert.match(message, sentence);
      assert.match(message, new RegExp(`^topic ${topic} on 127`));
    }
    assert.match(await refusal(open(newTopic(), { replicas: 3 })), /configure no more replicas than/);
    assert.match(await refusal(open("no such topic")), /choose another name for the topic/);
    assert.match(
      await refusal(open("no-tape", { replay: true })),
      /does not exist: name the topic that holds the tape/,
    );
  },
});

register({
  name: "the Kafka log: a topic that is ours already is taken, also with a retention that was chosen",
  async fn() {
    const topic = newTopic();
    await createTopic(topic, { ...ours, "retention.ms": "86400000" });
    const log = await open(topic, { retentionMs: 86_400_000 });
    await log.writer.append([newRecord()]);
    await log.close();
  },
});

register({
  name: "the Kafka log: a re-created topic, shorter than what was read, is told as ending before its reader",
  async fn() {
    const topic = newTopic();
    const log = await open(topic);
    await joinAll(log.reader);
    await log.writer.append(Array.from({ length: 20 }, () => newRecord()));
    assert.equal((await readAll(log.reader, 0, 0, 2_000)).length, 20);
    await withAdmin((admin) => admin.deleteTopics({ topics: [topic] }));
    for (let tries = 0;; tries++) {
      try {
        await createTopic(topic, ours);
        break;
      } catch (error) {
        if (tries === 20) throw error;
        await machineClock.sleep(100);
      }
    }
    assert.deepEqual(await outcomeSoon(log, 0, 20), { kind: "beyond_end", next: 0 });
    await log.close();
    const again = await open(topic);
    await joinAll(again.reader);
    assert.deepEqual(await outcomeSoon(again, 0, 20), { kind: "beyond_end", next: 0 });
    await again.close();
  },
});

register({
  name: "the Kafka log: a topic that is deleted in use is not created anew, but refused",
  async fn() {
    const topic = newTopic();
    const log = await open(topic);
    await joinAll(log.reader);
    await log.writer.append([newRecord()]);
    await withAdmin((admin) => admin.deleteTopics({ topics: [topic] }));
    const deadlineMs = machineClock.monotonicMs() + 15_000;
    for (let refused = false; !refused;) {
      assert.ok(machineClock.monotonicMs() < deadlineMs, "not refused within 15 s");
      await log.writer.append([newRecord()]).catch((error) => refused = error instanceof LogRefused);
      await machineClock.sleep(100);
    }
    assert.equal(log.writer.available(), false);
    await log.close();
  },
});

register({
  name: "the Kafka log: partitions that are added in use are refused by writer and reader",
  async fn() {
    const topic = newTopic();
    const log = await open(topic, { partitions: 2 });
    await joinAll(log.reader);
    await log.writer.append([newRecord()]);
    await withAdmin((admin) => admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] }));
    assert.match(await refusal(outcomeSoon(log, 0, 1, 20_000)), /has 3 partitions, 2 are configured/);
    for (let i = 0; i < 100 && log.writer.available(); i++) await machineClock.sleep(50);
    assert.match(await refusal(log.writer.append([newRecord()])), /has 3 partitions, 2 are configured/);
    await log.close();
  },
});

register({
  name: "the Kafka log: a tape with times of its own is read with --replay, where nothing is appended",
  async fn() {
    const topic = newTopic();
    await createTopic(topic, { "message.timestamp.type": "CreateTime", "retention.ms": "-1" });
    const producer = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING }).producer();
    await producer.connect();
    const times = [1_600_000_000_000, 1_500_000_000_000, 1_700_000_000_000];
    const messages = times.map((time) => ({
      partition: 0,
      key: "desk",
      value: `${time}`,
      timestamp: `${time}`,
    }));
    await producer.send({ topic, messages });
    await producer.disconnect();
    assert.match(await refusal(open(topic)), /CreateTime/);
    const log = await open(topic, { replay: true });
    await joinAll(log.reader);
    assert.deepEqual((await readAll(log.reader, 0, 0, 2_000)).map(({ appendMs }) => appendMs), times);
    assert.equal(log.writer.available(), false);
    assert.match(
      await refusal(log.writer.append([newRecord()])),
      /read with --replay, where nothing is appended/,
    );
    await log.close();
  },
});

register({
  name:
    "the Kafka log: Kafka's console tools read what we write, and we read what they write, in any compression",
  async fn() {
    const topic = newTopic();
    const log = await open(topic, { partitions: 3 });
    await joinAll(log.reader);
    await log.writer.append([
      newRecord({ partition: 0, key: "desk", value: '{"device":"desk"}' }),
      newTick(1),
    ]);
    const server = ["--bootstrap-server", broker.address, "--topic", topic];
    const shown = await broker.tool("org.apache.kafka.tools.consumer.ConsoleConsumer", [
      ...server,
      "--from-beginning",
      "--max-messages",
      "1",
      "--partition",
      "0",
      "--formatter-property",
      "print.key=true",
      "--formatter-property",
      "print.timestamp=true",
    ]);
    assert.match(shown, /^LogAppendTime:\d{13}\tdesk\t\{"device":"desk"\}\n$/m);
    for (const codec of ["snappy", "lz4", "zstd"]) {
      await broker.tool("org.apache.kafka.tools.ConsoleProducer", [
        ...server,
        "--compression-codec",
        codec,
        "--reader-property",
        "parse.key=true",
        "--reader-property",
        "key.separator=|",
      ], `Küche|{"codec":"${codec}"}\n`);
    }
    // kafka-clients puts this key where `core/murmur2.ts` expects it (see its test): partition 0.
    const read = (await readAll(log.reader, 0, 0, 2_000)).slice(1);
    assert.deepEqual(read.map(({ key, value }) => [key, textOf(value)]), [
      ["Küche", '{"codec":"snappy"}'],
      ["Küche", '{"codec":"lz4"}'],
      ["Küche", '{"codec":"zstd"}'],
    ]);
    await log.close();
  },
});

register({
  name: "the Kafka log: a transaction's marker and its aborted records are passed over",
  async fn() {
    const topic = newTopic();
    const log = await open(topic);
    await joinAll(log.reader);
    const producer = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING })
      .producer({ transactionalId: topic, maxInFlightRequests: 1, idempotent: true });
    await producer.connect();
    for (const [value, isCommitted] of [["kept", true], ["aborted", false], ["kept too", true]] as const) {
      const transaction = await producer.transaction();
      await transaction.send({ topic, messages: [{ partition: 0, value }] });
      await (isCommitted ? transaction.commit() : transaction.abort());
    }
    await producer.disconnect();
    await log.writer.append([newRecord({ value: "ours" })]);
    const values: (string | null)[] = [];
    for (let next = 0; values.length < 3;) {
      const records = recordsOf(await outcomeSoon(log, 0, next));
      values.push(...records.map(({ value }) => textOf(value)));
      next = records.at(-1)!.offset + 1;
    }
    assert.deepEqual(values, ["kept", "kept too", "ours"]);
    await log.close();
  },
});

register({
  name: "the Kafka log: while workers come, go and vanish, every record is read once and in order",
  async fn() {
    const topic = newTopic();
    const writer = await open(topic, { partitions: 4 });
    const workers = [await open(topic, { partitions: 4 })];
    const stored = new Map<number, string[]>();
    const events: string[] = [];
    follow(workers[0]!, stored, events, "a");
    let isWriting = true;
    let count = 0;
    const writing = (async () => {
      while (isWriting) {
        await writer.writer.append(
          [0, 1, 2, 3].map((partition) => newRecord({ partition, value: `${count}` })),
        );
        count++;
        await machineClock.sleep(5);
      }
    })();
    const reads = () => [...stored.values()].reduce((sum, values) => sum + values.length, 0);
    await waitFor("the first reads", () => reads() > 200);
    workers.push(await open(topic, { partitions: 4 }));
    follow(workers[1]!, stored, events, "b");
    await waitFor("the second worker's share", () => events.some((event) => /^b gets \d,\d$/.test(event)));
    const [before] = [reads()];
    await waitFor("reads of two", () => reads() > before + 200);
    workers[0]!.kill();
    await waitFor("the rest for the second", () => events.some((event) => event === "b gets 0,1,2,3"));
    const afterKill = reads();
    await waitFor("reads of one", () => reads() > afterKill + 200);
    workers.push(await open(topic, { partitions: 4 }));
    follow(workers[2]!, stored, events, "c");
    await waitFor("the third worker's share", () => events.some((event) => /^c gets \d,\d$/.test(event)));
    await workers[1]!.close();
    await waitFor("the rest for the third", () => events.some((event) => event === "c gets 0,1,2,3"), 3_000);
    isWriting = false;
    await writing;
    await waitFor("all of it", () => reads() === 4 * count);
    for (const partition of [0, 1, 2, 3]) {
      assert.deepEqual(stored.get(partition), Array.from({ length: count }, (_, i) => `${i}`));
    }
    for (const log of [writer, ...workers.slice(2)]) await log.close();
  },
});

register({
  name:
    "the Kafka log: a killed broker costs no record, is known within the deadline, and is used again soon after it is back",
  async fn() {
    const topic = newTopic();
    const log = await open(topic, { deadlineMs: 2_000 });
    const stored = new Map<number, string[]>();
    follow(log, stored, [], "a");
    const acknowledged: string[] = [];
    let isWriting = true;
    let count = 0;
    let slowestMs = 0;
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      while (isWriting) {
        const value = `${writer}:${count++}`;
        const startMs = machineClock.monotonicMs();
        await log.writer.append([newRecord({ value })]).then(() => acknowledged.push(value), (error) => {
          assert.ok(error instanceof LogUnavailable, `${error}`);
        });
        slowestMs = Math.max(slowestMs, machineClock.monotonicMs() - startMs);
        await machineClock.sleep(10);
      }
    });
    await waitFor("some appends", () => acknowledged.length > 100);
    await broker.stop("SIGKILL");
    const killedMs = machineClock.monotonicMs();
    await waitFor("the writer to notice", () => !log.writer.available());
    const noticedMs = machineClock.monotonicMs() - killedMs;
    assert.ok(noticedMs <= 2_100, `noticed after ${noticedMs} ms`);
    await machineClock.sleep(1_000);
    await broker.start();
    const upMs = machineClock.monotonicMs();
    await waitFor("the writer to come back", () => log.writer.available());
    const backMs = machineClock.monotonicMs() - upMs;
    assert.ok(backMs <= 4_000, `back ${backMs} ms after the broker took connections`);
    const before = acknowledged.length;
    await waitFor("more appends", () => acknowledged.length > before + 100);
    isWriting = false;
    await Promise.all(writers);
    const values = () => stored.get(0) ?? [];
    await waitFor("the reader to catch up", () => acknowledged.every((value) => values().includes(value)));
    const doubled = values().length - new Set(values()).size;
    assert.equal(doubled, 0);
    assert.ok(slowestMs <= 2_300, `an append took ${slowestMs} ms`);
    console.log(`noticed after ${noticedMs.toFixed(0)} ms, back ${backMs.toFixed(0)} ms after TCP accept`);
    await log.close();
  },
});

register({
  name: "the Kafka log: opened before its broker is there, it waits; closed while it is gone, it ends",
  async fn() {
    const topic = newTopic();
    await broker.stop();
    const log = await open(topic);
    assert.equal(log.writer.available(), false);
    await assert.rejects(log.writer.append([newRecord()]), LogUnavailable);
    const joined = joinAll(log.reader);
    await broker.start();
    const startMs = machineClock.monotonicMs();
    await waitFor("the writer", () => log.writer.available());
    await joined;
    const tookMs = machineClock.monotonicMs() - startMs;
    assert.ok(tookMs < 8_000, `joined ${tookMs} ms after the broker accepted connections`);
    await log.writer.append([newRecord({ value: "here" })]);
    assert.deepEqual(recordsOf(await outcomeSoon(log, 0, 0)).map(({ value }) => textOf(value)), ["here"]);
    await broker.stop("SIGKILL");
    const closeMs = machineClock.monotonicMs();
    await log.close();
    assert.ok(machineClock.monotonicMs() - closeMs < 3_000);
  },
});
