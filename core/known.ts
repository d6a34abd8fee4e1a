/** What a fold has looked up, found by device. */
import type { Known } from "./ports/store.ts";
import type { QuarantineRow, WindowRow } from "./rows.ts";
import { RowsByTime } from "./rows_by_time.ts";

export interface KnownIndex {
  readonly readings: ReadonlyMap<string, RowsByTime>;
  readonly quarantined: ReadonlyMap<string, readonly QuarantineRow[]>;
  /** By {@link windowKey}. */
  readonly windows: ReadonlyMap<string, WindowRow>;
}

export const nothingKnown: KnownIndex = { readings: new Map(), quarantined: new Map(), windows: new Map() };

export const windowKey = (device: string, windowSize: string, startMs: number) =>
  `${startMs} ${windowSize} ${device}`;

export function indexKnown(known: Known): KnownIndex {
  const readings = new Map<string, RowsByTime>();
  const quarantined = new Map<string, QuarantineRow[]>();
  const windows = new Map<string, WindowRow>();
  for (const row of known.readings) {
    let rows = readings.get(row.device);
    if (rows === undefined) readings.set(row.device, rows = new RowsByTime());
    rows.push(row);
  }
  for (const row of known.quarantined) {
    if (row.device === null) continue;
    const rows = quarantined.get(row.device);
    if (rows === undefined) quarantined.set(row.device, [row]);
    else rows.push(row);
  }
  for (const row of known.windows) windows.set(windowKey(row.device, row.windowSize, row.startMs), row);
  return { readings, quarantined, windows };
}
