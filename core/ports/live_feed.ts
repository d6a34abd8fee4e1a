/**
 * What the aggregator tells the watching world at once: rows as they are committed, for terminals and dashboards.
 * Delivery is best effort, bounded, and never holds the aggregator up; a listener that fails is taken off.
 */
import type { LastReading } from "../device.ts";
import type { DeviceRow, WindowRow } from "../rows.ts";

export type LiveEvent =
  /** A window's version was committed; `open` rows are provisional and may come again. */
  | { readonly kind: "window"; readonly row: WindowRow; readonly open: boolean }
  /** A device was heard of; coalesced, the newest state. */
  | { readonly kind: "device"; readonly row: DeviceRow; readonly last: LastReading | null }
  /** A new position is committed; coalesced, the newest. */
  | {
    readonly kind: "position";
    readonly partition: number;
    readonly nextOffset: number;
    readonly appendMs: number;
  };

export interface LiveFeed {
  /** Hands an event to every listener; never throws, never waits. */
  emit(event: LiveEvent): void;
  /**
   * Calls `listener`, which must return at once, for every event from now on; a queue for a slow reader is the
   * listener's own, with a bound. Returns the way to stop. Throws when too many listen already. While `isWatching` says
   * no, open windows, devices and positions need not be told.
   */
  subscribe(listener: (event: LiveEvent) => void, isWatching?: () => boolean): () => void;
  /** Whether anybody wants open windows, devices and positions now. */
  isWatched(): boolean;
}
