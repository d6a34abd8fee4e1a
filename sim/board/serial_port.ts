/**
 * A board on the machine's own clock with its serial port on standard input and output: for `mpremote` through a
 * pseudo-terminal (`testing/pty_bridge.py`), and for hands.
 *
 *     deno run --allow-read sim/board/serial_port.ts [--empty]
 *
 * With `--empty`, the flash holds no firmware: the board waits at its prompt, as a new one does.
 */
import process from "node:process";
import { machineClock } from "../../platform/clock.ts";
import { machineRandom } from "../../platform/random.ts";
import { Scheduler } from "../scheduler.ts";
import type { Board } from "./board.ts";
import { createBoard } from "./create_board.ts";
import { HttpNetwork } from "./http_network.ts";
import { loadMicroPythonRuntime } from "./micropython_program.ts";

const IDLE_MS = 1_000;

async function run(empty: boolean): Promise<void> {
  const scheduler = new Scheduler({ startMs: machineClock.nowMs() });
  const network = new HttpNetwork({ scheduler, handler: () => new Response(null, { status: 503 }) });
  const board = createBoard(scheduler, {
    device: "board-1",
    seed: machineRandom.uint32(),
    runtime: await loadMicroPythonRuntime(),
    network,
    ...(empty ? { firmware: new Map() } : {}),
    onSerial: (bytes) => void process.stdout.write(bytes),
  });
  if (empty) board.flash.remove("/settings.json");
  const stop = new AbortController();
  let woken = new AbortController();
  process.stdin.on("data", (bytes: Uint8Array) => {
    scheduler.at(machineClock.nowMs(), () => board.serialInput(new Uint8Array(bytes)));
    woken.abort();
  });
  process.stdin.on("end", () => {
    stop.abort();
    woken.abort();
  });
  await board.powerOn();

  await keepPace(board, stop.signal, () => (woken = new AbortController()).signal);
  board.powerCut();
  process.exit(0);
}

/** Lets the board's time follow the machine's. */
async function keepPace(board: Board, stop: AbortSignal, nextWake: () => AbortSignal): Promise<void> {
  const { scheduler } = board;
  while (!stop.aborted) {
    const wake = nextWake();
    const waitMs = (scheduler.nextMs ?? Infinity) - machineClock.nowMs();
    if (waitMs > 0) await machineClock.sleep(Math.min(waitMs, IDLE_MS), wake);
    else await scheduler.step();
  }
}

if (import.meta.main) await run(process.argv.includes("--empty"));
