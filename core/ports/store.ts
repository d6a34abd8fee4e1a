/**
 * Where a partition's rows, state and position live: one transaction for all of them.
 *
 * Implementations: `platform/duckdb/store.ts` and `sim/store.ts` (the same with faults), under
 * `core/testing/store_contract.ts`. One store belongs to one partition and one owner.
 */
import type { PublishedConfig } from "../manifest.ts";
import type {
  AlertRow,
  AlertRuleRow,
  AlertStateRow,
  BootRow,
  DeviceRow,
  GapRow,
  PositionRow,
  QuarantineRow,
  ReadingRow,
  ReleaseRow,
  WindowRow,
} from "../rows.ts";

/** Everything that has to be in memory before the first record is folded. */
export interface StoredState {
  /** Null in a new store. */
  readonly position: PositionRow | null;
  /** Newest version of each. */
  readonly devices: readonly DeviceRow[];
  readonly boots: readonly BootRow[];
  /** Newest versions of closed windows whose end is above their device's watermark (or whose device has none). */
  readonly closedAhead: readonly WindowRow[];
  /**
   * Kept readings from which open windows are rebuilt: at least those with
   * `tsMs` ≥ `openFrom(watermarkMs)` of their device, in log order.
   */
  readonly openReadings: readonly ReadingRow[];
  readonly alerts: StoredAlerts;
}

/** What is stored of alerts. */
export interface StoredAlerts {
  /** Newest version of each. */
  readonly rules: readonly AlertRuleRow[];
  readonly states: readonly AlertStateRow[];
  /** The newest alerts, at least `limits.alertsRememberedMax` of them if there are so many; oldest first. */
  readonly newest: readonly AlertRow[];
}

/** What one transaction appends about alerts. */
export interface AlertChanges {
  readonly alerts: readonly AlertRow[];
  readonly rules: readonly AlertRuleRow[];
  readonly states: readonly AlertStateRow[];
}

/** What a fold has to know of earlier records; half-open spans of event time. */
export interface Needs {
  /** Kept readings and quarantined ones of a device with event time in [fromMs, toMs). */
  readonly readings: readonly { readonly device: string; readonly fromMs: number; readonly toMs: number }[];
  /** The newest version of closed windows. */
  readonly windows: readonly {
    readonly device: string;
    readonly windowSize: string;
    readonly startMs: number;
  }[];
  /** Asks for all versions of the windows, by revision, and not only for the newest. */
  readonly allVersions?: boolean;
}

/** The answer to {@link Needs}: each row once, in log order; may hold more than was asked for. */
export interface Known {
  readonly readings: readonly ReadingRow[];
  readonly quarantined: readonly QuarantineRow[];
  readonly windows: readonly WindowRow[];
}

/** Rows in any form: a list, or columns that make a row when it is asked for (`core/reading_block.ts`). */
export interface Rows<Row> extends Iterable<Row> {
  readonly length: number;
}

/** See {@link Store.commit}. */
export const reusedReadingsMin = 8_192;

/** What one transaction appends. */
export interface Changes {
  readonly position: PositionRow;
  readonly readings: Rows<ReadingRow>;
  readonly quarantined: readonly QuarantineRow[];
  readonly released: readonly ReleaseRow[];
  readonly gaps: readonly GapRow[];
  /** At most one version of a window. */
  readonly windows: readonly WindowRow[];
  readonly devices: readonly DeviceRow[];
  readonly boots: readonly BootRow[];
  readonly alerts: AlertChanges;
}

/** The store can't take rows now (disk full, I/O error) and may again later; nothing of the transaction was kept. */
export class StoreUnavailable extends Error {
  override name = "StoreUnavailable";
}

/** The stored data can't be used as it is; the message says what is wrong and what to do. Nothing was changed. */
export class StoreRefused extends Error {
  override name = "StoreRefused";
}

/** Another worker has the partition by now, and its publications count. Nothing for a person to do. */
export class PartitionTaken extends StoreRefused {
  override name = "PartitionTaken";
}

/** With what configuration a partition's rows are to be, and what becomes of rows that are there with another one. */
export interface RowsConfig {
  readonly config: PublishedConfig;
  /**
   * Asked before rows of another configuration (its hash) are made anew from the log's first record on; rejects with
   * {@link StoreRefused} when that can't be.
   */
  mayRebuild(otherHash: string): Promise<void>;
}

export interface Store {
  readonly partition: number;
  /**
   * Reads the state. `openFrom(watermarkMs)` gives the lowest start of any window that holds event time
   * `watermarkMs` (−∞ for null).
   */
  load(openFrom: (watermarkMs: number | null) => number): Promise<StoredState>;
  /**
   * Reads what a fold needs; both published and unpublished rows are seen. May be called while a commit runs, and then
   * sees all of it or nothing.
   */
  lookup(needs: Needs): Promise<Known>;
  /**
   * Makes all changes durable together, or none. Calls come one at a time. The store may keep what it is given, except
   * {@link reusedReadingsMin} readings or more: those are the caller's again once this has resolved.
   */
  commit(changes: Changes): Promise<void>;
  /** Releases the files; what was committed stays. */
  close(): Promise<void>;
}
