/** Everything that is published of one partition, read back from the files that other programs read. */
import type { Manifest } from "../core/manifest.ts";
import { parseManifest } from "../core/manifest.ts";
import type {
  AlertRow,
  BootRow,
  DeviceRow,
  PositionRow,
  QuarantineRow,
  ReadingRow,
  ReleaseRow,
  WindowRow,
} from "../core/rows.ts";
import { readRows } from "../platform/duckdb/columns.ts";
import { readParquet } from "../platform/duckdb/live.ts";
import { openRowsSql, openTable } from "../platform/duckdb/open_windows.ts";
import {
  type DataPaths,
  dataPaths,
  filesOf,
  type PartitionRecord,
  readRecords,
} from "../platform/duckdb/published.ts";
import {
  alertTable,
  bootTable,
  deviceTable,
  kindsOf,
  newestOf,
  openWindowTable,
  quarantineTable,
  readingTable,
  releaseTable,
  selectList,
  type Table,
  windowTable,
} from "../platform/duckdb/tables.ts";
import { withBareConnection } from "../platform/testing/bare_connection.ts";
import type { StoredFacts } from "./compare.ts";

export interface Published extends StoredFacts {
  readonly position: PositionRow;
  readonly windows: readonly WindowRow[];
  readonly devices: readonly DeviceRow[];
  readonly boots: readonly BootRow[];
  readonly readings: readonly ReadingRow[];
  readonly quarantined: readonly QuarantineRow[];
  readonly released: readonly ReleaseRow[];
  readonly alerts: readonly AlertRow[];
  readonly rowDigest: string;
}

/** The newest publication of `partition` in a data folder; null if there is none. */
export async function readPublished(directory: string, partition: number): Promise<Published | null> {
  const paths = dataPaths(directory, partition);
  const record = (await readRecords(paths)).get(partition);
  if (record === undefined) return null;
  return await withBareConnection(async (connection) => {
    const rowsOf = async <Row>(table: Table<Row>): Promise<Row[]> => {
      const source = sourceOf(record, paths, table.name);
      if (source === null) return [];
      const newest = table.newestBy === undefined || table.newestBy === null
        ? source
        : newestOf(`FROM ${source}`, table.newestBy);
      const result = await connection.stream(`SELECT ${selectList(table)} FROM ${newest}`);
      return await readRows(result, kindsOf(table), table.make);
    };
    const openRows = async (): Promise<WindowRow[]> => {
      const files = filesOf(paths, record.segments, openTable.name);
      if (files.length === 0) return [];
      const result = await connection.stream(
        `SELECT ${selectList(openWindowTable)} FROM (${openRowsSql(files)})`,
      );
      return await readRows(result, kindsOf(openWindowTable), openWindowTable.make);
    };
    return {
      position: record.position,
      rowDigest: record.rowDigest,
      readings: await rowsOf(readingTable),
      quarantined: await rowsOf(quarantineTable),
      released: await rowsOf(releaseTable),
      windows: await rowsOf({ ...windowTable, newestBy: ["device", "window_size", "window_start"] }),
      open: await openRows(),
      devices: await rowsOf(deviceTable),
      boots: await rowsOf(bootTable),
      alerts: (await rowsOf(alertTable)).sort((a, b) => a.offset - b.offset || a.index - b.index),
    };
  });
}

function sourceOf({ segments }: PartitionRecord, paths: DataPaths, table: string): string | null {
  const files = filesOf(paths, segments, table);
  return files.length === 0 ? null : readParquet(files);
}

/** The manifest of a data folder, null if nothing is published. */
export async function readManifest(directory: string): Promise<Manifest | null> {
  try {
    return parseManifest(await Deno.readTextFile(dataPaths(directory, 0).manifest));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
