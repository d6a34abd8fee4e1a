/** A client in the same process: sends commands to a session and collects every frame. */
import { machineClock } from "../../../platform/clock.ts";
import { loadMicroPythonRuntime } from "../../board/mod.ts";
import type { EventFrame, ResponseFrame, ServerFrame } from "../frames.ts";
import { WokwiSession, type WokwiSessionOptions } from "../session.ts";
import { worldOf } from "../world.ts";

/** 2026-01-01T00:00:00Z. */
export const START_MS = 1_767_225_600_000;

const runtime = loadMicroPythonRuntime();

export class Talk {
  readonly frames: ServerFrame[] = [];
  readonly session: WokwiSession;
  #id = 0;
  #onFrame: () => void = () => {};

  constructor(options: Partial<WokwiSessionOptions> = {}) {
    this.session = new WokwiSession({
      seed: 1,
      files: new Map(),
      makeWorld: () => worldOf(START_MS, () => new Response(null, { status: 503 })),
      runtime,
      clock: machineClock,
      onSend: (frame) => {
        this.frames.push(structuredClone(frame));
        this.#onFrame();
      },
      ...options,
    });
    this.session.open();
  }

  /** Sends a command without waiting; its id. */
  send(command: string, params?: Record<string, unknown>): string {
    const id = String(this.#id++);
    this.session.receive(JSON.stringify({ type: "command", command, params, id }));
    return id;
  }

  /** Sends a command and waits for its reply. */
  async ask(command: string, params?: Record<string, unknown>): Promise<ResponseFrame> {
    const id = this.send(command, params);
    return await this.frame((frame) => frame.type === "response" && frame.id === id) as ResponseFrame;
  }

  /** Sends a command that has to succeed; its result. */
  async done(command: string, params?: Record<string, unknown>): Promise<Readonly<Record<string, unknown>>> {
    const { error, result } = await this.ask(command, params);
    if (error) throw new Error(`${command}: ${result.code} ${result.message}`);
    return result;
  }

  /** Sends a command that has to fail; its code and sentence. */
  async refused(
    command: string,
    params?: Record<string, unknown>,
  ): Promise<{ code: number; message: string }> {
    const { error, result } = await this.ask(command, params);
    if (!error) throw new Error(`${command} succeeded: ${JSON.stringify(result)}`);
    return result as { code: number; message: string };
  }

  /** Goes on until the next stop; that event. */
  async resume(pauseAfter?: number): Promise<EventFrame> {
    const seen = this.frames.length;
    this.send("sim:resume", pauseAfter === undefined ? {} : { pauseAfter });
    const isStop = (frame: ServerFrame, index: number) =>
      index >= seen && frame.type === "event" && frame.event === "sim:pause";
    return await this.frame(isStop) as EventFrame;
  }

  /** Waits for the first frame that `isIt`. */
  async frame(isIt: (frame: ServerFrame, index: number) => boolean): Promise<ServerFrame> {
    for (;;) {
      const found = this.frames.find(isIt);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#onFrame = resolve);
    }
  }

  events(name: EventFrame["event"]): EventFrame[] {
    return this.frames.filter((frame) => frame.type === "event" && frame.event === name) as EventFrame[];
  }

  /** All serial output so far. */
  serial(): string {
    const bytes = this.events("serial-monitor:data").flatMap(({ payload }) => payload.bytes as number[]);
    return new TextDecoder().decode(new Uint8Array(bytes));
  }

  /** Uploads `main` as main.py and starts it, paused and listened to. */
  async start(main: string, more: Readonly<Record<string, string>> = {}): Promise<void> {
    for (const [name, text] of Object.entries({ ...more, "main.py": main })) {
      await this.done("file:upload", { name, text });
    }
    await this.done("serial-monitor:listen");
    await this.done("sim:start", { firmware: "main.py", pause: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.close();
    // V8 frees the stacks that a power cut has rejected only after a macrotask.
    await machineClock.sleep(0);
  }
}

export const bytesOf = (text: string): number[] => [...new TextEncoder().encode(text)];
