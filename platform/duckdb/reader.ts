/**
 * Reads what is published: opens the catalogue read-only, never the live file, and keeps a query to it.
 *
 * DuckDB is told to open nothing but the published folder, to load nothing and to change no setting. That keeps honest
 * queries honest; it is no wall against a hostile one, which can still take memory and time: run those in a process of
 * its own with a memory cap and a deadline.
 */
import { type DuckDBConnection, DuckDBInstance, StatementType } from "@duckdb/node-api";
import { cellOf, columnOf } from "./cells.ts";
import { isReading } from "../reading_sql.ts";
import { parseManifest } from "../../core/manifest.ts";
import { StoreRefused } from "../../core/ports/store.ts";
import { fileBytes, readTextIfAny } from "../durable_files.ts";
import { type DataPaths, dataPaths, quoted } from "./published.ts";

/** A column of a result. */
export interface ResultColumn {
  readonly name: string;
  /** DuckDB's name of the type, `TIMESTAMP` for instance. */
  readonly type: string;
  readonly isNumber: boolean;
}

/** A cell: null, a text as DuckDB writes it, or a number or boolean that JSON can hold exactly. */
export type ResultCell = string | number | boolean | null;

export interface Result {
  readonly columns: readonly ResultColumn[];
  readonly rows: readonly (readonly ResultCell[])[];
  /** There were more rows than asked for. */
  readonly isCut: boolean;
}

/** An SQL text that DuckDB does not accept or can't finish; the message is for the person who wrote it. */
export class QueryFailed extends Error {
  override name = "QueryFailed";
}

export class Catalogue {
  private constructor(
    private readonly paths: DataPaths,
    private readonly instance: DuckDBInstance,
    private readonly connection: DuckDBConnection,
  ) {}

  /** Opens the newest publication of a data folder. It stays what it is; open again for newer rows. */
  static async open(directory: string): Promise<Catalogue> {
    const paths = dataPaths(directory, 0);
    if (await fileBytes(paths.catalogue) === 0) {
      throw new StoreRefused(
        `nothing is published in ${directory} yet: start the pipeline there (deno task dev --data ${directory}), ` +
          "the first rows appear within seconds of the first reading; or name another folder with --data",
      );
    }
    const instance = await DuckDBInstance.create(paths.catalogue, {
      access_mode: "READ_ONLY",
      threads: "2",
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
      allow_community_extensions: "false",
    });
    const connection = await instance.connect();
    await connection.run(`SET allowed_directories = [${quoted(`${paths.published}/`)}]`);
    await connection.run("SET enable_external_access = false");
    await connection.run("SET lock_configuration = true");
    return new Catalogue(paths, instance, connection);
  }

  /** Runs SQL and gives at most `rowsMax` rows. Rejects with {@link QueryFailed}. */
  async query(sql: string, rowsMax: number): Promise<Result> {
    try {
      await this.#refuseAllButReading(sql);
      const result = await this.connection.stream(sql);
      const columns = result.columnNames().map((name, index) => columnOf(name, result.columnType(index)));
      const rows: ResultCell[][] = [];
      for (;;) {
        const chunk = await result.fetchChunk();
        if (chunk === null || chunk.rowCount === 0) return { columns, rows, isCut: false };
        for (const values of chunk.getRows()) {
          if (rows.length === rowsMax) return { columns, rows, isCut: true };
          rows.push(values.map((value, index) => cellOf(value, columns[index]!)));
        }
      }
    } catch (error) {
      throw new QueryFailed(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  /** Ends the query that runs, which then rejects; does nothing if none does. */
  interrupt(): void {
    this.connection.interrupt();
  }

  /** `COPY … TO` could write into the published folder, the only one that is open to DuckDB. */
  async #refuseAllButReading(sql: string): Promise<void> {
    const statements = await this.connection.extractStatements(sql);
    if (statements.count !== 1) {
      throw new Error(`there are ${statements.count} statements: ask one at a time`);
    }
    if (!isReading(sql)) {
      const word = sql.trim().split(/\s/, 1)[0]!.toUpperCase();
      throw new Error(
        `${word} is not possible here: what is published can be read only; to keep a result, use --format csv > FILE`,
      );
    }
    for (let index = 0; index < statements.count; index++) {
      const { statementType } = await statements.prepare(index);
      const isReading = statementType === StatementType.SELECT ||
        (statementType === StatementType.EXPLAIN && !/\bcopy\b/i.test(sql));
      if (!isReading) {
        throw new Error(
          `${StatementType[statementType]} is not possible here: what is published can be read only; ` +
            "to keep a result, use --format csv > FILE",
        );
      }
    }
  }

  /** When this was published, in Unix ms; null if the manifest is missing. */
  async publishedMs(): Promise<number | null> {
    const text = await readTextIfAny(this.paths.manifest);
    return text === null ? null : parseManifest(text).publishedMs;
  }

  close(): void {
    this.connection.closeSync();
    this.instance.closeSync();
  }
}
