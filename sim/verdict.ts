/** What is wrong with the end of a run, in sentences: the rows against both oracles, and what silence has not closed. */
import type { JudgeConfig } from "../core/config.ts";
import { describeDifference, difference, oracleLines, storedLines } from "./compare.ts";
import type { OracleResult } from "./oracle.ts";
import { judgeWorld, type WorldSample } from "./oracle_world.ts";
import type { Published } from "./published.ts";

/** A window is closed so long after silence has made it due, at the latest: the longest wait for records, and some. */
const CLOSE_SLACK_MS = 30_000;

/** What is published of a partition against the oracle of its log, which ends before offset `next`. */
export function differsFromOracle(published: Published, expected: OracleResult, next: number): string | null {
  const { partition } = expected;
  const found = difference(storedLines(published), oracleLines(expected));
  if (found !== null) return `partition ${partition} differs from the oracle: ${describeDifference(found)}`;
  const { nextOffset } = published.position;
  return nextOffset === next ? null : `partition ${partition} is published up to ${nextOffset} of ${next}`;
}

/** All rows against what was measured. */
export function differsFromWorld(
  judged: readonly OracleResult[],
  samples: readonly WorldSample[],
  { windows }: Pick<JudgeConfig, "windows">,
): string | null {
  const problems = judgeWorld(samples, {
    readings: judged.flatMap((result) => result.readings),
    windows: judged.flatMap((result) => [...result.windows, ...result.open]),
    boots: judged.flatMap((result) => result.boots),
  }, windows);
  if (problems.length === 0) return null;
  return `${problems.length} differences from what was measured: ${problems.slice(0, 5).join("; ")}`;
}

/** Silence closes windows by itself: the owner of a partition appends a tick when no record comes. */
export function closedLate({ open, devices }: OracleResult, idleMs: number, nowMs: number): string | null {
  for (const { device, size, startMs, endMs } of open) {
    const lastAppendMs = devices.find((row) => row.device === device)?.lastAppendMs ?? 0;
    const dueMs = Math.max(endMs, lastAppendMs) + idleMs;
    if (dueMs + CLOSE_SLACK_MS >= nowMs) continue;
    return `window ${device} ${size} ${startMs} was due at ${dueMs} and is still open at ${nowMs}`;
  }
  return null;
}

/** The balance of arrivals. */
export function arrivalsDiffer({ devices }: OracleResult): string | null {
  for (const { device, arrivals, inLog } of devices) {
    const sum = Object.values(arrivals).reduce((total, count) => total + count, 0);
    if (sum !== inLog) return `arrivals of ${device}: ${sum} of ${inLog}`;
  }
  return null;
}

/** What became of readings, slots and windows: how often. */
export function outcomesOf(
  judged: readonly OracleResult[],
  samples: readonly WorldSample[],
): ReadonlyMap<string, number> {
  const outcomes = new Map<string, number>();
  const count = (what: string, by = 1) => {
    if (by > 0) outcomes.set(what, (outcomes.get(what) ?? 0) + by);
  };
  for (const { quarantined, windows, devices, boots } of judged) {
    for (const row of quarantined) count(`quarantined ${row.reason}`);
    for (const row of windows) {
      count(`closed by ${row.closedBy}`);
      if (row.revision > 0) count("revised");
    }
    for (const device of devices) {
      for (const [outcome, of] of Object.entries(device.arrivals)) count(outcome, of);
      if (device.sharedName) count("shared name");
    }
    for (const { states } of boots) {
      count("slots lost", states.lost);
      count("slots missing", states.missing);
    }
  }
  for (const { fate } of samples) count(`on the board: ${fate}`);
  return outcomes;
}
