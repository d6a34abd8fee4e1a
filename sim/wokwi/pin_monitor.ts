/**
 * What the board's pins carry at any nanosecond, and a record of it for the VCD.
 *
 * A sensor's answer is known when the read begins, but its edges lie in the future: they wait here until simulated time
 * has reached them, so that a pause in the middle of a bit sees that bit.
 */
import { assert } from "../../core/assert.ts";

/** Changes kept for the VCD: the default buffer of Wokwi's logic analyser. Later ones are counted, not kept. */
const SAMPLES_MAX = 1_000_000;

export interface Edge {
  readonly gpio: number;
  readonly level: 0 | 1;
  /** Simulated nanoseconds since the start. */
  readonly atNanos: number;
}

/** Changes in order of time, column by column. */
export interface Samples {
  readonly nanos: readonly number[];
  readonly gpios: readonly number[];
  readonly levels: readonly (0 | 1)[];
}

export class PinMonitor {
  readonly #levels = new Map<number, 0 | 1>();
  readonly #nanos: number[] = [];
  readonly #gpios: number[] = [];
  readonly #sampleLevels: (0 | 1)[] = [];
  /** Edges to come, in order of time. */
  #coming: Edge[] = [];
  /** Changes that found no room in the record. */
  droppedCount = 0;
  readonly #samplesMax: number;

  constructor(samplesMax: number = SAMPLES_MAX) {
    this.#samplesMax = samplesMax;
  }

  get samples(): Samples {
    return { nanos: this.#nanos, gpios: this.#gpios, levels: this.#sampleLevels };
  }

  /** What a pin carries now; null if it has never changed. */
  level(gpio: number): 0 | 1 | null {
    return this.#levels.get(gpio) ?? null;
  }

  /** An edge that comes at its time. */
  plan(edge: Edge): void {
    const last = this.#coming.at(-1);
    if (last === undefined || last.atNanos <= edge.atNanos) {
      this.#coming.push(edge);
      return;
    }
    const index = this.#coming.findIndex((other) => other.atNanos > edge.atNanos);
    this.#coming.splice(index, 0, edge);
  }

  /** The power goes: what a pin was going to do, it doesn't. */
  cancelComing(): void {
    this.#coming = [];
  }

  /** When the next edge comes; null if none is on its way. */
  get nextNanos(): number | null {
    return this.#coming[0]?.atNanos ?? null;
  }

  /** When the next edge of a pin that `isWatched` comes; null if none is on its way. */
  nextWatched(isWatched: (gpio: number) => boolean): number | null {
    return this.#coming.find(({ gpio }) => isWatched(gpio))?.atNanos ?? null;
  }

  /** Takes the next edge that has come by `nowNanos`, and makes it the pin's level; null when there is none. */
  take(nowNanos: number): Edge | null {
    const edge = this.#coming[0];
    if (edge === undefined || edge.atNanos > nowNanos) return null;
    this.#coming.shift();
    return this.set(edge) ? edge : this.take(nowNanos);
  }

  /** An edge that comes now; false if the pin carries that level already. */
  set({ gpio, level, atNanos }: Edge): boolean {
    if (this.#levels.get(gpio) === level) return false;
    assert((this.#nanos.at(-1) ?? 0) <= atNanos, "edges come in order of time");
    this.#levels.set(gpio, level);
    if (this.#nanos.length >= this.#samplesMax) {
      this.droppedCount++;
      return true;
    }
    this.#nanos.push(atNanos);
    this.#gpios.push(gpio);
    this.#sampleLevels.push(level);
    return true;
  }

  /** Pins that carry a level of their own. */
  driven(): number[] {
    return [...this.#levels.keys()];
  }

  /** The level that a pin rests at before anything drives it; no change, and not in the record. */
  rest(gpio: number, level: 0 | 1): void {
    this.#levels.set(gpio, level);
  }
}
