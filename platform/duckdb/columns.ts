/**
 * Rows to DuckDB's column vectors and back, without a JavaScript value for every cell (`column_buffer.ts` has the how).
 *
 * 64-bit integers are JavaScript numbers here, exact below 2^53, which `core/limits.ts` guarantees for every column.
 */
import {
  BIGINT,
  type DuckDBConnection,
  DuckDBDataChunk,
  type DuckDBResult,
  type DuckDBType,
} from "@duckdb/node-api";
import duckdb from "@duckdb/node-bindings";
import {
  bytesOf,
  type Cell,
  ColumnBuffer,
  INLINE_BYTES,
  type Kind,
  typeOf,
  VECTOR_ROWS,
} from "./column_buffer.ts";

/** One column of a table whose rows are `Row`s. */
export interface Column<Row> {
  readonly name: string;
  readonly kind: Kind;
  readonly get: (row: Row) => Cell;
}

/** Texts that a result shares. */
const TEXTS_MAX = 20_000;
const decoder = new TextDecoder();

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

/**
 * One chunk for all that a writer appends, and its vectors, which stay where they are. A chunk's megabyte is outside of
 * V8's sight: a new one each time would wait for a collection that has no reason to come. And of each handle to a vector
 * 48 bytes are never given back by Deno 2.9 (measured with `mallinfo2`; `growth_test.ts` watches it).
 */
export class ReusedChunk {
  #made: { readonly chunk: DuckDBDataChunk; readonly vectors: readonly duckdb.Vector[] } | null = null;

  constructor(private readonly types: readonly DuckDBType[]) {}

  /** The chunk with `rowCount` rows to be filled. */
  emptied(rowCount: number): { readonly chunk: DuckDBDataChunk; readonly vectors: readonly duckdb.Vector[] } {
    const made = this.#made ??= this.#make();
    made.chunk.reset();
    made.chunk.rowCount = rowCount;
    return made;
  }

  #make() {
    const chunk = DuckDBDataChunk.create(this.types);
    const vectors = this.types.map((_, index) => duckdb.data_chunk_get_vector(chunk.chunk, index));
    return { chunk, vectors };
  }
}

/** Appends rows to one table; `version` goes before the row's own columns. Makes nothing durable by itself. */
export class TableWriter<Row> {
  readonly #buffers: readonly ColumnBuffer[];
  readonly #version: ColumnBuffer | null;
  readonly #reused: ReusedChunk;

  /** `versioned`: the table's first column is `version`. */
  constructor(readonly table: string, readonly columns: readonly Column<Row>[], versioned: boolean) {
    this.#buffers = columns.map((column) => new ColumnBuffer(column.kind));
    this.#version = versioned ? new ColumnBuffer("int64") : null;
    this.#reused = new ReusedChunk([
      ...versioned ? [BIGINT] : [],
      ...columns.map((column) => typeOf[column.kind]),
    ]);
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

  #chunk(
    rows: readonly Row[],
    from: number,
    to: number,
    versions: number | readonly number[],
  ): DuckDBDataChunk {
    const { chunk, vectors } = this.#reused.emptied(to - from);
    let next = 0;
    if (typeof versions === "number") this.#version?.fillWith(vectors[next++]!, to - from, versions);
    else this.#version?.fill(vectors[next++]!, versions, from, to, (version) => version);
    this.columns.forEach((column, index) =>
      this.#buffers[index]!.fill(vectors[next++]!, rows, from, to, column.get)
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
