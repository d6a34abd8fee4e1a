/**
 * Merges a partition's segments behind its publications.
 *
 * A merge writes a new file from files that don't change, on a connection of its own. Its result is handed over with the
 * next publication (`take`); until then nothing that anybody reads has changed, and a crash leaves a file without a name.
 */
import { assert } from "../../core/assert.ts";
import { joinBounds, noRows } from "./bounds.ts";
import type { SegmentGuard } from "./damage.ts";
import { readParquet, type SideConnection } from "./live.ts";
import type { DataPaths } from "./published.ts";
import type { PartitionRecord } from "./published.ts";
import type { SegmentWriter } from "./segment_writer.ts";
import { dueMerge, forcedMerge, type Merge, type Segment, segmentLimits } from "./segments.ts";
import { newestOf, segmentTables, selectList, type TableShape } from "./tables.ts";
import { storeError } from "./errors.ts";

/** A merge of fewer rows sorts them by time; a larger one keeps its inputs' order, newest first, without memory. */
const SORTED_ROWS_MAX = 40_000;
/** Rows that expire: segments whose append times lie further apart are not merged, so that they can go one by one. */
const MERGED_SPAN_MS_MAX = 4 * 86_400_000;

/** A merge that is written but not yet published. */
export interface Merged {
  readonly inputs: readonly Segment[];
  readonly output: Segment;
}

export class Merger {
  #merged: readonly Merged[] = [];
  #reading: readonly Segment[] = [];
  #running: Promise<void> | null = null;
  #error: unknown = null;
  #closed = false;

  constructor(
    private readonly paths: DataPaths,
    private readonly connection: SideConnection,
    private readonly writer: SegmentWriter,
    private readonly guard: SegmentGuard,
    /** The record as it stands now: publications go on while a run lasts. */
    private readonly current: () => PartitionRecord | null,
  ) {}

  /** Merges that the next publication can take over, in order. */
  get merged(): readonly Merged[] {
    return this.#merged;
  }

  /** Says that the first `count` of {@link merged} are published. */
  taken(count: number): void {
    this.#merged = this.#merged.slice(count);
  }

  /** Whether a running merge reads the file: it has to stay, even if nobody names it any more. */
  isReading(path: string): boolean {
    return this.#reading.some((segment) => segment.path === path);
  }

  /** Merges what is due in the record's segments, unless a run is under way already. */
  start(): void {
    if (this.#running !== null || this.#closed) return;
    this.#error = null;
    this.#running = this.#mergeAll()
      .catch((error) => {
        if (!this.#closed) this.#error = error;
      })
      .finally(() => {
        this.#running = null;
      });
  }

  /** Resolves when no merge is running; rejects if the last run failed. */
  async settled(): Promise<void> {
    await this.#running;
    if (this.#error !== null) throw storeError("merging published files", this.#error);
  }

  /** Ends a running merge unfinished. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#running !== null) this.connection.interrupt();
    await this.#running;
    this.connection.close();
  }

  async #mergeAll(): Promise<void> {
    while (!this.#closed) {
      const record = this.current();
      if (record === null) return;
      const segments = applyMerges(record.segments, this.#merged);
      const due = this.#due(segments);
      if (due === null) return;
      const inputs = segments.filter(({ table }) => table === due.table.name).slice(
        due.merge.from,
        due.merge.to,
      );
      this.#reading = inputs;
      try {
        const output = await this.#merge(due.table, inputs, record);
        this.#merged = [...this.#merged, { inputs, output }];
      } finally {
        this.#reading = [];
      }
    }
  }

  #due(segments: readonly Segment[]): { readonly table: TableShape; readonly merge: Merge } | null {
    const byTable = new Map(
      segmentTables.map((table) => [table.name, segments.filter((segment) => segment.table === table.name)]),
    );
    for (const table of segmentTables) {
      const merge = dueMerge(byTable.get(table.name)!, mayJoin);
      if (merge !== null) return { table, merge };
    }
    // Room for two publications, so that a merge that lasts as long as one holds nobody up.
    if (segments.length <= segmentLimits.segmentsMax - 2 * (segmentTables.length + 1)) return null;
    const forced = forcedMerge(byTable);
    if (forced === null) return null;
    return { table: segmentTables.find(({ name }) => name === forced.table)!, merge: forced.merge };
  }

  async #merge(table: TableShape, inputs: readonly Segment[], record: PartitionRecord): Promise<Segment> {
    const [first, last] = [inputs[0], inputs.at(-1)];
    assert(first !== undefined && last !== undefined, "a merge has inputs");
    // A flipped byte must not get a new, matching hash.
    await this.guard.check(inputs);
    const bounds = inputs.reduce(joinBounds, noRows);
    const files = readParquet([...inputs].reverse().map(({ path }) => `${this.paths.published}/${path}`));
    const rows = table.newestBy === null ? files : newestOf(`FROM ${files}`, table.newestBy);
    const isSorted = table.timeColumn !== null && bounds.rows <= SORTED_ROWS_MAX;
    const order = isSorted ? ` ORDER BY ${table.timeColumn} DESC, device` : "";
    const query = `SELECT version, ${selectList(table)} FROM ${rows}${order}`;
    const cover = {
      firstVersion: first.firstVersion,
      lastVersion: last.lastVersion,
      epoch: record.position.epoch,
      generation: record.generation,
      bounds,
    };
    return await this.connection.use((connection) => this.writer.write(connection, table, query, cover));
  }
}

/** Whether segments may become one: those that expire must be close in append time. */
function mayJoin(segments: readonly Segment[]): boolean {
  const ends = segments.map((segment) => segment.maxAppendMs).filter((ms) => ms !== null);
  return ends.length === 0 || Math.max(...ends) - Math.min(...ends) <= MERGED_SPAN_MS_MAX;
}

/** The segments with merged ones in the place of their inputs; a merge whose inputs have gone meanwhile is left out. */
export function applyMerges(segments: readonly Segment[], merged: readonly Merged[]): readonly Segment[] {
  let current = segments;
  for (const { inputs, output } of merged) {
    const paths = new Set(inputs.map(({ path }) => path));
    if (current.filter(({ path }) => paths.has(path)).length !== inputs.length) continue;
    const at = current.findIndex(({ path }) => paths.has(path));
    const others = current.filter(({ path }) => !paths.has(path));
    current = [...others.slice(0, at), output, ...others.slice(at)];
  }
  return current;
}
