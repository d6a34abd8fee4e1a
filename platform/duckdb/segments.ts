/**
 * Published rows as immutable segments, and when to merge them.
 *
 * Every publication adds at most one small segment a table. A segment's level follows its rows: 0 below
 * `levelZeroRows`, then one more for each factor of `levelFactor`. When there are as many newest segments
 * of a level as its fan-in, they and the smaller ones after them become one. So a row is rewritten once a level: the cost of publishing is O(new rows) with a
 * factor of log₄(rows), and the number of segments grows with the same logarithm. Segments are neighbours in version
 * order and stay so; within one the newest time comes first, so that `ORDER BY window_start DESC LIMIT 5` reads a few
 * row groups of the first file.
 *
 * Rejected: one file a day or hour (their number grows for ever), rewriting everything (cost grows with history).
 */
import type { PublishedFile } from "../../core/manifest.ts";

/** One immutable file of one table of one partition. */
export interface Segment extends PublishedFile {
  /** Versions that it covers, both inclusive. */
  readonly firstVersion: number;
  readonly lastVersion: number;
  /** Lowest and highest time of its rows (`timeColumn`); null if there is none. */
  readonly minMs: number | null;
  readonly maxMs: number | null;
  /** Highest append time of its rows; null for tables without. */
  readonly maxAppendMs: number | null;
}

export const segmentLimits = {
  /** Files of one partition that a catalogue may name at one time. */
  segmentsMax: 64,
  /** Segments of fewer rows are level 0: merging them costs a few milliseconds. */
  levelZeroRows: 4_096,
  levelFactor: 4,
  /** Neighbours that are merged: at level 0, and above. */
  fanInZero: 6,
  fanIn: 4,
} as const;

/** 0 below `levelZeroRows`, then 1, 2, … for each factor of four. */
export function levelOf(rows: number): number {
  let level = 0;
  for (let bound: number = segmentLimits.levelZeroRows; rows >= bound; bound *= segmentLimits.levelFactor) {
    level++;
  }
  return level;
}

/** Which segments of one table to merge, as indices [from, to) of neighbours in version order. */
export interface Merge {
  readonly from: number;
  readonly to: number;
}

/**
 * The merge that is due, the cheapest first; null if none is. `segments` are one table's, oldest first.
 * `mayJoin` refuses to merge what should expire separately.
 */
export function dueMerge(
  segments: readonly Segment[],
  mayJoin: (segments: readonly Segment[]) => boolean = () => true,
): Merge | null {
  const levels = segments.map((segment) => levelOf(segment.rows));
  for (let level = 0; level <= Math.max(0, ...levels); level++) {
    let from = segments.length;
    while (from > 0 && levels[from - 1]! <= level) from--;
    const isEnough = () => levels.slice(from).filter((other) => other === level).length >= fanInOf(level);
    while (isEnough() && !mayJoin(segments.slice(from))) from++;
    if (isEnough()) return { from, to: segments.length };
  }
  return null;
}

function fanInOf(level: number): number {
  return level === 0 ? segmentLimits.fanInZero : segmentLimits.fanIn;
}

/**
 * The merge that brings the number of segments down at the lowest cost: of all tables the neighbours with the fewest
 * rows together. Null if no table has two.
 */
export function forcedMerge(
  tables: ReadonlyMap<string, readonly Segment[]>,
): { readonly table: string; readonly merge: Merge } | null {
  let best: { table: string; merge: Merge; rows: number } | null = null;
  for (const [table, segments] of tables) {
    for (let from = 0; from + 1 < segments.length; from++) {
      const rows = segments[from]!.rows + segments[from + 1]!.rows;
      if (best === null || rows < best.rows) best = { table, merge: { from, to: from + 2 }, rows };
    }
  }
  return best === null ? null : { table: best.table, merge: best.merge };
}
