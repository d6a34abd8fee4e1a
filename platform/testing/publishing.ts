/**
 * Commits and publications in which every mistake shows: each record is one reading with a value of its own; each window
 * is revised by the record after it, so that wrong sums, torn rows and old versions show. `published_truth.ts` checks.
 */
import type { Changes } from "../../core/ports/store.ts";
import {
  changes,
  channelRow,
  deviceRow,
  positionRow,
  readingRow,
  startMs,
  windowRow,
} from "../../core/testing/builders.ts";

const MINUTE_MS = 60_000;
const RECORDS_PER_COMMIT = 40;
/** A publication follows each of so many commits: then all windows but those of the last commit are revised. */
export const commitsPerPublication = 3;

/** The open windows of every publication. */
export const openWindows = [windowRow({ startMs: startMs - MINUTE_MS, closedBy: null })];

/** Minute `number` as closed by record `number`, or as revised by the one after. */
function minute(number: number, revision: 0 | 1) {
  return windowRow({
    device: `device-${number % 7}`,
    startMs: startMs + number * MINUTE_MS,
    readings: 1 + revision,
    temperature: channelRow(20_000 + number % 1_000, {
      count: 1 + revision,
      sum: (20_000 + number % 1_000) * (1 + revision),
    }),
    revision,
    replaces: revision === 0 ? null : 0,
  });
}

/** The transaction that follows position `from`. */
export function changesAfter(from: number): Changes {
  const numbers = Array.from({ length: RECORDS_PER_COMMIT }, (_, index) => from + index);
  // A window's first version and its revision never come in one transaction.
  const older = numbers.map((number) => number - RECORDS_PER_COMMIT).filter((number) => number >= 0);
  const next = from + RECORDS_PER_COMMIT;
  return changes({
    position: positionRow({ nextOffset: next, appendHighMs: startMs + next }),
    readings: numbers.map((number) =>
      readingRow({
        device: `device-${number % 7}`,
        seq: number,
        tsMs: startMs + number,
        appendMs: startMs + number,
        offset: number,
        temperatureMilliC: number % 1_000,
      })
    ),
    windows: [...numbers.map((number) => minute(number, 0)), ...older.map((number) => minute(number, 1))],
    devices: [0, 1, 2, 3, 4, 5, 6].map((device) => deviceRow({ device: `device-${device}`, counted: next })),
  });
}
