/**
 * What a window adds up: exact integers of thousandths, first and last by a total order, and every value with its count,
 * from which percentiles by nearest rank are read. A DHT22 speaks in tenths, so a day has few different values and the
 * counts stay small where a list of values would not.
 */
import { assert } from "./assert.ts";
import type { ChannelRow, ClosedBy, WindowRow } from "./rows.ts";

/** A reading's place in the order that decides first and last; numbers compare in this order, −1 is "none". */
export interface Place {
  readonly tsMs: number;
  readonly boot: number | null;
  readonly seq: number | null;
  readonly offset: number;
  readonly index: number;
}

function isBefore(a: Place, b: Place): boolean {
  if (a.tsMs !== b.tsMs) return a.tsMs < b.tsMs;
  const bootA = a.boot ?? -1;
  const bootB = b.boot ?? -1;
  if (bootA !== bootB) return bootA < bootB;
  const seqA = a.seq ?? -1;
  const seqB = b.seq ?? -1;
  if (seqA !== seqB) return seqA < seqB;
  return a.offset !== b.offset ? a.offset < b.offset : a.index < b.index;
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
  firstPlace: Place | null = null;
  lastPlace: Place | null = null;
  #squares = 0;
  #squaresCarried = 0n;
  #listed: number[] = [];
  #counts: Map<number, number> | null = null;

  add(value: number, place: Place): void {
    this.count++;
    this.sum += value;
    this.#squares += value * value;
    if (this.#squares > EXACT_MAX) this.#carry();
    if (this.firstPlace === null || this.lastPlace === null) {
      this.min =
        this.max =
        this.first =
        this.last =
          value;
      this.firstPlace = this.lastPlace = place;
    } else {
      if (value < this.min) this.min = value;
      if (value > this.max) this.max = value;
      if (!isBefore(place, this.lastPlace)) {
        this.last = value;
        this.lastPlace = place;
      } else if (isBefore(place, this.firstPlace)) {
        this.first = value;
        this.firstPlace = place;
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
      firstKey: this.firstPlace && placeText(this.firstPlace),
      lastKey: this.lastPlace && placeText(this.lastPlace),
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
    channel.firstPlace = row.firstKey === null ? null : placeOfText(row.firstKey);
    channel.lastPlace = row.lastKey === null ? null : placeOfText(row.lastKey);
    return channel;
  }

  /** Every field as comparable text, for tests of rebuilt state; the values only where they still decide something. */
  describe(withValues: boolean): string {
    const counted = [...this.#counts ?? []].flatMap(([value, count]) => Array<number>(count).fill(value));
    const values = withValues ? [...this.#listed, ...counted] : [];
    const place = (at: Place | null) => at === null ? "" : placeText(at);
    return [
      this.count,
      this.sum,
      this.sumSquares,
      this.min,
      this.max,
      this.first,
      this.last,
      place(this.firstPlace),
      place(this.lastPlace),
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
    if (reading.temperatureMilliC !== null) this.temperature.add(reading.temperatureMilliC, reading);
    if (reading.humidityMilliPct !== null) this.humidity.add(reading.humidityMilliPct, reading);
  }

  /** Adds a reading to an open window, with the interval that its device states. */
  addOpen(reading: Addend & { readonly everyMs: number | null; readonly released: boolean }): void {
    this.add(reading);
    if (!reading.released) this.everyMs = reading.everyMs;
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
