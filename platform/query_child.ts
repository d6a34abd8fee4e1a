/**
 * Runs one query on published files and ends: the inside of `query_process.ts`, which starts it under the limits of the
 * operating system, and kills it. Reads one line of JSON (a {@link ChildRequest}), writes one {@link SqlEvent} a line.
 *
 * Inside the process DuckDB opens nothing but the published folder, loads nothing and changes no setting. A statement
 * other than SELECT is refused before it runs: a folder that may be read could be written by COPY as well.
 */
import { type DuckDBConnection, DuckDBInstance, StatementType } from "@duckdb/node-api";
import type { SqlColumn, SqlEvent, SqlFile } from "../core/ports/published.ts";
import { cellOf, columnOf } from "./duckdb/cells.ts";
import { quoted } from "./duckdb/published.ts";
import { isReading } from "./reading_sql.ts";

export interface ChildRequest {
  /** Absolute path of the published folder. */
  readonly published: string;
  readonly sql: string;
  readonly rowsMax: number;
  readonly bytesMax: number;
  /** Our own statement, to be written to this file; null for anybody's, whose rows go to standard output. */
  readonly file: { readonly path: string; readonly format: SqlFile } | null;
}

/** A cell of a result is shown, not stored: the rest of a longer text is cut off. */
const CELL_LENGTH_MAX = 10_000;
/** DuckDB's own share of the memory that the process may have. */
const MEMORY = "384MiB";

const tell = (event: SqlEvent) => write(`${JSON.stringify(event)}\n`);

function write(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
}

async function main(): Promise<void> {
  const request = JSON.parse(await firstLine()) as ChildRequest;
  try {
    const connection = await open(request);
    if (request.file === null) await query(connection, request);
    else await writeFile(connection, request);
  } catch (error) {
    tell({ kind: "error", message: sentenceOf(error instanceof Error ? error.message : String(error)) });
  }
  Deno.exit(0); // what DuckDB still holds goes with the process
}

/** DuckDB's advice about memory is for people who may change settings. */
function sentenceOf(message: string): string {
  if (!/^Out of Memory Error|bad allocation/.test(message)) return message;
  return "The query needs more memory than it may have: ask for less, for instance with WHERE or LIMIT.";
}

async function firstLine(): Promise<string> {
  let text = "";
  for await (const part of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (text.includes("\n")) break;
  }
  return text;
}

async function open({ published, file }: ChildRequest): Promise<DuckDBConnection> {
  const instance = await DuckDBInstance.create(`${published}/catalogue.duckdb`, {
    access_mode: "READ_ONLY",
    threads: "2",
    memory_limit: MEMORY,
    max_temp_directory_size: "0KB",
    temp_directory: "",
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    allow_community_extensions: "false",
  });
  const connection = await instance.connect();
  const folders = [`${published}/`, ...file === null ? [] : [file.path.replace(/[^/\\]*$/, "")]];
  await connection.run(`SET allowed_directories = [${folders.map(quoted).join(", ")}]`);
  await connection.run("SET enable_external_access = false");
  await connection.run("SET lock_configuration = true");
  return connection;
}

async function query(connection: DuckDBConnection, { sql, rowsMax, bytesMax }: ChildRequest): Promise<void> {
  const statements = await connection.extractStatements(sql);
  if (statements.count !== 1) {
    const found = statements.count === 0
      ? "There is no statement"
      : `There are ${statements.count} statements`;
    return tell({ kind: "error", message: `${found}: ask one SELECT at a time.` });
  }
  if (!isReading(sql)) {
    return tell({
      kind: "error",
      message: "The console only reads: SELECT, FROM, WITH, DESCRIBE, SUMMARIZE, EXPLAIN.",
    });
  }
  const statement = await statements.prepare(0);
  const { statementType } = statement;
  if (statementType !== StatementType.SELECT && statementType !== StatementType.EXPLAIN) {
    const name = StatementType[statementType] ?? "This statement";
    return tell({ kind: "error", message: `${name} is not run here: the console only reads.` });
  }
  const result = await statement.stream();
  const columns = result.columnNames().map((name, index) => columnOf(name, result.columnType(index)));
  tell({ kind: "columns", columns });
  let rows = 0;
  let bytes = 0;
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) return tell({ kind: "end", rows, cut: null });
    const cells = chunk.getRows().slice(0, rowsMax - rows)
      .map((values) =>
        values.map((value, index) => cellOf(value, columns[index] as SqlColumn, CELL_LENGTH_MAX))
      );
    const text = JSON.stringify({ kind: "rows", rows: cells } satisfies SqlEvent);
    bytes += text.length;
    if (bytes > bytesMax) return tell({ kind: "end", rows, cut: "bytes" });
    write(`${text}\n`);
    rows += cells.length;
    if (cells.length < chunk.rowCount) return tell({ kind: "end", rows, cut: "rows" });
  }
}

async function writeFile(connection: DuckDBConnection, { sql, file }: ChildRequest): Promise<void> {
  if (file === null) return;
  const format = file.format === "csv" ? "FORMAT csv, HEADER" : "FORMAT parquet, COMPRESSION zstd";
  await connection.run(`COPY (${sql}) TO ${quoted(file.path)} (${format})`);
  tell({ kind: "end", rows: 0, cut: null });
}

if (import.meta.main) await main();
