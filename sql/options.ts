/** The command line of `deno task sql`. */
import { parseArgs } from "node:util";

export const formats = ["table", "csv", "json", "markdown"] as const;
export type Format = typeof formats[number];

export interface SqlOptions {
  readonly sql: string;
  readonly data: string;
  readonly format: Format;
  /** Rows printed at most. */
  readonly limit: number;
}

export type ParsedOptions =
  | { readonly kind: "options"; readonly options: SqlOptions }
  | { readonly kind: "help" }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

const LIMIT_MAX = 10_000_000;

export const sqlHelp = `Asks the published files in SQL, while the pipeline runs or not.

  deno task sql [--data DIR] [--format FORMAT] [--limit N] "SQL"

  --data DIR       the data folder (default data)
  --format FORMAT  table (default), csv, json (one array) or markdown
  --limit N        print at most N rows (default 1000); it says when there are more

  deno task sql "FROM windows ORDER BY window_start DESC LIMIT 5"
  deno task sql "FROM devices"
  deno task sql "DESCRIBE windows"
  deno task sql "SELECT view_name, comment FROM duckdb_views() WHERE comment IS NOT NULL"
  deno task sql --format csv "FROM readings WHERE ts > now()::TIMESTAMP - INTERVAL 1 DAY" > day.csv

Times are in UTC. Only what is published can be read, and nothing can be changed.
Exit status: 0 printed, 1 the query failed or nothing is published, 2 the command can't be understood.`;

/** Reads the arguments and reports every problem at once. */
export function parseSqlOptions(args: readonly string[]): ParsedOptions {
  const text = { type: "string" } as const;
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { data: text, format: text, limit: text, help: { type: "boolean", short: "h" } },
    });
  } catch (error) {
    return { kind: "problems", problems: [(error as Error).message] };
  }
  const { values, positionals } = parsed;
  if (values.help === true || args.length === 0) return { kind: "help" };
  const problems: string[] = [];
  const [sql = ""] = positionals;
  if (positionals.length !== 1 || sql.trim() === "") {
    problems.push(`give one SQL text in quotes, not ${positionals.length} words`);
  }
  const format = formats.find((known) => known === (values.format ?? "table"));
  if (format === undefined) {
    problems.push(`--format must be one of ${formats.join(", ")}, not ${values.format}`);
  }
  const limit = Number(values.limit ?? "1000");
  if (!/^\d+$/.test(values.limit ?? "1000") || limit < 1 || limit > LIMIT_MAX) {
    problems.push(`--limit must be an integer from 1 to ${LIMIT_MAX}, not ${values.limit}`);
  }
  if (values.data === "") problems.push("--data must name a folder");
  if (problems.length > 0 || format === undefined) return { kind: "problems", problems };
  return { kind: "options", options: { sql, data: values.data ?? "data", format, limit } };
}
