/**
 * Accepted readings side by side, a column a field: what the fold writes and the store copies into its vectors without an
 * object for each. To everybody else it is a list of rows, made when they are asked for.
 */
import type { ReadingRow } from "./rows.ts";
import { doubled, NO_VALUE, NONE, orNull, valueOrNull } from "./scanned_batches.ts";

/** Bits of {@link ReadingBlock.marks}. */
export const marks = { late: 1, timeUncertain: 2, released: 4 } as const;

const FIRST_CAPACITY = 64;

export class ReadingBlock implements Iterable<ReadingRow> {
  length = 0;
  /** Names by number, as `device` has them. */
  devices: string[] = [];
  device: Int32Array<ArrayBuffer>;
  /** −1 for none; so are `seq` and `everyMs`. */
  boot: Float64Array<ArrayBuffer>;
  seq: Float64Array<ArrayBuffer>;
  tsMs: Float64Array<ArrayBuffer>;
  appendMs: Float64Array<ArrayBuffer>;
  offset: Float64Array<ArrayBuffer>;
  index: Int32Array<ArrayBuffer>;
  /** `NO_VALUE` for none. */
  temperatureMilliC: Int32Array<ArrayBuffer>;
  humidityMilliPct: Int32Array<ArrayBuffer>;
  everyMs: Int32Array<ArrayBuffer>;
  marks: Uint8Array<ArrayBuffer>;
  /** The row before of the same device, −1 for the first: its rows as a chain. */
  before: Int32Array<ArrayBuffer>;
  /** By number of row; few have one. */
  readonly faults = new Map<number, string>();
  readonly flags = new Map<number, string>();

  /** Grows beyond `capacity` when it has to. */
  constructor(capacity = FIRST_CAPACITY) {
    this.device = new Int32Array(capacity);
    this.boot = new Float64Array(capacity);
    this.seq = new Float64Array(capacity);
    this.tsMs = new Float64Array(capacity);
    this.appendMs = new Float64Array(capacity);
    this.offset = new Float64Array(capacity);
    this.index = new Int32Array(capacity);
    this.temperatureMilliC = new Int32Array(capacity);
    this.humidityMilliPct = new Int32Array(capacity);
    this.everyMs = new Int32Array(capacity);
    this.marks = new Uint8Array(capacity);
    this.before = new Int32Array(capacity);
  }

  get capacity(): number {
    return this.device.length;
  }

  /** Makes it empty; what has been read from it is no more to be used. */
  clear(): void {
    this.length = 0;
    this.devices = [];
    this.faults.clear();
    this.flags.clear();
  }

  /** Rows of a list, without their chains; the list itself if it is a block. */
  static of(rows: Iterable<ReadingRow>): ReadingBlock {
    if (rows instanceof ReadingBlock) return rows;
    const block = new ReadingBlock();
    const numbers = new Map<string, number>();
    for (const row of rows) {
      const number = numbers.get(row.device) ?? block.devices.push(row.device) - 1;
      numbers.set(row.device, number);
      block.pushRow(row, number, -1);
    }
    return block;
  }

  /** Adds a row of numbers and gives its own; `fault` and `flag` are set apart. */
  push(
    device: number,
    boot: number,
    seq: number,
    tsMs: number,
    appendMs: number,
    offset: number,
    index: number,
    temperature: number,
    humidity: number,
    everyMs: number,
    marks: number,
    before: number,
  ): number {
    const at = this.length;
    if (at === this.device.length) this.#grow();
    this.device[at] = device;
    this.boot[at] = boot;
    this.seq[at] = seq;
    this.tsMs[at] = tsMs;
    this.appendMs[at] = appendMs;
    this.offset[at] = offset;
    this.index[at] = index;
    this.temperatureMilliC[at] = temperature;
    this.humidityMilliPct[at] = humidity;
    this.everyMs[at] = everyMs;
    this.marks[at] = marks;
    this.before[at] = before;
    this.length = at + 1;
    return at;
  }

  /** The same from a row, whose device has this number. */
  pushRow(row: ReadingRow, device: number, before: number): number {
    const at = this.push(
      device,
      row.boot ?? NONE,
      row.seq ?? NONE,
      row.tsMs,
      row.appendMs,
      row.offset,
      row.index,
      row.temperatureMilliC ?? NO_VALUE,
      row.humidityMilliPct ?? NO_VALUE,
      row.everyMs ?? NONE,
      (row.late ? marks.late : 0) | (row.timeUncertain ? marks.timeUncertain : 0) |
        (row.released ? marks.released : 0),
      before,
    );
    if (row.fault !== null) this.faults.set(at, row.fault);
    if (row.flag !== null) this.flags.set(at, row.flag);
    return at;
  }

  /** Becomes rows `order[from, to)` of another block, without their chains; shares its names. */
  pick(block: ReadingBlock, order: Int32Array, from: number, to: number): void {
    this.clear();
    this.devices = block.devices;
    for (let i = from; i < to; i++) {
      const row = order[i]!;
      const at = this.push(
        block.device[row]!,
        block.boot[row]!,
        block.seq[row]!,
        block.tsMs[row]!,
        block.appendMs[row]!,
        block.offset[row]!,
        block.index[row]!,
        block.temperatureMilliC[row]!,
        block.humidityMilliPct[row]!,
        block.everyMs[row]!,
        block.marks[row]!,
        -1,
      );
      if (block.faults.size > 0) copyText(block.faults, row, this.faults, at);
      if (block.flags.size > 0) copyText(block.flags, row, this.flags, at);
    }
  }

  row(at: number): ReadingRow {
    const mark = this.marks[at]!;
    return {
      device: this.devices[this.device[at]!]!,
      boot: orNull(this.boot[at]!),
      seq: orNull(this.seq[at]!),
      tsMs: this.tsMs[at]!,
      appendMs: this.appendMs[at]!,
      offset: this.offset[at]!,
      index: this.index[at]!,
      temperatureMilliC: valueOrNull(this.temperatureMilliC[at]!),
      humidityMilliPct: valueOrNull(this.humidityMilliPct[at]!),
      fault: this.faults.get(at) ?? null,
      flag: this.flags.get(at) ?? null,
      late: (mark & marks.late) !== 0,
      timeUncertain: (mark & marks.timeUncertain) !== 0,
      released: (mark & marks.released) !== 0,
      everyMs: orNull(this.everyMs[at]!),
    };
  }

  *[Symbol.iterator](): Generator<ReadingRow> {
    for (let at = 0; at < this.length; at++) yield this.row(at);
  }

  #grow(): void {
    const capacity = 2 * this.device.length;
    this.device = doubled(this.device, new Int32Array(capacity));
    this.boot = doubled(this.boot, new Float64Array(capacity));
    this.seq = doubled(this.seq, new Float64Array(capacity));
    this.tsMs = doubled(this.tsMs, new Float64Array(capacity));
    this.appendMs = doubled(this.appendMs, new Float64Array(capacity));
    this.offset = doubled(this.offset, new Float64Array(capacity));
    this.index = doubled(this.index, new Int32Array(capacity));
    this.temperatureMilliC = doubled(this.temperatureMilliC, new Int32Array(capacity));
    this.humidityMilliPct = doubled(this.humidityMilliPct, new Int32Array(capacity));
    this.everyMs = doubled(this.everyMs, new Int32Array(capacity));
    this.marks = doubled(this.marks, new Uint8Array(capacity));
    this.before = doubled(this.before, new Int32Array(capacity));
  }
}

function copyText(from: ReadonlyMap<number, string>, row: number, to: Map<number, string>, at: number): void {
  const text = from.get(row);
  if (text !== undefined) to.set(at, text);
}
