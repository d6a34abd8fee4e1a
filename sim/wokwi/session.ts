/**
 * One client's conversation in Wokwi's automation protocol with one simulated board: frames in, frames out. Where the
 * frames come from is somebody else's business: a WebSocket (`server.ts`), or a client in this process.
 *
 * Frames are handled one at a time in order of arrival, between two events of the simulation. A paused simulation takes no
 * time, so the same frames give the same bytes, edges and answers, however long a client thinks.
 *
 * How fast simulated time goes (`pace`): as fast as the processor allows while a client waits for something (a pause point
 * or `pauseAfter`), in real time otherwise. So a scenario is over at once, and a board that just runs costs nothing.
 */
import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { MicroPythonRuntime } from "../board/mod.ts";
import { boardFiles } from "./board_files.ts";
import { type Command, decodeCommand, type ParamsOf } from "./commands.ts";
import { Controls } from "./controls.ts";
import { gpioNumbers } from "./esp32_pins.ts";
import { decodeCommandFrame, type EventFrame, type ServerFrame } from "./frames.ts";
import { PausePoints } from "./pause_points.ts";
import type { Edge } from "./pin_monitor.ts";
import { isRefusal, type Refusal, refusal } from "./refusal.ts";
import { Simulation } from "./simulation.ts";
import { Uploads } from "./uploads.ts";
import { writeVcd } from "./vcd.ts";
import type { WeatherSample } from "./weather_samples.ts";
import { defaultDiagram, readWiring, type Wiring } from "./wiring.ts";
import type { World } from "./world.ts";

export interface WokwiSessionOptions {
  /** The same seed, frames and files give the same output, byte for byte. */
  readonly seed: number;
  /** The world of each start and restart: a new one, or one that goes on. */
  readonly makeWorld: () => World;
  /** The project's modules: they lie beside an uploaded `main.py`. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** The air at the sensor over time, ordered; without it, what the diagram says. */
  readonly weather?: readonly WeatherSample[];
  /** From `loadMicroPythonRuntime()`, once a process. */
  readonly runtime: MicroPythonRuntime | Promise<MicroPythonRuntime>;
  readonly clock: Clock;
  /** Takes each frame for the client. */
  readonly onSend: (frame: ServerFrame) => void;
  /** `auto` as above; `real`: always in real time; `max`: never. */
  readonly pace?: Pace;
  /** Told what can't be simulated, in sentences for whoever runs the server. */
  readonly onWarning?: (sentence: string) => void;
}

export type Pace = "auto" | "real" | "max";

/** What `hello` says. */
export const appName = "Isotherm's Wokwi simulator";
export const appVersion = "1.0.0";

/** Output that nobody has listened to yet: the newest is kept for whoever listens late. */
const UNHEARD_BYTES_MAX = 64 * 1024;
/** Frames that wait to be handled; a client that sends more without waiting for a reply is cut off. */
const FRAMES_WAITING_MAX = 10_000;
/** At full speed, the rest of the process gets a turn so often. */
const TURN_MS = 10;
/** The longest sleep while real time passes. */
const SLEEP_MS_MAX = 1_000;
/** A board that waits for the network alone is looked after so often. */
const OUTSIDE_MS = 50;
const NANOS_PER_MS = 1e6;

type Answer = Readonly<Record<string, unknown>>;

export class WokwiSession {
  readonly #options: WokwiSessionOptions;
  readonly #uploads = new Uploads();
  readonly #points = new PausePoints();
  readonly #watched = new Map<number, Map<string, { readonly part: string; readonly pin: string }>>();
  readonly #presets: ParamsOf<"control:set">[] = [];
  readonly #inbox: unknown[] = [];
  readonly #done: Promise<void>;
  #start: ParamsOf<"sim:start"> | null = null;
  #wiring: Wiring | null = null;
  #controls: Controls | null = null;
  #simulation: Simulation | null = null;
  #isRunning = false;
  #isClosed = false;
  #pauseAtNanos: number | null = null;
  #isListening = false;
  #unheard: number[] = [];
  #wake: () => void = () => {};
  /** What a command makes happen once its reply is sent: clients expect the reply before the event. */
  #afterReply: (() => void) | null = null;
  #turnAtMs: number;
  /** Real and simulated time at one moment since which they pass alike. */
  #anchor: { readonly wallMs: number; readonly nanos: number } | null = null;

  constructor(options: WokwiSessionOptions) {
    this.#options = options;
    this.#turnAtMs = options.clock.monotonicMs();
    this.#done = this.#work();
  }

  /** Says hello: the first frame of a conversation. */
  open(): void {
    this.#options.onSend({ type: "hello", protocolVersion: 1, appName, appVersion });
  }

  /** A frame from the client: JSON text, or what it stands for. */
  receive(frame: unknown): void {
    if (this.#isClosed) return;
    if (this.#inbox.length >= FRAMES_WAITING_MAX) {
      this.#options.onSend({
        type: "error",
        message: `more than ${FRAMES_WAITING_MAX} frames wait; wait for replies`,
      });
      this.#isClosed = true;
    }
    this.#inbox.push(frame);
    this.#wake();
  }

  /** The client is gone: the board is switched off, and nothing is sent any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake();
    await this.#done;
  }

  async #work(): Promise<void> {
    while (!this.#isClosed) {
      if (this.#inbox.length > 0) await this.#handle(this.#inbox.shift());
      else if (this.#isRunning && this.#simulation !== null) await this.#run(this.#simulation);
      else await this.#woken();
    }
    this.#inbox.length = 0;
    await this.#simulation?.end();
  }

  /** Resolves when a frame has come, or the session is closed; or after `ms`. */
  async #woken(ms?: number): Promise<void> {
    if (this.#inbox.length > 0 || this.#isClosed) return;
    const wake = new AbortController();
    const woken = new Promise<void>((resolve) => {
      this.#wake = () => {
        wake.abort();
        resolve();
      };
    });
    await (ms === undefined ? woken : this.#options.clock.sleep(ms, wake.signal));
    this.#wake = () => {};
  }

  // Time

  async #run(simulation: Simulation): Promise<void> {
    if (this.#stopIfDue(simulation)) return;
    const limitNanos = Math.min(this.#points.nextNanos() ?? Infinity, this.#pauseAtNanos ?? Infinity);
    if (!this.#isFast(limitNanos) && !(await this.#keepPace(simulation, limitNanos))) return;
    const outcome = await simulation.advance(limitNanos);
    if (this.#isClosed || this.#stopIfDue(simulation)) return;
    if (outcome === "nothing") return await this.#woken(simulation.hasOutside ? OUTSIDE_MS : undefined);
    await this.#yield();
  }

  #isFast(limitNanos: number): boolean {
    const { pace = "auto" } = this.#options;
    const isFast = pace === "max" || (pace === "auto" && (this.#points.size > 0 || limitNanos < Infinity));
    if (isFast) this.#anchor = null;
    return isFast;
  }

  /** Lets real time pass until the next event is due; false if it isn't due yet. */
  async #keepPace(simulation: Simulation, limitNanos: number): Promise<boolean> {
    const nextNanos = Math.min(simulation.nextNanos ?? Infinity, limitNanos);
    const waitMs = (nextNanos - this.#realNanos(simulation)) / NANOS_PER_MS;
    if (waitMs <= 0) return true;
    await this.#woken(Math.min(waitMs, SLEEP_MS_MAX));
    simulation.moveTo(Math.min(nextNanos, this.#realNanos(simulation)));
    return false;
  }

  /** Simulated time by the clock on the wall. */
  #realNanos(simulation: Simulation): number {
    const wallMs = this.#options.clock.monotonicMs();
    this.#anchor ??= { wallMs, nanos: simulation.nanos };
    return this.#anchor.nanos + Math.round((wallMs - this.#anchor.wallMs) * NANOS_PER_MS);
  }

  /** A client's frames, and other clients, get their turn. */
  async #yield(): Promise<void> {
    const { clock } = this.#options;
    if (clock.monotonicMs() - this.#turnAtMs < TURN_MS) return;
    await clock.sleep(0);
    this.#turnAtMs = clock.monotonicMs();
  }

  #stopIfDue(simulation: Simulation): boolean {
    const id = this.#points.takeDue(simulation.nanos);
    if (id !== null) {
      this.#stop({ pausePoint: id, pausePointInfo: {} });
      return true;
    }
    if (this.#pauseAtNanos === null || simulation.nanos < this.#pauseAtNanos) return false;
    this.#stop({});
    return true;
  }

  #stop(payload: Answer): void {
    this.#isRunning = false;
    this.#pauseAtNanos = null;
    this.#anchor = null;
    this.#event("sim:pause", payload);
  }

  // Frames

  async #handle(raw: unknown): Promise<void> {
    const frame = decodeCommandFrame(raw);
    if (typeof frame === "string") return this.#options.onSend({ type: "error", message: frame });
    const { command, id } = frame;
    const reply = (result: Answer, error: boolean) =>
      this.#options.onSend({ type: "response", command, id, result, error });
    const decoded = decodeCommand(frame);
    let answer: Answer | Refusal;
    try {
      answer = isRefusal(decoded) ? decoded : await this.#carryOut(decoded);
    } catch (error) {
      answer = refusal(500, `${command} failed here: ${error instanceof Error ? error.message : error}`);
    }
    if (this.#isClosed) return;
    if (isRefusal(answer)) return reply({ code: answer.code, message: answer.message }, true);
    reply(answer, false);
    const afterReply = this.#afterReply;
    this.#afterReply = null;
    afterReply?.();
  }

  #carryOut(command: Command): Answer | Refusal | Promise<Answer | Refusal> {
    const { name, params } = command;
    switch (name) {
      case "file:upload":
        return this.#uploads.put(params.name, params) ?? {};
      case "file:download":
        return this.#download(params);
      case "sim:start":
        return this.#startUp(params);
      case "sim:restart":
        return this.#start === null ? nothingStarted(name) : this.#startUp({ ...this.#start, ...params });
      case "sim:pause":
        // A stop is told every time, even if nothing ran: clients wait for it.
        this.#afterReply = () => this.#stop({});
        return {};
      case "sim:resume":
        return this.#resume(params);
      case "sim:status":
        return { running: this.#isRunning, nanos: this.#nanos };
      case "serial-monitor:listen":
        return this.#listen();
      case "serial-monitor:write":
        this.#simulation?.write(params.bytes);
        return {};
      case "pause-point:add":
        return this.#addPoint(params);
      case "pause-point:remove":
        this.#points.remove(params.id);
        return {};
      case "control:set":
        return this.#control(params);
      case "pin:read":
        return this.#readPin(params);
      case "pin:listen":
        return this.#listenPin(params);
      case "gpio:list":
        return this.#listPins();
      case "framebuffer:read":
        return this.#withoutPart(params.id, "no part of this simulator has a display");
      case "touch:event":
        return this.#withoutPart(params.part, null);
      case "sim:read-vcd":
        return this.#readVcd();
      case "sdcard:export":
        return refusal(501, "no part of this simulator holds an SD card");
    }
  }

  // Start and stop

  async #startUp(params: ParamsOf<"sim:start">): Promise<Answer | Refusal> {
    const wiring = this.#readDiagram();
    if (isRefusal(wiring)) return wiring;
    const { files, makeWorld, runtime, seed, weather = [], onWarning } = this.#options;
    const elf = typeof params.elf === "string" ? params.elf : null;
    const onBoard = boardFiles(this.#uploads, { firmware: params.firmware, elf }, files);
    if (isRefusal(onBoard)) return onBoard;
    const controls = new Controls(wiring, weather);
    for (const { part, control, value } of this.#presets) controls.set(part, control, value);
    const loaded = await runtime;
    const before = this.#simulation;
    this.#isRunning = false;
    this.#simulation = null;
    await before?.end();
    for (const warning of wiring.warnings) onWarning?.(warning);
    this.#points.restart(before?.nanos ?? 0);
    this.#pauseAtNanos = this.#anchor = null;
    this.#unheard = [];
    this.#start = params;
    this.#wiring = wiring;
    this.#controls = controls;
    this.#simulation = new Simulation({
      world: makeWorld(),
      wiring,
      controls,
      files: onBoard,
      points: this.#points,
      runtime: loaded,
      seed,
      onSerial: (bytes) => this.#heard(bytes),
      isWatched: (gpio) => this.#watched.has(gpio),
      onEdge: (edge) => this.#edge(edge),
    });
    this.#isRunning = params.pause !== true;
    return {};
  }

  #resume({ pauseAfter }: ParamsOf<"sim:resume">): Answer | Refusal {
    if (this.#simulation === null) return nothingStarted("sim:resume");
    if (pauseAfter !== null) this.#pauseAtNanos = this.#nanos + pauseAfter;
    this.#isRunning = true;
    return {};
  }

  #addPoint(params: ParamsOf<"pause-point:add">): Answer | Refusal {
    const { id, type, nanos, bytes, part, pin, value } = params;
    switch (type) {
      case "time-absolute":
      case "time-relative": {
        if (nanos === null) return refusal(400, `pause-point:add: ${type} needs "nanos"`);
        const isRelative = type === "time-relative";
        return this.#points.add(id, {
          type: "time",
          atNanos: (isRelative ? this.#nanos : 0) + nanos,
          isRelative,
        }) ?? {};
      }
      case "serial-bytes":
        if (bytes === null) return refusal(400, 'pause-point:add: serial-bytes needs "bytes"');
        return this.#points.add(id, { type: "serial", bytes }) ?? {};
      case "pin": {
        if (part === null || pin === null || value === null) {
          return refusal(400, 'pause-point:add: pin needs "part", "pin" and "value"');
        }
        const gpio = this.#gpio(part, pin);
        return isRefusal(gpio) ? gpio : this.#points.add(id, { type: "pin", gpio, level: value }) ?? {};
      }
    }
  }

  // Serial port

  #listen(): Answer {
    this.#isListening = true;
    const unheard = this.#unheard;
    this.#unheard = [];
    if (unheard.length > 0) this.#afterReply = () => this.#heard(unheard);
    return {};
  }

  #heard(bytes: readonly number[]): void {
    if (this.#isListening) return this.#event("serial-monitor:data", { bytes });
    this.#unheard = [...this.#unheard, ...bytes].slice(-UNHEARD_BYTES_MAX);
  }

  // Parts and pins

  #readDiagram(): Wiring | Refusal {
    return readWiring(this.#uploads.text("diagram.json") ?? defaultDiagram);
  }

  #currentWiring(): Wiring | Refusal {
    return this.#wiring ?? this.#readDiagram();
  }

  #control({ part, control, value }: ParamsOf<"control:set">): Answer | Refusal {
    if (this.#controls !== null) return this.#controls.set(part, control, value) ?? {};
    const wiring = this.#readDiagram();
    if (isRefusal(wiring)) return wiring;
    const refused = new Controls(wiring, []).set(part, control, value);
    if (refused !== null) return refused;
    this.#presets.push({ part, control, value });
    return {};
  }

  #gpio(part: string, pin: string): number | Refusal {
    const found = this.#pin(part, pin);
    if (isRefusal(found)) return found;
    return found.kind === "gpio"
      ? found.gpio
      : refusal(400, `${part}:${pin} is a supply, which never changes`);
  }

  #pin(part: string, pin: string) {
    const wiring = this.#currentWiring();
    if (isRefusal(wiring)) return wiring;
    if (!wiring.parts.has(part)) {
      return refusal(404, `there is no part ${part}; there are ${[...wiring.parts.keys()].join(", ")}`);
    }
    return wiring.pin(part, pin) ??
      refusal(404, `${part}:${pin} is no pin of the board, and wired to none`);
  }

  #readPin({ part, pin }: ParamsOf<"pin:read">): Answer | Refusal {
    const found = this.#pin(part, pin);
    if (isRefusal(found)) return found;
    if (found.kind === "supply") {
      const value = found.volts > 0 ? 1 : 0;
      return { pin, value, voltage: found.volts, direction: "out", pullUp: false, pullDown: false };
    }
    const level = this.#simulation?.level(found.gpio) ?? 0;
    return { pin, value: level, voltage: level * 3.3, ...this.#modeOf(found.gpio) };
  }

  #modeOf(gpio: number): Answer {
    const mode = this.#simulation?.pinMode(gpio);
    const direction = mode === undefined || mode.direction === "in" ? "in" : "out";
    return { direction, pullUp: mode?.pullUp ?? false, pullDown: mode?.pullDown ?? false };
  }

  #listenPin({ part, pin, listen }: ParamsOf<"pin:listen">): Answer | Refusal {
    const gpio = this.#gpio(part, pin);
    if (isRefusal(gpio)) return gpio;
    const listeners = this.#watched.get(gpio) ?? new Map();
    if (listen === false) listeners.delete(`${part}:${pin}`);
    else listeners.set(`${part}:${pin}`, { part, pin });
    if (listeners.size > 0) this.#watched.set(gpio, listeners);
    else this.#watched.delete(gpio);
    return {};
  }

  #edge({ gpio, level }: Edge): void {
    for (const { part, pin } of this.#watched.get(gpio)?.values() ?? []) {
      this.#event("pin:change", { part, pin, value: level, ...this.#modeOf(gpio) });
    }
  }

  #listPins(): Answer | Refusal {
    const wiring = this.#currentWiring();
    if (isRefusal(wiring)) return wiring;
    return { pins: gpioNumbers.map((gpio) => `${wiring.board.id}:GPIO${gpio}`) };
  }

  #withoutPart(part: string, why: string | null): Answer | Refusal {
    const wiring = this.#currentWiring();
    if (isRefusal(wiring)) return wiring;
    if (!wiring.parts.has(part)) return refusal(404, `there is no part ${part}`);
    return why === null ? {} : refusal(501, why);
  }

  #readVcd(): Answer | Refusal {
    const simulation = this.#simulation;
    const wiring = this.#wiring;
    if (simulation === null || wiring === null) return { vcd: "", channelCount: 0, sampleCount: 0 };
    const gpios = [...new Set([...simulation.pins.samples.gpios, wiring.sensor?.gpio ?? -1])]
      .filter((gpio) => gpio >= 0).sort((a, b) => a - b);
    const named = wiring.channels ?? gpios.map((gpio) => ({
      gpio,
      name: gpio === wiring.sensor?.gpio ? `${wiring.sensor.id}_SDA` : `GPIO${gpio}`,
    }));
    const channels = named.map((channel) => ({
      ...channel,
      initial: channel.gpio === wiring.sensor?.gpio ? 1 as const : 0 as const,
    }));
    const { text, channelCount, sampleCount } = writeVcd(
      wiring.board.id,
      channels,
      simulation.pins.samples,
      { endNanos: simulation.nanos, comment: "simulated ESP32, offline" },
    );
    return { vcd: text, channelCount, sampleCount };
  }

  #download({ name }: ParamsOf<"file:download">): Answer | Refusal {
    const sent = this.#uploads.asSent(name);
    if (sent !== null) return sent;
    const stored = this.#simulation?.flash.read(`/${name.replace(/^\/+/, "")}`) ?? null;
    if (stored !== null) return { binary: base64(stored) };
    return refusal(404, `there is no file ${name}, neither uploaded nor in the board's flash`);
  }

  get #nanos(): number {
    const simulation = this.#simulation;
    if (simulation === null) return 0;
    return simulation.nanos;
  }

  #event(event: EventFrame["event"], payload: Answer): void {
    assert(!this.#isClosed || event !== "sim:pause", "a closed session has nothing to say");
    if (this.#isClosed) return;
    this.#options.onSend({
      type: "event",
      event,
      payload,
      nanos: this.#nanos,
      paused: event === "sim:pause",
    });
  }
}

const nothingStarted = (command: string) =>
  refusal(409, `${command}: nothing was started; send sim:start first`);

const base64 = (bytes: Uint8Array) => {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(text);
};
