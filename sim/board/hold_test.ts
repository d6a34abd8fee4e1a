/** A program that is held at a byte or at an edge: it goes on from there and from nowhere else. */
import assert from "node:assert/strict";
import { machineClock } from "../../platform/clock.ts";
import { Scheduler } from "../scheduler.ts";
import type { Board } from "./board.ts";
import { createBoard } from "./create_board.ts";
import { HttpNetwork } from "./http_network.ts";
import { loadMicroPythonRuntime } from "./micropython_program.ts";

const runtime = loadMicroPythonRuntime();

interface Held {
  readonly board: Board;
  readonly scheduler: Scheduler;
  /** What was printed and driven, in order. */
  readonly seen: string[];
  release(): void;
}

/** A board with `main` that is held at everything in `stops`, once each. */
async function heldBoard(main: string | null, stops: readonly string[]): Promise<Held> {
  const scheduler = new Scheduler();
  const network = new HttpNetwork({ scheduler, handler: () => new Response(null, { status: 503 }) });
  const seen: string[] = [];
  const left = new Set(stops);
  let release = () => {};
  const see = (what: string): Promise<void> | void => {
    seen.push(what);
    if (!left.delete(what)) return;
    return new Promise<void>((resolve) => release = resolve);
  };
  const board = createBoard(scheduler, {
    device: "board-1",
    seed: 1,
    runtime: await runtime,
    network,
    firmware: main === null ? new Map() : new Map([["main.py", new TextEncoder().encode(main)]]),
    python: { standsStill: true },
    onSerial: (bytes) => see(new TextDecoder().decode(bytes)),
  });
  board.trace.listen(({ pin, level }) => see(`pin ${pin} ${level}`));
  return { board, scheduler, seen, release: () => release() };
}

const turn = () => machineClock.sleep(0);

Deno.test("a program is held at a byte: nothing after it runs, and no time passes, until it is released", async () => {
  const { board, scheduler, seen, release } = await heldBoard(
    "import machine, time\nprint('one')\nmachine.Pin(2).on()\nprint('two')\ntime.sleep(1)\nprint('three')",
    ["one"],
  );
  const running = board.powerOn();
  await turn();
  assert.deepEqual(seen, ["one"]);
  release();
  await running;
  assert.deepEqual(seen, ["one", "\n", "pin 2 1", "two", "\n"]);
  assert.equal(scheduler.nowMs, 0);
  await scheduler.runUntil(1_000);
  assert.ok(seen.includes("three"));
});

Deno.test("a program is held at the edge of a pin", async () => {
  const { board, seen, release } = await heldBoard(
    "import machine\np = machine.Pin(2)\np.on()\np.off()\nprint('after')",
    ["pin 2 1"],
  );
  const running = board.powerOn();
  await turn();
  assert.deepEqual(seen, ["pin 2 1"]);
  release();
  await running;
  assert.deepEqual(seen.slice(0, 3), ["pin 2 1", "pin 2 0", "after"]);
});

Deno.test("the power may go while a program is held, and the next boot starts afresh", async () => {
  const { board, seen, release } = await heldBoard("print('one')\nprint('two')", ["one"]);
  const running = board.powerOn();
  await turn();
  board.powerCut();
  await running;
  release();
  await turn();
  assert.deepEqual(seen, ["one"]);
  await board.powerOn();
  assert.deepEqual(seen.slice(1, 5), ["one", "\n", "two", "\n"]);
});

Deno.test("the banner of the prompt can be held and cut like any other output", async () => {
  const { board, seen, release } = await heldBoard(null, [">>> "]);
  const running = board.powerOn();
  await turn();
  assert.equal(seen.at(-1), ">>> ");
  release();
  await running;
  await board.serialInput(new TextEncoder().encode("6 * 7\r"));
  assert.match(seen.join(""), /\r\n42\r?\n>>> $/);
  board.powerCut();
});
