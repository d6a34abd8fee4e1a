import assert from "node:assert/strict";
import { below } from "../core/ports/random.ts";
import { seededRandom } from "../sim/random.ts";
import { FairQueue } from "./fair_queue.ts";

const drain = (queue: FairQueue<string>) => {
  const taken: string[] = [];
  for (let item = queue.take(); item !== undefined; item = queue.take()) taken.push(item);
  return taken;
};

Deno.test("items of one key keep their order", () => {
  const queue = new FairQueue<string>(0);
  for (const item of ["a1", "a2", "a3"]) queue.push("a", 4, item);
  assert.equal(queue.length, 3);
  assert.equal(queue.waiting("a"), 3);
  assert.deepEqual(drain(queue), ["a1", "a2", "a3"]);
  assert.equal(queue.length, 0);
  assert.equal(queue.take(), undefined);
});

Deno.test("keys get equal shares by size, whatever their items' size", () => {
  const queue = new FairQueue<string>(0);
  for (let i = 1; i <= 3; i++) queue.push("big", 20, `big${i}`);
  for (let i = 1; i <= 12; i++) queue.push("small", 5, `s${i}`);
  assert.deepEqual(drain(queue), [
    "s1",
    "big1",
    "s2",
    "s3",
    "s4",
    "s5",
    "big2",
    "s6",
    "s7",
    "s8",
    "s9",
    "big3",
    "s10",
    "s11",
    "s12",
  ]);
});

Deno.test("a key that takes less than its share goes next, while a thousand others drain", () => {
  const queue = new FairQueue<string>(16_384);
  const returnOf = (item: string) => queue.push(item, 15_000, item);
  for (let device = 0; device < 1_000; device++) returnOf(`drain ${device}`);
  for (let turn = 0; turn < 5_300; turn++) {
    // Every 100 turns a live reading comes; it is the next to go.
    if (turn % 100 === 0) {
      queue.push("live", 150, "live");
      let waited = 0;
      for (let item = queue.take()!; item !== "live"; item = queue.take()!) {
        returnOf(item);
        waited++;
      }
      assert.ok(waited <= 1, `waited for ${waited} items in turn ${turn}`);
    }
    returnOf(queue.take()!);
  }
});

Deno.test("a key can't gain by sending much in small pieces", () => {
  const queue = new FairQueue<string>(0);
  for (let i = 0; i < 100; i++) queue.push("flood", 100, "flood");
  queue.push("other", 1_000, "other");
  assert.equal(drain(queue).indexOf("other"), 1);
});

Deno.test("with keys that always wait, none is ever more than an item ahead (20,000 drawn)", () => {
  const random = seededRandom(1, "fair");
  const queue = new FairQueue<number>(0);
  const served = Array<number>(10).fill(0);
  const sizes = Array.from({ length: 10 }, () => 1 + below(random, 1_000));
  const push = (key: number) => queue.push(String(key), sizes[key]!, key);
  for (let key = 0; key < 10; key++) for (let i = 0; i < 3; i++) push(key);
  for (let turn = 0; turn < 20_000; turn++) {
    const key = queue.take()!;
    served[key]! += sizes[key]!;
    push(key);
    assert.ok(Math.max(...served) - Math.min(...served) <= 2 * 1_000);
  }
});

Deno.test("a hundred thousand keys leave nothing behind", () => {
  const queue = new FairQueue<string>(0);
  for (let i = 0; i < 100_000; i++) queue.push(`device ${i}`, 1, "x");
  assert.equal(drain(queue).length, 100_000);
  assert.equal(queue.waiting("device 1"), 0);
  queue.push("device 1", 1, "y");
  assert.deepEqual(drain(queue), ["y"]);
});
