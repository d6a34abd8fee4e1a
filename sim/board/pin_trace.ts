/** What happened on the board's pins, for a logic analyser: recorded only while somebody listens. */
import { dht22TimingUs, type Pulse } from "./dht22.ts";

/** One change of level. */
export interface PinChange {
  readonly pin: number;
  readonly level: 0 | 1;
  /** Virtual Unix time in microseconds. */
  readonly atUs: number;
}

/** A promise holds the program that drove the pin until it settles; a sensor's edges hold nobody. */
export type PinListener = (change: PinChange) => void | Promise<void>;

/** MicroPython's routine holds the line high for 250 ms, then low for 18 ms, before it listens. */
const QUIET_US = 250_000;

export class PinTrace {
  #listener: PinListener | null = null;

  /** Calls `listener` with each change from now on; null stops. Changes of one exchange come at once, in order. */
  listen(listener: PinListener | null): void {
    this.#listener = listener;
  }

  level(pin: number, level: 0 | 1, atUs: number): void | Promise<void> {
    return this.#listener?.({ pin, level, atUs });
  }

  /** A whole exchange with a DHT22, whose routine was entered at `startUs`. */
  dhtExchange(pin: number, startUs: number, pulses: readonly Pulse[]): void {
    if (this.#listener === null) return;
    let atUs = startUs + QUIET_US;
    this.level(pin, 0, atUs);
    atUs += dht22TimingUs.start;
    let last: 0 | 1 = 0;
    for (const pulse of pulses) {
      if (pulse.level !== last) this.level(pin, pulse.level, atUs);
      last = pulse.level;
      atUs += pulse.us;
    }
    if (last === 0) this.level(pin, 1, atUs);
  }
}
