/**
 * A scripted simulator behind `@wokwi/client`: it knows the protocol's pause points and nothing of a board. For tests of
 * what drives a simulator, with answers that a real one rarely gives.
 */
import type { ITransport } from "@wokwi/client";

/** Something that happens at a simulated time. */
export type Happening =
  | { readonly atNanos: number; readonly serial: string }
  | { readonly atNanos: number; readonly chip: string }
  | { readonly atNanos: number; readonly pin: string; readonly value: 0 | 1 }
  /** The simulator dies. */
  | { readonly atNanos: number; readonly dies: "error" | "close" };

interface Command {
  readonly command: string;
  readonly id: string;
  // deno-lint-ignore no-explicit-any
  readonly params?: any;
}

interface Point {
  readonly id: string;
  readonly type: string;
  readonly nanos: number;
  readonly bytes: string;
  readonly pin: string;
  readonly value: number;
  seen: string;
}

export class FakeSimulator implements ITransport {
  // deno-lint-ignore no-explicit-any
  onMessage: (message: any) => void = () => {};
  onClose?: (code: number, reason?: string) => void;
  onError?: (error: Error) => void;
  /** Commands in order, as `name` or `name {params}`, without uploads' content. */
  readonly commands: string[] = [];
  readonly uploads: string[] = [];
  /** Answers to a command in place of an empty result; an Error is a refusal. */
  readonly answers = new Map<string, unknown>();
  readonly pins = new Map<string, unknown>();
  readonly #happenings: Happening[];
  readonly #points: Point[] = [];
  #nanos = 0;
  #started = false;
  #isRunning = false;
  #isAlive = true;

  constructor(happenings: readonly Happening[] = []) {
    this.#happenings = [...happenings].sort((a, b) => a.atNanos - b.atNanos);
  }

  connect(): Promise<void> {
    this.#later({ type: "hello", protocolVersion: 1, appName: "fake", appVersion: "1" });
    return Promise.resolve();
  }

  send(message: Command): void {
    queueMicrotask(() => this.#handle(message));
  }

  close(): void {
    this.#isAlive = false;
  }

  #handle({ command, id, params }: Command): void {
    if (!this.#isAlive) return;
    if (command === "file:upload") this.uploads.push(params.name);
    else this.commands.push(params === undefined ? command : `${command} ${JSON.stringify(params)}`);
    const answer = this.answers.get(command);
    const isError = answer instanceof Error;
    const result = isError ? { code: 400, message: answer.message } : answer ?? this.#result(command, params);
    this.#later({ type: "response", command, id, result, error: isError });
    if (isError) return;
    if (command === "pause-point:add") this.#add(params);
    if (command === "pause-point:remove") this.#take(this.#points.find((point) => point.id === params.id));
    if (command === "sim:start") this.#started = true;
    if (command === "sim:pause") this.#pause(undefined);
    if (command === "sim:resume" && this.#started) {
      this.#isRunning = true;
      void this.#run();
    }
  }

  #result(command: string, params: { readonly part?: string; readonly pin?: string }): unknown {
    if (command === "pin:read") {
      return { pin: params.pin, value: this.pins.get(`${params.part}:${params.pin}`) ?? 0 };
    }
    if (command === "sim:read-vcd") return { vcd: "", channelCount: 0, sampleCount: 0 };
    return {};
  }

  #add(params: Partial<Point> & { readonly id: string; readonly type: string }): void {
    const bytes = String.fromCharCode(...(params.bytes as unknown as number[] ?? []));
    const nanos = (params.nanos ?? Infinity) + (params.type === "time-relative" ? this.#nanos : 0);
    const { id, type, pin = "", value = -1 } = params;
    this.#points.push({ id, type, nanos, bytes, pin, value, seen: "" });
  }

  #take(point: Point | undefined): void {
    if (point !== undefined) this.#points.splice(this.#points.indexOf(point), 1);
  }

  async #run(): Promise<void> {
    while (this.#isRunning && this.#isAlive) {
      // Time goes on slowly enough for a client to hear of what has happened.
      for (let turn = 0; turn < 32; turn++) await undefined;
      if (!this.#isRunning) return;
      const due = this.#points.reduce<Point | null>(
        (first, point) => first === null || point.nanos < first.nanos ? point : first,
        null,
      );
      const next = this.#happenings[0];
      const nextNanos = next?.atNanos ?? Infinity;
      if (due !== null && due.nanos <= nextNanos && due.nanos < Infinity) {
        this.#nanos = Math.max(this.#nanos, due.nanos);
        this.#pause(due);
      } else if (next === undefined) return;
      else {
        this.#happenings.shift();
        this.#nanos = nextNanos;
        this.#happen(next);
      }
    }
  }

  #happen(happening: Happening): void {
    if ("chip" in happening) return this.#event("chips:log", { chip: "chip", message: happening.chip });
    if ("pin" in happening) {
      this.pins.set(`esp:${happening.pin}`, happening.value);
      const met = this.#points.find((point) =>
        point.pin === happening.pin && point.value === happening.value
      );
      return met === undefined ? undefined : this.#pause(met);
    }
    if ("dies" in happening) {
      this.#isAlive = false;
      if (happening.dies === "close") queueMicrotask(() => this.onClose?.(1006, "gone"));
      else queueMicrotask(() => this.onMessage({ type: "error", message: "out of memory" }));
      return;
    }
    for (const [index, char] of [...happening.serial].entries()) {
      this.#event("serial-monitor:data", { bytes: [char.charCodeAt(0)] });
      for (const point of this.#points) point.seen = (point.seen + char).slice(-64);
      const met = this.#points.find((point) => point.bytes !== "" && point.seen.endsWith(point.bytes));
      if (met === undefined) continue;
      const rest = happening.serial.slice(index + 1);
      if (rest !== "") this.#happenings.unshift({ atNanos: this.#nanos, serial: rest });
      return this.#pause(met);
    }
  }

  #pause(point: Point | undefined): void {
    this.#isRunning = false;
    this.#take(point);
    this.#event("sim:pause", point === undefined ? {} : { pausePoint: point.id, pausePointInfo: {} });
  }

  #event(event: string, payload: unknown): void {
    this.#later({ type: "event", event, payload, nanos: this.#nanos, paused: !this.#isRunning });
  }

  #later(message: unknown): void {
    queueMicrotask(() => this.onMessage(message));
  }
}
