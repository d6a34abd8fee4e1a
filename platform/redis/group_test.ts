import assert from "node:assert/strict";
import { shareOf } from "./group.ts";

Deno.test("every partition has one owner among the members, and shares differ by one at the most", () => {
  assert.deepEqual(shareOf("a", ["a"], 4), [0, 1, 2, 3]);
  assert.deepEqual(shareOf("a", ["a", "b", "c"], 4), [0, 3]);
  assert.deepEqual(shareOf("b", ["a", "b", "c"], 4), [1]);
  assert.deepEqual(shareOf("c", ["a", "b", "c"], 4), [2]);
  assert.deepEqual(shareOf("c", ["a", "b", "c"], 2), []);
  assert.deepEqual(shareOf("d", ["a", "b", "c"], 4), []);
});
