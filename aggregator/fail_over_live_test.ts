/**
 * How long rows stand still when a worker dies, on a real Kafka broker. Figures are printed; the bounds here are wide,
 * since the machine may be busy. `ISOTHERM_FAIL_OVERS` repeats each so often.
 */
import assert from "node:assert/strict";
import { machineClock } from "../platform/clock.ts";
import { until } from "../platform/testing/process.ts";
import { KafkaWorkers, type Worker } from "./testing/kafka_workers.ts";

/** Kafka's own defaults, where `startKafka` has others. */
const stock = { "group.initial.rebalance.delay.ms": "3000", "group.min.session.timeout.ms": "6000" };
const rounds = Number(Deno.env.get("ISOTHERM_FAIL_OVERS") ?? "1");
const MS_MAX = 30_000;

/** Waits until a worker has committed a record of partition 0 that was sent after `end`; gives the moment. */
async function committedPast(worker: Worker, end: number): Promise<number> {
  await until(`${worker.name} commits`, async () => ((await worker.positions())?.get(0) ?? 0) > end, MS_MAX);
  return machineClock.monotonicMs();
}

const text = (values: readonly number[]) => values.map((ms) => `${(ms / 1_000).toFixed(2)} s`).join(", ");

Deno.test("a worker that was killed and starts again goes on at once: the group doesn't wait for the dead one", async () => {
  await KafkaWorkers.run({ partitions: 1, devices: 10, broker: stock }, async (world) => {
    const took: number[] = [];
    let worker = world.worker("only");
    await world.send(20);
    await world.drained();
    for (let round = 0; round < rounds; round++) {
      await worker.end("SIGKILL");
      await world.send(5);
      const end = world.ends.get(0)! - 1;
      const startMs = machineClock.monotonicMs();
      worker = world.worker("only");
      took.push(await committedPast(worker, end) - startMs);
      await world.drained();
    }
    console.log(`  process start to the first new committed row, after kill -9: ${text(took)}`);
    // The broker would keep the dead member for its session time-out, at least 6 s.
    assert.ok(Math.min(...took) < 5_000);
  });
});

/** Kills the worker that has the partition, again and again; what the other one needs from the kill to its first new row. */
async function takeOvers(
  world: KafkaWorkers,
  publishOf: (name: string) => string,
): Promise<readonly number[]> {
  const took: number[] = [];
  const start = (name: string) => world.worker(name, publishOf(name));
  let working = start("a");
  await world.send(20);
  await world.drained(publishOf("a"));
  let standing = start("b");
  for (let round = 0; round < rounds; round++) {
    await machineClock.sleep(4_000);
    const isSwapped = ((await standing.positions())?.size ?? 0) > 0;
    if (isSwapped) [working, standing] = [standing, working];
    const killedMs = machineClock.monotonicMs();
    await working.end("SIGKILL");
    await world.send(5);
    took.push(await committedPast(standing, world.ends.get(0)! - 1) - killedMs);
    [working, standing] = [standing, start(working.name)];
  }
  return took;
}

Deno.test("a worker that stands by sees that another has died, and doesn't wait for the group's session", async () => {
  await KafkaWorkers.run({ partitions: 1, devices: 10, broker: stock }, async (world) => {
    const took = await takeOvers(world, () => world.publish);
    console.log(`  kill -9 to the first new row of the worker that stood by: ${text(took)}`);
    assert.ok(Math.min(...took) < 5_500, "before the session's end, which is 6 s");
  });
});

Deno.test("a worker that shares no folder takes over when the group's session has ended", async () => {
  await KafkaWorkers.run({ partitions: 1, devices: 10, broker: stock }, async (world) => {
    const took = await takeOvers(world, (name) => `${world.publish}-${name}`);
    console.log(`  the same without a shared folder, by the broker's session of 6 s: ${text(took)}`);
    assert.ok(Math.min(...took) < 12_000);
  });
});
