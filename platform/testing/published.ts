/** Asks a data folder's published files as an outsider would: read-only, by the catalogue alone, in an instance of its own. */
import { DuckDBInstance, type DuckDBValue } from "@duckdb/node-api";
import { parseManifest } from "../../core/manifest.ts";
import type { Manifest } from "../../core/manifest.ts";

/** The rows of a query, as values of JavaScript (64-bit integers as bigint). */
export async function askPublished(data: string, sql: string): Promise<DuckDBValue[][]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    const catalogue = `${data}/published/catalogue.duckdb`.replaceAll("'", "''");
    await connection.run(`ATTACH '${catalogue}' AS published (READ_ONLY)`);
    await connection.run("USE published");
    return (await connection.runAndReadAll(sql)).getRows();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** The first value of the first row as a number. */
export async function askNumber(data: string, sql: string): Promise<number> {
  return Number((await askPublished(data, sql))[0]?.[0]);
}

/** The manifest, or null before the first publication. */
export async function readManifest(data: string): Promise<Manifest | null> {
  try {
    return parseManifest(await Deno.readTextFile(`${data}/published/manifest.json`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
