/**
 * The values of one channel in one window, from which percentiles are read: each distinct value with its count. A DHT22
 * speaks in tenths, so a day has few of them, and counts stay small where a list of all values would not.
 *
 * New values wait in a short list that is counted all at once, while its window's memory is in the processor's cache. A
 * minute is over before its list is full. There is no object for a value, nor a new list for the next one: at half a
 * million readings a second the collector would be busiest of all.
 */
import { doubled } from "./scanned_batches.ts";

/** So many values wait for their counts: more than a minute of the fastest board has. */
export const listedMax = 64;
/** With more distinct values than this for each place in the list, the list grows: merging costs what they are. */
const DISTINCT_PER_PLACE = 8;

const NO_INTEGERS = new Int32Array(0);
/** A list in order, without disturbing the list. */
const sorted = new Int32Array(listedMax);

export class CountedValues {
  /** Not counted yet: `#waiting` numbers of `#list` from `#at` on. */
  #list: Int32Array;
  #at: number;
  #listMax = listedMax;
  #waiting = 0;
  /** The distinct values, rising, and how often each has come: the first `#distinct` of either. */
  #values = NO_INTEGERS;
  #counts = NO_INTEGERS;
  #distinct = 0;
  readonly #first: { readonly list: Int32Array; readonly at: number };

  /** `list` has room for {@link listedMax} numbers from `at` on, which nobody else uses. */
  constructor(list = new Int32Array(listedMax), at = 0) {
    this.#first = { list, at };
    [this.#list, this.#at] = [list, at];
  }

  /** Forgets all values; what they took is used again, except what only many distinct ones need. */
  clear(): void {
    [this.#list, this.#at, this.#listMax] = [this.#first.list, this.#first.at, listedMax];
    this.#waiting = this.#distinct = 0;
    if (this.#values.length > 8 * listedMax) this.#values = this.#counts = NO_INTEGERS;
  }

  /** A value in 32 bits. */
  add(value: number): void {
    this.#list[this.#at + this.#waiting++] = value;
    if (this.#waiting === this.#listMax) this.#count();
  }

  /** Nearest rank: the ⌈percent · n / 100⌉-th smallest of `n` values; null without any. `percent` in (0, 100]. */
  percentiles(percents: readonly number[]): (number | null)[] {
    if (this.#distinct === 0) return this.#listedPercentiles(percents);
    this.#count();
    let total = 0;
    for (let i = 0; i < this.#distinct; i++) total += this.#counts[i]!;
    return percents.map((percent) => {
      let left = Math.ceil((percent * total) / 100);
      let i = 0;
      while ((left -= this.#counts[i]!) > 0) i++;
      return this.#values[i]!;
    });
  }

  #listedPercentiles(percents: readonly number[]): (number | null)[] {
    const length = this.#waiting;
    for (let i = 0; i < length; i++) sorted[i] = this.#list[this.#at + i]!;
    sort(sorted, 0, length);
    return percents.map((percent) => length === 0 ? null : sorted[Math.ceil((percent * length) / 100) - 1]!);
  }

  /** All values in order, for tests. */
  all(): number[] {
    const values = [...this.#list.subarray(this.#at, this.#at + this.#waiting)];
    for (let i = 0; i < this.#distinct; i++) {
      values.push(...new Array<number>(this.#counts[i]!).fill(this.#values[i]!));
    }
    return values.sort((a, b) => a - b);
  }

  /** Moves the list into the counts: known values where they are, then the new ones by merging. */
  #count(): void {
    const [list, at] = [this.#list, this.#at];
    let unknown = 0;
    for (let i = 0; i < this.#waiting; i++) {
      const value = list[at + i]!;
      const place = this.#find(value);
      if (place < this.#distinct && this.#values[place] === value) this.#counts[place]!++;
      else list[at + unknown++] = value;
    }
    this.#waiting = 0;
    if (unknown === 0) return;
    sort(list, at, unknown);
    this.#merge(unknown);
    if (this.#distinct > DISTINCT_PER_PLACE * this.#listMax) this.#growList();
  }

  /** Index of the first distinct value that isn't below `value`. */
  #find(value: number): number {
    const values = this.#values;
    let low = 0;
    for (let high = this.#distinct; low < high;) {
      const middle = (low + high) >> 1;
      if (values[middle]! < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Puts the first `length` numbers of the list, which are in order and not among the distinct, in their places. */
  #merge(length: number): void {
    const [list, at] = [this.#list, this.#at];
    let added = 0;
    for (let i = 0; i < length; i++) if (i === 0 || list[at + i] !== list[at + i - 1]) added++;
    this.#reserve(this.#distinct + added);
    const [values, counts] = [this.#values, this.#counts];
    let from = this.#distinct - 1;
    let to = this.#distinct + added - 1;
    this.#distinct += added;
    // From the end, so that what is there is moved before its place is taken.
    for (let i = length - 1; i >= 0;) {
      const value = list[at + i]!;
      while (from >= 0 && values[from]! > value) {
        values[to] = values[from]!;
        counts[to--] = counts[from--]!;
      }
      let count = 0;
      for (; i >= 0 && list[at + i] === value; i--) count++;
      values[to] = value;
      counts[to--] = count;
    }
  }

  #reserve(length: number): void {
    if (length <= this.#values.length) return;
    const capacity = Math.max(length, 2 * this.#values.length);
    this.#values = doubled(this.#values, new Int32Array(capacity));
    this.#counts = doubled(this.#counts, new Int32Array(capacity));
  }

  #growList(): void {
    this.#listMax *= 2;
    [this.#list, this.#at] = [new Int32Array(this.#listMax), 0];
  }
}

/** Puts `length` numbers from `at` on in order. */
function sort(list: Int32Array, at: number, length: number): void {
  if (length > listedMax) {
    list.subarray(at, at + length).sort();
    return;
  }
  // Few, and most in order already: readings wander.
  for (let i = at + 1; i < at + length; i++) {
    const value = list[i]!;
    let to = i;
    for (; to > at && list[to - 1]! > value; to--) list[to] = list[to - 1]!;
    list[to] = value;
  }
}
