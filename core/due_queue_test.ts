import assert from "node:assert/strict";
import { DueQueue } from "./due_queue.ts";

const drain = (queue: DueQueue<string>): string[] => {
  const items: string[] = [];
  for (let top = queue.peek(); top !== undefined; top = queue.peek()) {
    items.push(`${top.dueMs} ${queue.pop()}`);
  }
  return items;
};

Deno.test("what is due first comes out first", () => {
  const queue = new DueQueue<string>();
  for (const [dueMs, item] of [[30, "c"], [10, "a"], [40, "d"], [20, "b"]] as const) queue.bring(dueMs, item);
  assert.deepEqual(drain(queue), ["10 a", "20 b", "30 c", "40 d"]);
  assert.equal(queue.size, 0);
});

Deno.test("a thing that becomes due earlier is brought forward, and a later key changes nothing", () => {
  const queue = new DueQueue<string>();
  for (const [dueMs, item] of [[30, "c"], [10, "a"], [20, "b"], [5, "c"], [15, "a"]] as const) {
    queue.bring(dueMs, item);
  }
  assert.deepEqual(drain(queue), ["5 c", "10 a", "20 b"]);
});
