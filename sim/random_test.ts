import assert from "node:assert/strict";
import { below } from "../core/ports/random.ts";
import { seededRandom } from "./random.ts";

const first = (...parts: (number | string)[]) => {
  const random = seededRandom(...parts);
  return [random.uint32(), random.uint32(), random.uint32()];
};

Deno.test("the same words give the same numbers, for ever", () => {
  assert.deepEqual(first(1, "board"), first(1, "board"));
  assert.deepEqual(first(1, "board"), [348030983, 690012222, 2471711582]);
});

Deno.test("any other word, number or order gives others", () => {
  const sources = [
    first(1, "board"),
    first(2, "board"),
    first(1, "boare"),
    first("1", "board"),
    first("board", 1),
  ];
  assert.equal(new Set(sources.map((numbers) => numbers.join())).size, sources.length);
});

Deno.test("numbers are spread evenly", () => {
  const random = seededRandom("dice");
  const counts = [0, 0, 0, 0, 0, 0];
  for (let i = 0; i < 60_000; i++) {
    const side = below(random, 6);
    counts[side] = (counts[side] as number) + 1;
  }
  for (const count of counts) assert.ok(count > 9_600 && count < 10_400, `${count} of 60,000`);
});
