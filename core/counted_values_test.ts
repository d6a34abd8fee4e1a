import assert from "node:assert/strict";
import { CountedValues, listedMax } from "./counted_values.ts";
import { seededRandom } from "../sim/random.ts";
import { below } from "./ports/random.ts";

const percents = [1, 5, 50, 95, 100];

/** By the definition, from a list of all. */
function nearestRanks(values: readonly number[]): (number | null)[] {
  const sorted = values.toSorted((a, b) => a - b);
  return percents.map((percent) => sorted[Math.ceil((percent * sorted.length) / 100) - 1] ?? null);
}

Deno.test("percentiles are those of a list of all values, whatever comes and whenever they are asked for", () => {
  const random = seededRandom(7);
  const counted = new CountedValues();
  for (let round = 0; round < 120; round++) {
    counted.clear();
    // From one value again and again to hardly one twice; below zero too, and as far as thousandths go.
    const distinct = [1, 2, 40, 1_000, 100_000, 2_000_000_000][below(random, 6)]!;
    const length = below(random, [3, 2 * listedMax, 3_000, 12_000][below(random, 4)]!);
    const all: number[] = [];
    for (let i = 0; i < length; i++) {
      const value = below(random, distinct) - Math.floor(distinct / 2);
      counted.add(value);
      all.push(value);
      if (below(random, 500) === 0) assert.deepEqual(counted.percentiles(percents), nearestRanks(all));
    }
    assert.deepEqual(counted.percentiles(percents), nearestRanks(all), `round ${round}`);
    assert.deepEqual(counted.all(), all.sort((a, b) => a - b), `round ${round}`);
  }
});

Deno.test("a list is counted at its bound, and no earlier or later does a percentile change", () => {
  for (const length of [listedMax - 1, listedMax, listedMax + 1]) {
    const counted = new CountedValues();
    for (let value = length; value >= 1; value--) counted.add(value);
    assert.deepEqual(counted.percentiles([50, 95, 100]), [
      Math.ceil(length / 2),
      Math.ceil(length * 0.95),
      length,
    ]);
  }
});

Deno.test("two channels side by side don't touch each other's list", () => {
  const list = new Int32Array(2 * listedMax);
  const [one, other] = [new CountedValues(list, 0), new CountedValues(list, listedMax)];
  for (let i = 0; i < 3 * listedMax + 1; i++) {
    one.add(i);
    other.add(-i);
  }
  assert.equal(one.percentiles([100])[0], 3 * listedMax);
  assert.equal(other.percentiles([100])[0], 0);
  assert.deepEqual([one.all().length, other.all().length], [3 * listedMax + 1, 3 * listedMax + 1]);
});
