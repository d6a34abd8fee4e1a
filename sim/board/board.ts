/**
 * The virtual ESP32: power, resets and what outlives them, around a program. The program is the project's firmware in
 * MicroPython, or its model in TypeScript; both see the same {@link BoardHost}.
 */
import { assert } from "../../core/assert.ts";
import { seededRandom } from "../random.ts";
import type { Scheduler } from "../scheduler.ts";
import { Chip, type Durable, type Surroundings } from "./chip.ts";
import { Flash, type PlannedCut, PowerLost } from "./flash.ts";
import { type BoardHost, linkStatus, type PinMode, type ResetCause } from "./host.ts";
import type { Network } from "./network.ts";
import { PinTrace } from "./pin_trace.ts";

/** A program on the chip: one boot of it. */
export interface Program {
  /** Starts; resolves when the program waits for the first time (or has ended). */
  start(host: BoardHost): Promise<void>;
  /** The power is gone: lets go of everything at once. */
  end(): void;
  /** Bytes from the serial port, typed or sent by a tool; resolves when the program waits again. */
  serialInput?(bytes: Uint8Array): Promise<void>;
  /** What ended the program although it should run for ever; null while it runs. */
  readonly failure: Error | null;
}

export interface BoardOptions {
  readonly device: string;
  readonly seed: number | string;
  readonly surroundings: Surroundings;
  readonly network: Network;
  /** Called at each boot. */
  readonly makeProgram: (cause: ResetCause) => Program;
  readonly flash?: Flash;
  /** GPIO of the sensor's data line (default 15, as in the wiring picture). */
  readonly dhtPin?: number;
  /** Shortest and longest time that joining Wi-Fi takes (default 300–900 ms). */
  readonly joinMs?: readonly [number, number];
  /** Value of the tick counter at each boot (default 0); near 2^30, where MicroPython's ticks wrap, in a test of that. */
  readonly ticksStartMs?: number;
  /** Error of the oscillator in millionths (default 0): above 0, the board's clock is fast. */
  readonly driftPpm?: number;
  /** Six bytes in hexadecimal (default: drawn from the seed, with Espressif's prefix). */
  readonly uniqueId?: string;
  /** What the board prints; a promise holds the program at that very write until it settles (see `standsStill`). */
  readonly onSerial?: (bytes: Uint8Array) => void | Promise<void>;
}

export class Board {
  readonly device: string;
  readonly flash: Flash;
  readonly trace = new PinTrace();
  readonly scheduler: Scheduler;
  /** Boots so far. */
  bootCount = 0;
  /** Causes of all boots so far, newest last. */
  readonly causes: ResetCause[] = [];
  readonly #options: BoardOptions;
  readonly #durable: Durable;
  readonly #uniqueId: string;
  /** Part of the seed: a board that starts at another time draws other boot numbers. */
  readonly #bornMs: number;
  #chip: Chip | null = null;
  #program: Program | null = null;
  #failure: Error | null = null;

  constructor(scheduler: Scheduler, options: BoardOptions) {
    this.scheduler = scheduler;
    this.#bornMs = scheduler.nowMs;
    this.device = options.device;
    this.flash = options.flash ?? new Flash();
    this.#options = options;
    const serial = seededRandom(options.seed, "chip", options.device).uint32();
    this.#uniqueId = options.uniqueId ?? `240ac4${(serial >>> 8).toString(16).padStart(6, "0")}`;
    this.#durable = {
      flash: this.flash,
      pinLevels: new Map(),
      pinModes: new Map(),
      rtc: { seconds: 0, setAtMs: 0 },
      rtcMemory: new Uint8Array(),
    };
  }

  /** True while a program runs. */
  get on(): boolean {
    return this.#chip !== null;
  }

  /** The running program; null without power. */
  get program(): Program | null {
    return this.#program;
  }

  /** One of `linkStatus` of `host.ts`: how far the radio has come; idle without power. */
  get linkStatus(): number {
    return this.#chip?.radio.status() ?? linkStatus.idle;
  }

  /** What a pin carries now. */
  pin(pin: number): 0 | 1 {
    return this.#chip?.pins.read(pin) ?? 0;
  }

  /** How the running program has set a pin up: an input without pulls until it does. */
  pinMode(pin: number): PinMode {
    const idle: PinMode = { direction: "in", pullUp: false, pullDown: false };
    return this.on ? this.#durable.pinModes.get(pin) ?? idle : idle;
  }

  /** What has stopped the running program although it should run for ever; null while nothing has. */
  get failure(): Error | null {
    return this.#program?.failure ?? null;
  }

  /** Throws what has stopped the firmware, if anything: a hang, or an exception that reached the top. */
  check(): void {
    const failure = this.#failure ?? this.#program?.failure ?? null;
    if (failure !== null) throw failure;
  }

  /** Powers up; resolves when the program waits for the first time. */
  powerOn(cause: ResetCause = "power"): Promise<void> {
    assert(this.#chip === null, "a board is switched on once");
    const { scheduler } = this;
    const chip = new Chip({
      scheduler,
      device: this.device,
      uniqueId: this.#uniqueId,
      dhtPin: this.#options.dhtPin ?? 15,
      entropy: seededRandom(this.#options.seed, "board", this.device, this.bootCount, this.#bornMs),
      surroundings: this.#options.surroundings,
      network: this.#options.network,
      joinMs: this.#options.joinMs ?? [300, 900],
      ticksStartMs: this.#options.ticksStartMs ?? 0,
      driftPpm: this.#options.driftPpm ?? 0,
      durable: this.#durable,
      trace: this.trace,
      onSerial: (bytes) => this.#options.onSerial?.(bytes),
      onReset: (next, delayMs) => this.#reset(chip, next, delayMs),
    }, cause);
    this.bootCount++;
    this.causes.push(cause);
    this.#chip = chip;
    this.#program = this.#options.makeProgram(cause);
    return this.#program.start(chip);
  }

  /** The power goes: what the flash holds stays, everything else is gone. */
  powerCut(): void {
    const program = this.#program;
    this.#chip?.end();
    this.#chip = null;
    this.#program = null;
    this.#failure ??= lastFailure(program);
    program?.end();
  }

  /** The power goes at a flash operation to come; then {@link Board.on} is false. */
  cutAtFlashOperation(cut: PlannedCut): void {
    this.flash.planCut(cut, () => this.powerCut());
  }

  /** Ends the boot and starts the next one: the reset button ("hard"), or whatever cause is given. */
  async reset(cause: ResetCause = "hard"): Promise<void> {
    this.powerCut();
    await this.powerOn(cause);
  }

  /** Bytes into the serial port. */
  async serialInput(bytes: Uint8Array): Promise<void> {
    await this.#program?.serialInput?.(bytes);
  }

  #reset(chip: Chip, cause: ResetCause, delayMs: number): void {
    if (!chip.alive) return;
    this.scheduler.after(delayMs, async () => {
      if (this.#chip !== chip) return;
      await this.reset(cause);
    });
  }
}

function lastFailure(program: Program | null): Error | null {
  const failure = program?.failure ?? null;
  return failure instanceof PowerLost ? null : failure;
}
