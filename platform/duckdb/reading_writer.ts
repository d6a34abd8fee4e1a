/** Appends readings: columns of the fold go into DuckDB's vectors as they are, lists of rows as those of other tables. */
import type { DuckDBConnection, DuckDBDataChunk } from "@duckdb/node-api";
import type { Rows } from "../../core/ports/store.ts";
import { marks, ReadingBlock } from "../../core/reading_block.ts";
import type { ReadingRow } from "../../core/rows.ts";
import { NO_VALUE, NONE } from "../../core/scanned_batches.ts";
import { ColumnBuffer, typeOf } from "./column_buffer.ts";
import { appendChunks, type Chunked, ReusedChunk, TableWriter, type Versioned } from "./columns.ts";
import { readingTable } from "./tables.ts";

/** Blocks of fewer rows are cheaper as rows, together with others, than as chunks of their own. */
const SMALL_ROWS = 500;
/** In columns that have no null. */
const NEVER = -Infinity;

export class ReadingWriter {
  readonly #rows = new TableWriter(readingTable.name, readingTable.columns, true);
  readonly #buffers = readingTable.columns.map(({ kind }) => new ColumnBuffer(kind));
  readonly #version = new ColumnBuffer("int64");
  readonly #picked = new ReadingBlock();
  readonly #reused = new ReusedChunk([
    typeOf.int64,
    ...readingTable.columns.map(({ kind }) => typeOf[kind]),
  ]);

  /** Appends rows of a block in this order to the table in `catalog`. */
  appendInOrder(
    connection: DuckDBConnection,
    block: ReadingBlock,
    order: Int32Array,
    version: number,
    catalog: string,
  ): Promise<void> {
    const chunk = (from: number, to: number) => {
      this.#picked.pick(block, order, from, to);
      return this.#chunk(this.#picked, 0, to - from, version);
    };
    return appendChunks(connection, readingTable.name, [{ rowCount: order.length, chunk }], catalog);
  }

  /** Appends the readings of several transactions. */
  appendAll(
    connection: DuckDBConnection,
    transactions: readonly Versioned<Rows<ReadingRow>>[],
  ): Promise<void> {
    const [blocks, small] = [[] as Chunked[], [] as Versioned<readonly ReadingRow[]>[]];
    for (const { version, rows } of transactions) {
      const isBlock = rows instanceof ReadingBlock && (rows.length > SMALL_ROWS || transactions.length === 1);
      if (isBlock) blocks.push(this.#chunked(rows, version));
      else small.push({ version, rows: [...rows] });
    }
    return appendChunks(connection, readingTable.name, [this.#rows.chunked(small), ...blocks]);
  }

  #chunked(block: ReadingBlock, version: number): Chunked {
    return { rowCount: block.length, chunk: (from, to) => this.#chunk(block, from, to, version) };
  }

  /** In the order of `readingTable`; one chunk for all, see `TableWriter`. */
  #chunk(block: ReadingBlock, from: number, to: number, version: number): DuckDBDataChunk {
    const { chunk, vectors } = this.#reused.emptied(to - from);
    const integers = (column: number, values: Float64Array | Int32Array, none = NEVER) =>
      this.#buffers[column]!.fillIntegers(vectors[column + 1]!, values, from, to, none);
    const texts = (column: number, values: ReadonlyMap<number, string>) =>
      this.#buffers[column]!.fillSparse(vectors[column + 1]!, values, from, to);
    const bits = (column: number, bit: number) =>
      this.#buffers[column]!.fillBits(vectors[column + 1]!, block.marks, from, to, bit);
    this.#version.fillWith(vectors[0]!, to - from, version);
    this.#buffers[0]!.fillNumbered(vectors[1]!, block.devices, block.device, from, to);
    integers(1, block.boot, NONE);
    integers(2, block.seq, NONE);
    integers(3, block.tsMs);
    integers(4, block.appendMs);
    integers(5, block.offset);
    integers(6, block.index);
    integers(7, block.temperatureMilliC, NO_VALUE);
    integers(8, block.humidityMilliPct, NO_VALUE);
    texts(9, block.faults);
    texts(10, block.flags);
    bits(11, marks.late);
    bits(12, marks.timeUncertain);
    bits(13, marks.released);
    integers(14, block.everyMs, NONE);
    return chunk;
  }
}
