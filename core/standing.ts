/**
 * How a partition's devices stand as of the last transaction: how many windows are open, and the lowest watermark among
 * the devices that have any. Both are asked for at every look at the status and every scrape of the metrics, so they are
 * kept: a question costs nothing, a device in a transaction the logarithm of their number at most, 20 bytes each.
 */
import type { DeviceState } from "./device.ts";
import { doubled } from "./scanned_batches.ts";

const FIRST_DEVICES = 64;

export class Standing {
  #openWindows = 0;
  #devices = 0;
  /** Open windows by number of device. */
  #open = new Int32Array(FIRST_DEVICES);
  /**
   * A tournament: the device of number `n` is entry `n` of the upper half, Infinity unless it counts, and each entry `i`
   * of the lower half is the lower of entries `2i` and `2i + 1`. Entry 1 is the lowest of all.
   */
  #lowest = new Float64Array(2 * FIRST_DEVICES).fill(Infinity);

  /** How many windows are open. */
  get openWindows(): number {
    return this.#openWindows;
  }

  /** Lowest watermark (ms) among the devices that have open windows: below it everything is closed. Null if none has. */
  get lowestWatermarkMs(): number | null {
    const lowestMs = this.#lowest[1]!;
    return lowestMs === Infinity ? null : lowestMs;
  }

  /** The device may have changed: its watermark, or which windows it has open. */
  note(device: DeviceState): void {
    if (device.standingNumber < 0) device.standingNumber = this.#add();
    const number = device.standingNumber;
    let open = 0;
    for (const windows of device.open) open += windows.size;
    this.#openWindows += open - this.#open[number]!;
    this.#open[number] = open;
    this.#set(number, open === 0 ? Infinity : device.watermarkMs ?? Infinity);
  }

  #add(): number {
    const capacity = this.#open.length;
    if (this.#devices === capacity) {
      this.#open = doubled(this.#open, new Int32Array(2 * capacity));
      const leaves = this.#lowest.subarray(capacity);
      this.#lowest = new Float64Array(4 * capacity).fill(Infinity);
      this.#lowest.set(leaves, 2 * capacity);
      for (let at = 2 * capacity - 1; at > 0; at--) this.#lowest[at] = this.#lowerOf(at);
    }
    return this.#devices++;
  }

  #set(number: number, watermarkMs: number): void {
    let at = this.#open.length + number;
    this.#lowest[at] = watermarkMs;
    for (at >>= 1; at > 0; at >>= 1) {
      const lowerMs = this.#lowerOf(at);
      if (this.#lowest[at] === lowerMs) return;
      this.#lowest[at] = lowerMs;
    }
  }

  #lowerOf(at: number): number {
    return Math.min(this.#lowest[2 * at]!, this.#lowest[2 * at + 1]!);
  }
}
