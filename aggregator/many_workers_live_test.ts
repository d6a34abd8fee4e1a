/**
 * Many workers on a real Kafka, each with private files of its own, one folder that they publish to.
 * `ISOTHERM_REBALANCES` draws so many rebalances (`deno task soak:rebalance`: 50), `ISOTHERM_SEED` others.
 */
import assert from "node:assert/strict";
import { below } from "../core/ports/random.ts";
import { machineClock } from "../platform/clock.ts";
import { seededRandom } from "../sim/random.ts";
import { KafkaWorkers, published, type Worker } from "./testing/kafka_workers.ts";

const rebalances = Number(Deno.env.get("ISOTHERM_REBALANCES") ?? "5");
const seed = Number(Deno.env.get("ISOTHERM_SEED") ?? "1");
const WORKERS_MAX = 4;
/** So long a worker's coming or going is watched. */
const WATCHED_MS = 10_000;
const plan = { partitions: 4, devices: 40, options: "session_ms=1500" };

Deno.test(`${rebalances} rebalances with kills, stops, joins and leaves lose nothing and double nothing: one digest with 1, 2 and 4 workers`, async () => {
  await KafkaWorkers.run(plan, async (world) => {
    const random = seededRandom(seed);
    let running = [world.worker("w0")];
    const frozen: Worker[] = [];
    let names = 1;
    const tally = { killed: 0, left: 0, frozen: 0, joined: 0 };
    await world.send(50);
    await world.drained();
    for (let round = 0; round < rebalances; round++) {
      // Another number of workers than now; what leaves does so in one of three ways.
      const count = 1 + (running.length + below(random, WORKERS_MAX - 1)) % WORKERS_MAX;
      while (running.length > count) {
        const [worker] = running.splice(below(random, running.length), 1);
        const way = below(random, 3);
        if (way === 0) {
          await worker!.end("SIGTERM");
          tally.left++;
        } else if (way === 1) {
          await worker!.end("SIGKILL");
          tally.killed++;
        } else {
          worker!.freeze();
          frozen.push(worker!);
          tally.frozen++;
        }
      }
      while (running.length < count) {
        running.push(world.worker(`w${names++}`));
        tally.joined++;
      }
      await world.send(50);
      // Half of them come while the one before is still under way.
      if (below(random, 2) === 0) await world.drained();
      // A stopped one wakes long after its partitions have moved, and takes part again.
      if (frozen.length > 1) {
        const [worker] = frozen.splice(0, 1);
        worker!.thaw();
        running = [...running, worker!];
      }
    }
    for (const worker of frozen) worker.thaw();
    await world.drained();
    for (const worker of [...running, ...frozen]) await worker.end("SIGTERM");
    const many = await world.digests();
    assert.equal(many.length, plan.partitions);
    console.log(`  seed ${seed}: ${JSON.stringify(tally)}`);
    for (const workers of [1, 2, 4]) {
      assert.deepEqual(many, await world.reference(workers), `${workers} workers from the beginning`);
    }
  });
});

Deno.test("a stopped process that wakes after its partitions have moved changes nothing that readers see", async () => {
  await KafkaWorkers.run(plan, async (world) => {
    const first = world.worker("first");
    await world.send(50);
    await world.drained();
    first.freeze();
    await world.send(50);
    const second = world.worker("second");
    await world.drained();
    const before = await published(world.publish);
    first.thaw();
    await machineClock.sleep(3_000);
    const after = await published(world.publish);
    for (const [partition, { epoch, next }] of before) {
      assert.ok(after.get(partition)!.epoch >= epoch, "no older owner's rows are shown");
      assert.ok(after.get(partition)!.next >= next, "nothing is taken back");
    }
    await world.send(10);
    await world.drained();
    for (const worker of [first, second]) await worker.end("SIGTERM");
    assert.deepEqual(await world.digests(), await world.reference(1));
  });
});

/**
 * While records come to all partitions, the longest that one of them stood still: no new row was committed by a worker
 * that answers, or published by one that has closed its door already.
 */
async function longestPauseMs(world: KafkaWorkers, workers: readonly Worker[], ms: number): Promise<number> {
  const startMs = machineClock.monotonicMs();
  const moved = new Map([...world.ends].map(([partition]) => [partition, { next: 0, atMs: startMs }]));
  let longestMs = 0;
  for (let nowMs = startMs; nowMs < startMs + ms; nowMs = machineClock.monotonicMs()) {
    await world.send(1);
    const committed = await Promise.all(workers.map((worker) => worker.positions()));
    const shown = [...await published(world.publish)].map(([partition, { next }]) =>
      [partition, next] as const
    );
    for (const [partition, next] of [...committed.flatMap((each) => [...each ?? []]), ...shown]) {
      const last = moved.get(partition)!;
      if (next <= last.next) continue;
      last.next = next;
      last.atMs = machineClock.monotonicMs();
    }
    for (const { atMs } of moved.values()) {
      longestMs = Math.max(longestMs, machineClock.monotonicMs() - atMs);
    }
    await machineClock.sleep(20);
  }
  return longestMs;
}

Deno.test("a worker that joins or leaves holds rows up for moments", async () => {
  await KafkaWorkers.run({ partitions: 4, devices: 40 }, async (world) => {
    const first = world.worker("first");
    await world.send(50);
    await world.drained();
    const pause = (workers: readonly Worker[]) => longestPauseMs(world, workers, WATCHED_MS);
    const alone = await pause([first]);
    const second = world.worker("second");
    const joining = await pause([first, second]);
    const leaving = second.end("SIGTERM");
    const left = await pause([first]);
    await leaving;
    const text = (ms: number) => `${(ms / 1_000).toFixed(2)} s`;
    console.log(
      `  longest without a new row: ${text(alone)} undisturbed, ${text(joining)} when a worker joins, ` +
        `${text(left)} when it leaves`,
    );
    assert.ok(Math.max(joining, left) < WATCHED_MS - 100, "every partition went on");
    await world.drained();
    await first.end("SIGTERM");
    assert.deepEqual(await world.digests(), await world.reference(1));
  });
});
