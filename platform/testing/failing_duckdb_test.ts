import assert from "node:assert/strict";
import { DuckDBInstance } from "@duckdb/node-api";
import { FailingDuckdb } from "./failing_duckdb.ts";

Deno.test("an instance that was given up writes nothing when it is closed, however late", async () => {
  const directory = await Deno.makeTempDir({ prefix: "isotherm-failing-" });
  const path = `${directory}/live.duckdb`;
  try {
    const duckdb = new FailingDuckdb();
    const first = await duckdb.create(path, {});
    const writer = await first.connect();
    await writer.run("CREATE TABLE rows (number INTEGER)");
    duckdb.plan({ inStatements: 1, when: "after", isFatal: true });
    await assert.rejects(writer.run("INSERT INTO rows VALUES (1)"), /fsync failed/);
    // The next one comes and goes before the collector closes the first.
    const second = await DuckDBInstance.create(path);
    const next = await second.connect();
    await next.run("INSERT INTO rows VALUES (2)");
    next.closeSync();
    second.closeSync();
    writer.closeSync();
    first.closeSync();
    const third = await DuckDBInstance.create(path);
    const reader = await third.connect();
    const rows = await reader.runAndReadAll("SELECT number FROM rows ORDER BY number");
    assert.deepEqual(rows.getRows(), [[1], [2]]);
    reader.closeSync();
    third.closeSync();
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("every call into DuckDB goes through what is to be around it", async () => {
  let calls = 0;
  const duckdb = new FailingDuckdb((call) => {
    calls++;
    return call();
  });
  const instance = await duckdb.create(":memory:", {});
  const connection = await instance.connect();
  await connection.run("CREATE TABLE rows (number INTEGER)");
  const statement = await connection.prepare("INSERT INTO rows VALUES (1)");
  await statement.run();
  assert.equal(calls, 4);
  duckdb.plan({ inStatements: 1, when: "after", isFatal: false });
  await assert.rejects(connection.run("INSERT INTO rows VALUES (2)"));
  assert.equal(calls, 5);
  statement.destroySync();
  connection.closeSync();
  instance.closeSync();
});
