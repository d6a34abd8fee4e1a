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
/** Longer texts (raw readings, spans) seldom come twice. */
const REMEMBERED_BYTES_MAX = 128;

const bytesOf: Readonly<Record<Kind, number>> = {
  int64: 8,
  int32: 4,
  boolean: 1,
  text: 16,
  time: 8,
  decimal: 16,
};
export const typeOf: Readonly<Record<Kind, DuckDBType>> = {
  int64: BIGINT,
  int32: INTEGER,
  boolean: BOOLEAN,
  text: VARCHAR,
  time: TIMESTAMP,
  decimal: DECIMAL(38, 0),
};
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * One column's buffer, reused for chunk after chunk. What lies under a null is zero or stale, never read; only under a
 * null text it has to be zero, since DuckDB copies it and a handle must not point anywhere.
 */
export class ColumnBuffer {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #words: Uint32Array;
  readonly #validity = new Uint32Array(VECTOR_ROWS / 32);
  readonly #texts = new Map<string, Text>();

  constructor(readonly kind: Kind) {
    this.#bytes = new Uint8Array(VECTOR_ROWS * bytesOf[kind]);
    this.#words = new Uint32Array(this.#bytes.buffer);
  }

  /** Puts `get(row)` of rows [from, to) into the vector. */
  fill<Row>(
    vector: duckdb.Vector,
    rows: readonly Row[],
    from: number,
    to: number,
    get: (row: Row) => Cell,
  ): void {
    this.#validity.fill(0xffff_ffff);
    const nulls = this.#put(vector, rows, from, to, get);
    this.#copy(vector, to - from, nulls > 0);
  }

  #copy(vector: duckdb.Vector, rowCount: number, hasNulls: boolean): void {
    duckdb.copy_data_to_vector(vector, 0, this.#bytes.buffer, 0, rowCount * bytesOf[this.kind]);
    if (!hasNulls) return;
    duckdb.vector_ensure_validity_writable(vector);
    duckdb.copy_data_to_vector_validity(vector, 0, this.#validity.buffer, 0, Math.ceil(rowCount / 64) * 8);
  }

  /** Integers [from, to) of a column, `none` among them for null; times (ms) become µs. */
  fillIntegers(
    vector: duckdb.Vector,
    values: Float64Array | Int32Array,
    from: number,
    to: number,
    none: number,
  ): void {
    const scale = this.kind === "time" ? 1_000 : 1;
    const width = bytesOf[this.kind] / 4;
    const words = this.#words;
    let nulls = 0;
    for (let at = from; at < to; at++) {
      const value = values[at]!;
      if (value === none) {
        if (nulls++ === 0) this.#validity.fill(0xffff_ffff);
        this.#setNull(at - from);
      } else if (width === 1) words[at - from] = value;
      else putInt64(words, 2 * (at - from), value * scale);
    }
    this.#copy(vector, to - from, nulls > 0);
  }

  /** Booleans: whether `marks` [from, to) have the bit. */
  fillBits(vector: duckdb.Vector, marks: Uint8Array, from: number, to: number, bit: number): void {
    for (let at = from; at < to; at++) this.#bytes[at - from] = (marks[at]! & bit) === 0 ? 0 : 1;
    this.#copy(vector, to - from, false);
  }

  /** Texts by number: `texts[numbers[at]]` for `at` in [from, to). */
  fillNumbered(
    vector: duckdb.Vector,
    texts: readonly string[],
    numbers: Int32Array,
    from: number,
    to: number,
  ): void {
    const words = this.#words;
    let isShort = true;
    for (let at = from; at < to && isShort; at++) {
      const value = texts[numbers[at]!]!;
      const { handle } = this.#texts.get(value) ?? this.#remember(value);
      if (handle === null) isShort = false;
      else putHandle(words, 4 * (at - from), handle);
    }
    if (isShort) return this.#copy(vector, to - from, false);
    const rows = Array.from({ length: to - from }, (_, index) => texts[numbers[from + index]!]!);
    this.fill(vector, rows, 0, rows.length, (text) => text);
  }

  /** Texts of rows [from, to) that few have. */
  fillSparse(vector: duckdb.Vector, texts: ReadonlyMap<number, string>, from: number, to: number): void {
    if (texts.size > 0) {
      const rows = Array.from({ length: to - from }, (_, index) => texts.get(from + index) ?? null);
      return this.fill(vector, rows, 0, rows.length, (text) => text);
    }
    this.#words.fill(0, 0, 4 * (to - from));
    this.#validity.fill(0);
    this.#copy(vector, to - from, true);
  }

  /** A vector with the same number in every row. */
  fillWith(vector: duckdb.Vector, rowCount: number, value: number): void {
    for (let index = 0; index < rowCount; index++) putInt64(this.#words, 2 * index, value);
    duckdb.copy_data_to_vector(vector, 0, this.#bytes.buffer, 0, rowCount * bytesOf[this.kind]);
  }

  /** Returns the number of nulls. */
  #put<Row>(
    vector: duckdb.Vector,
    rows: readonly Row[],
    from: number,
    to: number,
    get: (row: Row) => Cell,
  ): number {
    switch (this.kind) {
      case "int64":
        return this.#each(
          rows,
          from,
          to,
          get,
          (index, value) => putInt64(this.#words, 2 * index, value as number),
        );
      case "time":
        return this.#each(
          rows,
          from,
          to,
          get,
          (index, value) => putInt64(this.#words, 2 * index, (value as number) * 1_000),
        );
      case "int32":
        return this.#each(rows, from, to, get, (index, value) => {
          this.#words[index] = value as number;
        });
      case "boolean":
        return this.#each(rows, from, to, get, (index, value) => {
          this.#bytes[index] = value ? 1 : 0;
        });
      case "decimal":
        return this.#each(
          rows,
          from,
          to,
          get,
          (index, value) => putInt128(this.#words, 4 * index, value as bigint),
        );
      case "text":
        return this.#putTexts(vector, rows, from, to, get);
    }
  }

  #each<Row>(
    rows: readonly Row[],
    from: number,
    to: number,
    get: (row: Row) => Cell,
    put: (index: number, value: Exclude<Cell, null>) => void,
  ): number {
    let nulls = 0;
    for (let at = from; at < to; at++) {
      const value = get(rows[at]!);
      if (value !== null) put(at - from, value);
      else {
        nulls++;
        this.#setNull(at - from);
      }
    }
    return nulls;
  }

  #setNull(index: number): void {
    this.#validity[index >> 5]! &= ~(1 << (index & 31));
  }

  #putTexts<Row>(
    vector: duckdb.Vector,
    rows: readonly Row[],
    from: number,
    to: number,
    get: (row: Row) => Cell,
  ): number {
    const words = this.#words.fill(0, 0, 4 * (to - from));
    /** Rows of each text that doesn't fit into its handle. */
    let long: Map<string, number[]> | null = null;
    const nulls = this.#each(rows, from, to, get, (index, cell) => {
      const value = cell as string;
      const { handle } = this.#texts.get(value) ?? this.#remember(value);
      if (handle !== null) {
        putHandle(words, 4 * index, handle);
        return;
      }
      long ??= new Map();
      const same = long.get(value);
      if (same === undefined) long.set(value, [index]);
      else same.push(index);
    });
    if (long !== null) this.#putLong(vector, long, to - from);
    return nulls;
  }

  #remember(value: string): Text {
    const bytes = encoder.encode(value);
    const text = { bytes, handle: bytes.length <= INLINE_BYTES ? inlineHandle(bytes) : null };
    if (this.#texts.size >= TEXTS_MAX) this.#texts.clear();
    if (bytes.length <= REMEMBERED_BYTES_MAX) this.#texts.set(value, text);
    return text;
  }

  /** Hands every distinct long text to DuckDB once, then copies its handle to its rows. */
  #putLong(vector: duckdb.Vector, long: Map<string, number[]>, rowCount: number): void {
    for (const [value, rows] of long) {
      const { bytes } = this.#texts.get(value) ?? this.#remember(value);
      duckdb.vector_assign_string_element_len(vector, rows[0]!, bytes);
    }
    const assigned = duckdb.vector_get_data(vector, rowCount * 16);
    for (const rows of long.values()) {
      const handle = assigned.subarray(rows[0]! * 16, rows[0]! * 16 + 16);
      for (const index of rows) this.#bytes.set(handle, index * 16);
    }
  }
}

/** A text as DuckDB takes it. */
interface Text {
  readonly bytes: Uint8Array;
  /** The whole text, if it fits. */
  readonly handle: Uint32Array | null;
}

/** The 16 bytes of a text that fits into its handle: its length, then the text. */
function inlineHandle(bytes: Uint8Array): Uint32Array {
  const handle = new Uint8Array(16);
  handle.set(bytes, 4);
  const words = new Uint32Array(handle.buffer);
  words[0] = bytes.length;
  return words;
}

function putHandle(words: Uint32Array, at: number, handle: Uint32Array): void {
  words[at] = handle[0]!;
  words[at + 1] = handle[1]!;
  words[at + 2] = handle[2]!;
  words[at + 3] = handle[3]!;
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

/** Rows of one transaction: they share its number. */
export interface Versioned<Rows> {
  readonly version: number;
  readonly rows: Rows;
}

/** Rows as chunks, a vector at a time at the most: `chunk` gives rows [from, to). */
export interface Chunked {
  readonly rowCount: number;
  readonly chunk: (from: number, to: number) => DuckDBDataChunk;
}

/**
 * Appends to a table, in one go: what DuckDB plans for it costs about as much as 2,000 rows (1 ms, measured with `perf`).
 * `catalog`: where the table is, if not in the connection's own.
 */
export async function appendChunks(
  connection: DuckDBConnection,
  table: string,
  parts: readonly Chunked[],
  catalog: string | null = null,
): Promise<void> {
  if (parts.every(({ rowCount }) => rowCount === 0)) return;
  const appender = await connection.createAppender(table, null, catalog);
  try {
    for (const { rowCount, chunk } of parts) {
      for (let from = 0; from < rowCount; from += VECTOR_ROWS) {
        appender.appendDataChunk(chunk(from, Math.min(rowCount, from + VECTOR_ROWS)));
      }
    }
  } catch (error) {
    appender.clear();
    appender.closeSync();
    throw error;
  }
  appender.closeSync();
}

/** Appends rows to one table; `version` goes before the row's own columns. Makes nothing durable by itself. */
export class TableWriter<Row> {
  readonly #buffers: readonly ColumnBuffer[];
  readonly #version: ColumnBuffer | null;
  readonly #types: readonly DuckDBType[];
  #reused: DuckDBDataChunk | null = null;

  /** `versioned`: the table's first column is `version`. */
  constructor(readonly table: string, readonly columns: readonly Column<Row>[], versioned: boolean) {
    this.#buffers = columns.map((column) => new ColumnBuffer(column.kind));
    this.#version = versioned ? new ColumnBuffer("int64") : null;
    this.#types = [...versioned ? [BIGINT] : [], ...columns.map((column) => typeOf[column.kind])];
  }

  /** Appends through an appender of its own: nothing that was prepared outlives the call. One call at a time. */
  append(
    connection: DuckDBConnection,
    rows: readonly Row[],
    version: number,
    catalog: string | null = null,
  ): Promise<void> {
    return this.appendAll(connection, [{ version, rows }], catalog);
  }

  /** Appends the rows of several transactions. */
  appendAll(
    connection: DuckDBConnection,
    transactions: readonly Versioned<readonly Row[]>[],
    catalog: string | null = null,
  ): Promise<void> {
    return appendChunks(connection, this.table, [this.chunked(transactions)], catalog);
  }

  /** The rows of several transactions as the same chunks: a chunk costs some hundred calls, whatever it holds. */
  chunked(transactions: readonly Versioned<readonly Row[]>[]): Chunked {
    const all = transactions.length === 1 ? transactions[0]!.rows : transactions.flatMap(({ rows }) => rows);
    const versions = transactions.length === 1
      ? transactions[0]!.version
      : transactions.flatMap(({ version, rows }) => new Array<number>(rows.length).fill(version));
    return { rowCount: all.length, chunk: (from, to) => this.#chunk(all, from, to, versions) };
  }

  /**
   * One chunk for all: its megabyte is outside of V8's sight, and a new one each time would wait for a collection that
   * has no reason to come.
   */
  #chunk(
    rows: readonly Row[],
    from: number,
    to: number,
    versions: number | readonly number[],
  ): DuckDBDataChunk {
    const chunk = this.#reused ??= DuckDBDataChunk.create(this.#types);
    chunk.reset();
    chunk.rowCount = to - from;
    const vector = (index: number) => duckdb.data_chunk_get_vector(chunk.chunk, index);
    let next = 0;
    if (typeof versions === "number") this.#version?.fillWith(vector(next++), to - from, versions);
    else this.#version?.fill(vector(next++), versions, from, to, (version) => version);
    this.columns.forEach((column, index) =>
      this.#buffers[index]!.fill(vector(next++), rows, from, to, column.get)
    );
    return chunk;
  }
}

/**
 * Reads a result whose columns have these kinds, row by row through `make`. A list of texts in the place of a kind says
 * that the column (INTEGER) has their indices.
 */
export async function readRows<T>(
  result: DuckDBResult,
  kinds: readonly (Kind | readonly string[])[],
  make: (cells: readonly (readonly Cell[])[], index: number) => T,
): Promise<T[]> {
  const rows: T[] = [];
  const texts = new TextReader();
  for (;;) {
    const chunk = await result.fetchChunk();
    const rowCount = chunk?.rowCount ?? 0;
    if (chunk === null || rowCount === 0) return rows;
    const cells = kinds.map((kind, index) => {
      const vector = duckdb.data_chunk_get_vector(chunk.chunk, index);
      if (typeof kind === "string") return readVector(vector, kind, rowCount, texts);
      return readVector(vector, "int32", rowCount, texts).map((at) => kind[at as number]!);
    });
    for (let index = 0; index < rowCount; index++) rows.push(make(cells, index));
  }
}

function readVector(
  vector: duckdb.Vector,
  kind: Kind,
  rowCount: number,
  texts: TextReader,
): readonly Cell[] {
  const data = duckdb.vector_get_data(vector, rowCount * bytesOf[kind]);
  const validity = duckdb.vector_get_validity(vector, Math.ceil(rowCount / 64) * 8) as Uint8Array | null;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const read = readerOf(view, kind, texts);
  const cells = new Array<Cell>(rowCount);
  for (let index = 0; index < rowCount; index++) {
    const isValid = validity === null || (validity[index >> 3]! & (1 << (index & 7))) !== 0;
    cells[index] = isValid ? read(index) : null;
  }
  return cells;
}

function readerOf(view: DataView, kind: Kind, texts: TextReader): (index: number) => Cell {
  switch (kind) {
    case "int64":
      return (index) => readInt64(view, 8 * index);
    case "time":
      return (index) => readInt64(view, 8 * index) / 1_000;
    case "int32":
      return (index) => view.getInt32(4 * index, true);
    case "boolean":
      return (index) => view.getUint8(index) !== 0;
    case "decimal":
      return (index) => readInt128(view, 16 * index);
    case "text":
      return texts.start(view);
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

/** Reads texts. The same text is given as the same string: a million rows of one device share its name. */
class TextReader {
  readonly #texts = new Map<string, string>();
  /** By address and length; good for one vector only, whose memory is given back afterwards. */
  readonly #pointed = new Map<number, { readonly text: string; readonly bytes: number }>();

  /** How to read the cells of one vector. */
  start(view: DataView): (index: number) => string {
    this.#pointed.clear();
    return (index) => {
      const at = 16 * index;
      const length = view.getUint32(at, true);
      if (length <= INLINE_BYTES) return this.#shared(inlineText(view, at + 4, length));
      const address = view.getUint32(at + 8, true) + view.getUint32(at + 12, true) * 4_294_967_296;
      const known = this.#pointed.get(address);
      if (known !== undefined && known.bytes === length) return known.text;
      const bytes = duckdb.get_data_from_pointer(
        view.buffer as ArrayBuffer,
        view.byteOffset + at + 8,
        length,
      );
      const text = this.#shared(decoder.decode(bytes));
      this.#pointed.set(address, { text, bytes: length });
      return text;
    };
  }

  #shared(text: string): string {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    if (this.#texts.size < TEXTS_MAX) this.#texts.set(text, text);
    return text;
  }
}

function inlineText(view: DataView, at: number, length: number): string {
  let text = "";
  for (let index = 0; index < length; index++) {
    const byte = view.getUint8(at + index);
    if (byte >= 0x80) return decoder.decode(new Uint8Array(view.buffer, view.byteOffset + at, length));
    text += String.fromCharCode(byte);
  }
  return text;
}
