/**
 * How fast simulated time goes: as fast as the processor allows while a client waits for something, in real time otherwise.
 * So a scenario is over at once, and a board that just runs costs nothing.
 */
import type { Clock } from "../../core/ports/clock.ts";

/** `auto` as above; `real`: always in real time; `max`: never. */
export type Pace = "auto" | "real" | "max";

/** The longest sleep while real time passes. */
const SLEEP_MS_MAX = 1_000;
/** At full speed, the rest of the process gets a turn so often. */
const TURN_MS = 10;
const NANOS_PER_MS = 1e6;

export class Pacer {
  readonly #clock: Clock;
  readonly #pace: Pace;
  #turnAtMs: number;
  /** Real and simulated time at one moment since which they pass alike. */
  #anchor: { readonly wallMs: number; readonly nanos: number } | null = null;

  constructor(clock: Clock, pace: Pace) {
    this.#clock = clock;
    this.#pace = pace;
    this.#turnAtMs = clock.monotonicMs();
  }

  /** Simulated time stands still, or is another one. */
  stop(): void {
    this.#anchor = null;
  }

  /** Milliseconds until `nextNanos` is due, at most a second; 0 or less when it is. `isAwaited`: a client waits. */
  waitMs(nowNanos: number, nextNanos: number, isAwaited: boolean): number {
    if (this.#pace === "max" || (this.#pace === "auto" && isAwaited)) {
      this.#anchor = null;
      return 0;
    }
    return Math.min((nextNanos - this.realNanos(nowNanos)) / NANOS_PER_MS, SLEEP_MS_MAX);
  }

  /** Simulated time by the clock on the wall. */
  realNanos(nowNanos: number): number {
    const wallMs = this.#clock.monotonicMs();
    this.#anchor ??= { wallMs, nanos: nowNanos };
    return this.#anchor.nanos + Math.round((wallMs - this.#anchor.wallMs) * NANOS_PER_MS);
  }

  /** A client's frames, and other clients, get their turn. */
  async yield(): Promise<void> {
    if (this.#clock.monotonicMs() - this.#turnAtMs < TURN_MS) return;
    await this.#clock.sleep(0);
    this.#turnAtMs = this.#clock.monotonicMs();
  }
}
