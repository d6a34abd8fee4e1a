/**
 * Publishes committed rows for readers outside the process: immutable files, then the catalogue by rename, then the
 * manifest. The cost follows the new rows. `platform/duckdb/publisher.ts` writes real files.
 */
import type { Manifest } from "../manifest.ts";
import type { OpenWindowBlock } from "../open_window_block.ts";
import type { WindowRow } from "../rows.ts";

/** The open windows of a fold as they stand. Good until the fold goes on. */
export interface OpenWindows {
  /** How many are open. */
  readonly count: number;
  /** How many got something, or have closed, since they were drawn last; Infinity if that is not known. */
  readonly changedCount: number;
  /**
   * Gives all of them, or those that have changed since they were last drawn to the end: closed ones among them as
   * `closed`. In blocks of at most `OPEN_BLOCK_WINDOWS`, each good until the next one is asked for.
   */
  draw(which: "all" | "changed"): Iterable<OpenWindowBlock>;
  /** All of them as rows, for a publisher that keeps rows; it changes nothing. */
  rows(): readonly WindowRow[];
}

export interface Publisher {
  /**
   * Publishes everything committed so far, and the open windows as they stand now: draws them before anything else, at
   * most once, and may await between two blocks, so the caller lets its fold stand still until then. Returns the new
   * manifest, or the last one if nothing has changed. A crash at any point leaves the last complete publication readable.
   */
  publish(open: OpenWindows, publishedMs: number): Promise<Manifest>;
  /** Ends a publication that runs and releases everything; the last complete one stays readable. */
  close(): Promise<void>;
}
