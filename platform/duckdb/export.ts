/**
 * Exports what is published as Parquet, one file a day, in Hive style (`windows/day=2026-01-31/windows.parquet`):
 * pandas, Spark, DuckDB and the like read a folder of them as one table and skip the days that they don't need.
 *
 * All files come from one publication. A day's file is written beside and renamed, so a break leaves whole days only,
 * and exporting again replaces days by themselves.
 */
import { DuckDBInstance } from "@duckdb/node-api";
import { StoreRefused } from "../../core/ports/store.ts";
import { fileBytes } from "../durable_files.ts";
import { storeError } from "./errors.ts";
import { dataPaths, quoted } from "./published.ts";

/** Views that can be exported, with the time that puts a row into its day (UTC). */
export const exportViews = { windows: "window_start", readings: "ts" } as const;
export type ExportView = keyof typeof exportViews;

export interface ExportOptions {
  /** Data folder. */
  readonly data: string;
  /** Folder that the files are written to; made if it is not there. */
  readonly target: string;
  readonly views: readonly ExportView[];
  /** First and last day, `2026-01-31`, both inclusive; null for all. */
  readonly fromDay: string | null;
  readonly toDay: string | null;
}

/** How far an export is. */
export interface ExportProgress {
  readonly rows: number;
  readonly rowsTotal: number;
  readonly files: number;
  readonly filesTotal: number;
}

interface Day {
  readonly view: ExportView;
  readonly day: string;
  readonly rows: number;
}

/** Writes the files and tells of each; resolves with the totals. Rejects when `signal` aborts: whole days stay. */
export async function exportParquet(
  options: ExportOptions,
  progress: (progress: ExportProgress) => void,
  signal?: AbortSignal,
): Promise<ExportProgress> {
  const { catalogue } = dataPaths(options.data, 0);
  if (await fileBytes(catalogue) === 0) {
    throw new StoreRefused(`nothing is published in ${options.data} yet: name another folder with --data`);
  }
  const instance = await DuckDBInstance.create(catalogue, {
    access_mode: "READ_ONLY",
    threads: "2",
    memory_limit: "512MiB",
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
  });
  const connection = await instance.connect();
  const run = async (sql: string) => (await connection.runAndReadAll(sql)).getRows();
  try {
    const days: Day[] = [];
    for (const view of options.views) {
      const time = exportViews[view];
      const rows = await run(
        `SELECT strftime(${time}, '%Y-%m-%d') AS day, count(*) FROM ${view} WHERE ${
          within(time, options)
        } GROUP BY day ORDER BY day`,
      );
      for (const [day, count] of rows) days.push({ view, day: String(day), rows: Number(count) });
    }
    const rowsTotal = days.reduce((sum, { rows }) => sum + rows, 0);
    let rows = 0;
    for (const [index, day] of days.entries()) {
      signal?.throwIfAborted();
      progress({ rows, rowsTotal, files: index, filesTotal: days.length });
      await writeDay(run, options.target, day);
      rows += day.rows;
    }
    const end = { rows, rowsTotal, files: days.length, filesTotal: days.length };
    progress(end);
    return end;
  } catch (error) {
    throw storeError("exporting", error);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

function within(time: string, { fromDay, toDay }: ExportOptions): string {
  const from = fromDay === null ? "true" : `${time} >= DATE ${quoted(fromDay)}`;
  const to = toDay === null ? "true" : `${time} < DATE ${quoted(toDay)} + INTERVAL 1 DAY`;
  return `${from} AND ${to}`;
}

async function writeDay(
  run: (sql: string) => Promise<unknown>,
  target: string,
  { view, day }: Day,
): Promise<void> {
  const time = exportViews[view];
  const folder = `${target}/${view}/day=${day}`;
  const file = `${folder}/${view}.parquet`;
  await Deno.mkdir(folder, { recursive: true });
  await run(
    `COPY (FROM ${view} WHERE ${time} >= DATE ${quoted(day)} AND ${time} < DATE ${
      quoted(day)
    } + INTERVAL 1 DAY
       ORDER BY ${time}, device) TO ${quoted(`${file}.tmp`)} (FORMAT parquet, COMPRESSION zstd)`,
  );
  await Deno.rename(`${file}.tmp`, file);
}
