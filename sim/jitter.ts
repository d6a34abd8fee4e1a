/**
 * Real time that passes where the simulated world meets the machine: before and after calls into DuckDB and the file
 * system, before and after what readers read, and between events. A run must not depend on it, so the same seed with any
 * jitter gives the same run.
 */
import { below, chance, type Random } from "../core/ports/random.ts";
import { machineClock } from "../platform/clock.ts";
import { seededRandom } from "./random.ts";

/** As long as a busy machine lets a thread wait for its turn. */
const PAUSE_MS_MAX = 20;

export class Jitter {
  readonly #random: Random;
  /** Pauses so far. */
  count = 0;

  constructor(seed: number) {
    this.#random = seededRandom("jitter", seed);
  }

  /** Lasts up to 20 ms of real time, once in `oneIn` times; otherwise it is over at once. */
  async pause(oneIn = 16): Promise<void> {
    if (!chance(this.#random, 1, oneIn)) return;
    this.count++;
    await machineClock.sleep(below(this.#random, PAUSE_MS_MAX + 1));
  }

  /** A call that begins late and whose end is heard of late. */
  async around<T>(call: () => Promise<T>): Promise<T> {
    await this.pause();
    try {
      return await call();
    } finally {
      await this.pause();
    }
  }
}
