/**
 * A board that runs the project's firmware in MicroPython, in a simulated fleet.
 *
 * What its sensor measured is written down where the chip asks the air for it, and what its serial port says tells which
 * slot that became. What reaches ingest is compared with it: a slot is the same whenever it is sent. So the ground truth
 * is not the firmware's word.
 */
import type { ModelBoardSpec } from "./model_board.ts";
import type { Climate, SensorFault } from "./board/dht22.ts";
import {
  Board,
  createBoard,
  type Firmware,
  installFirmware,
  loadFirmware,
  type MicroPythonRuntime,
  type Network,
} from "./board/mod.ts";
import type { AccessPointState } from "./board/radio.ts";
import { WorldServices } from "./board/world_services.ts";
import type { WorldSample } from "./oracle_world.ts";
import type { Planned, Scheduler } from "./scheduler.ts";
import type { SimulatedBoard } from "./simulated_board.ts";

export interface MicroPythonBoardPorts {
  readonly scheduler: Scheduler;
  readonly seed: number;
  readonly runtime: MicroPythonRuntime;
  /** The network as the fleet has it; the board's own clock faults are put in front of its time server. */
  readonly network: Network;
  readonly climate: (nowMs: number) => Climate;
  readonly sensorFault: (nowMs: number) => string | null;
  readonly accessPoint: (nowMs: number) => AccessPointState;
  /** Told of a promise that the firmware has broken. */
  readonly onBroken: (sentence: string) => void;
}

const NTP_PORT = 123;
const YEAR_MS = 365 * 86_400_000;
const LATE_MS = 180_000;
const DARK_MS = 3_000;
const REST_EVERY_MS = 1_000;
/** A slot of a board whose clock was set right is dated so well, by its own word: the first answer and its way back. */
const CLOCK_ERROR_MS_MAX = 2_000;
/** AM2302 manual: what the sensor measures, in tenths; the firmware reports anything else as a fault. */
const RANGE = { temperatureMin: -400, temperatureMax: 800, humidityMin: 0, humidityMax: 1_000 } as const;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
interface Measured {
  /** Of the slot's first reading of the sensor. */
  readonly trueMs: number;
  readonly fault: string | null;
  readonly air: Climate;
}

const sensorFaults: Readonly<Record<string, SensorFault>> = {
  timeout: { kind: "silent" },
  checksum: { kind: "flippedBits", bits: [7, 12] },
};

export class MicroPythonBoard implements SimulatedBoard {
  readonly device: string;
  readonly spec: ModelBoardSpec;
  readonly samples: Mutable<WorldSample>[] = [];
  readonly #ports: MicroPythonBoardPorts;
  readonly #board: Board;
  readonly #firmware: Firmware = loadFirmware();
  readonly #bySlot = new Map<string, Mutable<WorldSample>>();
  /** In flash, and not known to be in the log. */
  readonly #unsent = new Set<Mutable<WorldSample>>();
  readonly #services: WorldServices;
  #boot = 0;
  #nextSeq = 0;
  #bootedMs = 0;
  #measured: Measured | null = null;
  #line = "";
  #failure: Error | null = null;
  #hasBadClock: boolean;

  constructor(spec: ModelBoardSpec, ports: MicroPythonBoardPorts) {
    this.spec = spec;
    this.device = spec.device;
    this.#ports = ports;
    this.#hasBadClock = spec.clock.kind !== "good";
    this.#services = new WorldServices(() => this.#ntpMs());
    const decoder = new TextDecoder();
    this.#board = createBoard(ports.scheduler, {
      device: spec.device,
      seed: ports.seed,
      runtime: ports.runtime,
      network: this.#network(),
      driftPpm: spec.clock.driftPpm,
      settings: { every_ms: spec.everyMs },
      surroundings: {
        climate: (nowMs) => this.#measure(nowMs),
        sensorFault: () => sensorFaults[this.#measured?.fault ?? ""] ?? null,
        accessPoint: ports.accessPoint,
      },
      onSerial: (bytes) => this.#hear(decoder.decode(bytes, { stream: true })),
    });
  }

  get unsentCount(): number {
    return this.#unsent.size;
  }

  get failure(): Error | null {
    if (this.#failure !== null) return this.#failure;
    try {
      this.#board.check();
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
    }
    return this.#failure;
  }

  async powerOn(): Promise<void> {
    if (!this.#board.on) await this.#board.powerOn();
  }

  powerCut(): void {
    if (!this.#board.on) return;
    this.#board.powerCut();
    this.#loseMeasured();
  }

  eraseFlash(): void {
    for (const sample of this.#unsent) sample.fate = "gone";
    this.#unsent.clear();
    this.#board.flash.erase();
    const { device, everyMs } = this.spec;
    const settings = { device, ingest_url: "http://ingest.sim", every_ms: everyMs };
    installFirmware(this.#board.flash, this.#firmware, settings);
  }

  tearNextFlush(): void {
    this.#board.flash.planCut({ operation: 1, point: "torn" }, () => {
      this.powerCut();
      this.#ports.scheduler.after(DARK_MS, () => this.powerOn());
    });
  }

  calm(): void {
    this.#board.flash.cancelCut();
    this.#hasBadClock = false;
  }

  /** The firmware samples for ever: it is switched off when nothing waits any more. */
  stopSampling(): void {
    const rest = (): Planned | void => {
      if (!this.#board.on) return;
      if (this.#unsent.size > 0) return this.#ports.scheduler.after(REST_EVERY_MS, () => void rest());
      this.powerCut();
    };
    rest();
  }

  /** A request of this board has reached ingest. */
  arrived(body: string): void {
    const { boot, synced, readings } = JSON.parse(body) as {
      readonly boot: number;
      readonly synced: boolean;
      readonly readings: readonly { readonly seq: number; readonly ts: number }[];
    };
    for (const { seq, ts } of readings) {
      const sample = this.#bySlot.get(`${boot}/${seq}`);
      const slot = `slot ${seq} of boot ${boot} of ${this.device}`;
      if (sample === undefined) {
        this.#ports.onBroken(`${slot} was sent and never measured`);
        continue;
      }
      if (sample.sentTsMs !== null && sample.sentTsMs !== ts) {
        this.#ports.onBroken(`${slot} was sent as of ${sample.sentTsMs}, then as of ${ts}`);
      }
      sample.sentTsMs = ts;
      const errorMs = Math.abs(ts - sample.trueMs);
      if (synced && this.spec.clock.kind === "good" && errorMs > CLOCK_ERROR_MS_MAX) {
        this.#ports.onBroken(`${slot} was measured at ${sample.trueMs} and is dated ${errorMs} ms off`);
      }
    }
  }

  /** Ingest has acknowledged this request: it is in the log, whether the board hears of it or not. */
  acknowledged(body: string): void {
    const { boot, readings } = JSON.parse(body) as { boot: number; readings: { seq: number }[] };
    for (const { seq } of readings) {
      const sample = this.#bySlot.get(`${boot}/${seq}`);
      if (sample === undefined) continue;
      sample.fate = "acknowledged";
      this.#unsent.delete(sample);
    }
  }

  // --- the clock -----------------------------------------------------------------------------------------------------

  #network(): Network {
    const { network, scheduler } = this.#ports;
    return {
      connect: (device, host, port, events) => network.connect(device, host, port, events),
      resolve: (name) => network.resolve(name),
      datagram: (device, host, port, bytes, answer) => {
        if (port !== NTP_PORT || !this.#hasBadClock) {
          return network.datagram(device, host, port, bytes, answer);
        }
        if (!this.#ntpAnswers()) return;
        const reply = this.#services.answer(port, bytes);
        if (reply !== null) scheduler.after(2 * this.spec.latencyMs, () => answer(reply));
      },
    };
  }

  #ntpAnswers(): boolean {
    const { kind } = this.spec.clock;
    if (kind === "never") return false;
    return kind !== "late" || this.#ports.scheduler.nowMs - this.#bootedMs >= LATE_MS;
  }

  #ntpMs(): number {
    const { nowMs } = this.#ports.scheduler;
    const { kind } = this.spec.clock;
    if (kind === "zero") return nowMs - this.#bootedMs;
    return nowMs + (kind === "ahead" ? YEAR_MS : 0);
  }

  // --- what is measured ----------------------------------------------------------------------------------------------

  /** The firmware asks the sensor again when it has failed: the last answer is the slot's. */
  #measure(nowMs: number): Climate {
    const air = this.#ports.climate(nowMs);
    const { temperatureTenthsC: temperature, humidityTenthsPct: humidity } = air;
    const isInRange = temperature >= RANGE.temperatureMin && temperature <= RANGE.temperatureMax &&
      humidity >= RANGE.humidityMin && humidity <= RANGE.humidityMax;
    const fault = this.#ports.sensorFault(nowMs) ?? (isInRange ? null : "out_of_range");
    this.#measured = { trueMs: this.#measured?.trueMs ?? nowMs, fault, air };
    return air;
  }

  #hear(text: string): void {
    const lines = (this.#line + text).split(/\r?\n/);
    this.#line = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith('{"event":"boot"')) this.#booted(JSON.parse(line) as { boot: number });
      if (line.startsWith('{"event":"sample"')) this.#stored(JSON.parse(line) as { seq: number });
    }
  }

  #booted({ boot }: { readonly boot: number }): void {
    this.#loseMeasured();
    this.#boot = boot;
    this.#nextSeq = 0;
    this.#bootedMs = this.#ports.scheduler.nowMs;
  }

  #stored({ seq }: { readonly seq: number }): void {
    if (seq !== this.#nextSeq || this.#measured === null) {
      this.#ports.onBroken(`${this.device}: slot ${seq} follows ${this.#nextSeq - 1}`);
    }
    this.#unsent.add(this.#keep("flash"));
  }

  /** The power has gone between reading and storing; the record may lie in flash all the same. */
  #loseMeasured(): void {
    if (this.#measured !== null) this.#keep("gone");
    this.#line = "";
  }

  #keep(fate: WorldSample["fate"]): Mutable<WorldSample> {
    const { trueMs, fault, air } = this.#measured!;
    const sample: Mutable<WorldSample> = {
      ...{ device: this.device, boot: this.#boot, seq: this.#nextSeq++, trueMs, fault, sentTsMs: null, fate },
      temperatureMilliC: fault === null ? air.temperatureTenthsC * 100 : null,
      humidityMilliPct: fault === null ? air.humidityTenthsPct * 100 : null,
    };
    this.#measured = null;
    this.samples.push(sample);
    this.#bySlot.set(`${sample.boot}/${sample.seq}`, sample);
    return sample;
  }
}
