import assert from "node:assert/strict";
import { HOUR_MS, SECOND_MS, setUpDesk } from "../sim/board/testing/desk.ts";
import { backlogSizes, wear, wearWhileFull } from "./flash_budget.ts";

Deno.test("the backlog holds more than 24 h at 2 s, in half of the file system", () => {
  assert.equal(Math.floor(backlogSizes(2_000).hours), 28);
  assert.equal(Math.floor(backlogSizes(10_000).hours), 141);
  assert.equal(backlogSizes(2_000).bytes, 1024 * 1024);
});

Deno.test("the flash lives for years at each interval", () => {
  assert.equal(Math.round(wear(10_000).erasesPerDay), 8829);
  assert.equal(wear(10_000).years.toFixed(1), "14.3");
  assert.equal(wear(2_000).years.toFixed(1), "2.9");
  assert.ok(wearWhileFull(2_000) > 1);
});

Deno.test("the firmware flushes once a slot and little more, as the budget assumes", async () => {
  await using desk = await setUpDesk({ settings: { every_ms: 2_000 } });
  await desk.board.powerOn();
  await desk.run(2 * HOUR_MS + SECOND_MS);
  const { commit, remove } = desk.board.flash.counts;
  assert.equal(desk.receiver.slotCount("board-1"), 3600);
  assert.equal(commit, 3600 + 1 + 19, "slots, an anchor, headers of segments");
  assert.equal(remove, 18);
});
