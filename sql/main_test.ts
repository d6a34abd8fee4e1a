import assert from "node:assert/strict";
import { changes, deviceRow, positionRow, readingRow, startMs, windowRow } from "../core/testing/builders.ts";
import { openPublisher } from "../platform/duckdb/publisher.ts";
import { openStore } from "../platform/duckdb/store.ts";

interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The command as the task in deno.json runs it: with its permissions. */
async function ask(...args: string[]): Promise<Answer> {
  return await askWith("", ...args);
}

/** With `input` from a pipe. */
async function askWith(input: string, ...args: string[]): Promise<Answer> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-read",
      "--allow-ffi",
      new URL("main.ts", import.meta.url).pathname,
      ...args,
    ],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test("the command answers from what is published while the store is open, and says what it can't do", async () => {
  const directory = await Deno.makeTempDir({ prefix: "isotherm-sql-" });
  const store = await openStore({ directory, partition: 0, retentionMs: 30 * 86_400_000 });
  try {
    const nothing = await ask("--data", directory, "FROM windows");
    assert.equal(nothing.code, 1);
    assert.match(
      nothing.err,
      /^nothing is published in .* yet: start the pipeline there \(deno task dev --data /,
    );

    const publisher = await openPublisher(store, { mergeInline: true });
    const minute = (index: number) => windowRow({ startMs: startMs + index * 60_000 });
    await store.commit(changes({
      position: positionRow({ nextOffset: 4 }),
      readings: [readingRow()],
      windows: [minute(0), minute(1), minute(2)],
      devices: [deviceRow()],
    }));
    await publisher.publish([], startMs);

    const [newest, cut, wrong, writes, exports, two, outside] = await Promise.all([
      ask("--data", directory, "SELECT device, window_start FROM windows ORDER BY window_start DESC LIMIT 1"),
      ask(
        "--data",
        directory,
        "--format",
        "csv",
        "--limit",
        "2",
        "SELECT window_start FROM windows ORDER BY 1",
      ),
      ask("--data", directory, "SELECT temperature FROM windows"),
      ask("--data", directory, `COPY (FROM windows) TO '${directory}/published/copy.csv'`),
      ask("--data", directory, `EXPORT DATABASE '${directory}/published/export'`),
      ask("--data", directory, "SELECT 1; SELECT 2"),
      ask("--data", directory, `FROM read_blob('${directory}/partitions/0/live.duckdb')`),
    ]);
    assert.deepEqual(newest, {
      code: 0,
      out: `┌────────┬─────────────────────┐
│ device │ window_start        │
├────────┼─────────────────────┤
│ desk   │ 2026-01-01 00:02:00 │
└────────┴─────────────────────┘
`,
      err: "",
    });
    assert.deepEqual(cut, {
      code: 0,
      out: "window_start\n2026-01-01 00:00:00\n2026-01-01 00:01:00\n",
      err: "only the first 2 rows: add LIMIT or WHERE to the query, or print more with --limit\n",
    });
    assert.equal(wrong.code, 1);
    assert.match(wrong.err, /^Binder Error: Referenced column "temperature" not found/);
    assert.equal(writes.code, 1);
    assert.match(writes.err, /^COPY is not possible here: what is published can be read only/);
    // DuckDB makes the folder of an export while it prepares the statement.
    assert.match(exports.err, /^EXPORT is not possible here/);
    await assert.rejects(Deno.stat(`${directory}/published/export`), Deno.errors.NotFound);
    assert.match(two.err, /^there are 2 statements: ask one at a time/);
    assert.equal(outside.code, 1);
    assert.match(outside.err, /^Permission Error: Cannot access file/);

    const questions =
      "SELECT count(*) AS n FROM windows;\n.format csv\nSELECT device\nFROM devices; SELEC;\nSELECT 1";
    const piped = await askWith(questions, "--data", directory);
    assert.equal(piped.out, "┌───┐\n│ n │\n├───┤\n│ 3 │\n└───┘\ndevice\ndesk\n1\n1\n");
    assert.match(piped.err, /syntax error at or near "SELEC"/);
    assert.equal(piped.code, 1);
    await publisher.close();
  } finally {
    await store.close();
    await Deno.remove(directory, { recursive: true });
  }
});
