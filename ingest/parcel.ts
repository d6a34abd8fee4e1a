/**
 * A batch on its way into the log: its bytes and what has to be known of it until it is answered. The decoded batch is
 * let go: a thousand waiting ones of 180 readings took 150 MB. Nearly all batches are clean, and then nothing more is
 * asked; the few others are decoded again when their append time is known.
 */
import type { JudgeConfig } from "../core/config.ts";
import { inspect, isHumidityOut, isTemperatureOut, isUnset } from "../core/judge.ts";
import type { QuarantineReason } from "../core/rows.ts";
import { scanInto } from "../core/scan.ts";
import { NO_VALUE, NONE, ScannedBatches } from "../core/scanned_batches.ts";
import { type Batch, decodeBatch, decodeBatchClosely, type Problem } from "../core/schema.ts";

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

export type ParcelOutcome =
  | { readonly kind: "parcel"; readonly parcel: Parcel }
  | { readonly kind: "problems"; readonly problems: readonly Problem[] };

/** A record's value as a parcel, or why it is no batch. */
export function readParcel(value: Uint8Array): ParcelOutcome {
  scanned.clear();
  if (scanInto(scanned, value, 0, value.length)) return { kind: "parcel", parcel: scannedParcel(value) };
  const decoded = decodeBatchClosely(value);
  return decoded.kind === "problems" ? decoded : { kind: "parcel", parcel: parcelOf(decoded.batch, value) };
}

/** Used again and again; has one batch at the most. */
const scanned = new ScannedBatches();

/** From the scanner's columns, without an object for each reading: half of what a request leaves to the collector. */
function scannedParcel(value: Uint8Array): Parcel {
  const { readings, tsMs, temperatureMilliC, humidityMilliPct } = scanned;
  let latestMs = 0;
  let isClean = true;
  for (let i = 0; i < readings; i++) {
    const eventMs = tsMs[i]!;
    const temperature = temperatureMilliC[i]!;
    const humidity = humidityMilliPct[i]!;
    if (eventMs === NONE) isClean &&= readings === 1;
    else if (isUnset(eventMs)) isClean = false;
    if (eventMs > latestMs) latestMs = eventMs;
    if (temperature !== NO_VALUE && isTemperatureOut(temperature)) isClean = false;
    if (humidity !== NO_VALUE && isHumidityOut(humidity)) isClean = false;
  }
  return { device: scanned.device[0]!, value, readings, isClean, latestMs };
}

/** The same of a decoded batch. */
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
