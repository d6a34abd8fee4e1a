/**
 * Power cuts everywhere: a scenario of 200 slots with an outage, cut at flash operations (before, torn, after) and at the
 * points where Python waits, restarted and drained. What the board said it had stored must have arrived.
 *
 * The short form takes some of the points. `deno task soak:cuts` takes every one of them (some minutes).
 */
import assert from "node:assert/strict";
import process from "node:process";
import type { CutPoint } from "./flash.ts";
import { type Desk, type DeskOptions, python, SECOND_MS, setUpDesk, START_MS } from "./testing/desk.ts";
import { problem } from "./testing/receiver.ts";

const EVERY_MS = 2_000;
const SLOTS = 200;
const OUTAGE_MS = [START_MS + 100 * SECOND_MS, START_MS + 300 * SECOND_MS] as const;
const everything = process.env.ISOTHERM_LONG === "1";

const scenario: DeskOptions = {
  settings: { every_ms: EVERY_MS },
  handler: (receiver) => (request, { nowMs }) =>
    nowMs >= OUTAGE_MS[0] && nowMs < OUTAGE_MS[1] ? problem(503, "down") : receiver.handle(request),
};

/** Lets the scenario end, switching the power on again 1 s after a cut, and gives the backlog time to drain. */
async function playOut(desk: Desk): Promise<void> {
  const endMs = START_MS + SLOTS * EVERY_MS + 120 * SECOND_MS;
  while (desk.scheduler.nowMs < endMs) {
    if (!desk.board.on) {
      await desk.scheduler.runUntil(desk.scheduler.nowMs + SECOND_MS);
      await desk.board.powerOn();
    }
    await desk.scheduler.step();
    desk.board.check();
  }
}

/** Every slot that was printed (it was stored before that) has arrived, none is double with other content. */
function checkNothingIsMissing(desk: Desk): void {
  let boot = -1;
  for (const line of desk.serial().split("\n")) {
    if (!line.startsWith('{"event":"') || !line.endsWith("}")) continue;
    const event = JSON.parse(line);
    if (event.event === "boot") boot = event.boot;
    if (event.event !== "sample") continue;
    const ledger = desk.receiver.ledger("board-1", boot);
    assert.ok(
      ledger.slots.has(event.seq) || isLast(desk, boot, event.seq),
      `slot ${event.seq} of boot ${boot}`,
    );
  }
  desk.receiver.checkComplete("board-1");
  desk.receiver.checkOrder();
}

/** The very last slot may still be on its way when the scenario ends. */
function isLast(desk: Desk, boot: number, seq: number): boolean {
  const last = desk.events("sample").at(-1);
  return desk.events("boot").at(-1)?.boot === boot && last?.seq === seq;
}

async function cutAtOperation(operation: number, point: CutPoint): Promise<void> {
  await using desk = await setUpDesk(scenario);
  desk.board.cutAtFlashOperation({ operation, point });
  await desk.board.powerOn();
  await playOut(desk);
  assert.equal(desk.board.bootCount, 2, "the cut fell");
  checkNothingIsMissing(desk);
}

async function cutAtBlock(block: number): Promise<void> {
  let cut = false;
  const onBlock = (count: number) => {
    if (cut || count !== block) return;
    cut = true;
    desk.board.powerCut();
  };
  await using desk = await setUpDesk({ ...scenario, python: { onBlock } });
  await desk.board.powerOn();
  await playOut(desk);
  assert.equal(desk.board.bootCount, 2, "the cut fell");
  checkNothingIsMissing(desk);
}

/** How many flash operations and waits the undisturbed scenario has. */
async function measure(): Promise<{ operations: number; blocks: number }> {
  await using desk = await setUpDesk(scenario);
  await desk.board.powerOn();
  await playOut(desk);
  checkNothingIsMissing(desk);
  return { operations: desk.board.flash.operationCount, blocks: python(desk.board).blockCount };
}

const points: readonly CutPoint[] = ["before", "torn", "after"];

Deno.test("power cuts at flash operations lose no slot that was stored", async () => {
  const { operations } = await measure();
  assert.ok(operations > 2 * SLOTS, `${operations} operations`);
  for (let operation = 1; operation <= operations; operation += everything ? 1 : operation < 8 ? 1 : 53) {
    for (const point of everything || operation < 8 ? points : [points[operation % 3] as CutPoint]) {
      await cutAtOperation(operation, point);
    }
  }
});

Deno.test("power cuts where Python waits lose no slot that was stored", async () => {
  const { blocks } = await measure();
  assert.ok(blocks > 4 * SLOTS, `${blocks} waits`);
  for (let block = 1; block <= blocks - 10; block += everything ? 1 : block < 10 ? 3 : 149) {
    await cutAtBlock(block);
  }
});
