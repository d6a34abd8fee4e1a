import assert from "node:assert/strict";
import { FairQueue } from "./fair_queue.ts";

const drain = (queue: FairQueue<string>) => {
  const taken: string[] = [];
  for (let item = queue.take(); item !== undefined; item = queue.take()) taken.push(item);
  return taken;
};

Deno.test("items of one key keep their order", () => {
  const queue = new FairQueue<string>(10);
  for (const item of ["a1", "a2", "a3"]) queue.push("a", 4, item);
  assert.equal(queue.length, 3);
  assert.equal(queue.waiting("a"), 3);
  assert.deepEqual(drain(queue), ["a1", "a2", "a3"]);
  assert.equal(queue.length, 0);
  assert.equal(queue.take(), undefined);
});

Deno.test("keys take turns of equal size, whatever their items' size", () => {
  const queue = new FairQueue<string>(10);
  for (let i = 1; i <= 4; i++) queue.push("big", 20, `big${i}`);
  for (let i = 1; i <= 8; i++) queue.push("small", 5, `small${i}`);
  assert.deepEqual(drain(queue), [
    "big1",
    "small1",
    "small2",
    "small3",
    "small4",
    "big2",
    "small5",
    "small6",
    "small7",
    "small8",
    "big3",
    "big4",
  ]);
});

Deno.test("a key that was idle goes before those that drain a backlog", () => {
  const queue = new FairQueue<string>(10);
  for (let i = 1; i <= 3; i++) {
    queue.push("a", 10, `a${i}`);
    queue.push("b", 10, `b${i}`);
  }
  assert.equal(queue.take(), "a1");
  assert.equal(queue.take(), "b1");
  queue.push("live", 1, "live");
  assert.equal(queue.take(), "live");
  assert.equal(queue.take(), "a2");
});

Deno.test("a key that comes back within the round isn't new again", () => {
  const queue = new FairQueue<string>(10);
  for (let i = 1; i <= 3; i++) queue.push("backlog", 10, `backlog${i}`);
  assert.equal(queue.take(), "backlog1");
  queue.push("pushy", 1, "pushy1");
  assert.equal(queue.take(), "pushy1");
  assert.equal(queue.take(), "backlog2");
  queue.push("pushy", 1, "pushy2");
  queue.push("idle", 1, "idle1");
  assert.deepEqual(drain(queue), ["idle1", "pushy2", "backlog3"]);
});

Deno.test("a key with nothing waiting is forgotten", () => {
  const queue = new FairQueue<string>(10);
  for (let i = 0; i < 1_000; i++) queue.push(`device ${i}`, 1, "x");
  drain(queue);
  assert.equal(queue.waiting("device 1"), 0);
  queue.push("device 1", 1, "y");
  assert.deepEqual(drain(queue), ["y"]);
});
