/** Rules that MicroPython's own tools don't check. */
import assert from "node:assert/strict";
import { loadFirmware } from "../sim/board/firmware.ts";
import { HOUR_MS, python, setUpDesk } from "../sim/board/testing/desk.ts";

const sources = [...loadFirmware()].map(([name, bytes]) => ({ name, text: new TextDecoder().decode(bytes) }));
/** Without comments and text in quotes. */
const code = (text: string) => text.replace(/"""[\s\S]*?"""|"(\\.|[^"\\])*"|'(\\.|[^'\\])*'|#.*$/gm, "''");

Deno.test("only main.py touches machine, network and the clock", () => {
  for (const { name, text } of sources) {
    const touches = /^\s*(import|from) (machine|network|time|utime|esp32?|ntptime)\b/m.test(text);
    assert.equal(touches, name === "main.py", name);
  }
});

Deno.test("no floats: the ESP32's have 24 bits, too few for a time or an exact tenth", () => {
  for (const { name, text } of sources) {
    assert.doesNotMatch(code(text), /\b\d+\.\d|[^/]\/[^/=]|\bfloat\(|sleep\(\d*\.\d/, name);
  }
});

Deno.test("errors are compared by name: their numbers differ between the ESP32 and elsewhere", () => {
  for (const { name, text } of sources) assert.doesNotMatch(code(text), /errno\s*[=!]=\s*\d/, name);
});

Deno.test("each module opens with what it is for, and has lines of at most 120 characters", () => {
  for (const { name, text } of sources) {
    assert.ok(text.startsWith('"""'), name);
    for (const line of text.split("\n")) assert.ok(line.length <= 120, `${name}: ${line}`);
  }
});

Deno.test("waits end: an hour of silence from every side costs wake-ups, not a loop", async () => {
  await using desk = await setUpDesk({ network: { accepts: () => null, datagramArrives: () => false } });
  await desk.board.powerOn();
  await desk.run(HOUR_MS);
  assert.ok(python(desk.board).blockCount < 60_000, `${python(desk.board).blockCount} waits in an hour`);
});
