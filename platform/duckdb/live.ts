/**
 * The private file of one partition: opened by its owner only, written in whole transactions, kept small.
 *
 * - Nothing ambient: threads, memory, temporary files and checkpoints are set here; extensions are off.
 * - Statements are prepared afresh for each run. One that was prepared while its table was small keeps stale statistics
 *   and can answer wrongly (duckdb/duckdb#23704), see `statistics_test.ts`. Only an INSERT of given values, which
 *   reads no table, is prepared once.
 * - ORDER BY … LIMIT over a table with deleted rows can lose what is there, so the optimiser that does it is off.
 * - DuckDB never checkpoints inside a commit; `checkpoint` does, between transactions.
 * - The file is locked by POSIX rules: once this process has it open, it must not open and close it in any other way,
 *   or the lock is silently gone. So it is only looked at (`stat`) and read before DuckDB opens it.
 * - After some failures (an fsync that fails is one) DuckDB gives an instance up: whatever is asked of it fails from then
 *   on. Then all connections to it are closed, and the next call opens the file anew. See {@link SideConnection}.
 */
import { type DuckDBConnection, DuckDBInstance, type DuckDBPreparedStatement } from "@duckdb/node-api";
import { StoreRefused, StoreUnavailable } from "../../core/ports/store.ts";
import { fileBytes } from "../durable_files.ts";
import { storeError } from "./errors.ts";
import { quoted } from "./published.ts";
import {
  baseTablesSql,
  journalTable,
  liveTables,
  sealedTable,
  sqlTypes,
  type TableShape,
  tableSql,
} from "./tables.ts";

export interface LiveOptions {
  /** The file; its folder exists. */
  readonly path: string;
  readonly threads: number;
  /** Bound of DuckDB's buffers in MiB; sorting spills beside the file beyond it. */
  readonly memoryMb: number;
  /** How instances are made (default: DuckDB's own way); a simulation makes ones that fail. */
  readonly createInstance?: CreateInstance;
}

export type CreateInstance = (path: string, options: Record<string, string>) => Promise<DuckDBInstance>;

/** Bytes of write-ahead log above which a checkpoint folds it into the file: replaying so much takes about 0.1 s. */
const WAL_BYTES_MAX = 16 * 1_048_576;

export class LiveFile {
  #instance: DuckDBInstance | null = null;
  #writer: DuckDBConnection | null = null;
  /** By its text; they hold the file open, so they end with it. */
  readonly #inserts = new Map<string, DuckDBPreparedStatement>();
  #tail: Promise<unknown> = Promise.resolve();
  #isClosed = false;
  readonly #sides: SideConnection[] = [];

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

  /** A connection of its own, for reading and copying while transactions go on. */
  side(): SideConnection {
    const side = new SideConnection({
      connect: (made) =>
        this.exclusive(async () => {
          await this.#revive();
          made(await this.#instance!.connect());
        }),
      recover: () => this.exclusive(() => this.#probe()),
    });
    this.#sides.push(side);
    return side;
  }

  /** Runs `task` when all earlier ones have ended: transactions, lookups and trimming take turns. */
  exclusive<T>(task: () => Promise<T>): Promise<T> {
    const run = this.#tail.then(task, task);
    this.#tail = run.catch(() => {});
    return run;
  }

  /**
   * Runs `task` on the connection of those who take turns, in a new instance if DuckDB has given up the last one. Only
   * under {@link exclusive}.
   */
  async use<T>(action: string, task: (writer: DuckDBConnection) => Promise<T>): Promise<T> {
    try {
      await this.#revive();
      return await task(this.writer);
    } catch (error) {
      await this.#probe();
      throw storeError(action, error);
    }
  }

  /** Runs `task` in one transaction; all of it or, when this rejects, nothing. Only under {@link exclusive}. */
  async transaction(action: string, task: (writer: DuckDBConnection) => Promise<void>): Promise<void> {
    await this.use(action, async (writer) => {
      try {
        await writer.run("BEGIN TRANSACTION");
        await task(writer);
        await writer.run("COMMIT");
      } catch (error) {
        // There may be nothing to roll back any more.
        await writer.run("ROLLBACK").catch(() => {});
        throw error;
      }
    });
  }

  /** Runs `INSERT … VALUES ($1, …)` as a transaction of its own. Only under {@link exclusive}. */
  async insert(
    action: string,
    sql: string,
    bind: (statement: DuckDBPreparedStatement) => void,
  ): Promise<void> {
    await this.use(action, async (writer) => {
      const statement = this.#inserts.get(sql) ?? await writer.prepare(sql);
      this.#inserts.set(sql, statement);
      bind(statement);
      await statement.run();
    });
  }

  /** Whether the write-ahead log should be folded into the file. */
  async isWalLarge(): Promise<boolean> {
    return await fileBytes(`${this.options.path}.wal`) >= WAL_BYTES_MAX;
  }

  /** Folds the write-ahead log into the file; false if DuckDB refuses now: then it only grows on. */
  async checkpoint(): Promise<boolean> {
    return await this.use(`checkpoint of ${this.options.path}`, async (writer) => {
      try {
        await writer.run("CHECKPOINT");
        return true;
      } catch (error) {
        if (/Cannot CHECKPOINT/.test(String(error))) return false;
        throw error;
      }
    });
  }

  /** Closes the file for good; what was committed stays. */
  close(): void {
    this.#isClosed = true;
    this.#letGo();
  }

  #letGo(): void {
    for (const statement of this.#inserts.values()) statement.destroySync();
    this.#inserts.clear();
    this.#writer?.closeSync();
    this.#instance?.closeSync();
    this.#writer = null;
    this.#instance = null;
  }

  async #open(): Promise<void> {
    const { path, threads, memoryMb } = this.options;
    const create = this.options.createInstance ?? DuckDBInstance.create;
    this.#instance = await create(path, {
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

  /** After a failure: lets go of an instance that DuckDB has given up, which answers nothing any more. */
  async #probe(): Promise<void> {
    try {
      await this.#writer?.run("SELECT max(version) FROM position_rows");
    } catch {
      // All of them first: a file that is still open there would take the new instance's lock along when it is closed.
      for (const side of this.#sides) await side.release();
      this.#letGo();
    }
  }

  async #revive(): Promise<void> {
    if (this.#instance !== null) return;
    if (this.#isClosed) throw new StoreUnavailable("the store is closed");
    try {
      await this.#open();
    } catch (error) {
      this.#letGo();
      throw error;
    }
  }

  async #checkTables(): Promise<void> {
    const existing = await this.#columns(this.writer);
    if (existing.length === 0) {
      await this.writer.run(`BEGIN TRANSACTION; ${baseTablesSql}; COMMIT;`);
      return;
    }
    const has = (table: TableShape) => existing.includes(`${table.name}.version BIGINT`);
    const missing = tablesSinceFirst.filter((table) => !has(table));
    if (missing.length > 0) {
      await this.writer.run(`BEGIN TRANSACTION; ${missing.map(tableSql).join("; ")}; COMMIT;`);
      return await this.#checkTables();
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

/**
 * A connection beside the writer's. It is made when it is first used, and made anew when DuckDB has given up the instance
 * that it belonged to. One task at a time.
 */
export class SideConnection {
  #connection: DuckDBConnection | null = null;
  #running: Promise<unknown> = Promise.resolve();

  /** `connect` makes one in the instance that there is; `recover` lets go of an instance that has been given up. */
  constructor(
    private readonly live: {
      connect(made: (connection: DuckDBConnection) => void): Promise<void>;
      recover(): Promise<void>;
    },
  ) {}

  /** Runs `task`. Rejects with what went wrong in it; the next call finds an instance that works, if there can be one. */
  async use<T>(task: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
    // Asked again: before we go on, somebody else may have taken his turn and let go of it.
    while (this.#connection === null) await this.live.connect((made) => this.#connection = made);
    const result = task(this.#connection);
    this.#running = result.catch(() => {});
    try {
      return await result;
    } catch (error) {
      await this.live.recover();
      throw error;
    }
  }

  interrupt(): void {
    this.#connection?.interrupt();
  }

  /** Resolves when nothing runs on it any more and it is closed; the next use makes a new one. */
  async release(): Promise<void> {
    await this.#running;
    this.close();
  }

  close(): void {
    this.#connection?.closeSync();
    this.#connection = null;
  }
}

/** Tables that the files of 1.0.0 don't have: made there, and empty. */
const tablesSinceFirst: readonly TableShape[] = [sealedTable, journalTable];

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
