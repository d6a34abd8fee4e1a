/**
 * What hands can do to the board and its surroundings: `control:set`. Temperature and humidity are Wokwi's own; the rest
 * exists offline only (docs/wokwi.md). A control takes effect at the next sensor read, packet, or whatever asks for it.
 */
import type {
  AccessPointState,
  Climate,
  Connection,
  ConnectionEvents,
  Network,
  SensorFault,
} from "../board/mod.ts";
import { listOf, type Refusal, refusal } from "./refusal.ts";
import type { WeatherSample } from "./weather_samples.ts";
import type { Wiring } from "./wiring.ts";

/** What the hands do beyond turning a knob. */
export interface BoardHands {
  /** Power on or off; nothing if it is so already. */
  power(on: boolean): void;
  /** The EN button. */
  reset(): void;
}

/** Faults of the sensor by number: `control:set` knows numbers only. */
export const sensorFaults: readonly { readonly name: string; readonly fault: SensorFault | null }[] = [
  { name: "none", fault: null },
  { name: "unplugged", fault: { kind: "silent" } },
  { name: "wrong checksum", fault: { kind: "flippedBits", bits: [39] } },
  { name: "breaks off after 20 bits", fault: { kind: "short", bitCount: 20 } },
  { name: "a late edge in bit 10", fault: { kind: "lateEdge", bit: 10, us: 60 } },
  // What damaged sensors are known for: 1 °C and 1 %, with a good checksum.
  { name: "stuck at 1 °C, 1 %", fault: { kind: "stuck", frame: new Uint8Array([0, 10, 0, 10, 20]) } },
];

/** Access points by number. */
export const accessPoints: readonly { readonly name: string; readonly state: AccessPointState }[] = [
  { name: "gone", state: "absent" },
  { name: "open", state: "open" },
  { name: "refuses", state: "refuses" },
  { name: "gives no address", state: "noLease" },
  { name: "driver busy", state: "busy" },
];

/** What 16 bits of tenths carry: the sensor measures -40 to 80 °C, a broken one says anything. */
const temperatureMaxC = 3_276.7;
const humidityMaxPct = 6_553.5;
const NTP_PORT = 123;

interface Control {
  /** For messages, such as "-40 to 80". */
  readonly range: string;
  readonly accepts: (value: number) => boolean;
  readonly set: (value: number) => void;
}

export class Controls {
  readonly #wiring: Wiring;
  readonly #weather: readonly WeatherSample[];
  #weatherIndex = 0;
  #weatherNow: Omit<WeatherSample, "atNanos"> = {};
  #temperatureTenthsC: number | null = null;
  #humidityTenthsPct: number | null = null;
  #fault: SensorFault | null = null;
  #accessPoint: AccessPointState = "open";
  #hasTime = true;
  #hasInternet = true;
  #hands: BoardHands = { power() {}, reset() {} };
  readonly #links = new Set<() => void>();

  constructor(wiring: Wiring, weather: readonly WeatherSample[]) {
    this.#wiring = wiring;
    this.#weather = weather;
  }

  /** Whose power and reset are meant from now on. */
  take(hands: BoardHands): void {
    this.#hands = hands;
  }

  /**
   * The air at the sensor, `nanos` after the start, which never go back. What was set by hand stays; else the weather holds,
   * else what the diagram says.
   */
  climate(nanos: number): Climate {
    const sensor = this.#wiring.sensor;
    for (; (this.#weather[this.#weatherIndex]?.atNanos ?? Infinity) <= nanos; this.#weatherIndex++) {
      this.#weatherNow = { ...this.#weatherNow, ...this.#weather[this.#weatherIndex] };
    }
    const given = this.#weatherNow;
    return {
      temperatureTenthsC: this.#temperatureTenthsC ?? given.temperatureTenthsC ??
        sensor?.temperatureTenthsC ?? 240,
      humidityTenthsPct: this.#humidityTenthsPct ?? given.humidityTenthsPct ?? sensor?.humidityTenthsPct ??
        400,
    };
  }

  get sensorFault(): SensorFault | null {
    return this.#fault;
  }

  get accessPoint(): AccessPointState {
    return this.#accessPoint;
  }

  /** Null, or why not. Unknown parts and controls are told which there are. */
  set(part: string, name: string, value: number): Refusal | null {
    const known = this.#controls();
    const controls = Object.hasOwn(known, part) ? known[part] : undefined;
    if (controls === undefined) {
      return this.#wiring.parts.has(part)
        ? refusal(404, `${part} has no controls here; ${listOf(Object.keys(known))} have`)
        : refusal(
          404,
          `there is no part ${JSON.stringify(part)}; parts with controls are ${listOf(Object.keys(known))}`,
        );
    }
    const control = Object.hasOwn(controls, name) ? controls[name] : undefined;
    if (control === undefined) {
      return refusal(
        404,
        `${part} has no control ${JSON.stringify(name)}; it has ${listOf(Object.keys(controls))}`,
      );
    }
    if (!control.accepts(value)) {
      return refusal(400, `${name} of ${part} takes ${control.range}; it was given ${value}`);
    }
    control.set(value);
    return null;
  }

  /** `given` as the board reaches it: without a time server, or cut off behind the access point. */
  network(given: Network): Network {
    return {
      resolve: (name) => this.#hasInternet ? given.resolve(name) : null,
      datagram: (device, host, port, bytes, answer) => {
        if (!this.#hasInternet || (port === NTP_PORT && !this.#hasTime)) return;
        given.datagram(device, host, port, bytes, (reply) => this.#hasInternet ? answer(reply) : undefined);
      },
      connect: (device, host, port, events) => this.#connect(given, device, host, port, events),
    };
  }

  /** A connection over which nothing more comes, and nobody is told, once the cable has been pulled. */
  #connect(
    given: Network,
    device: string,
    host: string,
    port: number,
    events: ConnectionEvents,
  ): Connection {
    if (!this.#hasInternet) return { send() {}, close() {} };
    let isCut = false;
    const pass = (tell: () => void) => isCut ? undefined : tell();
    const connection = given.connect(device, host, port, {
      connected: () => pass(() => events.connected()),
      received: (bytes) => pass(() => events.received(bytes)),
      ended: () => pass(() => events.ended()),
      failed: (failure) => pass(() => events.failed(failure)),
    });
    const cut = () => {
      isCut = true;
      connection.close();
    };
    this.#links.add(cut);
    return {
      send: (bytes) => isCut ? undefined : connection.send(bytes),
      close: () => {
        this.#links.delete(cut);
        if (!isCut) connection.close();
      },
    };
  }

  #controls(): Readonly<Record<string, Readonly<Record<string, Control>>>> {
    const { board, sensor } = this.#wiring;
    const onBoard = {
      power: toggle((on) => this.#hands.power(on)),
      reset: { range: "1", accepts: (value: number) => value === 1, set: () => this.#hands.reset() },
      wifi: choice(accessPoints, ({ state }) => this.#accessPoint = state),
      ntp: toggle((on) => this.#hasTime = on),
      internet: toggle((on) => this.#setInternet(on)),
    };
    if (sensor === null) return { [board.id]: onBoard };
    const atSensor = {
      temperature: quantity(-temperatureMaxC, temperatureMaxC, (tenths) => this.#temperatureTenthsC = tenths),
      humidity: quantity(0, humidityMaxPct, (tenths) => this.#humidityTenthsPct = tenths),
      fault: choice(sensorFaults, ({ fault }) => this.#fault = fault),
    };
    return { [sensor.id]: atSensor, [board.id]: onBoard };
  }

  #setInternet(on: boolean): void {
    this.#hasInternet = on;
    if (on) return;
    for (const cut of this.#links) cut();
    this.#links.clear();
  }
}

function toggle(set: (on: boolean) => void): Control {
  return {
    range: "0 or 1",
    accepts: (value) => value === 0 || value === 1,
    set: (value) => set(value === 1),
  };
}

function quantity(min: number, max: number, set: (tenths: number) => void): Control {
  const accepts = (value: number) => value >= min && value <= max;
  return { range: `${min} to ${max}`, accepts, set: (value) => set(Math.round(value * 10)) };
}

function choice<T extends { readonly name: string }>(
  options: readonly T[],
  set: (option: T) => void,
): Control {
  const range = listOf(options.map(({ name }, index) => `${index} (${name})`)).replace(
    / and (?=[^ ]+ \()/,
    " or ",
  );
  return {
    range,
    accepts: (value) => Number.isInteger(value) && value >= 0 && value < options.length,
    set: (value) => set(options[value] as T),
  };
}
