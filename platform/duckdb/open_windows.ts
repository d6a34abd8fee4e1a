/**
 * Open windows in publications: a whole file of them, and behind it files of what has changed since.
 *
 * Each publication used to write all of them. Where few have changed it writes only those now, and those that have closed
 * since, marked so; the newest row of a window counts, and `open_window_rows` of the catalogue shows it unless it is
 * closed. When the changes add up to half of what is open, or to {@link CHANGES_MAX} files, all are written anew, so what
 * is written stays within three times what has changed, and what a reader reads within one and a half times what is open.
 * A process that starts doesn't know what was drawn before it: it begins with a whole file.
 *
 * The columns are those of the fold. Places of first and last readings are numbers here and become text in the
 * catalogue's view, which few ask for: making the texts took half of the time of a publication.
 */
import type { DuckDBConnection, DuckDBDataChunk } from "@duckdb/node-api";
import type duckdb from "@duckdb/node-bindings";
import { setImmediate } from "node:timers";
import { CHANNEL_CELLS } from "../../core/accumulator.ts";
import type { OpenWindowBlock } from "../../core/open_window_block.ts";
import type { OpenWindows } from "../../core/ports/publisher.ts";
import { NO_VALUE, NONE } from "../../core/scanned_batches.ts";
import { noRows } from "./bounds.ts";
import { ColumnBuffer, type Kind, typeOf } from "./column_buffer.ts";
import { ReusedChunk } from "./columns.ts";
import { readParquet } from "./live.ts";
import type { Cover, SegmentWriter } from "./segment_writer.ts";
import type { Segment } from "./segments.ts";
import { windowKey } from "./lookup.ts";
import { newestOf, openWindowTable, selectList, sqlTypes, type TableShape } from "./tables.ts";

/** Files of changes behind a whole one. */
const CHANGES_MAX = 4;
/** Windows in whole files for which changes are not worth a file of their own and a query for the newest. */
const WHOLE_MAX = 512;
/** Blocks between which others get their turn: some 10 ms. */
const BLOCKS_PER_TURN = 4;

/** A column of the file, and how it is filled. */
interface OpenColumn {
  readonly name: string;
  readonly kind: Kind;
  fill(buffer: ColumnBuffer, vector: duckdb.Vector, block: OpenWindowBlock): void;
}

type Numbers =
  | "startMs"
  | "endMs"
  | "readings"
  | "sensorFaults"
  | "timeUncertain"
  | "everyMs"
  | "oldestAppendMs";

const numbers = (name: string, kind: Kind, of: Numbers, none = NaN): OpenColumn => ({
  name,
  kind,
  fill: (buffer, vector, block) => buffer.fillIntegers(vector, block[of], 0, block.length, none),
});
const texts = (name: string, of: "devices" | "sizes"): OpenColumn => ({
  name,
  kind: "text",
  fill: (buffer, vector, block) => buffer.fill(vector, block[of], 0, block.length, (text) => text),
});

const placeParts = ["ts", "boot", "seq", "offset", "index"] as const;
/** Cells of a channel in their order; the sum of squares is what `carried` leaves. */
const channelCells: readonly { readonly name: string; readonly kind: Kind; readonly none?: number }[] = [
  { name: "count", kind: "int64" },
  { name: "sum", kind: "int64" },
  { name: "sum_squares_rest", kind: "int64" },
  ...["min", "max", "first", "last"].map((name) => ({ name, kind: "int32" as const })),
  ...["first", "last"].flatMap((end) =>
    placeParts.map((part) => ({ name: `${end}_${part}`, kind: "int64" as const, none: NONE }))
  ),
];

function channelColumns(channel: string, number: number): OpenColumn[] {
  const cells = channelCells.map(({ name, kind, none = NaN }, cell): OpenColumn => ({
    name: `${channel}_${name}`,
    kind,
    fill: (buffer, vector, { cells, length }) =>
      buffer.fillStrided(vector, cells, number * CHANNEL_CELLS + cell, 2 * CHANNEL_CELLS, length, none),
  }));
  const carried: OpenColumn = {
    name: `${channel}_sum_squares_carried`,
    kind: "decimal",
    fill: (buffer, vector, { carried, length }) => buffer.fillBigInts(vector, carried, number, 2, length),
  };
  const percentiles = ["p50", "p95"].map((name, at): OpenColumn => ({
    name: `${channel}_${name}`,
    kind: "int32",
    fill: (buffer, vector, block) =>
      buffer.fillStrided(vector, block.percentiles, 2 * number + at, 4, block.length, NO_VALUE),
  }));
  return [...cells, carried, ...percentiles];
}

const columns: readonly OpenColumn[] = [
  texts("device", "devices"),
  texts("window_size", "sizes"),
  numbers("window_start", "time", "startMs"),
  numbers("window_end", "time", "endMs"),
  numbers("readings", "int64", "readings"),
  numbers("sensor_faults", "int64", "sensorFaults"),
  numbers("time_uncertain", "int64", "timeUncertain"),
  numbers("every_ms", "int64", "everyMs", NONE),
  numbers("oldest_append_time", "time", "oldestAppendMs"),
  {
    name: "closed",
    kind: "boolean",
    fill: (buffer, vector, { closed, length }) => buffer.fillBits(vector, closed, 0, length, 1),
  },
  ...channelColumns("temperature", 0),
  ...channelColumns("humidity", 1),
];

/** Files of open windows; only publications have them. Builds before 1.1 wrote rows of `open_window_rows`. */
export const openTable: TableShape = {
  name: "open_windows",
  timeColumn: null,
  newestBy: windowKey,
  columns: columns.map(({ name, kind }) => ({ name, kind })),
};

/** Whether a segment has open windows, of this build or of one before. */
export const hasOpenWindows = ({ table }: Pick<Segment, "table">) =>
  table === openTable.name || table === openWindowTable.name;

/** The rows of `open_window_rows` that these files hold, as a SELECT without an order; the paths are absolute. */
export function openRowsSql(paths: readonly string[], pathsBefore: readonly string[] = []): string {
  const before = `SELECT version, ${selectList(openWindowTable)} FROM ${readParquet(pathsBefore)}`;
  if (paths.length === 0) return before;
  const files = readParquet(paths);
  const rows = paths.length === 1 ? files : newestOf(`FROM ${files}`, windowKey);
  const made = openWindowTable.columns.map(({ name, kind }) =>
    madeColumns.has(name) ? `${madeColumns.get(name)}::${sqlTypes[kind]} AS ${name}` : name
  );
  const now = `SELECT version, ${made.join(", ")} FROM ${rows} WHERE NOT closed`;
  return pathsBefore.length === 0 ? now : `${now} UNION ALL ${before}`;
}

/** Columns of `open_window_rows` that files of open windows don't have as such. */
const madeColumns: ReadonlyMap<string, string> = new Map([
  ...["temperature", "humidity"].flatMap((channel): [string, string][] => [
    [`${channel}_sum_squares`, `(${channel}_sum_squares_carried + ${channel}_sum_squares_rest)`],
    ...["min", "max", "first", "last"].map((name): [string, string] => [
      `${channel}_${name}`,
      `CASE WHEN ${channel}_count > 0 THEN ${channel}_${name} END`,
    ]),
    ...["first", "last"].map((end): [string, string] => {
      const parts = placeParts.map((part) => `${channel}_${end}_${part}`).join(", '.', ");
      return [`${channel}_${end}_key`, `CASE WHEN ${channel}_count > 0 THEN concat(${parts}) END`];
    }),
  ]),
  ["late", "0"],
  ["closed_by", "NULL"],
  ["revision", "0"],
  ["replaces", "NULL"],
  ["changed_append_time", "NULL"],
  ["changed_offset", "NULL"],
]);

const tableColumns = ["version BIGINT", ...columns.map(({ name, kind }) => `${name} ${sqlTypes[kind]}`)];

/** What was drawn for a publication; it is in a table of its connection. */
export interface Drawn {
  readonly isWhole: boolean;
  readonly rows: number;
  /** Of the windows that were open. */
  readonly openRows: number;
}

/** Draws and writes the open windows of one publisher, and knows which of its files stay. */
export class OpenWindowFiles {
  readonly #buffers = columns.map(({ kind }) => new ColumnBuffer(kind));
  readonly #version = new ColumnBuffer("int64");
  readonly #reused = new ReusedChunk([typeOf.int64, ...columns.map(({ kind }) => typeOf[kind])]);
  /** What stands in the record: rows in changes and how many files they are; null: nothing that can be added to. */
  #base: { readonly changedRows: number; readonly changes: number } | null = null;

  /** Puts what has to be written into a table of this connection, and takes turns meanwhile. */
  async draw(connection: DuckDBConnection, open: OpenWindows, version: number): Promise<Drawn> {
    const isWhole = this.#isWhole(open);
    const openRows = open.count;
    // Until a record says otherwise, nothing of what is drawn now counts, and what it was to be added to is incomplete.
    const base = this.#base;
    this.#base = null;
    await connection.run(`CREATE OR REPLACE TEMP TABLE ${openTable.name} (${tableColumns.join(", ")})`);
    const appender = await connection.createAppender(openTable.name, null, "temp");
    let [rows, blocks] = [0, 0];
    try {
      for (const block of open.draw(isWhole ? "all" : "changed")) {
        if (blocks > 0 && blocks % BLOCKS_PER_TURN === 0) await turn();
        appender.appendDataChunk(this.#fill(block, version));
        rows += block.length;
        blocks++;
      }
    } catch (error) {
      appender.clear();
      appender.closeSync();
      throw error;
    }
    appender.closeSync();
    this.#base = base;
    return { isWhole, rows, openRows };
  }

  #isWhole({ count, changedCount }: OpenWindows): boolean {
    if (this.#base === null || this.#base.changes >= CHANGES_MAX || count <= WHOLE_MAX) return true;
    return 2 * (changedCount + this.#base.changedRows) > count;
  }

  #fill(block: OpenWindowBlock, version: number): DuckDBDataChunk {
    const { chunk, vectors } = this.#reused.emptied(block.length);
    this.#version.fillWith(vectors[0]!, block.length, version);
    columns.forEach((column, at) => column.fill(this.#buffers[at]!, vectors[at + 1]!, block));
    return chunk;
  }

  /** Writes what was drawn; null if there is nothing. `cover` less its bounds. */
  async write(
    connection: DuckDBConnection,
    writer: SegmentWriter,
    drawn: Drawn,
    cover: Omit<Cover, "bounds">,
  ): Promise<Segment | null> {
    if (drawn.rows === 0) return null;
    const query = `SELECT version, ${selectList(openTable)} FROM temp.${openTable.name}`;
    const bounds = { ...noRows, rows: drawn.rows };
    const segment = await writer.write(connection, openTable, query, { ...cover, bounds });
    await connection.run(`DROP TABLE temp.${openTable.name}`);
    return segment;
  }

  /** A record names what was drawn. */
  recorded({ isWhole, rows }: Drawn): void {
    const before = isWhole ? null : this.#base;
    this.#base = before === null
      ? { changedRows: 0, changes: 0 }
      : { changedRows: before.changedRows + rows, changes: before.changes + (rows > 0 ? 1 : 0) };
  }

  /** What was drawn is in no record: the next drawing is of all. */
  lost(): void {
    this.#base = null;
  }
}

/** Lets others go on before us. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
