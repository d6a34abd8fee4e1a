import assert from "node:assert/strict";
import { dueMerge, forcedMerge, levelOf, type Segment } from "./segments.ts";

function segment(rows: number, fields: Partial<Segment> = {}): Segment {
  return {
    path: `segments/0/${rows}.parquet`,
    table: "window_rows",
    rows,
    bytes: rows,
    sha256: "",
    firstVersion: 1,
    lastVersion: 1,
    minMs: null,
    maxMs: null,
    maxAppendMs: null,
    ...fields,
  };
}

/** What is left after all due merges, and how many rows they wrote. */
function settle(sizes: readonly number[]): { readonly sizes: number[]; readonly written: number } {
  let left = [...sizes];
  let written = 0;
  for (;;) {
    const merge = dueMerge(left.map((rows) => segment(rows)));
    if (merge === null) return { sizes: left, written };
    const rows = left.slice(merge.from, merge.to).reduce((sum, size) => sum + size, 0);
    written += rows;
    left = [...left.slice(0, merge.from), rows, ...left.slice(merge.to)];
  }
}

Deno.test("a segment's level follows its rows by factors of four", () => {
  assert.deepEqual([0, 4_095, 4_096, 16_383, 16_384, 65_536].map(levelOf), [0, 0, 1, 1, 2, 3]);
});

Deno.test("six small segments become one, five don't", () => {
  assert.equal(dueMerge([1, 1, 1, 1, 1].map((rows) => segment(rows))), null);
  assert.deepEqual(dueMerge([1, 1, 1, 1, 1, 1].map((rows) => segment(rows))), { from: 0, to: 6 });
});

Deno.test("large segments are left alone by a merge of the small ones after them", () => {
  const sizes = [300_000, 20_000, 5, 5, 5, 5, 5, 5];
  assert.deepEqual(dueMerge(sizes.map((rows) => segment(rows))), { from: 2, to: 8 });
  assert.deepEqual(settle(sizes).sizes, [300_000, 20_000, 30]);
});

Deno.test("four segments of one level and the smaller ones after them become one", () => {
  assert.deepEqual(settle([20_000, 20_000, 20_000, 7]).sizes, [20_000, 20_000, 20_000, 7]);
  assert.deepEqual(settle([20_000, 20_000, 20_000, 20_000, 7]).sizes, [80_007]);
});

Deno.test("segments that must not be joined stay apart, the newer ones are merged all the same", () => {
  const day = 86_400_000;
  const segments = [0, 9, 9, 9, 9, 9, 9].map((days) => segment(1, { maxAppendMs: days * day }));
  const mayJoin = (some: readonly Segment[]) =>
    new Set(some.map(({ maxAppendMs }) => maxAppendMs)).size === 1;
  assert.deepEqual(dueMerge(segments, mayJoin), { from: 1, to: 7 });
});

Deno.test("the merge that is forced is the cheapest one of all tables", () => {
  const tables = new Map([
    ["window_rows", [segment(100), segment(50), segment(60)]],
    ["boot_rows", [segment(90), segment(10)]],
    ["release_rows", [segment(1)]],
  ]);
  assert.deepEqual(forcedMerge(tables), { table: "boot_rows", merge: { from: 0, to: 2 } });
  assert.equal(forcedMerge(new Map([["release_rows", [segment(1)]]])), null);
});

Deno.test("a hundred thousand publications stay within few segments and write each row a few times", () => {
  // Alone, a row is written again with every fifth publication until 4,096 are together; a thousand at once are not.
  for (const [rowsEach, timesMax] of [[1, 420], [100, 15], [10_000, 10]] as const) {
    let sizes: readonly number[] = [];
    let written = 0;
    let most = 0;
    const publications = 100_000;
    for (let index = 0; index < publications; index++) {
      const settled = settle([...sizes, rowsEach]);
      sizes = settled.sizes;
      written += settled.written + rowsEach;
      most = Math.max(most, sizes.length);
    }
    const total = publications * rowsEach;
    assert.equal(sizes.reduce((sum, size) => sum + size, 0), total);
    assert.ok(most <= 26, `${most} segments with ${rowsEach} rows a publication`);
    assert.ok(written / total <= timesMax, `${written / total} times with ${rowsEach} rows a publication`);
  }
});
