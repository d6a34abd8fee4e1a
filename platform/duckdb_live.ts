/**
 * The private file of one partition: opened by its owner only, written in whole transactions, kept small.
 *
 * - Nothing ambient: threads, memory, temporary files and checkpoints are set here; extensions are off.
 * - Statements are prepared afresh for each run. One that was prepared while its table was small keeps stale statistics
 *   and can answer wrongly (duckdb/duckdb#23704), see `duckdb_statistics_test.ts`.
 * - ORDER BY … LIMIT over a table with deleted rows can lose what is there, so the optimiser that does it is off.
 * - DuckDB never checkpoints inside a commit; `checkpoint` does, between transactions.
 * - The file is locked by POSIX rules: once this process has it open, it must not open and close it in any other way,
 *   or the lock is silently gone. So it is only looked at (`stat`) and read before DuckDB opens it.
 */
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { StoreRefused, StoreUnavailable } from "../core/ports/store.ts";
import { fileBytes } from "./durable_files.ts";
import { storeError } from "./duckdb_errors.ts";
import { quoted } from "./duckdb_published.ts";
import { baseTablesSql, liveTables, sqlTypes } from "./duckdb_tables.ts";

export interface LiveOptions {
  /** The file; its folder exists. */
  readonly path: string;
  readonly threads: number;
  /** Bound of DuckDB's buffers in MiB; sorting spills beside the file beyond it. */
  readonly memoryMb: number;
}

/** Bytes of write-ahead log above which a checkpoint folds it into the file: replaying so much takes about 0.1 s. */
const WAL_BYTES_MAX = 16 * 1_048_576;

export class LiveFile {
  #instance: DuckDBInstance | null = null;
  #writer: DuckDBConnection | null = null;
  #tail: Promise<unknown> = Promise.resolve();

  private constructor(private readonly options: LiveOptions) {}

  /** Opens the file, or makes a new one with the base tables. */
  static async open(options: LiveOptions): Promise<LiveFile> {
    const live = new LiveFile(options);
    try {
      await live.#open();
      await live.#checkTables();
      await live.#readThrough();
    } catch (error) {
      live.close();
      throw storeError(`opening ${options.path}`, error);
    }
    return live;
  }

  /** The connection of those who hold {@link exclusive}. */
  get writer(): DuckDBConnection {
    if (this.#writer === null) throw new StoreUnavailable("the store is closed or could not be opened again");
    return this.#writer;
  }

  /** A connection of its own, for reading while transactions go on. */
  async connect(): Promise<DuckDBConnection> {
    if (this.#instance === null) throw new StoreUnavailable("the store is closed");
    return await this.#instance.connect();
  }

  /** Runs `task` when all earlier ones have ended: transactions, lookups and trimming take turns. */
  exclusive<T>(task: () => Promise<T>): Promise<T> {
    const run = this.#tail.then(task, task);
    this.#tail = run.catch(() => {});
    return run;
  }

  /** Opens the file again if a failure has closed it. Only under {@link exclusive}. */
  async ensureOpen(action: string): Promise<void> {
    if (this.#instance === null) await this.#reopen(action);
  }

  /** Runs `task` in one transaction; all of it or, when this rejects, nothing. Only under {@link exclusive}. */
  async transaction(action: string, task: (writer: DuckDBConnection) => Promise<void>): Promise<void> {
    await this.ensureOpen(action);
    try {
      await this.writer.run("BEGIN TRANSACTION");
      await task(this.writer);
      await this.writer.run("COMMIT");
    } catch (error) {
      await this.#rollBack();
      throw storeError(action, error);
    }
  }

  /** Whether the write-ahead log should be folded into the file. */
  async isWalLarge(): Promise<boolean> {
    return await fileBytes(`${this.options.path}.wal`) >= WAL_BYTES_MAX;
  }

  /** Folds the write-ahead log into the file; false if DuckDB refuses now: then it only grows on. */
  async checkpoint(): Promise<boolean> {
    try {
      await this.writer.run("CHECKPOINT");
      return true;
    } catch (error) {
      const known = storeError(`checkpoint of ${this.options.path}`, error);
      if (/Cannot CHECKPOINT/.test(String(error))) return false;
      throw known;
    }
  }

  /** Closes the file; what was committed stays. */
  close(): void {
    this.#writer?.closeSync();
    this.#instance?.closeSync();
    this.#writer = null;
    this.#instance = null;
  }

  async #open(): Promise<void> {
    const { path, threads, memoryMb } = this.options;
    this.#instance = await DuckDBInstance.create(path, {
      threads: String(threads),
      memory_limit: `${memoryMb}MiB`,
      temp_directory: `${path}.tmp`,
      max_temp_directory_size: "8GiB",
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
      allow_community_extensions: "false",
      checkpoint_threshold: "1TB",
      // The system's page cache holds published files already; a second copy only makes the process larger.
      enable_external_file_cache: "false",
      // Without worker threads nobody gives freed memory back unless freeing itself does.
      allocator_flush_threshold: "1MiB",
      allocator_bulk_deallocation_flush_threshold: "1MiB",
      preserve_insertion_order: "true",
      // It goes by statistics that still count deleted rows: ORDER BY … LIMIT can then find nothing (DuckDB 1.5.5).
      disabled_optimizers: "row_group_pruner",
    });
    this.#writer = await this.#instance.connect();
  }

  /** After a failure: back to before the transaction, in a new instance if DuckDB has given this one up. */
  async #rollBack(): Promise<void> {
    try {
      await this.writer.run("ROLLBACK");
    } catch {
      // There may be none any more; the probe below tells whether the instance still works.
    }
    try {
      await this.writer.run("SELECT max(version) FROM position_rows");
    } catch {
      this.close();
    }
  }

  async #reopen(action: string): Promise<void> {
    try {
      await this.#open();
    } catch (error) {
      this.close();
      throw storeError(action, error);
    }
  }

  async #checkTables(): Promise<void> {
    const existing = await this.#columns(this.writer);
    if (existing.length === 0) {
      await this.writer.run(`BEGIN TRANSACTION; ${baseTablesSql}; COMMIT;`);
      return;
    }
    const expected = expectedColumns;
    const differing = expected.find((column) => !existing.includes(column)) ??
      existing.find((column) => !expected.includes(column));
    if (differing === undefined) return;
    throw new StoreRefused(
      `${this.options.path} was written by a build with other tables (${differing} differs): use that build, or move ` +
        "the data folder aside and start again, which makes all rows anew from the log",
    );
  }

  /** Reads every block, so that DuckDB compares every checksum before a row is used. The file is small. */
  async #readThrough(): Promise<void> {
    for (const { name } of liveTables) await this.writer.run(`SELECT bit_xor(hash(rows)) FROM ${name} rows`);
  }

  async #columns(connection: DuckDBConnection): Promise<string[]> {
    const reader = await connection.runAndReadAll(
      "SELECT table_name || '.' || column_name || ' ' || data_type AS text FROM duckdb_columns() " +
        "WHERE schema_name = 'main' AND NOT internal AND NOT contains(database_name, 'temp') ORDER BY ALL",
    );
    return reader.getRows().map((row) => String(row[0]));
  }
}

/** Every column of the live file's tables with its type, as `#columns` gives them. */
const expectedColumns = liveTables.flatMap((
  table,
) => [
  `${table.name}.version BIGINT`,
  ...table.columns.map(({ name, kind }) => `${table.name}.${name} ${sqlTypes[kind]}`),
]);

/** SQL for several Parquet files as one table; the paths are absolute. */
export function readParquet(paths: readonly string[]): string {
  return `read_parquet([${paths.map(quoted).join(", ")}])`;
}
