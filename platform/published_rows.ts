/**
 * Our own statements on the newest publication, in this process: the pages' data. The catalogue is opened anew when it
 * has been replaced, and never twice at one time, so calls go one by one.
 */
import { type DuckDBConnection, DuckDBInstance, type DuckDBValue } from "@duckdb/node-api";
import type { Cell, PublishedRows } from "../core/ports/published.ts";
import { parseManifest } from "../core/manifest.ts";
import { readTextIfAny } from "./durable_files.ts";
import { dataPaths } from "./duckdb/published.ts";

interface Opened {
  /** Names the file behind the path. */
  readonly identity: string;
  readonly instance: DuckDBInstance;
  readonly connection: DuckDBConnection;
}

export function openPublishedRows(data: string): PublishedRows {
  const paths = dataPaths(data, 0);
  let opened: Opened | null = null;
  let turn: Promise<unknown> = Promise.resolve();

  const release = () => {
    opened?.connection.closeSync();
    opened?.instance.closeSync();
    opened = null;
  };
  const current = async (): Promise<DuckDBConnection | null> => {
    const identity = await identityOf(paths.catalogue);
    if (identity === null) return null;
    if (opened?.identity === identity) return opened.connection;
    release();
    const instance = await DuckDBInstance.create(paths.catalogue, {
      access_mode: "READ_ONLY",
      threads: "2",
      memory_limit: "512MiB",
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
    });
    opened = { identity, instance, connection: await instance.connect() };
    return opened.connection;
  };
  const run = async (sql: string, values: readonly Cell[]): Promise<Cell[][] | null> => {
    const connection = await current();
    if (connection === null) return null;
    const result = await connection.stream(sql, [...values]);
    const rows: Cell[][] = [];
    for (;;) {
      const chunk = await result.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) return rows;
      const columns = chunk.getColumns();
      for (let row = 0; row < chunk.rowCount; row++) {
        rows.push(columns.map((column) => cellOf(column[row] as DuckDBValue)));
      }
    }
  };
  /** A publication can replace its files under a statement that began long ago; the newest one then answers. */
  const runAgain = async (sql: string, values: readonly Cell[]): Promise<Cell[][] | null> => {
    try {
      return await run(sql, values);
    } catch {
      release();
      return await run(sql, values);
    }
  };

  return {
    query(sql, values = []) {
      const answer = turn.then(() => runAgain(sql, values));
      turn = answer.catch(() => {});
      return answer;
    },
    async published() {
      const text = await readTextIfAny(paths.manifest);
      if (text === null) return null;
      const { publishedMs, generation } = parseManifest(text);
      return { publishedMs, generation };
    },
    async close() {
      await turn;
      release();
    },
  };
}

async function identityOf(path: string): Promise<string | null> {
  try {
    const { ino, mtime, size } = await Deno.stat(path);
    return size === 0 ? null : `${ino} ${mtime?.getTime()} ${size}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Integers beyond 2^53 become texts; there are none among what our statements ask for but boots, cast by them. */
function cellOf(value: DuckDBValue): Cell {
  switch (typeof value) {
    case "boolean":
    case "number":
    case "string":
      return value;
    case "bigint":
      return Number(value);
    default:
      return value === null ? null : String(value);
  }
}
