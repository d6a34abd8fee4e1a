import assert from "node:assert/strict";
import { Scheduler } from "../scheduler.ts";
import { Bench } from "./bench.ts";
import { createBoard } from "./create_board.ts";
import { HttpNetwork } from "./http_network.ts";
import { loadMicroPythonRuntime } from "./micropython_program.ts";

const START = 1_763_950_000_000;
interface Batch {
  readonly readings: readonly {
    readonly ts: number;
    readonly temperature_c?: number;
    readonly error?: string;
  }[];
}

Deno.test("a board on the bench feels what is done to it", async () => {
  const scheduler = new Scheduler({ startMs: START });
  const batches: Batch[] = [];
  const inner = new HttpNetwork({
    scheduler,
    handler: async (request) => {
      const batch = JSON.parse(await request.text()) as Batch;
      batches.push(batch);
      return Response.json({
        accepted: batch.readings.length,
        flagged: [],
        now: scheduler.nowMs,
        credit: 100,
      }, { status: 202 });
    },
  });
  const bench = new Bench(1);
  const network = bench.network(inner, () => scheduler.nowMs);
  const decoder = new TextDecoder();
  const board = createBoard(scheduler, {
    device: "board-1",
    seed: 1,
    network,
    runtime: await loadMicroPythonRuntime(),
    settings: { every_ms: 5_000 },
    surroundings: bench.surroundings("board-1", {}),
    onSerial: (bytes) => decoder.decode(bytes).split("\n").forEach((line) => bench.heard("board-1", line)),
  });
  bench.attach([board], scheduler, (task) => void scheduler.at(scheduler.nowMs, task));
  const pass = async (seconds: number) => await scheduler.runUntil(scheduler.nowMs + seconds * 1_000);
  const act = async (action: Parameters<Bench["act"]>[0]) => {
    const done = bench.act(action);
    await pass(1);
    assert.equal(await done, null);
  };
  const mine = () => bench.state().boards[0]!;
  const newest = () => batches.at(-1)?.readings.at(-1);

  await board.powerOn();
  await pass(30);
  assert.equal(mine().isLinked, true);
  assert.ok((mine().backlog ?? 9) <= 1);

  await act({ kind: "air", device: "board-1", temperatureC: 33.3, humidityPct: 12 });
  await pass(10);
  assert.equal(newest()?.temperature_c, 33.3);

  await act({ kind: "sensor", device: "board-1", on: false });
  await pass(12);
  assert.equal(newest()?.error, "timeout");
  await act({ kind: "sensor", device: "board-1", on: true });

  await act({ kind: "wifi", device: "board-1", on: false });
  await pass(60);
  assert.equal(mine().isLinked, false);
  assert.ok((mine().backlog ?? 0) >= 10, `${mine().backlog}`);
  await act({ kind: "wifi", device: "board-1", on: true });
  await pass(90);
  assert.ok((mine().backlog ?? 9) <= 1, `${mine().backlog}`);

  await act({ kind: "clock", device: "board-1", on: true });
  await pass(30);
  assert.ok((newest()?.ts ?? 0) - scheduler.nowMs > 364 * 86_400_000);
  await act({ kind: "clock", device: "board-1", on: false });
  await pass(30);
  assert.ok(Math.abs((newest()?.ts ?? 0) - scheduler.nowMs) < 60_000);

  await act({ kind: "power", device: "board-1", on: false });
  assert.equal(mine().isPowered, false);
  const before = batches.length;
  await pass(60);
  assert.equal(batches.length, before);
  await act({ kind: "power", device: "board-1", on: true });
  await pass(30);
  assert.ok(batches.length > before);
  assert.equal(await bench.act({ kind: "reset", device: "nobody" }), "There is no board nobody.");
  board.powerCut();
});
