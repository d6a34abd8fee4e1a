/**
 * Rows to DuckDB's column vectors and back, without a JavaScript value for every cell.
 *
 * A vector's bytes are filled in typed arrays and copied into DuckDB as a whole, at most 2,048 rows at a time: 1.6 to
 * 2.5 × as fast as `setColumnValues`, which makes a BigInt for each 64-bit cell and a call for each text. A text of at
 * most 12 bytes lies inside its 16-byte handle (`duckdb_string_t` of duckdb.h); a longer one is handed to DuckDB once a
 * chunk, and its handle is copied to the other rows.
 *
 * 64-bit integers are JavaScript numbers here, exact below 2^53, which `core/limits.ts` guarantees for every column.
 */
import {
  BIGINT,
  BOOLEAN,
  DECIMAL,
  type DuckDBConnection,
  DuckDBDataChunk,
  type DuckDBResult,
  type DuckDBType,
  INTEGER,
  TIMESTAMP,
  VARCHAR,
} from "@duckdb/node-api";
import duckdb from "@duckdb/node-bindings";

/** How a column is stored; `time` is TIMESTAMP here and Unix milliseconds outside, `decimal` is DECIMAL(38, 0). */
export type Kind = "int64" | "int32" | "boolean" | "text" | "time" | "decimal";

export type Cell = number | bigint | string | boolean | null;

/** One column of a table whose rows are `Row`s. */
export interface Column<Row> {
  readonly name: string;
  readonly kind: Kind;
  readonly get: (row: Row) => Cell;
}

/** Rows of one vector; DuckDB's own constant. */
const VECTOR_ROWS = 2_048;
/** A handle that holds its text; longer ones point to it. */
const INLINE_BYTES = 12;
/** Texts whose handles are remembered between chunks (device names, causes). At the bound they are forgotten. */
const TEXTS_MAX = 20_000;

const bytesOf: Readonly<Record<Kind, number>> = {
  int64: 8,
  int32: 4,
  boolean: 1,
  text: 16,
  time: 8,
  decimal: 16,
};
const typeOf: Readonly<Record<Kind, DuckDBType>> = {
  int64: BIGINT,
  int32: INTEGER,
  boolean: BOOLEAN,
  text: VARCHAR,
  time: TIMESTAMP,
  decimal: DECIMAL(38, 0),
};
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One column's buffer, reused for chunk after chunk. */
class ColumnBuffer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly validity = new Uint32Array(VECTOR_ROWS / 32);
  readonly #words: Uint32Array;
  readonly #handles = new Map<string, Uint32Array>();
  #nulls = false;

  constructor(readonly kind: Kind) {
    this.bytes = new Uint8Array(VECTOR_ROWS * bytesOf[kind]);
    this.#words = new Uint32Array(this.bytes.buffer);
  }

  /** Puts `get(row)` of rows [from, to) into the vector. */
  fill<Row>(
    vector: duckdb.Vector,
    rows: readonly Row[],
    from: number,
    to: number,
    get: (row: Row) => Cell,
  ): void {
    this.validity.fill(0xffff_ffff);
    this.#nulls = false;
    this.#put(vector, rows, from, to, get);
    const rowCount = to - from;
    duckdb.copy_data_to_vector(vector, 0, this.bytes.buffer, 0, rowCount * bytesOf[this.kind]);
    if (!this.#nulls) return;
    duckdb.vector_ensure_validity_writable(vector);
    duckdb.copy_data_to_vector_validity(vector, 0, this.validity.buffer, 0, Math.ceil(rowCount / 64) * 8);
  }

  #put<Row>(
    vector: duckdb.Vector,
    rows: readonly Row[],
    from: number,
    to: number,
    get: (row: Row) => Cell,
  ): void {
    const words = this.#words;
    const long = this.kind === "text" ? new Map<string, number[]>() : null;
    for (let at = from; at < to; at++) {
      const value = get(rows[at]!);
      const index = at - from;
      if (value === null) {
        this.#setNull(index);
        continue;
      }
      switch (this.kind) {
        case "int64":
          putInt64(words, 2 * index, value as number);
          break;
        case "time":
          putInt64(words, 2 * index, (value as number) * 1_000);
          break;
        case "int32":
          words[index] = value as number;
          break;
        case "boolean":
          this.bytes[index] = value ? 1 : 0;
          break;
        case "decimal":
          putInt128(words, 4 * index, value as bigint);
          break;
        case "text":
          this.#putText(long!, index, value as string);
          break;
      }
    }
    if (long !== null && long.size > 0) this.#putLong(vector, long, to - from);
  }

  #setNull(index: number): void {
    this.validity[index >> 5]! &= ~(1 << (index & 31));
    this.#nulls = true;
    // What lies under a null is never read, but DuckDB copies it: a text's handle must not point anywhere.
    if (this.kind === "text") this.#words.fill(0, 4 * index, 4 * index + 4);
  }

  #putText(long: Map<string, number[]>, index: number, value: string): void {
    let handle = this.#handles.get(value);
    if (handle === undefined) {
      handle = inlineHandle(value);
      if (this.#handles.size >= TEXTS_MAX) this.#handles.clear();
      this.#handles.set(value, handle);
    }
    if (handle.length === 4) {
      this.#words.set(handle, 4 * index);
      return;
    }
    const rows = long.get(value);
    if (rows === undefined) long.set(value, [index]);
    else rows.push(index);
  }

  /** Hands every distinct long text to DuckDB once, then copies its handle to its rows. */
  #putLong(vector: duckdb.Vector, long: Map<string, number[]>, rowCount: number): void {
    for (const [value, rows] of long) {
      duckdb.vector_assign_string_element_len(vector, rows[0]!, encoder.encode(value));
    }
    const assigned = duckdb.vector_get_data(vector, rowCount * 16);
    for (const rows of long.values()) {
      const handle = assigned.subarray(rows[0]! * 16, rows[0]! * 16 + 16);
      for (const index of rows) this.bytes.set(handle, index * 16);
    }
  }
}

/** The 16 bytes of a text that fits into its handle; none (length 0) for a longer one. */
function inlineHandle(value: string): Uint32Array {
  const bytes = value.length > INLINE_BYTES ? null : encoder.encode(value);
  if (bytes === null || bytes.length > INLINE_BYTES) return new Uint32Array(0);
  const handle = new Uint8Array(16);
  handle.set(bytes, 4);
  const words = new Uint32Array(handle.buffer);
  words[0] = bytes.length;
  return words;
}

function putInt64(words: Uint32Array, at: number, value: number): void {
  const high = Math.floor(value / 4_294_967_296);
  words[at] = value - high * 4_294_967_296;
  words[at + 1] = high;
}

function putInt128(words: Uint32Array, at: number, value: bigint): void {
  if (value >= 0n && value <= 9_007_199_254_740_991n) {
    putInt64(words, at, Number(value));
    words[at + 2] = 0;
    words[at + 3] = 0;
    return;
  }
  for (let word = 0; word < 4; word++) {
    words[at + word] = Number(BigInt.asUintN(32, value >> BigInt(32 * word)));
  }
}

/** Appends rows to one table; `version` goes before the row's own columns. Makes nothing durable by itself. */
export class TableWriter<Row> {
  readonly #buffers: readonly ColumnBuffer[];
  readonly #version: ColumnBuffer | null;
  readonly #types: readonly DuckDBType[];

  /** `versioned`: the table's first column is `version`. */
  constructor(readonly table: string, readonly columns: readonly Column<Row>[], versioned: boolean) {
    this.#buffers = columns.map((column) => new ColumnBuffer(column.kind));
    this.#version = versioned ? new ColumnBuffer("int64") : null;
    this.#types = [...versioned ? [BIGINT] : [], ...columns.map((column) => typeOf[column.kind])];
  }

  /**
   * Appends through an appender of its own: nothing prepared outlives the call (see duckdb_statistics_test.ts). Yields
   * to others after every chunk when there are many.
   */
  async append(
    connection: DuckDBConnection,
    rows: readonly Row[],
    version: number,
    catalog: string | null = null,
  ): Promise<void> {
    if (rows.length === 0) return;
    const appender = await connection.createAppender(this.table, null, catalog);
    try {
      for (let from = 0; from < rows.length; from += VECTOR_ROWS) {
        const chunk = this.#chunk(rows, from, Math.min(rows.length, from + VECTOR_ROWS), version);
        appender.appendDataChunk(chunk);
      }
    } catch (error) {
      appender.clear();
      appender.closeSync();
      throw error;
    }
    appender.closeSync();
  }

  #chunk(rows: readonly Row[], from: number, to: number, version: number): DuckDBDataChunk {
    const chunk = DuckDBDataChunk.create(this.#types, to - from);
    const vector = (index: number) => duckdb.data_chunk_get_vector(chunk.chunk, index);
    let next = 0;
    if (this.#version !== null) this.#version.fill(vector(next++), rows, from, to, () => version);
    this.columns.forEach((column, index) =>
      this.#buffers[index]!.fill(vector(next++), rows, from, to, column.get)
    );
    return chunk;
  }
}

/** Reads a result whose columns have these kinds, row by row through `make`. */
export async function readRows<T>(
  result: DuckDBResult,
  kinds: readonly Kind[],
  make: (cells: readonly (readonly Cell[])[], index: number) => T,
): Promise<T[]> {
  const rows: T[] = [];
  const texts = new Map<string, string>();
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null) return rows;
    const rowCount = chunk.rowCount;
    if (rowCount === 0) return rows;
    const cells = kinds.map((kind, index) =>
      readVector(duckdb.data_chunk_get_vector(chunk.chunk, index), kind, rowCount, texts)
    );
    for (let index = 0; index < rowCount; index++) rows.push(make(cells, index));
  }
}

function readVector(
  vector: duckdb.Vector,
  kind: Kind,
  rowCount: number,
  texts: Map<string, string>,
): readonly Cell[] {
  const data = duckdb.vector_get_data(vector, rowCount * bytesOf[kind]);
  const validity = duckdb.vector_get_validity(vector, Math.ceil(rowCount / 64) * 8) as Uint8Array | null;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const cells = new Array<Cell>(rowCount);
  for (let index = 0; index < rowCount; index++) {
    const valid = validity === null || (validity[index >> 3]! & (1 << (index & 7))) !== 0;
    cells[index] = valid ? readCell(view, kind, index, texts) : null;
  }
  return cells;
}

function readCell(view: DataView, kind: Kind, index: number, texts: Map<string, string>): Cell {
  switch (kind) {
    case "int64":
      return readInt64(view, 8 * index);
    case "time":
      return readInt64(view, 8 * index) / 1_000;
    case "int32":
      return view.getInt32(4 * index, true);
    case "boolean":
      return view.getUint8(index) !== 0;
    case "decimal":
      return readInt128(view, 16 * index);
    case "text":
      return readText(view, 16 * index, texts);
  }
}

function readInt64(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * 4_294_967_296 + view.getUint32(at, true);
}

function readInt128(view: DataView, at: number): bigint {
  const low = view.getBigUint64(at, true);
  const high = view.getBigInt64(at + 8, true);
  return high === 0n ? low : (high << 64n) | low;
}

/** The same text is given as the same string: a million rows of one device share its name. */
function readText(view: DataView, at: number, texts: Map<string, string>): string {
  const length = view.getUint32(at, true);
  const bytes = length <= INLINE_BYTES
    ? new Uint8Array(view.buffer, view.byteOffset + at + 4, length)
    : duckdb.get_data_from_pointer(view.buffer as ArrayBuffer, view.byteOffset + at + 8, length);
  const text = decoder.decode(bytes);
  const known = texts.get(text);
  if (known !== undefined) return known;
  if (texts.size < TEXTS_MAX) texts.set(text, text);
  return text;
}
