/** Scenarios that nobody has written: whatever is done to the board, the run ends, and is the same the second time. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Action, Scenario, Step } from "./scenario.ts";
import { offline } from "./testing/offline.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const control = (part: string, name: string, values: readonly number[]): fc.Arbitrary<Action> =>
  fc.constantFrom(...values).map((value) => ({ kind: "set-control", part, control: name, value }));
const pinStep = (kind: "expect-pin" | "wait-pin"): fc.Arbitrary<Action> =>
  fc.record({
    kind: fc.constant(kind),
    part: fc.constant("esp"),
    pin: fc.constantFrom("15", "2", "4"),
    value: fc.constantFrom(0 as const, 1 as const),
  });

const action: fc.Arbitrary<Action> = fc.oneof(
  fc.integer({ min: 0, max: 20_000_000_000 }).map((nanos): Action => ({ kind: "delay", nanos })),
  fc.integer({ min: 0, max: 3_000_000 }).map((nanos): Action => ({ kind: "delay", nanos })),
  fc.constantFrom("{", "seq", "\n", '"event":"s', ">>> ", "wifi_up").map((text): Action => ({
    kind: "wait-serial",
    text,
    bytes: bytes(text),
  })),
  fc.constantFrom("\x03", "\x04", "print(1)\r", "\x01", "\x02", "import os\r", "x").map((text): Action => ({
    kind: "write-serial",
    text,
    bytes: bytes(text),
  })),
  pinStep("expect-pin"),
  pinStep("wait-pin"),
  control("dht", "temperature", [-40, -20.5, 0, 80]),
  control("dht", "humidity", [0, 99.9]),
  control("dht", "fault", [0, 1, 2, 3, 4, 5]),
  control("esp", "power", [0, 1]),
  control("esp", "reset", [1]),
  control("esp", "wifi", [0, 1, 2, 3, 4]),
  control("esp", "internet", [0, 1]),
  control("esp", "ntp", [0, 1]),
);

/** Every step has a second of its own, and the run a minute: no wait is for ever. */
const step: fc.Arbitrary<Step> = fc.record({
  action,
  timeoutNanos: fc.constantFrom(null, 1_000_000_000),
}).map(({ action, timeoutNanos }) => ({ ...action, name: null, line: 1, timeoutNanos }));
const scenario: fc.Arbitrary<Scenario> = fc.array(step, { minLength: 1, maxLength: 8 }).map((steps) => ({
  name: "random",
  steps,
  timeoutNanos: 60_000_000_000,
}));

Deno.test("random scenarios end with a verdict, and twice with the same one", async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async (given) => {
      const [first, second] = [await offline(given), await offline(given)];
      assert.notEqual(first.verdict.kind, "broken", JSON.stringify(first.verdict));
      assert.deepEqual(second, first);
    }),
    { numRuns: 40, seed: 1 },
  );
});
