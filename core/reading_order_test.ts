import assert from "node:assert/strict";
import { seededRandom } from "../sim/random.ts";
import { below } from "./ports/random.ts";
import { ReadingBlock } from "./reading_block.ts";
import { latestFirst } from "./reading_order.ts";
import { readingRow } from "./testing/builders.ts";

const bytes = (name: string) => [...new TextEncoder().encode(name)];

/** By the bytes of UTF-8, from the definition. */
function byBytes(one: string, other: string): number {
  const [a, b] = [bytes(one), bytes(other)];
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

Deno.test("rows lie latest first, those of one time by the bytes of their device, those of one device as they came", () => {
  const random = seededRandom(3);
  const names = ["b", "a", "aa", "", "Ä", "\u{1f321}", "\ufb01", "\ue000", "z"];
  for (let round = 0; round < 60; round++) {
    const block = new ReadingBlock();
    block.devices.push(...names);
    const spanMs = [1, 3, 70_000, 40 * 86_400_000, 9e12][below(random, 5)]!;
    const length = [0, 1, 2, 700][below(random, 4)]!;
    for (let offset = 0; offset < length; offset++) {
      const device = below(random, names.length);
      const tsMs = Math.floor(below(random, 1_000_000) / 1_000_000 * spanMs);
      block.pushRow(readingRow({ device: names[device]!, tsMs, offset }), device, -1);
    }
    const expected = [...block].sort((a, b) =>
      b.tsMs - a.tsMs || byBytes(a.device, b.device) || a.offset - b.offset
    );
    const picked = new ReadingBlock();
    const order = latestFirst(block);
    picked.pick(block, order, 0, length);
    assert.deepEqual([...picked], expected, `round ${round}`);
  }
});

Deno.test("picked rows are whole, and those picked before are gone", () => {
  const block = new ReadingBlock();
  block.devices.push("desk", "shelf");
  const rows = [
    readingRow({ device: "desk", seq: 1, fault: "timeout", temperatureMilliC: null, humidityMilliPct: null }),
    readingRow({ device: "shelf", seq: null, boot: null, flag: "suspect", everyMs: null, late: true }),
    readingRow({ device: "desk", seq: 2, timeUncertain: true, released: true, index: 7 }),
  ];
  rows.forEach((row) => block.pushRow(row, row.device === "desk" ? 0 : 1, -1));
  const picked = new ReadingBlock();
  const order = Int32Array.of(2, 0, 1);
  picked.pick(block, order, 0, 3);
  assert.deepEqual([...picked], [rows[2], rows[0], rows[1]]);
  picked.pick(block, order, 2, 3);
  assert.deepEqual([...picked], [rows[1]]);
  picked.pick(block, order, 0, 1);
  assert.deepEqual([...picked], [rows[2]]);
});
