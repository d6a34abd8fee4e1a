/**
 * Open windows side by side on their way into a publication: what the fold holds of them, without an object for each. A
 * block is filled, written and used again, so that a fleet's hundred thousands never are in memory a second time.
 */
import { assert } from "./assert.ts";
import { type Channel, CHANNEL_CELLS, placeOfText, type WindowState } from "./accumulator.ts";
import type { ChannelRow, WindowRow } from "./rows.ts";
import { NO_VALUE, NONE } from "./scanned_batches.ts";

/** Windows of one block: as many as a vector of DuckDB has. */
export const OPEN_BLOCK_WINDOWS = 2_048;
/** Of one channel: p50, p95. */
const PERCENTILES = 2;
const CHANNELS = 2;

export class OpenWindowBlock {
  length = 0;
  readonly devices: string[] = [];
  readonly sizes: string[] = [];
  readonly startMs = new Float64Array(OPEN_BLOCK_WINDOWS);
  readonly endMs = new Float64Array(OPEN_BLOCK_WINDOWS);
  readonly readings = new Float64Array(OPEN_BLOCK_WINDOWS);
  readonly sensorFaults = new Float64Array(OPEN_BLOCK_WINDOWS);
  readonly timeUncertain = new Float64Array(OPEN_BLOCK_WINDOWS);
  /** `NONE` for none. */
  readonly everyMs = new Float64Array(OPEN_BLOCK_WINDOWS);
  readonly oldestAppendMs = new Float64Array(OPEN_BLOCK_WINDOWS);
  /** 1: it is open no more; then only `devices`, `sizes`, `startMs` and `endMs` mean something. */
  readonly closed = new Uint8Array(OPEN_BLOCK_WINDOWS);
  /** Of each window the cells of temperature, then those of humidity, see `Channel.copyTo`. */
  readonly cells = new Float64Array(OPEN_BLOCK_WINDOWS * CHANNELS * CHANNEL_CELLS);
  /** The part of the sums of squares that is not in the cells: temperature, humidity. */
  readonly carried: bigint[] = new Array(OPEN_BLOCK_WINDOWS * CHANNELS).fill(0n);
  /** Of each window p50 and p95 of temperature, then of humidity; `NO_VALUE` for none. */
  readonly percentiles = new Int32Array(OPEN_BLOCK_WINDOWS * CHANNELS * PERCENTILES);

  get isFull(): boolean {
    return this.length === OPEN_BLOCK_WINDOWS;
  }

  clear(): void {
    this.length = this.devices.length = this.sizes.length = 0;
  }

  push(device: string, size: string, window: WindowState): void {
    const at = this.#begin(device, size, window.startMs, window.endMs);
    this.#setCounts(at, window, window.everyMs);
    this.#setChannel(CHANNELS * at, window.temperature, window.hasAllValues);
    this.#setChannel(CHANNELS * at + 1, window.humidity, window.hasAllValues);
  }

  #setChannel(place: number, from: Channel, hasAllValues: boolean): void {
    from.copyTo(this.cells, place * CHANNEL_CELLS);
    this.carried[place] = from.squaresCarried;
    const [p50 = null, p95 = null] = from.count > 0 && hasAllValues ? from.percentiles() : [];
    this.#setPercentiles(place, p50, p95);
  }

  /** The same of a row. */
  pushRow(row: WindowRow): void {
    assert(row.closedBy === null, "an open window is open");
    const at = this.#begin(row.device, row.windowSize, row.startMs, row.endMs);
    this.#setCounts(at, row, row.everyMs);
    for (const [channel, from] of [row.temperature, row.humidity].entries()) {
      const place = CHANNELS * at + channel;
      this.cells.set(cellsOf(from), place * CHANNEL_CELLS);
      this.carried[place] = from.sumSquares;
      this.#setPercentiles(place, from.p50, from.p95);
    }
  }

  /** A window that was drawn while it was open, and is no more. */
  pushClosed(device: string, size: string, startMs: number, endMs: number): void {
    const at = this.#begin(device, size, startMs, endMs);
    this.closed[at] = 1;
    const nothing = { readings: 0, sensorFaults: 0, timeUncertain: 0, oldestAppendMs: 0 };
    this.#setCounts(at, nothing, null);
    const place = CHANNELS * at;
    this.cells.fill(0, place * CHANNEL_CELLS, (place + CHANNELS) * CHANNEL_CELLS);
    for (let channel = 0; channel < CHANNELS; channel++) {
      this.carried[place + channel] = 0n;
      this.#setPercentiles(place + channel, null, null);
    }
  }

  #begin(device: string, size: string, startMs: number, endMs: number): number {
    assert(!this.isFull, "a block has room");
    const at = this.length++;
    this.devices.push(device);
    this.sizes.push(size);
    this.startMs[at] = startMs;
    this.endMs[at] = endMs;
    this.closed[at] = 0;
    return at;
  }

  #setCounts(
    at: number,
    from: Pick<WindowRow, "readings" | "sensorFaults" | "timeUncertain" | "oldestAppendMs">,
    everyMs: number | null,
  ): void {
    this.readings[at] = from.readings;
    this.sensorFaults[at] = from.sensorFaults;
    this.timeUncertain[at] = from.timeUncertain;
    this.oldestAppendMs[at] = from.oldestAppendMs;
    this.everyMs[at] = everyMs ?? NONE;
  }

  #setPercentiles(place: number, p50: number | null, p95: number | null): void {
    this.percentiles[PERCENTILES * place] = p50 ?? NO_VALUE;
    this.percentiles[PERCENTILES * place + 1] = p95 ?? NO_VALUE;
  }
}

/** A row's channel as cells; all of its squares are carried. */
function cellsOf({ count, sum, min, max, first, last, firstKey, lastKey }: ChannelRow): number[] {
  const placeOf = (key: string | null) => {
    if (key === null) return [0, 0, 0, 0, 0];
    const { tsMs, boot, seq, offset, index } = placeOfText(key);
    return [tsMs, boot ?? NONE, seq ?? NONE, offset, index];
  };
  return [
    count,
    sum,
    0,
    min ?? 0,
    max ?? 0,
    first ?? 0,
    last ?? 0,
    ...placeOf(firstKey),
    ...placeOf(lastKey),
  ];
}
