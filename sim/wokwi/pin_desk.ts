/** What clients ask of pins: their level, changes of it, which there are, and all that happened on them as a VCD. */
import type { ParamsOf } from "./commands.ts";
import { type BoardPin, gpioNumbers } from "./esp32_pins.ts";
import type { Edge } from "./pin_monitor.ts";
import { isRefusal, listOf, type Refusal, refusal } from "./refusal.ts";
import type { Simulation } from "./simulation.ts";
import { writeVcd } from "./vcd.ts";
import type { Wiring } from "./wiring.ts";

type Answer = Readonly<Record<string, unknown>>;

/** The supply of the ESP32. */
const HIGH_VOLTS = 3.3;

export class PinDesk {
  readonly #onChange: (payload: Answer) => void;
  readonly #watched = new Map<number, Map<string, { readonly part: string; readonly pin: string }>>();

  /** `onChange` takes the payload of each `pin:change`. */
  constructor(onChange: (payload: Answer) => void) {
    this.#onChange = onChange;
  }

  /** The GPIO that `pin` of `part` is, or is wired to. */
  gpio(wiring: Wiring, part: string, pin: string): number | Refusal {
    const found = this.#pin(wiring, part, pin);
    if (isRefusal(found)) return found;
    if (found.kind === "gpio") return found.gpio;
    return refusal(400, `${part}:${pin} is a supply, which never changes`);
  }

  read(wiring: Wiring, simulation: Simulation | null, { part, pin }: ParamsOf<"pin:read">): Answer | Refusal {
    const found = this.#pin(wiring, part, pin);
    if (isRefusal(found)) return found;
    if (found.kind === "supply") {
      const value = found.volts > 0 ? 1 : 0;
      return { pin, value, voltage: found.volts, direction: "out", pullUp: false, pullDown: false };
    }
    const level = simulation?.level(found.gpio) ?? 0;
    return { pin, value: level, voltage: level * HIGH_VOLTS, ...modeOf(simulation, found.gpio) };
  }

  listen(wiring: Wiring, { part, pin, listen }: ParamsOf<"pin:listen">): Answer | Refusal {
    const gpio = this.gpio(wiring, part, pin);
    if (isRefusal(gpio)) return gpio;
    const listeners = this.#watched.get(gpio) ?? new Map();
    if (listen === false) listeners.delete(`${part}:${pin}`);
    else listeners.set(`${part}:${pin}`, { part, pin });
    if (listeners.size > 0) this.#watched.set(gpio, listeners);
    else this.#watched.delete(gpio);
    return {};
  }

  isWatched(gpio: number): boolean {
    return this.#watched.has(gpio);
  }

  /** A pin has changed. */
  edge(simulation: Simulation | null, { gpio, level }: Edge): void {
    for (const { part, pin } of this.#watched.get(gpio)?.values() ?? []) {
      this.#onChange({ part, pin, value: level, ...modeOf(simulation, gpio) });
    }
  }

  list(wiring: Wiring): Answer {
    return { pins: gpioNumbers.map((gpio) => `${wiring.board.id}:GPIO${gpio}`) };
  }

  /** The lines of the diagram's logic analyser; without one, the sensor's and all that have changed. */
  vcd(wiring: Wiring, { pins, nanos }: Simulation): Answer {
    const sensor = wiring.sensor;
    const gpios = new Set([...pins.samples.gpios, ...(sensor?.gpio == null ? [] : [sensor.gpio])]);
    const lines = wiring.channels ?? [...gpios].sort((a, b) => a - b).map((gpio) => ({
      gpio,
      name: gpio === sensor?.gpio ? `${sensor.id}_SDA` : `GPIO${gpio}`,
    }));
    // The sensor's line is pulled up, others rest low.
    const channels = lines.map((line) => ({ ...line, initial: line.gpio === sensor?.gpio ? 1 : 0 } as const));
    const dropped = pins.droppedCount === 0 ? "" : `; ${pins.droppedCount} later changes found no room`;
    const { text, channelCount, sampleCount } = writeVcd(wiring.board.id, channels, pins.samples, {
      endNanos: nanos,
      comment: `simulated ESP32${dropped}`,
    });
    return { vcd: text, channelCount, sampleCount };
  }

  #pin(wiring: Wiring, part: string, pin: string): BoardPin | Refusal {
    if (!wiring.parts.has(part)) {
      return refusal(404, `there is no part ${part}; there are ${listOf(wiring.parts.keys())}`);
    }
    return wiring.pin(part, pin) ?? refusal(404, `${part}:${pin} is no pin of the board, and wired to none`);
  }
}

function modeOf(simulation: Simulation | null, gpio: number): Answer {
  const mode = simulation?.pinMode(gpio);
  const direction = mode === undefined || mode.direction === "in" ? "in" : "out";
  return { direction, pullUp: mode?.pullUp ?? false, pullDown: mode?.pullDown ?? false };
}
