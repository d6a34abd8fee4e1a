import assert from "node:assert/strict";
import { type Desk, MINUTE_MS, SECOND_MS, setUpDesk } from "./testing/desk.ts";

/** Types into the serial port and lets 100 ms pass; gives what was printed since. */
async function type(desk: Desk, text: string, ms = 100): Promise<string> {
  const before = desk.serial().length;
  desk.scheduler.after(0, () => desk.board.serialInput(new TextEncoder().encode(text)));
  await desk.run(ms);
  return desk.serial().slice(before);
}

Deno.test("Ctrl-C stops the firmware and gives a prompt; lines are run there", async () => {
  await using desk = await setUpDesk();
  await desk.board.powerOn();
  await desk.run(5 * SECOND_MS);
  const stopped = await type(desk, "\x03");
  assert.match(stopped, /KeyboardInterrupt/);
  assert.match(stopped, />>> $/);
  assert.match(await type(desk, "1 + 1\r"), /\r\n2\r?\n>>> $/);
  assert.match(await type(desk, "import os; sorted(os.listdir())[:2]\r"), /\['backlog.py', 'backoff.py'\]/);
});

Deno.test("a line may block, and Ctrl-C ends it", async () => {
  await using desk = await setUpDesk();
  await desk.board.powerOn();
  await type(desk, "\x03");
  assert.match(await type(desk, "import time; time.sleep(2); print('slept')\r", 1900), /slept'\)\r\n$/);
  assert.match(await type(desk, "", 200), /^slept\r?\n>>> $/);
  await type(desk, "time.sleep(100)\r", 1000);
  assert.match(await type(desk, "\x03"), /KeyboardInterrupt/);
});

Deno.test("the raw REPL runs a program, declines raw-paste, and a soft reset out of it does not start main", async () => {
  await using desk = await setUpDesk();
  await desk.board.powerOn();
  await type(desk, "\x03");
  assert.match(await type(desk, "\x01"), /raw REPL; CTRL-B to exit\r\n>$/);
  assert.equal(await type(desk, "\x05A\x01"), "R\0");
  assert.equal(await type(desk, "print(6 * 7)\x04"), "OK42\n\x04\x04>");
  const reset = await type(desk, "\x04", 500);
  assert.match(reset, /soft reboot\r\n/);
  assert.match(reset, /raw REPL; CTRL-B to exit\r\n>$/);
  assert.equal(desk.board.causes.at(-1), "soft");
  await desk.run(MINUTE_MS);
  assert.equal(desk.events("sample").length, 0);
});

Deno.test("Ctrl-D at the prompt starts main again", async () => {
  await using desk = await setUpDesk();
  await desk.board.powerOn();
  await type(desk, "\x03");
  await type(desk, "\x04", 10 * SECOND_MS);
  assert.equal(desk.events("sample").length, 1);
});
