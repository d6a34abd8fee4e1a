/** The command line of `deno task sql`. */
import { type ParsedCommand, readCommandLine } from "../core/command_line.ts";

export const formats = ["table", "csv", "json", "markdown"] as const;
export type Format = typeof formats[number];

export interface SqlOptions {
  /** Null: one question after the other, from the terminal or a pipe. */
  readonly sql: string | null;
  readonly data: string;
  readonly format: Format;
  /** Rows printed at most. */
  readonly limit: number;
}

export type ParsedOptions = ParsedCommand<SqlOptions>;

const LIMIT_MAX = 10_000_000;

export const sqlHelp = `Asks the published files in SQL, while the pipeline runs or not.

  deno task sql [--data DIR] [--format FORMAT] [--limit N] ["SQL"]

  --data DIR       the data folder (default data)
  --format FORMAT  table (default), csv, json (one array) or markdown
  --limit N        print at most N rows (default 1000); it says when there are more

  deno task sql                            one question after the other, with completion and history
  deno task sql "FROM windows ORDER BY window_start DESC LIMIT 5"
  deno task sql "FROM devices"
  deno task sql "DESCRIBE windows"
  deno task sql "SELECT view_name, comment FROM duckdb_views() WHERE comment IS NOT NULL"
  deno task sql --format csv "FROM readings WHERE ts > now()::TIMESTAMP - INTERVAL 1 DAY" > day.csv
  deno task sql < questions.sql            several, each with a semicolon

Times are in UTC. Only what is published can be read, and nothing can be changed. What was asked in a terminal is kept
in data/sql-history.txt, if there is a folder data.
Exit status: 0 printed, 1 a query failed or nothing is published, 2 the command can't be understood.`;

/** Reads the arguments and reports every problem at once. */
export function parseSqlOptions(args: readonly string[]): ParsedOptions {
  const line = readCommandLine(args, { texts: ["data", "format", "limit"] });
  if (line === null) return { kind: "help" };
  const { texts, words, problems } = line;
  const [sql = null] = words;
  if (words.length > 1 || sql?.trim() === "") {
    problems.push(`give one SQL text in quotes, not ${words.length} words`);
  }
  const format = formats.find((known) => known === (texts.format ?? "table"));
  if (format === undefined) {
    problems.push(`--format must be one of ${formats.join(", ")}, not ${texts.format}`);
  }
  const limit = Number(texts.limit ?? "1000");
  if (!/^\d+$/.test(texts.limit ?? "1000") || limit < 1 || limit > LIMIT_MAX) {
    problems.push(`--limit must be an integer from 1 to ${LIMIT_MAX}, not ${texts.limit}`);
  }
  if (texts.data === "") problems.push("--data must name a folder");
  if (problems.length > 0 || format === undefined) return { kind: "problems", problems };
  return { kind: "options", options: { sql, data: texts.data ?? "data", format, limit } };
}
