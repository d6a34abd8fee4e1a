/**
 * Large transactions: their readings go straight into a segment, beside the live file.
 *
 * A worker that catches up commits hundreds of thousands of readings at a time. Through the live file each of them would
 * be written to its log, read back by the next publication, deleted, and folded away by a checkpoint; so they are sorted
 * and written once, as what the next publication names. Half of the processor's time for a reading's row is saved so.
 *
 * The file is durable before its transaction is, which names it in `sealed_rows`. A crash in between leaves a file that
 * nobody names: it goes with the other orphans, or the next transaction of that number takes its name.
 */
import type { DuckDBConnection } from "@duckdb/node-api";
import type { Changes } from "../../core/ports/store.ts";
import { ReadingBlock } from "../../core/reading_block.ts";
import { latestFirst } from "../../core/reading_order.ts";
import { spanOfReadings } from "./bounds.ts";
import { readRows, TableWriter } from "./columns.ts";
import type { SegmentGuard } from "./damage.ts";
import { storeError } from "./errors.ts";
import type { LiveFile, SideConnection } from "./live.ts";
import type { DataPaths } from "./published.ts";
import { ReadingWriter } from "./reading_writer.ts";
import { SegmentWriter } from "./segment_writer.ts";
import type { Segment } from "./segments.ts";
import { kindsOf, readingTable, sealedTable, selectList } from "./tables.ts";
import { removeFile, syncFolder } from "../durable_files.ts";

/** Sealed segments that may wait for a publication; readings beyond go through the live file. */
const WAITING_MAX = 8;

export class Sealer {
  readonly #rows = new TableWriter(sealedTable.name, sealedTable.columns, true);
  readonly #readings = new ReadingWriter();
  readonly #segments: SegmentWriter;
  readonly #connection: SideConnection;
  #waiting: readonly Segment[] = [];

  constructor(
    private readonly paths: DataPaths,
    partition: number,
    private readonly guard: SegmentGuard,
    private readonly live: LiveFile,
    /** Transactions of fewer readings go through the live file, which is cheaper for them. */
    private readonly readingsMin: number,
  ) {
    this.#segments = new SegmentWriter(paths, partition, guard);
    this.#connection = live.side();
  }

  /** Committed segments that were not published when {@link published} was called last, in version order. */
  get waiting(): readonly Segment[] {
    return this.#waiting;
  }

  /** Whether a transaction of so many readings is sealed. */
  takes(readings: number): boolean {
    return readings >= this.readingsMin && this.#waiting.length < WAITING_MAX;
  }

  /** Reads what committed transactions have sealed after version `published`; rejects with `StoreDamaged`. */
  async restore(published: number): Promise<void> {
    const result = await this.live.writer.stream(
      `SELECT ${
        selectList(sealedTable)
      } FROM ${sealedTable.name} WHERE version > ${published} ORDER BY version`,
    );
    this.#waiting = await readRows(result, kindsOf(sealedTable), sealedTable.make);
    await this.guard.check(this.#waiting);
  }

  /** Writes a transaction's readings as a durable segment that nobody names yet. */
  async seal(changes: Changes, version: number): Promise<Segment> {
    try {
      return await this.#connection.use((connection) => this.#seal(connection, changes, version));
    } catch (error) {
      throw storeError("sealing readings", error);
    }
  }

  async #seal(
    connection: DuckDBConnection,
    { readings, position }: Changes,
    version: number,
  ): Promise<Segment> {
    await Deno.mkdir(this.paths.segments, { recursive: true });
    // A table that is not logged, since it is gone with the process.
    await connection.run(
      `CREATE OR REPLACE TEMP TABLE ${readingTable.name} AS FROM main.reading_rows LIMIT 0`,
    );
    // In the order of the file: DuckDB's own sort would hold all rows twice.
    const block = ReadingBlock.of(readings);
    await this.#readings.appendInOrder(connection, block, latestFirst(block), version, "temp");
    const query = `SELECT version, ${selectList(readingTable)} FROM temp.${readingTable.name}`;
    const segment = await this.#segments.write(connection, readingTable, query, {
      firstVersion: version,
      lastVersion: version,
      epoch: position.epoch,
      generation: `v${version}`,
      bounds: spanOfReadings(readings),
    });
    await connection.run(`DROP TABLE temp.${readingTable.name}`);
    await syncFolder(this.paths.segments);
    return segment;
  }

  /** Names a segment in the transaction under way. */
  name(writer: DuckDBConnection, segment: Segment, version: number): Promise<void> {
    return this.#rows.append(writer, [segment], version);
  }

  /** The transaction that names the segment stands. */
  committed(segment: Segment): void {
    this.#waiting = [...this.#waiting, segment];
  }

  /** The transaction that was to name the segment has failed. */
  async abandoned(segment: Segment): Promise<void> {
    await removeFile(`${this.paths.published}/${segment.path}`);
  }

  /** What is sealed up to this version is published. */
  published(version: number): void {
    this.#waiting = this.#waiting.filter(({ firstVersion }) => firstVersion > version);
  }

  close(): void {
    this.#connection.close();
  }
}
