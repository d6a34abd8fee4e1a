/**
 * A batch on its way into the log: its bytes and what has to be known of it until it is answered. The decoded batch is
 * let go: a thousand waiting ones of 180 readings took 150 MB. Nearly all batches are clean, and then nothing more is
 * asked; the few others are decoded again when their append time is known.
 */
import type { JudgeConfig } from "../core/config.ts";
import { inspect } from "../core/judge.ts";
import type { QuarantineReason } from "../core/rows.ts";
import { type Batch, decodeBatch } from "../core/schema.ts";

export interface Parcel {
  readonly device: string;
  /** What is appended. */
  readonly value: Uint8Array;
  readonly readings: number;
  /** No reading is quarantined by itself, if it isn't in the future. */
  readonly isClean: boolean;
  /** The latest event time of a reading; 0 if none has one. */
  readonly latestMs: number;
}

export interface Flagged {
  readonly index: number;
  readonly reason: QuarantineReason;
  readonly detail: string;
}

/** An append time for which nothing is in the future. */
const END_OF_TIME = Number.MAX_SAFE_INTEGER;

export function parcelOf(batch: Batch, value: Uint8Array): Parcel {
  const { readings } = batch;
  let latestMs = 0;
  let isClean = true;
  for (let index = 0; index < readings.length; index++) {
    latestMs = Math.max(latestMs, readings[index]!.tsMs ?? 0);
    isClean &&= inspect(batch, index, END_OF_TIME, { futureMs: 0 }) === null;
  }
  return { device: batch.device, value, readings: readings.length, isClean, latestMs };
}

/** What the fold is going to quarantine of a parcel that was appended at `appendMs`, indices from `start` on. */
export function flaggedOf(
  parcel: Parcel,
  start: number,
  appendMs: number,
  judge: Pick<JudgeConfig, "futureMs">,
): Flagged[] {
  if (parcel.isClean && parcel.latestMs <= appendMs + judge.futureMs) return [];
  const decoded = decodeBatch(parcel.value);
  if (decoded.kind === "problems") return [];
  const flagged: Flagged[] = [];
  for (let index = 0; index < parcel.readings; index++) {
    const verdict = inspect(decoded.batch, index, appendMs, judge);
    if (verdict !== null) flagged.push({ index: start + index, ...verdict });
  }
  return flagged;
}
