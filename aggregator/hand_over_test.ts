/** A partition that goes from one worker to another: the first works on until the second has its owner record in the log. */
import assert from "node:assert/strict";
import { reading, SECOND, T0, world } from "./testing/world.ts";

const owner = { "isotherm": "1", "isotherm-kind": "owner" };

/** A promise, and whether it has resolved. */
function watched(promise: Promise<void>) {
  const seen = { isDone: false, promise: promise.then(() => void (seen.isDone = true)) };
  return seen;
}

Deno.test("a partition that goes to another worker is worked on until the other's owner record, and no further", async () => {
  const { disks, append, start, passTime } = world();
  const worker = start();
  await passTime(SECOND);
  const taken = watched(worker.takeBack());
  void append(reading(0, T0));
  await passTime(SECOND);
  assert.equal(disks[0]!.devices.get("desk")?.counted, 1, "the next owner is still loading");
  assert.equal(taken.isDone, false);
  void append({ worker: "the next one" }, owner);
  void append(reading(1, T0 + SECOND));
  await passTime(SECOND);
  assert.equal(taken.isDone, true);
  assert.equal(disks[0]!.devices.get("desk")?.counted, 1);
  assert.deepEqual(worker.aggregator.status(), []);
  await passTime(20 * SECOND);
  assert.equal(disks[0]!.devices.get("desk")?.counted, 1, "it isn't taken again");
  await worker.stop();
});

Deno.test("a next owner that doesn't come is waited for 15 s", async () => {
  const { disks, append, start, passTime } = world();
  const worker = start();
  await passTime(SECOND);
  const taken = watched(worker.takeBack());
  await passTime(14 * SECOND);
  assert.equal(taken.isDone, false);
  await passTime(3 * SECOND);
  assert.equal(taken.isDone, true);
  void append(reading(0, T0));
  await passTime(2 * SECOND);
  assert.equal(disks[0]!.devices.size, 0);
  await worker.stop();
});

Deno.test("a partition that comes back while it is handed over stays with its worker", async () => {
  const { log, disks, append, start, passTime } = world();
  const worker = start();
  await passTime(SECOND);
  const taken = watched(worker.takeBack());
  await passTime(SECOND);
  await worker.giveAnew();
  await passTime(SECOND);
  assert.equal(taken.isDone, true);
  await passTime(30 * SECOND);
  void append(reading(0, T0));
  await passTime(SECOND);
  assert.equal(disks[0]!.devices.get("desk")?.counted, 1);
  assert.equal(log.records(0).length, 2, "one owner record and the reading");
  await worker.stop();
});

Deno.test("a partition that comes back after it was handed over is taken anew", async () => {
  const { disks, append, start, passTime } = world();
  const worker = start();
  await passTime(SECOND);
  const taken = worker.takeBack();
  void append({ worker: "the next one" }, owner);
  await passTime(SECOND);
  await taken;
  void append(reading(0, T0));
  await worker.giveAnew();
  await passTime(2 * SECOND);
  assert.equal(disks[0]!.devices.get("desk")?.counted, 1);
  await worker.stop();
});

Deno.test("a worker that can't work has nothing to hand over: it lets go at once", async () => {
  const { disks, append, start, passTime } = world();
  const worker = start();
  await passTime(SECOND);
  disks[0]!.commitsToRefuse = 1_000;
  void append(reading(0, T0));
  await passTime(SECOND);
  assert.equal(worker.aggregator.status()[0]!.state, "waiting");
  const taken = watched(worker.takeBack());
  await passTime(SECOND);
  assert.equal(taken.isDone, true);
  await worker.stop();
});

Deno.test("a publication that is refused for a newer owner's ends the work on that partition, and nothing else", async () => {
  for (const isHandedOver of [true, false]) {
    const { disks, append, start, passTime, group } = world();
    group.hasPublished = false;
    const worker = start();
    await passTime(SECOND);
    const taken = isHandedOver ? watched(worker.takeBack()) : null;
    group.hasPublished = true;
    void append(reading(0, T0));
    await passTime(5 * SECOND);
    assert.equal(worker.failure(), null);
    if (taken !== null) {
      assert.equal(taken.isDone, true);
      await worker.stop();
      continue;
    }
    const { state, sentence } = worker.aggregator.status()[0]!;
    assert.deepEqual([state, sentence], ["superseded", "it belongs to a newer owner"]);
    group.hasPublished = false;
    void append(reading(1, T0 + SECOND));
    await passTime(12 * SECOND);
    assert.equal(disks[0]!.devices.get("desk")?.counted, 2, "the log still says that it is ours");
    await worker.stop();
  }
});

Deno.test("a worker that is stopped hands over to the others, 4 s at the most, and stops at once without any", async () => {
  for (const hasOthers of [true, false]) {
    const { disks, append, start, passTime, group } = world();
    group.hasOthers = hasOthers;
    const worker = start();
    await passTime(SECOND);
    const stopped = watched(worker.askToStop());
    void append(reading(0, T0));
    await passTime(SECOND);
    assert.equal(disks[0]!.devices.get("desk")?.counted, hasOthers ? 1 : undefined);
    await passTime(2 * SECOND);
    assert.equal(stopped.isDone, !hasOthers);
    await passTime(3 * SECOND);
    assert.equal(stopped.isDone, true);
    assert.equal(worker.failure(), null);
    await worker.stop();
  }
});
