/**
 * One start of the board: its events in simulated time, stopped exactly where somebody asks.
 *
 * Time is nanoseconds since the start. The board's own events lie on whole milliseconds, edges of a sensor between them.
 * What the board does up to and including a nanosecond happens before the simulation stops there; a byte or an edge that
 * somebody waits for stops it inside the event, with everything behind it still to come.
 */
import {
  Board,
  Flash,
  type MicroPythonProgram,
  type MicroPythonRuntime,
  type PinChange,
  type PinMode,
} from "../board/mod.ts";
import type { BoardFiles } from "./board_files.ts";
import type { Controls } from "./controls.ts";
import type { PausePoints } from "./pause_points.ts";
import { type Edge, PinMonitor } from "./pin_monitor.ts";
import type { Wiring } from "./wiring.ts";
import type { World } from "./world.ts";

export interface SimulationOptions {
  readonly world: World;
  readonly wiring: Wiring;
  readonly controls: Controls;
  readonly files: BoardFiles;
  readonly points: PausePoints;
  readonly runtime: MicroPythonRuntime;
  /** The same seed, files and inputs at the same times give the same bytes and edges. */
  readonly seed: number;
  /** Serial output, in portions. */
  readonly onSerial: (bytes: readonly number[]) => void;
  /** Pins whose edges {@link SimulationOptions.onEdge} wants to hear of when they come. */
  readonly isWatched: (gpio: number) => boolean;
  readonly onEdge: (edge: Edge) => void;
}

/**
 * What made {@link Simulation.advance} return: an event has ended; the board stands still inside one, where a pause point
 * is due; the limit was reached; nothing is planned and no limit is set, so only an input can go on.
 */
export type Advance = "event" | "held" | "limit" | "nothing";

const NANOS_PER_MS = 1e6;
const NEWLINE = 10;
const RETURN = 13;
/** A default of Wokwi's board. */
const MAC_ADDRESS = "24:0a:c4:00:01:10";

export class Simulation {
  readonly pins = new PinMonitor();
  readonly #options: SimulationOptions;
  readonly #board: Board;
  /** Virtual Unix time of the start, in milliseconds. */
  readonly #zeroMs: number;
  #nanos = 0;
  /** The event that runs; it lasts over a stop inside it. */
  #step: Promise<void> | null = null;
  /** Lets the board go on that stands still at a byte or an edge. */
  #release: (() => void) | null = null;
  #onHeld: () => void = () => {};
  #printed: number[] = [];
  #lastByte = 0;

  constructor(options: SimulationOptions) {
    const { world, wiring, controls, runtime, seed, files } = options;
    const { scheduler } = world;
    this.#options = options;
    this.#zeroMs = scheduler.nowMs;
    const mac = wiring.board.attrs.macAddress?.replaceAll(":", "").toLowerCase() ?? "";
    let last: MicroPythonProgram | null = null;
    this.#board = new Board(scheduler, {
      device: wiring.board.id,
      seed,
      uniqueId: /^[0-9a-f]{12}$/.test(mac) ? mac : MAC_ADDRESS.replaceAll(":", ""),
      network: controls.network(world.network),
      ...(wiring.sensor?.gpio == null ? { dhtPin: -1 } : { dhtPin: wiring.sensor.gpio }),
      flash: new Flash(),
      makeProgram: (cause) => {
        this.#restPins(true);
        const rawRepl = cause === "soft" && last?.inRawRepl === true;
        return last = runtime.makeProgram({ rawRepl, standsStill: true });
      },
      surroundings: {
        climate: () => controls.climate(this.#nanos),
        sensorFault: () => controls.sensorFault,
        accessPoint: () => controls.accessPoint,
      },
      onSerial: (bytes) => this.#print(bytes),
    });
    for (const [path, content] of files) this.#board.flash.put(path, content);
    this.#board.trace.listen((change) => this.#drive(change));
    this.#restPins(true);
    controls.take({ power: (on) => this.#setPower(on), reset: () => this.#reset() });
    this.#setPower(true);
  }

  /** Simulated nanoseconds since the start. */
  get nanos(): number {
    return this.#nanos;
  }

  /**
   * What ended the program from below: a fault of the interpreter, or polling for ever. A main program that comes to an end
   * is none, after which the prompt follows.
   */
  get failure(): string | null {
    const { failure } = this.#board;
    return failure === null || failure.name === "FirmwareEnded" ? null : String(failure);
  }

  /** Something may come from outside although no event is planned. */
  get hasOutside(): boolean {
    return this.#options.world.settle !== undefined;
  }

  get flash(): Flash {
    return this.#board.flash;
  }

  /** When something happens next; null if nothing is planned. */
  get nextNanos(): number | null {
    return this.#step !== null ? this.#nanos : this.#next();
  }

  /** What a GPIO carries now. */
  level(gpio: number): 0 | 1 {
    return this.pins.level(gpio) ?? this.#board.pin(gpio);
  }

  pinMode(gpio: number): PinMode {
    return this.#board.pinMode(gpio);
  }

  /** Bytes into the board's serial port; without power they are lost. They arrive when the simulation goes on. */
  write(bytes: readonly number[]): void {
    const { scheduler } = this.#options.world;
    scheduler.at(scheduler.nowMs, () => this.#board.serialInput(new Uint8Array(bytes)));
  }

  /** Lets what has come from outside the simulated world become events; to be called before time is let pass. */
  async settle(): Promise<void> {
    if (this.#step === null) await this.#options.world.settle?.();
  }

  /** One event, or what is left of the one that it stands in; never past `limitNanos`. */
  async advance(limitNanos: number): Promise<Advance> {
    const held = new Promise<"held">((resolve) => this.#onHeld = () => resolve("held"));
    if (this.#step === null) {
      const next = this.#next();
      if (next === null || next > limitNanos) {
        if (!Number.isFinite(limitNanos)) return "nothing";
        this.moveTo(limitNanos);
        return "limit";
      }
      this.moveTo(next);
      if (this.#nextEvent() !== next) return "event";
      this.#step = this.#options.world.step().then(() => {});
    } else {
      const release = this.#release;
      this.#release = null;
      release?.();
    }
    const outcome = await Promise.race([this.#step.then(() => "event" as const), held]);
    if (outcome === "event") this.#step = null;
    this.#flush();
    return outcome;
  }

  /** Lets time pass in which no event lies; edges on the way come. */
  moveTo(nanos: number): void {
    if (nanos <= this.#nanos && this.pins.nextNanos === null) return;
    this.#nanos = Math.max(nanos, this.#nanos);
    const { scheduler } = this.#options.world;
    scheduler.nowMs = Math.max(scheduler.nowMs, this.#zeroMs + Math.floor(this.#nanos / NANOS_PER_MS));
    for (let edge = this.pins.take(this.#nanos); edge !== null; edge = this.pins.take(this.#nanos)) {
      this.#options.points.edge(edge.gpio, edge.level);
      this.#options.onEdge(edge);
    }
  }

  /** Switches the board off for good. */
  async end(): Promise<void> {
    this.#cut();
    await this.#step?.catch(() => {});
  }

  #nextEvent(): number | null {
    const { nextMs } = this.#options.world.scheduler;
    return nextMs === null ? null : Math.max(this.#nanos, (nextMs - this.#zeroMs) * NANOS_PER_MS);
  }

  #next(): number | null {
    const { points, isWatched } = this.#options;
    const edge = this.pins.nextWatched((gpio) => points.waitsFor(gpio) || isWatched(gpio));
    const event = this.#nextEvent();
    return edge === null ? event : event === null ? edge : Math.min(edge, event);
  }

  #setPower(on: boolean): void {
    const { scheduler } = this.#options.world;
    if (on) {
      scheduler.at(scheduler.nowMs, () => this.#board.on ? undefined : this.#board.powerOn());
      return;
    }
    this.#cut();
    this.#restPins(false);
  }

  #reset(): void {
    if (!this.#board.on) return;
    this.#cut();
    const { scheduler } = this.#options.world;
    scheduler.at(scheduler.nowMs, () => this.#board.on ? undefined : this.#board.powerOn("hard"));
  }

  /** The power goes; what a program was printing that stands still is never printed. */
  #cut(): void {
    this.#release = null;
    if (this.#board.on) this.#board.powerCut();
  }

  /** Nothing drives the pins any more: they fall, but for the sensor's line, which its resistor pulls up. */
  #restPins(hasPower: boolean): void {
    this.pins.cancelComing();
    const sensor = this.#options.wiring.sensor?.gpio ?? null;
    for (const gpio of new Set([...this.pins.driven(), ...(sensor === null ? [] : [sensor])])) {
      const level = hasPower && gpio === sensor ? 1 : 0;
      if (this.pins.level(gpio) === null) this.pins.rest(gpio, level);
      else this.#edge({ gpio, level, atNanos: this.#nanos });
    }
  }

  /** The program drives a pin, or a sensor answers: then the edges lie ahead. */
  #drive({ pin, level, atUs }: PinChange): void | Promise<void> {
    const atNanos = (atUs - this.#zeroMs * 1000) * 1000;
    const edge = { gpio: pin, level, atNanos: Math.max(atNanos, this.#nanos) };
    if (atNanos > this.#nanos) return this.pins.plan(edge);
    if (this.#edge(edge)) return this.#hold();
  }

  /** True if somebody waits for it. */
  #edge(edge: Edge): boolean {
    if (this.pins.level(edge.gpio) === null) this.pins.rest(edge.gpio, 0);
    if (!this.pins.set(edge)) return false;
    this.#options.onEdge(edge);
    return this.#options.points.edge(edge.gpio, edge.level);
  }

  /** What the board prints, as its serial port has it: a newline becomes CR LF, as on the ESP32. */
  #print(bytes: Uint8Array): void | Promise<void> {
    const line: number[] = [];
    for (const byte of bytes) {
      if (byte === NEWLINE && this.#lastByte !== RETURN) line.push(RETURN);
      line.push(byte);
      this.#lastByte = byte;
    }
    return this.#printFrom(line, 0);
  }

  #printFrom(line: readonly number[], from: number): void | Promise<void> {
    for (let index = from; index < line.length; index++) {
      const byte = line[index] as number;
      this.#printed.push(byte);
      if (this.#options.points.serialByte(byte)) {
        return this.#hold().then(() => this.#printFrom(line, index + 1));
      }
    }
  }

  #hold(): Promise<void> {
    const held = new Promise<void>((resolve) => this.#release = resolve);
    this.#onHeld();
    return held;
  }

  #flush(): void {
    if (this.#printed.length === 0) return;
    const printed = this.#printed;
    this.#printed = [];
    this.#options.onSerial(printed);
  }
}
