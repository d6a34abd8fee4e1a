import assert from "node:assert/strict";
import { quarantineRow, readingRow, startMs, windowRow } from "../core/testing/builders.ts";
import { defaultAggregatorConfig } from "./mod.ts";
import { explainLimits, explanation } from "./explain.ts";

const { judge } = defaultAggregatorConfig;
const spec = judge.windows[0]!;
const window = { startMs, endMs: startMs + 60_000 };

function explained(readings: number, quarantined: number) {
  const facts = {
    partition: 0,
    nextOffset: 10_000,
    appendHighMs: startMs + 3_600_000,
    view: null,
    known: {
      readings: Array.from(
        { length: readings },
        (_, seq) => readingRow({ seq, offset: seq, tsMs: startMs + seq }),
      ),
      quarantined: Array.from(
        { length: quarantined },
        (_, seq) => quarantineRow({ seq, offset: seq, tsMs: startMs }),
      ),
      windows: [windowRow({ startMs, readings })],
    },
    hasLostSlots: false,
  };
  return explanation({ device: "desk", spec, window }, facts, judge) as {
    readonly readings: readonly unknown[];
    readonly readings_more: number;
    readonly quarantined: readonly unknown[];
  };
}

Deno.test("an explanation lists at most 1,000 readings and 200 quarantined ones, and counts the rest", () => {
  const { readingsMax, quarantinedMax } = explainLimits;
  for (const over of [-1, 0, 1]) {
    const { readings, readings_more, quarantined } = explained(readingsMax + over, quarantinedMax + over);
    assert.deepEqual([readings.length, readings_more], [
      Math.min(readingsMax, readingsMax + over),
      Math.max(0, over),
    ]);
    assert.equal(quarantined.length, Math.min(quarantinedMax, quarantinedMax + over));
  }
});
