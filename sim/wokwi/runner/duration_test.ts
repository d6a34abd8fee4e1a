import assert from "node:assert/strict";
import { durationText, nanosMax, parseDuration } from "./duration.ts";

Deno.test("a span of time has a unit", () => {
  const cases: [unknown, number][] = [
    ["7ns", 7],
    ["7us", 7_000],
    ["250ms", 250_000_000],
    ["1.5s", 1_500_000_000],
    ["2 s", 2_000_000_000],
    ["0", 0],
    [0, 0],
    ["0s", 0],
    [`${nanosMax}ns`, nanosMax],
  ];
  for (const [text, nanos] of cases) assert.equal(parseDuration(text), nanos, String(text));
});

Deno.test("a bare number, a sign, an unknown unit, half a nanosecond or a lifetime is refused with a sentence", () => {
  for (const text of [500, "500", "-1s", "5m", "1h", "", "s", "1.5ns", `${nanosMax + 1}ns`, null, "1e3s"]) {
    assert.equal(typeof parseDuration(text), "string", String(text));
  }
});

Deno.test("a span reads well", () => {
  assert.equal(durationText(0), "0 s");
  assert.equal(durationText(5_000), "0.000005 s");
  assert.equal(durationText(273_000_000), "0.273 s");
  assert.equal(durationText(6_500_000_000), "6.5 s");
  assert.equal(durationText(60_000_000_000), "1 min");
  assert.equal(durationText(3_723_250_000_000), "1 h 2 min 3.25 s");
});
