import assert from "node:assert/strict";
import { InstantOverrun, Scheduler } from "./scheduler.ts";

Deno.test("events run in the order of their times, and those of one instant as they were planned", async () => {
  const scheduler = new Scheduler({ startMs: 1000 });
  const ran: string[] = [];
  const plan = (timeMs: number, name: string) =>
    scheduler.at(timeMs, () => void ran.push(`${name}@${scheduler.nowMs}`));
  plan(1300, "c");
  plan(1100, "a");
  plan(1300, "d");
  plan(1200, "b");
  plan(900, "late");
  assert.equal(await scheduler.runUntil(1300), 5);
  assert.deepEqual(ran, ["late@1000", "a@1100", "b@1200", "c@1300", "d@1300"]);
});

Deno.test("an event is awaited to its end before the next one starts", async () => {
  const scheduler = new Scheduler();
  const ran: string[] = [];
  scheduler.at(1, async () => {
    for (let turn = 0; turn < 10; turn++) await undefined;
    ran.push("first");
  });
  scheduler.at(1, () => void ran.push("second"));
  await scheduler.runUntil(1);
  assert.deepEqual(ran, ["first", "second"]);
});

Deno.test("a cancelled event does not run, and is not the next one", async () => {
  const scheduler = new Scheduler();
  const planned = scheduler.at(5, () => assert.fail("it was cancelled"));
  scheduler.at(9, () => {});
  planned.cancel();
  assert.equal(scheduler.nextMs, 9);
  assert.equal(await scheduler.runUntil(10), 1);
  assert.equal(scheduler.nextMs, null);
  assert.equal(scheduler.nowMs, 10);
});

Deno.test("an event may plan others, for now too", async () => {
  const scheduler = new Scheduler();
  const ran: number[] = [];
  const again = (): void => {
    ran.push(scheduler.nowMs);
    if (ran.length < 4) scheduler.after(ran.length === 2 ? 0 : 10, again);
  };
  scheduler.after(0, again);
  await scheduler.runUntil(100);
  assert.deepEqual(ran, [0, 10, 10, 20]);
});

Deno.test("what plans itself again at one instant for ever is told so", async () => {
  const scheduler = new Scheduler({ eventsPerInstantMax: 100 });
  const again = (): void => void scheduler.after(0, again);
  again();
  await assert.rejects(scheduler.runUntil(1), InstantOverrun);
});

Deno.test("ten thousand events in random order come out sorted", async () => {
  const scheduler = new Scheduler();
  const times: number[] = [];
  for (let i = 0; i < 10_000; i++) {
    scheduler.at((i * 7919) % 10_007, () => void times.push(scheduler.nowMs));
  }
  await scheduler.runUntil(20_000);
  assert.equal(times.length, 10_000);
  assert.ok(times.every((time, i) => i === 0 || (times[i - 1] as number) <= time));
});
