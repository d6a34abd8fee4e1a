/**
 * Batches side by side, a column a field: what the scanner writes and the fold reads without an object for each reading.
 * Columns grow by doubling; a batch of `limits.batchBytesMax` bytes has at most 4,096 readings, so the caller's bound of
 * records in one list bounds them.
 */
import type { Batch, Reading } from "./schema.ts";

/** In columns of numbers that are never negative: null. */
export const NONE = -1;
/** In columns of thousandths, which lie within ±10^9: null. */
export const NO_VALUE = -2_147_483_648;

export const orNull = (value: number): number | null => value === NONE ? null : value;
export const valueOrNull = (value: number): number | null => value === NO_VALUE ? null : value;

const FIRST_CAPACITY = 64;

export class ScannedBatches {
  /** Batches, and readings of all of them. */
  length = 0;
  readings = 0;
  // Of each batch.
  device: string[] = [];
  boot = new Float64Array(FIRST_CAPACITY);
  everyMs = new Float64Array(FIRST_CAPACITY);
  pendingSinceMs = new Float64Array(FIRST_CAPACITY);
  /** 0 or 1. */
  synced = new Uint8Array(FIRST_CAPACITY);
  /** Its first reading; the next batch's is behind its last. */
  first = new Int32Array(FIRST_CAPACITY);
  /** By number of batch; few have one. */
  readonly #previous = new Map<number, NonNullable<Batch["previous"]>>();
  // Of each reading.
  seq = new Float64Array(FIRST_CAPACITY);
  tsMs = new Float64Array(FIRST_CAPACITY);
  temperatureMilliC = new Int32Array(FIRST_CAPACITY);
  humidityMilliPct = new Int32Array(FIRST_CAPACITY);

  clear(): void {
    this.length = this.readings = this.device.length = 0;
    if (this.#previous.size > 0) this.#previous.clear();
  }

  push(
    device: string,
    boot: number,
    everyMs: number,
    pendingSinceMs: number,
    synced: number,
    previous: Batch["previous"],
    first: number,
  ): void {
    const at = this.length;
    if (at === this.boot.length) this.#growBatches();
    this.device.push(device);
    this.boot[at] = boot;
    this.everyMs[at] = everyMs;
    this.pendingSinceMs[at] = pendingSinceMs;
    this.synced[at] = synced;
    this.first[at] = first;
    if (previous !== null) this.#previous.set(at, previous);
    this.length++;
  }

  pushReading(seq: number, tsMs: number, temperature: number, humidity: number): void {
    const at = this.readings;
    if (at === this.seq.length) this.#growReadings();
    this.seq[at] = seq;
    this.tsMs[at] = tsMs;
    this.temperatureMilliC[at] = temperature;
    this.humidityMilliPct[at] = humidity;
    this.readings++;
  }

  /** Forgets the readings from `readings` on, of a batch that did not come to be, or the batch that has them. */
  takeBack(readings: number): void {
    this.readings = readings;
    if (this.length === 0 || this.first[this.length - 1]! < readings) return;
    this.length--;
    this.device.length--;
    this.#previous.delete(this.length);
  }

  /** Behind the last reading of a batch. */
  endOf(batch: number): number {
    return batch + 1 < this.length ? this.first[batch + 1]! : this.readings;
  }

  previousOf(batch: number): Batch["previous"] {
    return this.#previous.size === 0 ? null : this.#previous.get(batch) ?? null;
  }

  readingAt(at: number): Reading {
    return {
      kind: "reading",
      seq: orNull(this.seq[at]!),
      tsMs: orNull(this.tsMs[at]!),
      temperatureMilliC: valueOrNull(this.temperatureMilliC[at]!),
      humidityMilliPct: valueOrNull(this.humidityMilliPct[at]!),
      fault: null,
      flag: null,
    };
  }

  #growBatches(): void {
    const capacity = 2 * this.boot.length;
    this.boot = doubled(this.boot, new Float64Array(capacity));
    this.everyMs = doubled(this.everyMs, new Float64Array(capacity));
    this.pendingSinceMs = doubled(this.pendingSinceMs, new Float64Array(capacity));
    this.synced = doubled(this.synced, new Uint8Array(capacity));
    this.first = doubled(this.first, new Int32Array(capacity));
  }

  #growReadings(): void {
    const capacity = 2 * this.seq.length;
    this.seq = doubled(this.seq, new Float64Array(capacity));
    this.tsMs = doubled(this.tsMs, new Float64Array(capacity));
    this.temperatureMilliC = doubled(this.temperatureMilliC, new Int32Array(capacity));
    this.humidityMilliPct = doubled(this.humidityMilliPct, new Int32Array(capacity));
  }
}

/** `to` with what `from` holds at its beginning. */
export function doubled<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from);
  return to;
}
