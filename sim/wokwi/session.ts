/**
 * One client's conversation in Wokwi's automation protocol with one simulated board: frames in, frames out. Where the
 * frames come from is somebody else's business: a WebSocket (`server.ts`), or a client in this process.
 *
 * Frames are handled one at a time in order of arrival, between two events of the simulation. A paused simulation takes no
 * time, so the same frames give the same bytes, edges and answers, however long a client thinks.
 */
import type { Clock } from "../../core/ports/clock.ts";
import type { MicroPythonRuntime } from "../board/mod.ts";
import { boardFiles } from "./board_files.ts";
import { type Command, decodeCommand, type ParamsOf } from "./commands.ts";
import { Controls } from "./controls.ts";
import { decodeCommandFrame, type EventFrame, type ServerFrame } from "./frames.ts";
import { type Pace, Pacer } from "./pacer.ts";
import { PausePoints } from "./pause_points.ts";
import { PinDesk } from "./pin_desk.ts";
import { isRefusal, listOf, type Refusal, refusal } from "./refusal.ts";
import { SerialMonitor } from "./serial_monitor.ts";
import { Simulation } from "./simulation.ts";
import { Uploads } from "./uploads.ts";
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
  /** How fast simulated time goes (default auto). A client waits while there is a pause point, or after `pauseAfter`. */
  readonly pace?: Pace;
  /** Told what can't be simulated, in sentences for whoever runs the server. */
  readonly onWarning?: (sentence: string) => void;
}

/** What `hello` says. */
export const appName = "Isotherm's Wokwi simulator";
export const appVersion = "1.0.0";

/** Frames that wait to be handled; a client that sends more without waiting for a reply is cut off. */
const FRAMES_WAITING_MAX = 10_000;
/** The same in characters: two of the largest uploads. */
const WAITING_LENGTH_MAX = 192 * 1024 * 1024;
/** A board that waits for the network alone is looked after so often. */
const OUTSIDE_MS = 100;

type Answer = Readonly<Record<string, unknown>>;

export class WokwiSession {
  readonly #options: WokwiSessionOptions;
  readonly #uploads = new Uploads();
  readonly #points = new PausePoints();
  readonly #pins = new PinDesk((payload) => this.#event("pin:change", payload));
  readonly #serial = new SerialMonitor((bytes) => this.#event("serial-monitor:data", { bytes }));
  readonly #pacer: Pacer;
  /** What was set before the start, the newest value of each knob. */
  readonly #presets = new Map<string, ParamsOf<"control:set">>();
  readonly #inbox: unknown[] = [];
  readonly #done: Promise<void>;
  #start: ParamsOf<"sim:start"> | null = null;
  #wiring: Wiring | null = null;
  #controls: Controls | null = null;
  #simulation: Simulation | null = null;
  #isRunning = false;
  #isClosed = false;
  #pauseAtNanos: number | null = null;
  /** Characters of the frames that wait. */
  #waitingLength = 0;
  #toldFailure: string | null = null;
  #wake: () => void = () => {};
  /** What a command makes happen once its reply is sent: clients expect the reply before the event. */
  #afterReply: (() => void) | null = null;

  constructor(options: WokwiSessionOptions) {
    this.#options = options;
    this.#pacer = new Pacer(options.clock, options.pace ?? "auto");
    this.#done = this.#work();
  }

  /** Says hello: the first frame of a conversation. */
  open(): void {
    this.#options.onSend({ type: "hello", protocolVersion: 1, appName, appVersion });
  }

  /** A frame from the client: JSON text, or what it stands for. */
  receive(frame: unknown): void {
    if (this.#isClosed) return;
    this.#inbox.push(frame);
    this.#waitingLength += lengthOf(frame);
    if (this.#inbox.length > FRAMES_WAITING_MAX || this.#waitingLength > WAITING_LENGTH_MAX) {
      this.#fail("too many frames wait; a client has to wait for replies now and then");
    }
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
      const frame = this.#inbox.shift();
      this.#waitingLength -= lengthOf(frame);
      if (frame !== undefined) await this.#handle(frame);
      else if (this.#isRunning && this.#simulation !== null) await this.#runSafely(this.#simulation);
      else await this.#woken();
    }
    this.#inbox.length = 0;
    await this.#simulation?.end();
  }

  /** The last word of a conversation. */
  #fail(message: string): void {
    if (!this.#isClosed) this.#options.onSend({ type: "error", message });
    this.#isClosed = true;
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

  /** A fault of ours ends this conversation, and nothing else. */
  async #runSafely(simulation: Simulation): Promise<void> {
    try {
      await this.#run(simulation);
    } catch (error) {
      this.#fail(`the simulation failed here: ${error instanceof Error ? error.message : error}`);
    }
  }

  async #run(simulation: Simulation): Promise<void> {
    if (this.#stopAtPoint()) return;
    // A time that has passed is due when the board has done all that it does at this nanosecond.
    const askedNanos = Math.min(this.#points.nextNanos() ?? Infinity, this.#pauseAtNanos ?? Infinity);
    const limitNanos = Math.max(askedNanos, simulation.nanos);
    await simulation.settle();
    const nextNanos = Math.min(simulation.nextNanos ?? Infinity, limitNanos);
    const isAwaited = this.#points.size > 0 || this.#pauseAtNanos !== null;
    const waitMs = this.#pacer.waitMs(simulation.nanos, nextNanos, isAwaited);
    if (waitMs > 0) {
      await this.#woken(simulation.hasOutside ? Math.min(waitMs, OUTSIDE_MS) : waitMs);
      return simulation.moveTo(Math.min(nextNanos, this.#pacer.realNanos(simulation.nanos)));
    }
    const outcome = await simulation.advance(limitNanos);
    if (this.#isClosed) return;
    this.#tellFailure(simulation);
    if (this.#stopAtPoint(outcome === "limit" ? simulation.nanos : null)) return;
    if (outcome === "limit") return this.#stop({});
    if (outcome === "nothing") return await this.#woken(simulation.hasOutside ? OUTSIDE_MS : undefined);
    await this.#pacer.yield();
  }

  /** What a board can't print any more: Wokwi's command line shows what chips log. */
  #tellFailure({ failure }: Simulation): void {
    if (failure !== null && failure !== this.#toldFailure) {
      const message = `the program has stopped: ${failure}`;
      this.#event("chips:log", { chip: this.#wiring?.board.id ?? "", message });
    }
    this.#toldFailure = failure;
  }

  /** Stops if a byte or an edge has come that somebody waits for, or the time `reachedNanos`. */
  #stopAtPoint(reachedNanos: number | null = null): boolean {
    const id = this.#points.takeDue(reachedNanos);
    if (id !== null) this.#stop({ pausePoint: id, pausePointInfo: {} });
    return id !== null;
  }

  #stop(payload: Answer): void {
    this.#isRunning = false;
    this.#pauseAtNanos = null;
    this.#pacer.stop();
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
        // A stop is told every time, even if nothing ran, and before the reply: Wokwi's Python client (0.5.1) goes on with
        // the reply, and takes a stop that comes after it for the end of its next wait.
        this.#stop({});
        return {};
      case "sim:resume":
        return this.#resume(params);
      case "sim:status":
        return { running: this.#isRunning, nanos: this.#nanos };
      case "serial-monitor:listen":
        this.#afterReply = this.#serial.listen();
        return {};
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
        return this.#withWiring((wiring) => this.#pins.read(wiring, this.#simulation, params));
      case "pin:listen":
        return this.#withWiring((wiring) => this.#pins.listen(wiring, params));
      case "gpio:list":
        return this.#withWiring((wiring) => this.#pins.list(wiring));
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
    for (const { part, control, value } of this.#presets.values()) controls.set(part, control, value);
    const loaded = await runtime;
    const before = this.#simulation;
    this.#isRunning = false;
    this.#simulation = null;
    await before?.end();
    for (const warning of wiring.warnings) onWarning?.(warning);
    this.#points.restart(before?.nanos ?? 0);
    this.#pauseAtNanos = null;
    this.#pacer.stop();
    this.#serial.forget();
    this.#toldFailure = null;
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
      onSerial: (bytes) => this.#serial.print(bytes),
      isWatched: (gpio) => this.#pins.isWatched(gpio),
      onEdge: (edge) => this.#pins.edge(this.#simulation, edge),
    });
    this.#isRunning = params.pause !== true;
    this.#afterReply = () => {
      for (const chip of params.chips ?? []) {
        this.#event("chips:log", { chip, message: "custom chips are not simulated here" });
      }
    };
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
        const gpio = this.#withWiring((wiring) => this.#pins.gpio(wiring, part, pin));
        return isRefusal(gpio) ? gpio : this.#points.add(id, { type: "pin", gpio, level: value }) ?? {};
      }
    }
  }

  // Parts and files

  #readDiagram(): Wiring | Refusal {
    return readWiring(this.#uploads.text("diagram.json") ?? defaultDiagram);
  }

  #withWiring<T>(ask: (wiring: Wiring) => T | Refusal): T | Refusal {
    const wiring = this.#wiring ?? this.#readDiagram();
    return isRefusal(wiring) ? wiring : ask(wiring);
  }

  #control({ part, control, value }: ParamsOf<"control:set">): Answer | Refusal {
    if (this.#controls !== null) return this.#controls.set(part, control, value) ?? {};
    const wiring = this.#readDiagram();
    if (isRefusal(wiring)) return wiring;
    const refused = new Controls(wiring, []).set(part, control, value);
    if (refused !== null) return refused;
    this.#presets.set(`${part} ${control}`, { part, control, value });
    return {};
  }

  #withoutPart(part: string, why: string | null): Answer | Refusal {
    return this.#withWiring((wiring) => {
      if (!wiring.parts.has(part)) {
        return refusal(404, `there is no part ${part}; there are ${listOf(wiring.parts.keys())}`);
      }
      return why === null ? {} : refusal(501, why);
    });
  }

  #readVcd(): Answer {
    const simulation = this.#simulation;
    const wiring = this.#wiring;
    if (simulation === null || wiring === null) return { vcd: "", channelCount: 0, sampleCount: 0 };
    return this.#pins.vcd(wiring, simulation);
  }

  #download({ name }: ParamsOf<"file:download">): Answer | Refusal {
    const sent = this.#uploads.asSent(name);
    if (sent !== null) return sent;
    const stored = this.#simulation?.flash.read(`/${name.replace(/^\/+/, "")}`) ?? null;
    if (stored !== null) return { binary: base64(stored) };
    return refusal(404, `there is no file ${name}, neither uploaded nor in the board's flash`);
  }

  get #nanos(): number {
    return this.#simulation?.nanos ?? 0;
  }

  #event(event: EventFrame["event"], payload: Answer): void {
    if (this.#isClosed) return;
    this.#options.onSend({ type: "event", event, payload, nanos: this.#nanos, paused: !this.#isRunning });
  }
}

const nothingStarted = (command: string) =>
  refusal(409, `${command}: nothing was started; send sim:start first`);

const lengthOf = (frame: unknown) => typeof frame === "string" ? frame.length : 0;

const base64 = (bytes: Uint8Array) => {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(text);
};
