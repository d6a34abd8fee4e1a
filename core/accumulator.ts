/**
 * What a window adds up: exact integers of thousandths, first and last by a total order, and every value with its count,
 * from which percentiles by nearest rank are read.
 */
import { assert } from "./assert.ts";
import { CountedValues, listedMax } from "./counted_values.ts";
import type { ChannelRow, ClosedBy, WindowRow } from "./rows.ts";
import { NO_VALUE } from "./scanned_batches.ts";

/** A reading's place in the order that decides first and last; numbers compare in this order, −1 is "none". */
export interface Place {
  readonly tsMs: number;
  readonly boot: number | null;
  readonly seq: number | null;
  readonly offset: number;
  readonly index: number;
}

/** Without one, a boot or seq is this: lower than any. */
const NO_NUMBER = -1;

/** Numbers of a place in a channel's cells, in the order in which they compare. */
const PLACE_CELLS = 5;

/** Whether the place with these numbers comes before that at `at` of `cells`. */
function isBefore(
  cells: Float64Array,
  at: number,
  tsMs: number,
  boot: number,
  seq: number,
  offset: number,
  index: number,
): boolean {
  if (tsMs !== cells[at]) return tsMs < cells[at]!;
  if (boot !== cells[at + 1]) return boot < cells[at + 1]!;
  if (seq !== cells[at + 2]) return seq < cells[at + 2]!;
  return offset !== cells[at + 3] ? offset < cells[at + 3]! : index < cells[at + 4]!;
}

function setPlace(
  cells: Float64Array,
  at: number,
  tsMs: number,
  boot: number,
  seq: number,
  offset: number,
  index: number,
): void {
  cells[at] = tsMs;
  cells[at + 1] = boot;
  cells[at + 2] = seq;
  cells[at + 3] = offset;
  cells[at + 4] = index;
}

function placeAt(cells: Float64Array, at: number): Place {
  const orNull = (value: number) => value === NO_NUMBER ? null : value;
  return {
    tsMs: cells[at]!,
    boot: orNull(cells[at + 1]!),
    seq: orNull(cells[at + 2]!),
    offset: cells[at + 3]!,
    index: cells[at + 4]!,
  };
}

/** `ts.boot.seq.offset.index`, empty for none. */
export function placeText(place: Place): string {
  return `${place.tsMs}.${place.boot ?? ""}.${place.seq ?? ""}.${place.offset}.${place.index}`;
}

export function placeOfText(text: string): Place {
  const [ts, boot, seq, offset, index] = text.split(".");
  const optional = (part: string | undefined) => part === undefined || part === "" ? null : Number(part);
  return {
    tsMs: Number(ts),
    boot: optional(boot),
    seq: optional(seq),
    offset: Number(offset),
    index: Number(index),
  };
}

/** Above this a sum of squares moves into a bigint; below, doubles add integers exactly. */
const EXACT_MAX = 2 ** 52;

// Cells of a channel. Both channels of a window lie side by side in one array, in the processor's cache together: as
// fields of objects each number would be an object of its own, and adding a reading would touch thirty of them.
const COUNT = 0, SUM = 1, SQUARES = 2, MIN = 3, MAX = 4, FIRST = 5, LAST = 6;
const FIRST_PLACE = 7;
const LAST_PLACE = FIRST_PLACE + PLACE_CELLS;
export const CHANNEL_CELLS = LAST_PLACE + PLACE_CELLS;
const CELLS_BYTES = 2 * CHANNEL_CELLS * Float64Array.BYTES_PER_ELEMENT;
/** What a window takes beside its object. */
const WINDOW_BYTES = CELLS_BYTES + 2 * listedMax * Int32Array.BYTES_PER_ELEMENT;
const PERCENTS = [50, 95];

/** Exact integers of one channel. Values are thousandths within ±10^9. */
export class Channel {
  readonly #cells: Float64Array;
  readonly #at: number;
  #squaresCarried = 0n;
  readonly #values: CountedValues;

  /** Its numbers are `CHANNEL_CELLS` zeros of `cells` from `at` on. */
  constructor(cells: Float64Array, at: number, values: CountedValues) {
    this.#cells = cells;
    this.#at = at;
    this.#values = values;
  }

  /** As it was made. */
  clear(): void {
    this.#cells.fill(0, this.#at, this.#at + CHANNEL_CELLS);
    this.#squaresCarried = 0n;
    this.#values.clear();
  }

  get count(): number {
    return this.#cells[this.#at + COUNT]!;
  }
  get sum(): number {
    return this.#cells[this.#at + SUM]!;
  }
  get min(): number {
    return this.#cells[this.#at + MIN]!;
  }
  get max(): number {
    return this.#cells[this.#at + MAX]!;
  }

  /** Adds a value; the numbers after it are its place, with −1 for no boot or seq. */
  add(value: number, tsMs: number, boot: number, seq: number, offset: number, index: number): void {
    const cells = this.#cells;
    const at = this.#at;
    cells[at + SUM]! += value;
    const squares = cells[at + SQUARES]! + value * value;
    cells[at + SQUARES] = squares;
    if (squares > EXACT_MAX) this.#carry();
    if (cells[at + COUNT]!++ === 0) {
      cells[at + MIN] =
        cells[at + MAX] =
        cells[at + FIRST] =
        cells[at + LAST] =
          value;
      setPlace(cells, at + FIRST_PLACE, tsMs, boot, seq, offset, index);
      setPlace(cells, at + LAST_PLACE, tsMs, boot, seq, offset, index);
    } else {
      if (value < cells[at + MIN]!) cells[at + MIN] = value;
      if (value > cells[at + MAX]!) cells[at + MAX] = value;
      if (!isBefore(cells, at + LAST_PLACE, tsMs, boot, seq, offset, index)) {
        cells[at + LAST] = value;
        setPlace(cells, at + LAST_PLACE, tsMs, boot, seq, offset, index);
      } else if (isBefore(cells, at + FIRST_PLACE, tsMs, boot, seq, offset, index)) {
        cells[at + FIRST] = value;
        setPlace(cells, at + FIRST_PLACE, tsMs, boot, seq, offset, index);
      }
    }
    this.remember(value);
  }

  /** Adds a value to those that percentiles are read from, and to nothing else. */
  remember(value: number): void {
    this.#values.add(value);
  }

  #carry(): void {
    this.#squaresCarried += BigInt(this.#cells[this.#at + SQUARES]!);
    this.#cells[this.#at + SQUARES] = 0;
  }

  /** What of the sum of squares is not in the cells. */
  get squaresCarried(): bigint {
    return this.#squaresCarried;
  }

  /**
   * Puts its numbers into `CHANNEL_CELLS` cells from `at` on: count, sum, squares less those carried, min, max, first,
   * last, the place of the first (time in ms, boot, seq, offset, index; −1 for no boot or seq), that of the last.
   */
  copyTo(cells: Float64Array, at: number): void {
    for (let cell = 0; cell < CHANNEL_CELLS; cell++) cells[at + cell] = this.#cells[this.#at + cell]!;
  }

  /** p50 and p95 of what is remembered; null without any value. */
  percentiles(): readonly (number | null)[] {
    return this.#values.percentiles(PERCENTS);
  }

  get sumSquares(): bigint {
    return this.#squaresCarried + BigInt(this.#cells[this.#at + SQUARES]!);
  }

  row(withPercentiles: boolean): ChannelRow {
    const some = this.count > 0;
    const [p50 = null, p95 = null] = some && withPercentiles ? this.percentiles() : [];
    return {
      count: this.count,
      sum: this.sum,
      sumSquares: this.sumSquares,
      min: some ? this.min : null,
      max: some ? this.max : null,
      first: some ? this.#cells[this.#at + FIRST]! : null,
      last: some ? this.#cells[this.#at + LAST]! : null,
      firstKey: some ? placeText(placeAt(this.#cells, this.#at + FIRST_PLACE)) : null,
      lastKey: some ? placeText(placeAt(this.#cells, this.#at + LAST_PLACE)) : null,
      p50,
      p95,
    };
  }

  /** Takes what is stored, with no values remembered. */
  setRow(row: ChannelRow): void {
    const [cells, at] = [this.#cells, this.#at];
    this.#squaresCarried = row.sumSquares;
    cells[at + COUNT] = row.count;
    cells[at + SUM] = row.sum;
    cells[at + MIN] = row.min ?? 0;
    cells[at + MAX] = row.max ?? 0;
    cells[at + FIRST] = row.first ?? 0;
    cells[at + LAST] = row.last ?? 0;
    this.#setPlace(at + FIRST_PLACE, row.firstKey);
    this.#setPlace(at + LAST_PLACE, row.lastKey);
  }

  #setPlace(at: number, key: string | null): void {
    if (key === null) return;
    const { tsMs, boot, seq, offset, index } = placeOfText(key);
    setPlace(this.#cells, at, tsMs, boot ?? NO_NUMBER, seq ?? NO_NUMBER, offset, index);
  }

  /** Every field as comparable text, for tests of rebuilt state; the values only where they still decide something. */
  describe(withValues: boolean): string {
    const values = withValues ? this.#values.all() : [];
    const cells = this.#cells;
    const place = (at: number) => this.count === 0 ? "" : placeText(placeAt(cells, this.#at + at));
    return [
      this.count,
      this.sum,
      this.sumSquares,
      this.min,
      this.max,
      cells[this.#at + FIRST],
      cells[this.#at + LAST],
      place(FIRST_PLACE),
      place(LAST_PLACE),
      values.join(" "),
    ].join(";");
  }
}

/** The part of a reading that a window adds up. */
export interface Addend extends Place {
  readonly appendMs: number;
  readonly temperatureMilliC: number | null;
  readonly humidityMilliPct: number | null;
  readonly fault: string | null;
  readonly timeUncertain: boolean;
}

/** One window of one device while it is in memory. */
export class WindowState {
  readings = 0;
  sensorFaults = 0;
  late = 0;
  timeUncertain = 0;
  everyMs: number | null = null;
  oldestAppendMs = Infinity;
  readonly temperature: Channel;
  readonly humidity: Channel;
  closedBy: ClosedBy | null = null;
  revision = 0;
  /** Revision of the newest version in the store; null while there is none. */
  storedRevision: number | null = null;
  /** Percentiles as last stored, for a row whose values can't be remembered any more. */
  hasAllValues = true;
  /** Arrivals in it when watchers were shown it last. */
  shownArrivals = 0;
  /** The same for its last drawing into a publication while it was open; 0: it is in none. */
  drawnArrivals = 0;
  /** In the list of windows to store with the next transaction. */
  dirty = false;
  /** Append time and offset of the record that closed it or changed it last since; one record is one revision. */
  changedAppendMs: number | null = null;
  changedOffset: number | null = null;

  constructor(public spec: number, public startMs: number, public endMs: number) {
    // Side by side, in the processor's cache together.
    const bytes = new ArrayBuffer(WINDOW_BYTES);
    const cells = new Float64Array(bytes, 0, 2 * CHANNEL_CELLS);
    const list = new Int32Array(bytes, CELLS_BYTES);
    this.temperature = new Channel(cells, 0, new CountedValues(list, 0));
    this.humidity = new Channel(cells, CHANNEL_CELLS, new CountedValues(list, listedMax));
  }

  /** Becomes another window, of which nothing has come yet. */
  begin(spec: number, startMs: number, endMs: number): void {
    [this.spec, this.startMs, this.endMs] = [spec, startMs, endMs];
    this.readings =
      this.sensorFaults =
      this.late =
      this.timeUncertain =
        0;
    this.everyMs = null;
    this.oldestAppendMs = Infinity;
    this.temperature.clear();
    this.humidity.clear();
    this.closedBy = null;
    this.revision = 0;
    this.storedRevision = null;
    this.hasAllValues = true;
    this.shownArrivals = this.drawnArrivals = 0;
    this.dirty = false;
    this.changedAppendMs = this.changedOffset = null;
  }

  add(reading: Addend): void {
    if (reading.fault !== null) this.sensorFaults++;
    else this.readings++;
    if (reading.timeUncertain) this.timeUncertain++;
    if (reading.appendMs < this.oldestAppendMs) this.oldestAppendMs = reading.appendMs;
    const { tsMs, offset, index, temperatureMilliC: temperature, humidityMilliPct: humidity } = reading;
    const boot = reading.boot ?? NO_NUMBER;
    const seq = reading.seq ?? NO_NUMBER;
    if (temperature !== null) this.temperature.add(temperature, tsMs, boot, seq, offset, index);
    if (humidity !== null) this.humidity.add(humidity, tsMs, boot, seq, offset, index);
  }

  /** Adds a reading to an open window, with the interval that its device states. */
  addOpen(reading: Addend & { readonly everyMs: number | null; readonly released: boolean }): void {
    this.add(reading);
    if (!reading.released) this.everyMs = reading.everyMs;
  }

  /** The same for a reading with boot, seq and values, whose values may be `NO_VALUE`. */
  addValues(
    temperature: number,
    humidity: number,
    tsMs: number,
    boot: number,
    seq: number,
    offset: number,
    index: number,
    appendMs: number,
    everyMs: number | null,
  ): void {
    this.readings++;
    if (appendMs < this.oldestAppendMs) this.oldestAppendMs = appendMs;
    if (temperature !== NO_VALUE) this.temperature.add(temperature, tsMs, boot, seq, offset, index);
    if (humidity !== NO_VALUE) this.humidity.add(humidity, tsMs, boot, seq, offset, index);
    this.everyMs = everyMs;
  }

  /** Adds only what percentiles are read from. */
  remember(reading: Addend): void {
    if (reading.temperatureMilliC !== null) this.temperature.remember(reading.temperatureMilliC);
    if (reading.humidityMilliPct !== null) this.humidity.remember(reading.humidityMilliPct);
  }

  row(device: string, windowSize: string): WindowRow {
    assert(this.readings + this.sensorFaults > 0, "a stored window has arrivals");
    return {
      device,
      windowSize,
      startMs: this.startMs,
      endMs: this.endMs,
      readings: this.readings,
      sensorFaults: this.sensorFaults,
      late: this.late,
      timeUncertain: this.timeUncertain,
      everyMs: this.everyMs,
      oldestAppendMs: this.oldestAppendMs,
      temperature: this.temperature.row(this.hasAllValues),
      humidity: this.humidity.row(this.hasAllValues),
      closedBy: this.closedBy,
      revision: this.revision,
      replaces: this.storedRevision,
      changedAppendMs: this.changedAppendMs,
      changedOffset: this.changedOffset,
    };
  }

  /** Takes a closed window as stored; its values have to be remembered again before it can be revised. */
  setRow(row: WindowRow): void {
    this.readings = row.readings;
    this.sensorFaults = row.sensorFaults;
    this.late = row.late;
    this.timeUncertain = row.timeUncertain;
    this.everyMs = row.everyMs;
    this.oldestAppendMs = row.oldestAppendMs;
    this.temperature.setRow(row.temperature);
    this.humidity.setRow(row.humidity);
    this.closedBy = row.closedBy;
    this.revision = row.revision;
    this.storedRevision = row.revision;
    this.changedAppendMs = row.changedAppendMs;
    this.changedOffset = row.changedOffset;
  }

  /** Notes which record closed it, or changed it after that. */
  changedBy(appendMs: number, offset: number): void {
    this.changedAppendMs = appendMs;
    this.changedOffset = offset;
  }

  /** As comparable text. A row with expired readings (`isKept` false) gets no percentiles any more, whatever it holds. */
  describe(isKept: boolean): string {
    const hasAllValues = this.hasAllValues && isKept;
    return [
      this.spec,
      this.startMs,
      this.endMs,
      this.readings,
      this.sensorFaults,
      this.late,
      this.timeUncertain,
      this.everyMs,
      this.oldestAppendMs,
      this.closedBy,
      this.revision,
      this.storedRevision,
      this.changedAppendMs,
      this.changedOffset,
      hasAllValues,
      this.temperature.describe(hasAllValues),
      this.humidity.describe(hasAllValues),
    ].join("|");
  }
}
