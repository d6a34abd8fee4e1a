import assert from "node:assert/strict";
import { Credit } from "./credit.ts";

const bounds = { waitTargetMs: 50, creditStepMs: 100, creditMax: 1_000 };

Deno.test("credit starts in the middle and grows to its bound while nobody waits", () => {
  const credit = new Credit(bounds, 0);
  assert.equal(credit.at(0), 180);
  assert.equal(credit.at(99), 180);
  assert.equal(credit.at(100), 225);
  assert.equal(credit.at(10_000), 1_000);
});

Deno.test("a queue that stands halves credit every step, never below one", () => {
  const credit = new Credit(bounds, 0);
  credit.observe(51, 10);
  credit.observe(400, 20);
  assert.equal(credit.at(100), 90);
  for (let nowMs = 110; nowMs < 2_000; nowMs += 100) credit.observe(60, nowMs);
  assert.equal(credit.at(2_000), 1);
});

Deno.test("a burst that passes within a step, or waits at the target, leaves credit alone", () => {
  const credit = new Credit(bounds, 0);
  credit.observe(500, 10);
  credit.observe(50, 90);
  assert.equal(credit.at(100), 225);
});

Deno.test("a long silence ends at the bound and costs no time", () => {
  const credit = new Credit(bounds, 0);
  credit.observe(100, 10);
  assert.equal(credit.at(1e12), 1_000);
});
