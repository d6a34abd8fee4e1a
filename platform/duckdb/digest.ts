/**
 * The row digest of a publication: for each window's newest version the SHA-256 of its line (`core/digest.ts`), summed.
 *
 * The 256 bits are four lanes of 64, each summed modulo 2^64. A sum doesn't depend on the order and takes back what a
 * newer version replaces, so a publication costs its new rows only. It says that two publications hold the same rows;
 * it is no signature.
 */
import { windowLine } from "../../core/digest.ts";
import type { WindowRow } from "../../core/rows.ts";
import { createHash } from "node:crypto";

/** Four lanes, each below 2^64. */
export type Lanes = readonly [bigint, bigint, bigint, bigint];

export const noLanes: Lanes = [0n, 0n, 0n, 0n];

/** The digest as 64 hex digits. */
export function lanesText(lanes: Lanes): string {
  return lanes.map((lane) => lane.toString(16).padStart(16, "0")).join("");
}

/** The lanes of 64 hex digits. */
export function lanesOf(text: string): Lanes {
  const lane = (index: number) => BigInt(`0x${text.slice(16 * index, 16 * index + 16)}`);
  return [lane(0), lane(1), lane(2), lane(3)];
}

export function addLanes(left: Lanes, right: Lanes): Lanes {
  const add = (index: 0 | 1 | 2 | 3) => BigInt.asUintN(64, left[index] + right[index]);
  return [add(0), add(1), add(2), add(3)];
}

export function subtractLanes(left: Lanes, right: Lanes): Lanes {
  const subtract = (index: 0 | 1 | 2 | 3) => BigInt.asUintN(64, left[index] - right[index]);
  return [subtract(0), subtract(1), subtract(2), subtract(3)];
}

/** The digest of rows in memory, for those who want to compare: newest versions of closed windows, in any order. */
export function rowDigest(rows: Iterable<WindowRow>): string {
  let lanes = noLanes;
  for (const row of rows) {
    if (row.closedBy === null) continue;
    lanes = addLanes(lanes, lanesOf(createHash("sha256").update(windowLine(row)).digest("hex")));
  }
  return lanesText(lanes);
}

const channel = (name: string) =>
  ["count", "sum", "sum_squares", "min", "max", "first", "last", "p50", "p95"].map((part) =>
    `${name}_${part}`
  );

const line = [
  "to_json(device)",
  "window_size",
  "epoch_ms(window_start)",
  "epoch_ms(window_end)",
  "readings",
  "sensor_faults",
  "late",
  "time_uncertain",
  "every_ms",
  ...channel("temperature"),
  ...channel("humidity"),
  "closed_by",
  "revision",
].map((value) => `coalesce(${value}::VARCHAR, '')`).join(" || '|' || ");

const lane = (index: number) => `sum(('0x' || substr(hash, ${16 * index + 1}, 16))::UBIGINT)`;

/** SQL for the four lanes of rows like `window_rows` (one row of four HUGEINTs, null for none). */
export function lanesSql(rows: string): string {
  return `SELECT ${[0, 1, 2, 3].map(lane).join(", ")} FROM (SELECT sha256(${line}) AS hash FROM (${rows}))`;
}
