/**
 * One column of a chunk on its way into a DuckDB vector: its bytes are filled in a typed array and copied as a whole, at
 * most 2,048 rows at a time. That is 1.6 to 2.5 × as fast as `setColumnValues`, which makes a BigInt for each 64-bit cell
 * and a call for each text.
 *
 * A text of at most 12 bytes lies inside its 16-byte handle (`duckdb_string_t` of duckdb.h) and is written there byte by
 * byte; a longer one is handed to DuckDB once a chunk, and its handle is copied to the other rows. Nothing is remembered
 * from one chunk to the next: of 100,000 devices' names, or of keys that differ in each row, a table of those seen before
 * cost more than the writing (8 of 71 CPU seconds of `bench:scale --devices 100000`, and as much again for the collector).
 */
import { BIGINT, BOOLEAN, DECIMAL, type DuckDBType, INTEGER, TIMESTAMP, VARCHAR } from "@duckdb/node-api";
import duckdb from "@duckdb/node-bindings";

/** How a column is stored; `time` is TIMESTAMP here and Unix milliseconds outside, `decimal` is DECIMAL(38, 0). */
export type Kind = "int64" | "int32" | "boolean" | "text" | "time" | "decimal";

export type Cell = number | bigint | string | boolean | null;

/** Rows of one vector; DuckDB's own constant. */
export const VECTOR_ROWS = 2_048;
/** A handle that holds its text; longer ones point to it. */
export const INLINE_BYTES = 12;

/** Bytes of a cell in a vector. */
export const bytesOf: Readonly<Record<Kind, number>> = {
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
/** Where a long text is put together for DuckDB, which copies it; longer ones get an array of their own. */
const scratch = new Uint8Array(256);

/**
 * One column's buffer, reused for chunk after chunk. What lies under a null is zero or stale, never read; only under a
 * null text it has to be zero, since DuckDB copies it and a handle must not point anywhere.
 */
export class ColumnBuffer {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #words: Uint32Array;
  readonly #validity = new Uint32Array(VECTOR_ROWS / 32);

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

  /** Integers of a table that lies row by row: `rowCount` from `first` on, each `stride` after the last; else as above. */
  fillStrided(
    vector: duckdb.Vector,
    values: Float64Array | Int32Array,
    first: number,
    stride: number,
    rowCount: number,
    none: number,
  ): void {
    const isWide = bytesOf[this.kind] === 8;
    const words = this.#words;
    let nulls = 0;
    for (let index = 0, at = first; index < rowCount; index++, at += stride) {
      const value = values[at]!;
      if (value === none) {
        if (nulls++ === 0) this.#validity.fill(0xffff_ffff);
        this.#setNull(index);
      } else if (isWide) putInt64(words, 2 * index, value);
      else words[index] = value;
    }
    this.#copy(vector, rowCount, nulls > 0);
  }

  /** The same of decimals, none of them null. */
  fillBigInts(
    vector: duckdb.Vector,
    values: readonly bigint[],
    first: number,
    stride: number,
    rowCount: number,
  ): void {
    for (let index = 0, at = first; index < rowCount; index++, at += stride) {
      putInt128(this.#words, 4 * index, values[at]!);
    }
    this.#copy(vector, rowCount, false);
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
      isShort = putInline(words, 4 * (at - from), texts[numbers[at]!]!);
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
    /** The first row of each text that doesn't fit into its handle, and in pairs the others: row, first row. */
    let long: Map<string, number> | null = null;
    const others: number[] = [];
    const nulls = this.#each(rows, from, to, get, (index, cell) => {
      const value = cell as string;
      if (putInline(words, 4 * index, value)) return;
      const first = (long ??= new Map()).get(value);
      if (first === undefined) long.set(value, index);
      else others.push(index, first);
    });
    if (long !== null) this.#putLong(vector, long, others, to - from);
    return nulls;
  }

  /** Hands every distinct long text to DuckDB once, then copies its handle to its rows. */
  #putLong(
    vector: duckdb.Vector,
    long: ReadonlyMap<string, number>,
    others: readonly number[],
    rowCount: number,
  ): void {
    for (const [value, row] of long) {
      duckdb.vector_assign_string_element_len(vector, row, utf8Of(value));
    }
    const data = duckdb.vector_get_data(vector, rowCount * bytesOf.text);
    const assigned = new Uint32Array(data.buffer, data.byteOffset, 4 * rowCount);
    for (const row of long.values()) copyHandle(this.#words, row, assigned, row);
    for (let at = 0; at < others.length; at += 2) {
      copyHandle(this.#words, others[at]!, assigned, others[at + 1]!);
    }
  }
}

/** UTF-8 of a text, good until the next call. */
function utf8Of(value: string): Uint8Array {
  const { length } = value;
  if (length > scratch.length) return encoder.encode(value);
  for (let index = 0; index < length; index++) {
    const code = value.charCodeAt(index);
    if (code >= 0x80) return encoder.encode(value);
    scratch[index] = code;
  }
  return scratch.subarray(0, length);
}

/** Puts a text into its handle, the four words from `at` on: its length, then its bytes. False if it is too long. */
function putInline(words: Uint32Array, at: number, value: string): boolean {
  const { length } = value;
  if (length > INLINE_BYTES) return false;
  let [first, second, third] = [0, 0, 0];
  for (let index = 0; index < length; index++) {
    const code = value.charCodeAt(index);
    if (code >= 0x80) return putInlineUtf8(words, at, value);
    const byte = code << (8 * (index & 3));
    if (index < 4) first |= byte;
    else if (index < 8) second |= byte;
    else third |= byte;
  }
  words[at] = length;
  words[at + 1] = first;
  words[at + 2] = second;
  words[at + 3] = third;
  return true;
}

function putInlineUtf8(words: Uint32Array, at: number, value: string): boolean {
  const bytes = encoder.encode(value);
  if (bytes.length > INLINE_BYTES) return false;
  const handle = new Uint32Array(4);
  handle[0] = bytes.length;
  new Uint8Array(handle.buffer).set(bytes, 4);
  words.set(handle, at);
  return true;
}

function copyHandle(to: Uint32Array, row: number, from: Uint32Array, fromRow: number): void {
  for (let word = 0; word < 4; word++) to[4 * row + word] = from[4 * fromRow + word]!;
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
