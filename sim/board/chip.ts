/** One boot of the board's hardware: what the running program sees as {@link BoardHost}, and what ends with the boot. */
import type { Random } from "../../core/ports/random.ts";
import type { EventTask, Planned, Scheduler } from "../scheduler.ts";
import { type Climate, decodePulses, type SensorFault, sensorPulses } from "./dht22.ts";
import type { Flash } from "./flash.ts";
import type { BoardHost, HostClock, HostPins, HostPower, HostSerial, PinMode, ResetCause } from "./host.ts";
import type { Network } from "./network.ts";
import type { PinTrace } from "./pin_trace.ts";
import { type AccessPointState, Radio } from "./radio.ts";
import { Sockets } from "./sockets.ts";

/** The simulated surroundings of one board. */
export interface Surroundings {
  /** The air at the sensor. */
  climate(nowMs: number): Climate;
  /** What is wrong with the sensor; asked at each read. */
  sensorFault(nowMs: number): SensorFault | null;
  accessPoint(nowMs: number): AccessPointState;
}

/** What outlives a boot. */
export interface Durable {
  readonly flash: Flash;
  readonly pinLevels: Map<number, 0 | 1>;
  readonly pinModes: Map<number, PinMode>;
  /** The real-time clock: its value in seconds since 2000 at `setAtMs`. */
  rtc: { seconds: number; setAtMs: number };
  rtcMemory: Uint8Array;
}

export interface ChipOptions {
  readonly scheduler: Scheduler;
  readonly device: string;
  readonly uniqueId: string;
  readonly dhtPin: number;
  readonly entropy: Random;
  readonly surroundings: Surroundings;
  readonly network: Network;
  readonly joinMs: readonly [number, number];
  readonly ticksStartMs: number;
  /** Error of the oscillator: a board's second is so many millionths shorter. */
  readonly driftPpm: number;
  readonly durable: Durable;
  readonly trace: PinTrace;
  /** A promise holds the program at this write. */
  readonly onSerial: (bytes: Uint8Array) => void | Promise<void>;
  /** Ends this boot at the end of the current event and starts the next one after `delayMs`. */
  readonly onReset: (cause: ResetCause, delayMs: number) => void;
}

export class Chip implements BoardHost {
  readonly clock: HostClock;
  readonly radio: Radio;
  readonly sockets: Sockets;
  readonly flash: Flash;
  readonly pins: HostPins;
  readonly serial: HostSerial;
  readonly power: HostPower;
  readonly entropy: Random;
  readonly #options: ChipOptions;
  readonly #bootedAtMs: number;
  #alive = true;

  constructor(options: ChipOptions, cause: ResetCause) {
    const { scheduler, durable, surroundings, entropy, onSerial } = options;
    this.#options = options;
    this.#bootedAtMs = scheduler.nowMs;
    this.entropy = entropy;
    this.flash = durable.flash;
    if (cause === "power") {
      durable.rtc = { seconds: 0, setAtMs: scheduler.nowMs };
      durable.rtcMemory = new Uint8Array();
    }
    durable.pinLevels.clear();
    durable.pinModes.clear();
    const isAlive = () => this.#alive;
    const world = { accessPoint: (nowMs: number) => surroundings.accessPoint(nowMs), joinMs: options.joinMs };
    this.radio = new Radio(scheduler, world, entropy, isAlive);
    this.sockets = new Sockets({
      device: options.device,
      network: options.network,
      linked: () => this.#alive && this.radio.linked(),
    });
    this.serial = { write: (bytes) => this.#alive ? onSerial(bytes) : undefined };
    this.clock = this.#makeClock();
    this.pins = this.#makePins();
    this.power = this.#makePower(cause);
  }

  /** False once the power is gone or a reset has come. */
  get alive(): boolean {
    return this.#alive;
  }

  /** Ends the boot: nothing that it planned will run. */
  end(): void {
    this.#alive = false;
    this.sockets.closeAll();
  }

  #wake(ms: number, task: EventTask): Planned {
    return this.#options.scheduler.after(ms, () => this.#alive ? task() : undefined);
  }

  #makeClock(): HostClock {
    const { scheduler, durable, ticksStartMs, driftPpm } = this.#options;
    // In millionths, so that no rounding makes a wait end a tick too early.
    const perMs = 1e6 + driftPpm;
    return {
      ticksMs: () => ticksStartMs + Math.floor((scheduler.nowMs - this.#bootedAtMs) * perMs / 1e6),
      rtcSeconds: () => durable.rtc.seconds + Math.floor((scheduler.nowMs - durable.rtc.setAtMs) / 1000),
      setRtcSeconds: (seconds) => void (durable.rtc = { seconds, setAtMs: scheduler.nowMs }),
      wake: (ms, task) => this.#wake(Math.ceil(ms * 1e6 / perMs), task),
    };
  }

  #makePins(): HostPins {
    const { scheduler, durable, dhtPin, surroundings, trace } = this.#options;
    const read = (pin: number): 0 | 1 =>
      durable.pinLevels.get(pin) ?? (pin === dhtPin || durable.pinModes.get(pin)?.pullUp === true ? 1 : 0);
    return {
      configure: (pin, mode) => {
        const before = read(pin);
        durable.pinModes.set(pin, mode);
        const after = read(pin);
        if (after !== before) return trace.level(pin, after, scheduler.nowMs * 1000);
      },
      write: (pin, level) => {
        if (durable.pinLevels.get(pin) === level) return;
        durable.pinLevels.set(pin, level);
        return trace.level(pin, level, scheduler.nowMs * 1000);
      },
      read,
      readDht: (pin) => {
        const nowMs = scheduler.nowMs;
        const wired = pin === dhtPin;
        const pulses = wired
          ? sensorPulses(surroundings.climate(nowMs), surroundings.sensorFault(nowMs))
          : [];
        trace.dhtExchange(pin, nowMs * 1000, pulses);
        return decodePulses(pulses);
      },
    };
  }

  #makePower(cause: ResetCause): HostPower {
    const { uniqueId, durable, onReset, scheduler } = this.#options;
    let fedAtMs = 0;
    let timeoutMs = 0;
    const check = () => {
      const leftMs = fedAtMs + timeoutMs - scheduler.nowMs;
      if (leftMs <= 0) return onReset("watchdog", 0);
      this.#wake(leftMs, check);
    };
    return {
      cause,
      uniqueId,
      reset: (next) => onReset(next, 1),
      deepSleep: (ms) => onReset("deepSleep", ms),
      startWatchdog: (ms) => {
        const isFirst = timeoutMs === 0;
        timeoutMs = ms;
        fedAtMs = scheduler.nowMs;
        if (isFirst) this.#wake(ms, check);
      },
      feedWatchdog: () => void (fedAtMs = scheduler.nowMs),
      memory: {
        read: () => durable.rtcMemory,
        write: (bytes) => void (durable.rtcMemory = bytes.slice(0, 2048)),
      },
    };
  }
}
