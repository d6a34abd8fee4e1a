/**
 * What this simulator can stand for in a Wokwi project's `diagram.json`: an ESP32 board, a DHT22 on one of its pins, the
 * wires between. Lenient, as Wokwi is: what isn't known or wired wrongly is a warning, and the rest runs.
 */
import { endOf, readDiagram } from "./diagram.ts";
import { type BoardPin, boardPin } from "./esp32_pins.ts";
import { type Refusal, refusal } from "./refusal.ts";

export interface Part {
  readonly id: string;
  readonly type: string;
  readonly attrs: Readonly<Record<string, string>>;
}

export interface Sensor {
  readonly id: string;
  /** The GPIO on its data line; null if it hangs on none. */
  readonly gpio: number | null;
  /** In tenths, from its attributes; Wokwi's defaults are 24 °C and 40 %. */
  readonly temperatureTenthsC: number;
  readonly humidityTenthsPct: number;
}

/** A line of the logic analyser. */
export interface AnalyserChannel {
  readonly name: string;
  readonly gpio: number;
}

export interface Wiring {
  readonly board: Part;
  readonly sensor: Sensor | null;
  readonly parts: ReadonlyMap<string, Part>;
  /** The wired channels of a logic analyser; null without one. */
  readonly channels: readonly AnalyserChannel[] | null;
  /** Sentences on what is missing or can't be simulated. */
  readonly warnings: readonly string[];
  /** The board's pin that `pin` of `part` is, or is wired to; null if there is none. */
  pin(part: string, pin: string): BoardPin | null;
}

/** What is simulated without a diagram, and the project's own wiring: a DevKitC v4 with a DHT22 on GPIO 15. */
export const defaultDiagram = JSON.stringify({
  version: 1,
  parts: [{ type: "board-esp32-devkit-c-v4", id: "esp" }, { type: "wokwi-dht22", id: "dht" }],
  connections: [["esp:15", "dht:SDA", "green", []]],
});

const ANALYSER_LINES = 8;

const simulated = /^(board-esp32|wokwi-esp32|wokwi-dht22$|wokwi-resistor$|wokwi-logic-analyzer$)/;
/** Parts that only look on: nothing is lost by not simulating them. */
const passive = /^wokwi-(text|vcc|gnd|junction|breadboard.*|wifi-ap|led)$/;

/** The wiring that the text of a `diagram.json` describes. */
export function readWiring(diagram: string): Wiring | Refusal {
  const read = readDiagram(diagram);
  if (typeof read === "string") return refusal(400, `diagram.json ${read}`);
  const parts = new Map(read.parts.map(({ id, type, attrs }) => [id, { id, type, attrs: texts(attrs) }]));
  const board = [...parts.values()].find(({ type }) => /^(board|wokwi)-esp32/.test(type));
  if (board === undefined) {
    return refusal(
      501,
      "diagram.json has no ESP32: this simulator has one board, board-esp32-devkit-c-v4 and its relatives",
    );
  }
  const net = new Net(read.connections, parts);
  const pin = (part: string, name: string): BoardPin | null => {
    if (part === board.id) return boardPin(board.type, name);
    const wired = net.of(`${part}:${name}`).map(endOf).filter((end) => end.part === board.id);
    for (const end of wired) {
      const found = boardPin(board.type, end.pin);
      if (found !== null) return found;
    }
    return null;
  };
  const sensors = [...parts.values()].filter(({ type }) => type === "wokwi-dht22");
  const sensor = sensors[0] === undefined ? null : sensorOf(sensors[0], pin);
  return {
    board,
    sensor,
    parts,
    channels: channelsOf([...parts.values()].find(({ type }) => type === "wokwi-logic-analyzer"), pin),
    warnings: warningsOf(parts, sensors, sensor),
    pin,
  };
}

const texts = (attrs: Readonly<Record<string, unknown>>): Record<string, string> =>
  Object.fromEntries(Object.entries(attrs).map(([name, value]) => [name, String(value)]));

type PinLookup = (part: string, name: string) => BoardPin | null;

function sensorOf({ id, attrs }: Part, pin: PinLookup): Sensor {
  const data = pin(id, "SDA");
  return {
    id,
    gpio: data?.kind === "gpio" ? data.gpio : null,
    temperatureTenthsC: tenths(attrs.temperature, 240),
    humidityTenthsPct: tenths(attrs.humidity, 400),
  };
}

function tenths(text: string | undefined, fallback: number): number {
  const value = Number(text);
  return text === undefined || text.trim() === "" || !Number.isFinite(value)
    ? fallback
    : Math.round(value * 10);
}

function channelsOf(analyser: Part | undefined, pin: PinLookup): AnalyserChannel[] | null {
  if (analyser === undefined) return null;
  const names = (analyser.attrs.channelNames ?? "").split(",").map((name) => name.trim());
  return Array.from({ length: ANALYSER_LINES }, (_, line) => {
    const wired = pin(analyser.id, `D${line}`);
    return wired?.kind === "gpio" ? { name: names[line] || `D${line}`, gpio: wired.gpio } : null;
  }).filter((channel) => channel !== null);
}

function warningsOf(
  parts: ReadonlyMap<string, Part>,
  sensors: readonly Part[],
  sensor: Sensor | null,
): string[] {
  const warnings = [...parts.values()].filter(({ type }) => !simulated.test(type) && !passive.test(type))
    .map(({ id, type }) => `${id} (${type}) is not simulated: nothing happens on its pins`);
  if (sensors.length > 1) {
    warnings.push(`only ${sensors[0]?.id} measures: this simulator has one DHT22 on a board`);
  }
  if (sensor !== null && sensor.gpio === null) {
    warnings.push(`${sensor.id}:SDA is wired to no GPIO of the board: the sensor can't be read`);
  }
  return warnings;
}

/** What is connected with what. */
class Net {
  readonly #neighbours = new Map<string, string[]>();

  constructor(wires: readonly (readonly [string, string])[], parts: ReadonlyMap<string, Part>) {
    for (const [from, to] of wires) this.#join(from, to);
    // A resistor carries a level as a wire does.
    for (const { id, type } of parts.values()) {
      if (type === "wokwi-resistor") this.#join(`${id}:1`, `${id}:2`);
    }
  }

  /** Every end that is connected with `end`, itself included. */
  of(end: string): string[] {
    const found = [end];
    const seen = new Set(found);
    for (const at of found) {
      for (const next of this.#neighbours.get(at) ?? []) {
        if (seen.has(next)) continue;
        seen.add(next);
        found.push(next);
      }
    }
    return found;
  }

  #join(from: string, to: string): void {
    this.#neighbours.set(from, [...this.#neighbours.get(from) ?? [], to]);
    this.#neighbours.set(to, [...this.#neighbours.get(to) ?? [], from]);
  }
}
