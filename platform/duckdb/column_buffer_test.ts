import assert from "node:assert/strict";
import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import { readRows, TableWriter } from "./columns.ts";

/** Writes texts through a writer that is used again, and reads what DuckDB holds. */
async function roundTrip(lists: readonly (readonly (string | null)[])[]): Promise<(string | null)[][]> {
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  try {
    const writer = new TableWriter<string | null>("texts", [{
      name: "value",
      kind: "text",
      get: (row) => row,
    }], true);
    const read: (string | null)[][] = [];
    await connection.run("CREATE TABLE texts (version BIGINT, value VARCHAR)");
    for (const [version, rows] of lists.entries()) {
      await writer.append(connection, rows, version);
      const result = await connection.stream(
        `SELECT value FROM texts WHERE version = ${version} ORDER BY rowid`,
      );
      read.push(await readRows(result, ["text"], (cells, index) => cells[0]![index] as string | null));
    }
    return read;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

Deno.test("texts around the twelve bytes of a handle come back as they were", async () => {
  const texts = [
    "",
    "a",
    "abcd",
    "abcdefgh",
    "abcdefghijkl",
    "abcdefghijklm",
    "grün",
    "zwölf Bytesß",
    "\u0000",
    "🌡🌡🌡",
    "🌡🌡🌡🌡",
  ];
  assert.deepEqual(await roundTrip([[...texts, null, ...texts]]), [[...texts, null, ...texts]]);
});

Deno.test("a long text in many rows of a chunk, and in the next one, is each time itself", async () => {
  const long = (at: number) => `greenhouse-${at}-on-the-roof`;
  const rows = Array.from({ length: 5_000 }, (_, at) => at % 7 === 0 ? null : long(at % 5));
  assert.deepEqual(await roundTrip([rows, rows.toReversed()]), [rows, rows.toReversed()]);
});

Deno.test("any texts come back as they were", async () => {
  const text = fc.oneof(
    fc.string({ maxLength: 14 }),
    fc.string({ unit: "grapheme", maxLength: 40 }),
    fc.string({ minLength: 250, maxLength: 300 }),
  );
  const lists = fc.array(fc.array(fc.option(text), { maxLength: 60 }), { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(lists, async (rows) => {
      // What is no well-formed UTF-16 can't be stored: it becomes U+FFFD, as everywhere.
      const wellFormed = rows.map((list) => list.map((value) => value?.toWellFormed() ?? null));
      assert.deepEqual(await roundTrip(wellFormed), wellFormed);
    }),
    { numRuns: 40 },
  );
});
