/**
 * Window states that are over, for the next windows. A minute lives for minutes: long enough for the collector to have
 * moved it twice when it goes, a thousand of them a minute from a thousand devices.
 */
import { WindowState } from "./accumulator.ts";

/** States that wait for a window; more are left to the collector. */
const FREE_MAX = 4_096;

export class WindowPool {
  /** By window spec: a day's have room for more values than a minute's. */
  readonly #free: WindowState[][];
  #freeCount = 0;

  constructor(specs: number) {
    this.#free = Array.from({ length: specs }, () => []);
  }

  /** A window of which nothing has come yet. */
  take(spec: number, startMs: number, endMs: number): WindowState {
    const state = this.#free[spec]!.pop();
    if (state === undefined) return new WindowState(spec, startMs, endMs);
    this.#freeCount--;
    state.begin(spec, startMs, endMs);
    return state;
  }

  /** Nobody uses this state any more. */
  give(state: WindowState): void {
    if (this.#freeCount === FREE_MAX) return;
    this.#freeCount++;
    this.#free[state.spec]!.push(state);
  }
}
