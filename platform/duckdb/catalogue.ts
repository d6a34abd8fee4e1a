/**
 * The catalogue: a small DuckDB file with nothing but views. The base tables are views over the segments of all
 * partitions, by absolute paths; above them stand exactly the documented views of `core/tables.sql`.
 *
 * The documented views and their hundreds of comments are made once, as a template; a publication copies it and puts
 * the base views in: 10 ms instead of 110.
 */
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import type { PositionRow } from "../../core/rows.ts";
import { assert } from "../../core/assert.ts";
import { createHash } from "node:crypto";
import { fileBytes, removeFile, syncFile } from "../durable_files.ts";
import { type DataPaths, filesOf, type PartitionRecord, quoted } from "./published.ts";
import { readParquet } from "./live.ts";
import { openRowsSql, openTable } from "./open_windows.ts";
import type { Segment } from "./segments.ts";
import {
  baseTables,
  configSelect,
  configTable,
  openWindowTable,
  positionTable,
  selectList,
  sqlTypes,
  type TableShape,
  viewsSql,
} from "./tables.ts";

/** Writes catalogues. One per publisher; has a DuckDB instance of its own, so that files never mix with the live one. */
export class CatalogueWriter {
  private constructor(
    private readonly instance: DuckDBInstance,
    private readonly connection: DuckDBConnection,
    private readonly template: string,
  ) {}

  /**
   * `folder` is private to this process; the template is made there unless this build has made it before. `maker` tells
   * writers of one folder apart.
   */
  static async open(folder: string, maker: number): Promise<CatalogueWriter> {
    const statements = [...baseTables.map(emptyView), viewsSql];
    const hash = createHash("sha256").update(statements.join("\n")).digest("hex").slice(0, 16);
    const template = `${folder}/catalogue_template_${hash}.duckdb`;
    const instance = await DuckDBInstance.create(":memory:", {
      threads: "1",
      memory_limit: "64MiB",
      // Making a view looks into its files: of each, a kibibyte would be kept for ever.
      enable_external_file_cache: "false",
    });
    const connection = await instance.connect();
    const writer = new CatalogueWriter(instance, connection, template);
    if (await fileBytes(template) > 0) return writer;
    const made = `${template}.${maker}.tmp`;
    await removeFile(made);
    await removeFile(`${made}.wal`);
    // Blocks of 16 KiB instead of 256: the file is copied at every publication.
    await writer.#fill(made, "(BLOCK_SIZE 16384)", statements);
    await syncFile(made);
    await Deno.rename(made, template);
    return writer;
  }

  /** Writes the catalogue of these records and renames it into place, unless `mayRename` throws. */
  async write(
    paths: DataPaths,
    records: ReadonlyMap<number, PartitionRecord>,
    mayRename: () => void,
  ): Promise<void> {
    const made = `${paths.catalogue}.tmp`;
    await removeFile(made);
    await removeFile(`${made}.wal`);
    await Deno.copyFile(this.template, made);
    await this.#fill(made, "", baseTables.map((table) => baseView(paths, table, [...records.values()])));
    // A reader that opens the file for writing would lock all others out.
    Deno.chmodSync(made, 0o444);
    await syncFile(made);
    mayRename();
    Deno.renameSync(made, paths.catalogue);
  }

  close(): void {
    this.connection.closeSync();
    this.instance.closeSync();
  }

  async #fill(path: string, options: string, statements: readonly string[]): Promise<void> {
    await this.connection.run(`ATTACH ${quoted(path)} AS published ${options}`);
    try {
      await this.connection.run("USE published");
      // One transaction: every statement of its own would wait for the disk.
      await this.connection.run(`BEGIN TRANSACTION;\n${statements.join(";\n")};\nCOMMIT`);
    } finally {
      await this.connection.run("USE memory");
      await this.connection.run("DETACH published");
    }
  }
}

function emptyView(table: TableShape): string {
  return `CREATE OR REPLACE VIEW ${table.name} AS ${emptySelect(table)}`;
}

function emptySelect(table: TableShape): string {
  const columns = table.columns.map(({ name, kind }) => `NULL::${sqlTypes[kind]} AS ${name}`);
  return `SELECT NULL::BIGINT AS version, ${columns.join(", ")} LIMIT 0`;
}

function baseView(paths: DataPaths, table: TableShape, records: readonly PartitionRecord[]): string {
  if (table === positionTable) return positionView(records);
  if (table === configTable) return configView(records);
  if (table === openWindowTable) return openView(paths, records);
  const segments = newestFirst(records.flatMap((record) => record.segments));
  const files = filesOf(paths, segments, table.name);
  if (files.length === 0) return emptyView(table);
  return `CREATE OR REPLACE VIEW ${table.name} AS SELECT version, ${selectList(table)} FROM ${
    readParquet(files)
  }`;
}

function openView(paths: DataPaths, records: readonly PartitionRecord[]): string {
  const segments = records.flatMap((record) => record.segments);
  const files = filesOf(paths, segments, openTable.name);
  const before = filesOf(paths, segments, openWindowTable.name);
  if (files.length + before.length === 0) return emptyView(openWindowTable);
  return `CREATE OR REPLACE VIEW ${openWindowTable.name} AS ${openRowsSql(files, before)}`;
}

/** Newest times first: what asks for the newest rows then skips the rest. */
function newestFirst(segments: readonly Segment[]): Segment[] {
  return [...segments].sort((left, right) =>
    (right.maxMs ?? 0) - (left.maxMs ?? 0) || right.lastVersion - left.lastVersion
  );
}

/** All records of a catalogue have one configuration; older ones of it may not have told it. */
function configView(records: readonly PartitionRecord[]): string {
  const found = records.find(({ config }) => config !== undefined);
  if (found === undefined) return emptyView(configTable);
  return `CREATE OR REPLACE VIEW config_rows AS ${configSelect(found.version, found.config!)}`;
}

function positionView(records: readonly PartitionRecord[]): string {
  if (records.length === 0) return emptyView(positionTable);
  const rows = records.map((record) => {
    const cells = positionTable.columns.map((column) => {
      const value = column.get(record.position as PositionRow);
      assert(typeof value !== "bigint" && typeof value !== "boolean", "a position has numbers and texts");
      if (value === null) return `NULL::${sqlTypes[column.kind]}`;
      if (column.kind === "time") return `epoch_ms(${value})`;
      return `${typeof value === "string" ? quoted(value) : value}::${sqlTypes[column.kind]}`;
    });
    return `(${record.version}::BIGINT, ${cells.join(", ")})`;
  });
  return `CREATE OR REPLACE VIEW position_rows AS SELECT * FROM (VALUES ${rows.join(", ")}) rows(version, ${
    selectList(positionTable)
  })`;
}
