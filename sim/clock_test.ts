import assert from "node:assert/strict";
import { virtualClock } from "./clock.ts";
import { Scheduler } from "./scheduler.ts";

Deno.test("a sleep ends at its virtual time, and what it wakes comes to rest before the next event", async () => {
  const scheduler = new Scheduler({ startMs: 50 });
  const clock = virtualClock(scheduler);
  const trail: string[] = [];
  const sleeper = (async () => {
    await clock.sleep(100);
    for (let turn = 0; turn < 20; turn++) await undefined;
    trail.push(`woke at ${clock.nowMs()}`);
  })();
  scheduler.at(150, () => void trail.push("next event"));
  await scheduler.runUntil(200);
  await sleeper;
  assert.deepEqual(trail, ["woke at 150", "next event"]);
});

Deno.test("an abort ends a sleep at once, without an error", async () => {
  const scheduler = new Scheduler();
  const abort = new AbortController();
  const sleeping = virtualClock(scheduler).sleep(1000, abort.signal);
  abort.abort();
  await sleeping;
  assert.equal(scheduler.nextMs, null);
  await virtualClock(scheduler).sleep(1000, abort.signal);
});

Deno.test("after runs a task once, and can be cancelled", async () => {
  const scheduler = new Scheduler();
  const clock = virtualClock(scheduler);
  let count = 0;
  clock.after(10, () => count++);
  const cancel = clock.after(20, () => count++);
  cancel();
  await scheduler.runUntil(100);
  assert.equal(count, 1);
  assert.equal(clock.monotonicMs(), 100);
});
