/** The command line of `deno task export`. */
import { type ParsedCommand, readCommandLine } from "../core/command_line.ts";

export type View = "windows" | "readings";

export interface ExportOptions {
  readonly target: string;
  readonly data: string;
  readonly views: readonly View[];
  readonly fromDay: string | null;
  readonly toDay: string | null;
}

export type ParsedOptions = ParsedCommand<ExportOptions>;

export const exportHelp =
  `Writes what is published as Parquet, one file a day (UTC), for pandas, Spark, DuckDB, ….

  deno task export [--data DIR] [--only windows|readings] [--from DAY] [--to DAY] FOLDER

  --data DIR     the data folder (default data)
  --only VIEW    windows or readings (default both)
  --from DAY     first day, for instance 2026-01-31
  --to DAY       last day, inclusive

  FOLDER/windows/day=2026-01-31/windows.parquet and FOLDER/readings/day=2026-01-31/readings.parquet
  duckdb -c "FROM read_parquet('FOLDER/windows/*/*.parquet', hive_partitioning = true) WHERE day = '2026-01-31'"

It may run while the pipeline does, and again: days are replaced.
Exit status: 0 all days are written, 1 it failed or was stopped (whole days stay), 2 the command can't be understood.`;

/** Reads the arguments and reports every problem at once. */
export function parseExportOptions(args: readonly string[]): ParsedOptions {
  if (args.length === 0) return { kind: "help" };
  const line = readCommandLine(args, { texts: ["data", "only", "from", "to"] });
  if (line === null) return { kind: "help" };
  const { texts, words, problems } = line;
  const [target = ""] = words;
  if (words.length !== 1 || target === "") problems.push(`give one folder, not ${words.length}`);
  if (texts.data === "") problems.push("--data must name a folder");
  const views = viewsOf(texts.only);
  if (views === null) problems.push(`--only must be windows or readings, not ${texts.only}`);
  for (const name of ["from", "to"] as const) {
    const day = texts[name];
    if (day !== undefined && !isDay(day)) problems.push(`--${name} must be a day as 2026-01-31, not ${day}`);
  }
  if (problems.length > 0 || views === null) return { kind: "problems", problems };
  const options = {
    target,
    data: texts.data ?? "data",
    views,
    fromDay: texts.from ?? null,
    toDay: texts.to ?? null,
  };
  return { kind: "options", options };
}

function viewsOf(only: string | undefined): readonly View[] | null {
  if (only === undefined) return ["windows", "readings"];
  return only === "windows" || only === "readings" ? [only] : null;
}

function isDay(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return false;
  const ms = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text);
}
