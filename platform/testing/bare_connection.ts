import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";

/** Runs `task` on a connection of a DuckDB of its own, as a reader has one who knows nothing but the files' names. */
export async function withBareConnection<T>(task: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
  const instance = await DuckDBInstance.create(":memory:", { threads: "1", memory_limit: "64MiB" });
  const connection = await instance.connect();
  try {
    return await task(connection);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
