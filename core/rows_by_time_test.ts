import assert from "node:assert/strict";
import type { ReadingRow } from "./rows.ts";
import { RowsByTime } from "./rows_by_time.ts";

const row = (tsMs: number, offset: number) => ({ tsMs, offset }) as ReadingRow;

Deno.test("rows of an event time are found in the order in which they were added, also after a first question", () => {
  const rows = new RowsByTime();
  rows.push(row(5, 1));
  rows.push(row(7, 2));
  assert.deepEqual(rows.at(5).map(({ offset }) => offset), [1]);
  rows.push(row(5, 3));
  assert.deepEqual(rows.at(5).map(({ offset }) => offset), [1, 3]);
  assert.deepEqual(rows.at(7).map(({ offset }) => offset), [2]);
  assert.deepEqual(rows.at(6), []);
  assert.deepEqual(rows.rows.map(({ offset }) => offset), [1, 2, 3]);
});
