/** A desk with one board on it, a network and a strict receiver: what most tests of the firmware start from. */
import assert from "node:assert/strict";
import { createHash, type Hash } from "node:crypto";
import { machineClock } from "../../../platform/clock.ts";
import { Scheduler } from "../../scheduler.ts";
import type { Board } from "../board.ts";
import type { Surroundings } from "../chip.ts";
import { createBoard } from "../create_board.ts";
import type { Flash } from "../flash.ts";
import type { FirmwareSettings } from "../firmware.ts";
import { type HttpHandler, HttpNetwork, type HttpNetworkOptions } from "../http_network.ts";
import {
  loadMicroPythonRuntime,
  type MicroPythonOptions,
  MicroPythonProgram,
} from "../micropython_program.ts";
import type { PinChange } from "../pin_trace.ts";
import { Receiver } from "./receiver.ts";

/** 2025-11-24T16:00:00Z: where the tests' time begins. */
export const START_MS = 1_764_000_000_000;
export const SECOND_MS = 1_000;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;

const runtime = loadMicroPythonRuntime();

export interface DeskOptions {
  readonly seed?: number;
  readonly device?: string;
  readonly settings?: FirmwareSettings;
  readonly surroundings?: Partial<Surroundings>;
  readonly network?: Partial<HttpNetworkOptions>;
  /** Wraps the receiver; by default all requests go to it. */
  readonly handler?: (receiver: Receiver) => HttpHandler;
  readonly python?: MicroPythonOptions;
  /** Replaces the firmware's `main.py`. */
  readonly main?: string;
  readonly ticksStartMs?: number;
  readonly onPin?: (change: PinChange) => void;
  readonly flash?: Flash;
}

export interface Desk {
  readonly scheduler: Scheduler;
  readonly receiver: Receiver;
  readonly network: HttpNetwork;
  readonly board: Board;
  /** What the board has printed. */
  serial(): string;
  /** The JSON lines among it, with the given event. */
  events(name: string): Record<string, unknown>[];
  /** Lets virtual time pass, then fails if the firmware has ended or hangs. */
  run(ms: number): Promise<void>;
  /** Over the requests with their times and all serial output. */
  digest(): string;
  /** Takes the power and lets V8 free what was suspended. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The board has its firmware, but no power yet. */
export async function setUpDesk(options: DeskOptions = {}): Promise<Desk> {
  const scheduler = new Scheduler({ startMs: START_MS });
  const receiver = new Receiver(() => scheduler.nowMs);
  const hash: Hash = createHash("sha256");
  const handler = options.handler?.(receiver) ?? receiver.handle;
  const network = new HttpNetwork({ scheduler, handler, ...options.network });
  const printed: Uint8Array[] = [];
  const board = createBoard(scheduler, {
    device: options.device ?? "board-1",
    seed: options.seed ?? 1,
    runtime: await runtime,
    network,
    settings: options.settings ?? {},
    surroundings: options.surroundings ?? {},
    python: options.python ?? {},
    ...(options.ticksStartMs === undefined ? {} : { ticksStartMs: options.ticksStartMs }),
    ...(options.flash === undefined ? {} : { flash: options.flash }),
    onSerial: (bytes) => {
      printed.push(bytes);
      hash.update(bytes);
    },
  });
  if (options.onPin !== undefined) board.trace.listen(options.onPin);
  if (options.main !== undefined) board.flash.put("/main.py", options.main);
  const serial = () => printed.map((bytes) => new TextDecoder().decode(bytes)).join("");
  return {
    scheduler,
    receiver,
    network,
    board,
    serial,
    events: (name) =>
      serial().split("\n").filter((line) => line.startsWith(`{"event":"${name}"`)).map((line) =>
        JSON.parse(line)
      ),
    async run(ms) {
      await scheduler.runUntil(scheduler.nowMs + ms);
      board.check();
    },
    digest() {
      const copy = hash.copy();
      for (const request of receiver.requests) copy.update(`${request.atMs} ${request.body}\n`);
      return copy.digest("hex");
    },
    async [Symbol.asyncDispose]() {
      if (board.on) board.powerCut();
      // V8 frees the stacks that a power cut has rejected only after a macrotask.
      await machineClock.sleep(0);
    },
  };
}

/** The program of a running board. */
export function python(board: Board): MicroPythonProgram {
  assert.ok(board.program instanceof MicroPythonProgram);
  return board.program;
}
