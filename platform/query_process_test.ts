import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { SqlEvent, SqlRunner } from "../core/ports/published.ts";
import { changes } from "../core/testing/builders.ts";
import { machineClock } from "./clock.ts";
import { createQueryProcesses, queryProcessLimits } from "./query_process.ts";
import { openPublishedRows } from "./published_rows.ts";
import { openPublisher } from "./duckdb/publisher.ts";
import { openStore } from "./duckdb/store.ts";

const unix = { ignore: Deno.build.os === "windows" };
const bounds = { rowsMax: 5, bytesMax: 100_000, deadlineMs: 10_000 };

/** A data folder with an empty publication. */
async function withPublished(test: (data: string) => Promise<void>): Promise<void> {
  const data = await Deno.makeTempDir({ prefix: "isotherm-query-" });
  try {
    const store = await openStore({ directory: data, partition: 0, retentionMs: 86_400_000 });
    const publisher = await openPublisher(store);
    await store.commit(changes());
    await publisher.publish([], 1_763_950_000_000);
    await publisher.close();
    await store.close();
    await test(data);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
}

async function all(
  runner: SqlRunner,
  sql: string,
  given = bounds,
  signal = new AbortController().signal,
): Promise<SqlEvent[]> {
  const events: SqlEvent[] = [];
  for await (const event of runner.run(sql, given, signal)) events.push(event);
  return events;
}

Deno.test(
  "a query runs in a process of its own, within its bounds, and can't leave the published folder",
  unix,
  async () => {
    await withPublished(async (data) => {
      const runner = createQueryProcesses({ data, clock: machineClock });
      const message = async (sql: string, given = bounds) => {
        const last = (await all(runner, sql, given)).at(-1);
        return last?.kind === "error" ? last.message : JSON.stringify(last);
      };
      try {
        deepEqual(await all(runner, "SELECT 1 AS one, 'x' AS text, NULL AS nothing"), [
          {
            kind: "columns",
            columns: [
              { name: "one", type: "INTEGER", isNumber: true },
              { name: "text", type: "VARCHAR", isNumber: false },
              { name: "nothing", type: "INTEGER", isNumber: true },
            ],
          },
          { kind: "rows", rows: [[1, "x", null]] },
          { kind: "end", rows: 1, cut: null },
        ]);
        equal(await message("FROM range(6)"), '{"kind":"end","rows":5,"cut":"rows"}');
        equal(
          await message("SELECT repeat('x', 9000) FROM range(5)", { ...bounds, bytesMax: 40_000 }),
          '{"kind":"end","rows":0,"cut":"bytes"}',
        );
        match(await message(`EXPORT DATABASE '${data}/published/x'`), /^The console only reads/);
        match(await message("SELECT * FROM read_text('/etc/passwd')"), /file system operations are disabled/);
        match(await message("SELECT 1; SELECT 2"), /^There are 2 statements/);
        match(await message("SELECT length(repeat('x', 2000000000))"), /^The query needs more memory/);
        match(
          await message("SELECT count(*) FROM range(100000000000)", { ...bounds, deadlineMs: 400 }),
          /^The query was ended after 0.4 s/,
        );
        match(await message("x".repeat(queryProcessLimits.sqlLengthMax + 1)), /longer than 20000 characters/);
        const abort = new AbortController();
        const cancelled = all(runner, "SELECT count(*) FROM range(100000000000)", bounds, abort.signal);
        await machineClock.sleep(100);
        abort.abort();
        deepEqual(await cancelled, [{ kind: "error", message: "The query was cancelled." }]);
        ok(!await exists(`${data}/published/x`));
      } finally {
        await runner.close();
      }
    });
  },
);

Deno.test("a file of rows is handed over and leaves nothing behind", unix, async () => {
  await withPublished(async (data) => {
    const temporaryFolder = await Deno.makeTempDir({ dir: data });
    const runner = createQueryProcesses({ data, clock: machineClock, temporaryFolder });
    try {
      const csv = await runner.file("SELECT 1 AS a, 'x,\"y' AS b", "csv", 10_000);
      equal(await new Response(csv).text(), 'a,b\n1,"x,""y"\n');
      const parquet = await new Response(await runner.file("SELECT 1 AS a", "parquet", 10_000)).bytes();
      equal(new TextDecoder().decode(parquet.subarray(0, 4)), "PAR1");
      const left = await runner.file("SELECT 1 AS a", "csv", 10_000);
      await left.cancel();
      await runner.file("SELECT nothing", "csv", 10_000).then(
        () => ok(false),
        (error) => match(error.message, /nothing/),
      );
      deepEqual([...Deno.readDirSync(temporaryFolder)], []);
    } finally {
      await runner.close();
    }
  });
});

Deno.test("our own statements see each new publication, and none before there is one", async () => {
  const empty = await Deno.makeTempDir({ prefix: "isotherm-query-" });
  const nothing = openPublishedRows(empty);
  equal(await nothing.query("SELECT 1"), null);
  equal(await nothing.published(), null);
  await nothing.close();
  await Deno.remove(empty, { recursive: true });
  await withPublished(async (data) => {
    const rows = openPublishedRows(data);
    deepEqual(await rows.query("SELECT count(*), ? FROM windows", ["a'b"]), [[0, "a'b"]]);
    equal((await rows.published())?.publishedMs, 1_763_950_000_000);
    await rows.close();
  });
});

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
