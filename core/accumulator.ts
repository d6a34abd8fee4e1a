/**
 * What a window adds up: exact integers of thousandths, first and last by a total order, and every value with its count,
 * from which percentiles by nearest rank are read. A DHT22 speaks in tenths, so a day has few different values and the
 * counts stay small where a list of values would not.
 */
import { assert } from "./assert.ts";
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

/** The same as numbers that compare in the same order. */
class Order {
  tsMs = 0;
  boot = NO_NUMBER;
  seq = NO_NUMBER;
  offset = 0;
  index = 0;

  set(tsMs: number, boot: number, seq: number, offset: number, index: number): void {
    this.tsMs = tsMs;
    this.boot = boot;
    this.seq = seq;
    this.offset = offset;
    this.index = index;
  }

  /** Whether the place with these numbers comes before it. */
  isAfter(tsMs: number, boot: number, seq: number, offset: number, index: number): boolean {
    if (tsMs !== this.tsMs) return tsMs < this.tsMs;
    if (boot !== this.boot) return boot < this.boot;
    if (seq !== this.seq) return seq < this.seq;
    return offset !== this.offset ? offset < this.offset : index < this.index;
  }

  place(): Place {
    const { tsMs, offset, index } = this;
    const orNull = (value: number) => value === NO_NUMBER ? null : value;
    return { tsMs, boot: orNull(this.boot), seq: orNull(this.seq), offset, index };
  }

  setPlace({ tsMs, boot, seq, offset, index }: Place): void {
    this.set(tsMs, boot ?? NO_NUMBER, seq ?? NO_NUMBER, offset, index);
  }
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
/** So many values are kept as a list before they are counted by value: more than a minute of the fastest board has. */
const LISTED_MAX = 64;

/** Exact integers of one channel. Values are thousandths within ±10^9. */
export class Channel {
  count = 0;
  sum = 0;
  min = 0;
  max = 0;
  first = 0;
  last = 0;
  readonly #first = new Order();
  readonly #last = new Order();
  #squares = 0;
  #squaresCarried = 0n;
  #listed: number[] = [];
  #counts: Map<number, number> | null = null;

  /** Adds a value; the numbers after it are its place, with −1 for no boot or seq. */
  add(value: number, tsMs: number, boot: number, seq: number, offset: number, index: number): void {
    this.sum += value;
    this.#squares += value * value;
    if (this.#squares > EXACT_MAX) this.#carry();
    if (this.count++ === 0) {
      this.min =
        this.max =
        this.first =
        this.last =
          value;
      this.#first.set(tsMs, boot, seq, offset, index);
      this.#last.set(tsMs, boot, seq, offset, index);
    } else {
      if (value < this.min) this.min = value;
      if (value > this.max) this.max = value;
      if (!this.#last.isAfter(tsMs, boot, seq, offset, index)) {
        this.last = value;
        this.#last.set(tsMs, boot, seq, offset, index);
      } else if (this.#first.isAfter(tsMs, boot, seq, offset, index)) {
        this.first = value;
        this.#first.set(tsMs, boot, seq, offset, index);
      }
    }
    this.remember(value);
  }

  /** Adds a value to those that percentiles are read from, and to nothing else. */
  remember(value: number): void {
    this.#listed.push(value);
    if (this.#listed.length === LISTED_MAX) this.#countListed();
  }

  #carry(): void {
    this.#squaresCarried += BigInt(this.#squares);
    this.#squares = 0;
  }

  /** Moves the list into the counts, all at once: a map that is in the processor's cache is many times as fast. */
  #countListed(): Map<number, number> {
    const counts = this.#counts ??= new Map();
    for (const value of this.#listed) counts.set(value, (counts.get(value) ?? 0) + 1);
    this.#listed = [];
    return counts;
  }

  get sumSquares(): bigint {
    return this.#squaresCarried + BigInt(this.#squares);
  }

  /** Nearest rank: the ⌈percent · n / 100⌉-th smallest of the remembered values; null without any. */
  percentiles(percents: readonly number[]): (number | null)[] {
    if (this.#counts === null) {
      const sorted = Int32Array.from(this.#listed).sort();
      return percents.map((percent) => sorted[Math.ceil((percent * sorted.length) / 100) - 1] ?? null);
    }
    const counts = [...this.#countListed()].sort(([a], [b]) => a - b);
    const total = counts.reduce((sum, [, count]) => sum + count, 0);
    return percents.map((percent) => {
      let left = Math.ceil((percent * total) / 100);
      for (const [value, count] of counts) {
        left -= count;
        if (left <= 0) return value;
      }
      return null;
    });
  }

  row(withPercentiles: boolean): ChannelRow {
    const some = this.count > 0;
    const [p50 = null, p95 = null] = some && withPercentiles ? this.percentiles([50, 95]) : [];
    return {
      count: this.count,
      sum: this.sum,
      sumSquares: this.sumSquares,
      min: some ? this.min : null,
      max: some ? this.max : null,
      first: some ? this.first : null,
      last: some ? this.last : null,
      firstKey: some ? placeText(this.#first.place()) : null,
      lastKey: some ? placeText(this.#last.place()) : null,
      p50,
      p95,
    };
  }

  /** A channel as stored, with no values remembered. */
  static ofRow(row: ChannelRow): Channel {
    const channel = new Channel();
    channel.count = row.count;
    channel.sum = row.sum;
    channel.#squaresCarried = row.sumSquares;
    channel.min = row.min ?? 0;
    channel.max = row.max ?? 0;
    channel.first = row.first ?? 0;
    channel.last = row.last ?? 0;
    if (row.firstKey !== null) channel.#first.setPlace(placeOfText(row.firstKey));
    if (row.lastKey !== null) channel.#last.setPlace(placeOfText(row.lastKey));
    return channel;
  }

  /** Every field as comparable text, for tests of rebuilt state; the values only where they still decide something. */
  describe(withValues: boolean): string {
    const counted = [...this.#counts ?? []].flatMap(([value, count]) => Array<number>(count).fill(value));
    const values = withValues ? [...this.#listed, ...counted] : [];
    const place = (at: Order) => this.count === 0 ? "" : placeText(at.place());
    return [
      this.count,
      this.sum,
      this.sumSquares,
      this.min,
      this.max,
      this.first,
      this.last,
      place(this.#first),
      place(this.#last),
      values.toSorted((a, b) => a - b).join(" "),
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
  temperature = new Channel();
  humidity = new Channel();
  closedBy: ClosedBy | null = null;
  revision = 0;
  /** Revision of the newest version in the store; null while there is none. */
  storedRevision: number | null = null;
  /** Percentiles as last stored, for a row whose values can't be remembered any more. */
  hasAllValues = true;
  /** Arrivals in it when watchers were shown it last. */
  shownArrivals = 0;
  /** In the list of windows to store with the next transaction. */
  dirty = false;
  /** Append time and offset of the record that closed it or changed it last since; one record is one revision. */
  changedAppendMs: number | null = null;
  changedOffset: number | null = null;

  constructor(readonly spec: number, readonly startMs: number, readonly endMs: number) {}

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

  /** A closed window as stored; its values have to be remembered again before it can be revised. */
  static ofRow(row: WindowRow, spec: number): WindowState {
    const state = new WindowState(spec, row.startMs, row.endMs);
    state.readings = row.readings;
    state.sensorFaults = row.sensorFaults;
    state.late = row.late;
    state.timeUncertain = row.timeUncertain;
    state.everyMs = row.everyMs;
    state.oldestAppendMs = row.oldestAppendMs;
    state.temperature = Channel.ofRow(row.temperature);
    state.humidity = Channel.ofRow(row.humidity);
    state.closedBy = row.closedBy;
    state.revision = row.revision;
    state.storedRevision = row.revision;
    state.changedAppendMs = row.changedAppendMs;
    state.changedOffset = row.changedOffset;
    return state;
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
