/** What Kafka's consumer group is told of members that leave or have died, on a real broker. */
import assert from "node:assert/strict";
import { readLimits, recordsOf } from "../../core/testing/log_contract.ts";
import type { Assignments } from "../../core/ports/log.ts";
import { machineClock } from "../clock.ts";
import { type KafkaLog, openKafkaLog } from "./log.ts";
import { waitFor } from "../testing/following.ts";
import { type KafkaBroker, startKafka } from "../testing/kafka_broker.ts";

let broker: KafkaBroker;

Deno.test.beforeAll(async () => {
  broker = await startKafka();
});
Deno.test.afterAll(async () => {
  await broker.remove();
});

/** A member with a session that outlasts the test, and the partitions that it has. */
async function join(topic: string, member: string, letGo = () => Promise.resolve()) {
  const log: KafkaLog = await openKafkaLog({
    brokers: [broker.address],
    topic,
    group: topic,
    partitions: 2,
    clock: machineClock,
    member,
    sessionMs: 60_000,
  });
  const owned = new Set<number>();
  const assignments: Assignments = {
    assigned: (partitions) => Promise.resolve(partitions.forEach((partition) => owned.add(partition))),
    async revoked(partitions) {
      await letGo();
      for (const partition of partitions) owned.delete(partition);
    },
  };
  await log.reader.join(assignments);
  return { log, owned };
}

const append = (log: KafkaLog, partition: number) =>
  log.writer.append([{ partition, key: null, value: new Uint8Array([1]), headers: {} }]);

/** kafkajs's retries outlive a connection that was cut, for a few seconds. */
const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });

test("partitions of a member that is known to be dead go to others without waiting for its session", async () => {
  const [living, dead] = [await join("dead", "living"), await join("dead", "dead")];
  await waitFor("they share", () => living.owned.size === 1 && dead.owned.size === 1);
  dead.log.kill();
  await machineClock.sleep(1_500);
  assert.equal(living.owned.size, 1, "the group waits for it");
  await living.log.reader.dismiss!("nobody");
  await machineClock.sleep(500);
  assert.equal(living.owned.size, 1);
  await living.log.reader.dismiss!("dead");
  await waitFor("the living one has both", () => living.owned.size === 2);
  await living.log.close();
});

test("a member that lives and was dismissed all the same joins again", async () => {
  const [one, other] = [await join("again", "one"), await join("again", "other")];
  await waitFor("they share", () => one.owned.size === 1 && other.owned.size === 1);
  await one.log.reader.dismiss!("other");
  await waitFor("one has both, for a moment or not at all", () => one.owned.size >= 1);
  await machineClock.sleep(1_000);
  await waitFor("they share again", () => one.owned.size === 1 && other.owned.size === 1);
  await Promise.all([one.log.close(), other.log.close()]);
});

test("a member that leaves reads on until it closes, and says whether others are there to take over", async () => {
  const one = await join("leaves", "one");
  assert.equal(await one.log.reader.leave!(), false);
  const other = await join("leaves", "other");
  await waitFor("they share", () => one.owned.size === 1 && other.owned.size === 1);
  const [partition] = [...other.owned];
  assert.equal(await other.log.reader.leave!(), true);
  await waitFor("one has both", () => one.owned.size === 2);
  await append(other.log, partition!);
  const read = await other.log.reader.read(partition!, 0, readLimits({ waitMs: 5_000 }));
  assert.equal(recordsOf(read).length, 1);
  await other.log.close();
  assert.deepEqual(await other.log.reader.read(partition!, 1, readLimits()), { kind: "revoked" });
  await one.log.close();
});

test("a partition that goes to another is read on until its reader lets go of it", async () => {
  const { promise: letGo, resolve } = Promise.withResolvers<void>();
  const first = await join("handed", "first", () => letGo);
  await waitFor("it has both", () => first.owned.size === 2);
  const second = await join("handed", "second");
  await waitFor("they share", () => second.owned.size === 1);
  const [partition] = [...second.owned];
  await append(first.log, partition!);
  for (const { log } of [first, second]) {
    const read = await log.reader.read(partition!, 0, readLimits({ waitMs: 5_000 }));
    assert.equal(recordsOf(read).length, 1);
  }
  resolve();
  await waitFor("it has let go", () => first.owned.size === 1);
  assert.deepEqual(await first.log.reader.read(partition!, 1, readLimits()), { kind: "revoked" });
  await Promise.all([first.log.close(), second.log.close()]);
});
