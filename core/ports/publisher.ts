/**
 * Publishes committed rows for readers outside the process: immutable files, then the catalogue by rename, then the
 * manifest. The cost follows the new rows. `platform/duckdb/publisher.ts` writes real files.
 */
import type { WindowRow } from "../rows.ts";
import type { Manifest } from "../manifest.ts";

export interface Publisher {
  /**
   * Publishes everything committed so far; `open` are the open windows as they stand now. Returns the new manifest,
   * or the last one if nothing has changed. A crash at any point leaves the last complete publication readable.
   */
  publish(open: readonly WindowRow[], publishedMs: number): Promise<Manifest>;
  /** Ends a publication that runs and releases everything; the last complete one stays readable. */
  close(): Promise<void>;
}
