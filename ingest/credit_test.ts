import assert from "node:assert/strict";
import { Credit } from "./credit.ts";

const bounds = {
  creditMax: 4_096,
  creditSoftMin: 32,
  creditStepMs: 100,
  roundMs: 1_000,
  roundMsMax: 4_000,
  heldBytesMax: 1e9,
  readingBytes: 100,
};

/** Runs for `seconds` at a rate, in acknowledgements of 100 every so often. */
function after(readingsPerSecond: number, isBusy: boolean, seconds = 10): Credit {
  const credit = new Credit(bounds, 0);
  const everyMs = 100_000 / readingsPerSecond;
  for (let nowMs = 0; nowMs < seconds * 1_000; nowMs += everyMs) credit.observe(100, isBusy, nowMs);
  return credit;
}

Deno.test("alone, a sender is invited to send as much as fits", () => {
  assert.equal(new Credit(bounds, 0).for(1), 4_096);
  assert.equal(new Credit(bounds, 0).for(0), 4_096);
});

Deno.test("all who wait get a turn within the round, at the measured rate", () => {
  const credit = after(100_000, true);
  assert.equal(credit.for(1_000), 100);
  assert.equal(credit.for(100), 1_000);
  assert.equal(credit.for(10), 4_096);
});

Deno.test("requests stay large enough to be worth it until a round takes its longest time", () => {
  const credit = after(100_000, true);
  assert.equal(credit.for(3_125), 32);
  assert.equal(credit.for(12_500), 32);
  assert.equal(credit.for(25_000), 16);
});

Deno.test("a slow log brings credit down to one, and no further", () => {
  assert.equal(after(500, true, 100).for(1_000), 2);
  assert.equal(after(500, true, 100).for(100_000), 1);
});

Deno.test("an idle log isn't taken for a slow one", () => {
  assert.equal(after(10, false, 1_000).for(100), 200);
});

Deno.test("what waits takes as long as the measured rate says", () => {
  assert.equal(Math.round(after(500, true, 100).msFor(5_000)), 10_000);
  assert.equal(new Credit(bounds, 0).msFor(20_000), 1_000);
});

Deno.test("what all may send at once fits into half of the room for bodies", () => {
  const credit = new Credit({ ...bounds, heldBytesMax: 2_000_000 }, 0);
  for (let nowMs = 0; nowMs < 10_000; nowMs++) credit.observe(1_000, true, nowMs);
  assert.equal(credit.for(10), 1_000);
  assert.equal(credit.for(3), 3_333);
  assert.equal(credit.for(1_000), 10);
  assert.equal(credit.for(100_000), 1);
});
