/** Writes segments: a query's rows as one durable, immutable Parquet file under a name of its own. */
import type { DuckDBConnection } from "@duckdb/node-api";
import { createHash } from "node:crypto";
import type { Bounds } from "./bounds.ts";
import type { SegmentGuard } from "./damage.ts";
import { type DataPaths, quoted } from "./published.ts";
import type { Segment } from "./segments.ts";
import type { TableShape } from "./tables.ts";
import { removeFile, sha256OfFile, syncFile } from "../durable_files.ts";

/** Rows of a Parquet row group: what a query for the newest rows has to decode at the least. */
const ROW_GROUP_ROWS = 20_480;
/** Segments of fewer rows are merged soon: they are not worth the better compression. */
const COMPRESSED_ROWS_MIN = 16_384;
/** A file of at most so many bytes is read and hashed in one go. */
const SMALL_BYTES = 262_144;

/** What a segment holds and whose it is. */
export interface Cover {
  readonly firstVersion: number;
  readonly lastVersion: number;
  /** Owner and publication that it is made by: its name, so that two owners never write one file. */
  readonly epoch: number;
  readonly generation: number | string;
  /** Of the query's rows. */
  readonly bounds: Bounds;
}

export class SegmentWriter {
  #fileNumber = 0;

  constructor(
    private readonly paths: DataPaths,
    private readonly partition: number,
    private readonly guard: SegmentGuard,
  ) {}

  /** Writes the rows of `query`, which are `cover.bounds.rows` or fewer. The folder is not synced: the caller does, once. */
  async write(
    connection: DuckDBConnection,
    table: TableShape,
    query: string,
    cover: Cover,
  ): Promise<Segment> {
    const { epoch, generation, bounds, firstVersion, lastVersion } = cover;
    const name = `${table.name}-${epoch}-${generation}-${++this.#fileNumber}.parquet`;
    const path = `segments/${this.partition}/${name}`;
    const full = `${this.paths.published}/${path}`;
    try {
      const { rows, bytes, sha256 } = await this.#seal(connection, query, bounds.rows, full);
      const { minMs, maxMs, maxAppendMs } = bounds;
      const times = { minMs, maxMs, maxAppendMs };
      const segment = { path, table: table.name, rows, bytes, sha256, firstVersion, lastVersion, ...times };
      this.guard.trust(segment);
      return segment;
    } catch (error) {
      // What there is of it takes room that may be just what is missing.
      await removeFile(`${full}.tmp`);
      throw error;
    }
  }

  /** Writes the file beside, hashes it, makes it durable and immutable, and gives it its name. */
  async #seal(connection: DuckDBConnection, query: string, rowsMax: number, full: string) {
    const written = `${full}.tmp`;
    const compression = rowsMax >= COMPRESSED_ROWS_MIN ? "zstd" : "snappy";
    const result = await connection.runAndReadAll(
      `COPY (${query}) TO ${quoted(written)}
       (FORMAT parquet, COMPRESSION ${compression}, ROW_GROUP_SIZE ${ROW_GROUP_ROWS})`,
    );
    const rows = Number(result.getRows()[0]![0]);
    const bytes = Deno.statSync(written).size;
    const sha256 = bytes <= SMALL_BYTES ? sha256Of(written) : await sha256OfFile(written);
    Deno.chmodSync(written, 0o444);
    await syncFile(written);
    Deno.renameSync(written, full);
    return { rows, bytes, sha256 };
  }
}

function sha256Of(path: string): string {
  return createHash("sha256").update(Deno.readFileSync(path)).digest("hex");
}
