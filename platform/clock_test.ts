import assert from "node:assert/strict";
import { machineClock } from "./clock.ts";
import { machineRandom } from "./random.ts";

Deno.test("a sleep ends at once, without an error, when its signal aborts", async () => {
  const abort = new AbortController();
  const slept = machineClock.sleep(60_000, abort.signal);
  abort.abort();
  await slept;
  await machineClock.sleep(60_000, abort.signal);
});

Deno.test("a sleep lasts at least its time and leaves no timer behind", async () => {
  const startMs = machineClock.monotonicMs();
  await machineClock.sleep(20);
  assert.ok(machineClock.monotonicMs() - startMs >= 19);
});

Deno.test("a cancelled task does not run, and a delay beyond 24.8 days does not run at once", async () => {
  let runs = 0;
  const cancel = machineClock.after(5, () => runs++);
  const cancelFar = machineClock.after(3_000_000_000, () => runs++);
  cancel();
  await machineClock.sleep(20);
  cancelFar();
  assert.equal(runs, 0);
});

Deno.test("the machine's random numbers are whole, in 32 bits, and spread", () => {
  const drawn = Array.from({ length: 4_000 }, () => machineRandom.uint32());
  assert.ok(drawn.every((value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32));
  const high = drawn.filter((value) => value >= 2 ** 31).length;
  assert.ok(high > 1_700 && high < 2_300, `${high} of 4,000 are in the upper half`);
});
