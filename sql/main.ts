/** `deno task sql`: one query over the published files, in a process that may read and nothing else. */
import { StoreRefused } from "../core/ports/store.ts";
import { machineClock } from "../platform/clock.ts";
import { Catalogue, QueryFailed, type Result } from "../platform/duckdb_reader.ts";
import { csvText, jsonText, markdownText, tableText } from "./layout.ts";
import { type Format, parseSqlOptions, sqlHelp, type SqlOptions } from "./options.ts";

/** Width of a table that goes to no terminal. */
const FILE_WIDTH = 100_000;

async function main(args: readonly string[]): Promise<number> {
  const parsed = parseSqlOptions(args);
  switch (parsed.kind) {
    case "help":
      console.log(sqlHelp);
      return 0;
    case "problems":
      for (const problem of parsed.problems) console.error(problem);
      console.error("deno task sql --help shows all options");
      return 2;
    case "options":
      return await run(parsed.options);
  }
}

async function run({ sql, data, format, limit }: SqlOptions): Promise<number> {
  try {
    const catalogue = await Catalogue.open(data);
    try {
      const result = await catalogue.query(sql, limit);
      await write(Deno.stdout, text(result, format));
      if (result.isCut) await write(Deno.stderr, cutText(limit));
      if (format === "table" && Deno.stdout.isTerminal()) {
        await write(Deno.stderr, freshness(result, await catalogue.publishedMs()));
      }
      return 0;
    } finally {
      catalogue.close();
    }
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return 0;
    if (!(error instanceof StoreRefused || error instanceof QueryFailed)) throw error;
    console.error(error.message);
    return 1;
  }
}

function text(result: Result, format: Format): string {
  switch (format) {
    case "table":
      return tableText(result, Deno.stdout.isTerminal() ? Deno.consoleSize().columns : FILE_WIDTH);
    case "csv":
      return csvText(result);
    case "json":
      return jsonText(result);
    case "markdown":
      return markdownText(result);
  }
}

function cutText(limit: number): string {
  return `only the first ${limit} rows: add LIMIT or WHERE to the query, or print more with --limit\n`;
}

function freshness(result: Result, publishedMs: number | null): string {
  const rows = `${result.rows.length} row${result.rows.length === 1 ? "" : "s"}`;
  if (publishedMs === null) return `${rows}\n`;
  const seconds = Math.max(0, machineClock.nowMs() - publishedMs) / 1_000;
  const age = seconds < 120 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds / 60)} min`;
  return `${rows}, published ${age} ago\n`;
}

async function write(
  stream: { write(bytes: Uint8Array): Promise<number> },
  content: string,
): Promise<void> {
  const bytes = new TextEncoder().encode(content);
  for (let done = 0; done < bytes.length;) done += await stream.write(bytes.subarray(done));
}

if (import.meta.main) Deno.exit(await main(Deno.args));
