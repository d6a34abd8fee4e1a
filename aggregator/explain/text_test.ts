import assert from "node:assert/strict";
import { MINUTE, reading, SECOND, T0, world } from "../testing/world.ts";
import { explanationLines } from "./text.ts";

Deno.test("an explanation reads as text", async () => {
  const { append, start, passTime } = world();
  const running = start();
  await passTime(SECOND);
  void append({ ...reading(0, T0), every_ms: 30_000, humidity_pct: 40 });
  void append({ ...reading(1, T0 + 30 * SECOND), temperature_c: -200 });
  void append({ ...reading(2, T0 + 2 * MINUTE) });
  await passTime(SECOND);
  const request = new Request(`http://here/explain?device=desk&window_start=${T0}`);
  const answer = await (await running.endpoints.handle(request)!).json() as Record<string, unknown>;
  const lines = explanationLines(answer).map((line) => line.replaceAll(/T00:00:0\d\.\d{3}Z/g, "T00:00:0x"));
  assert.deepEqual(lines, [
    "desk, 1m from 2025-11-24T00:00:0x to 2025-11-24T00:01:00.000Z: closed",
    "Closed by the device's own watermark with record 3 at 2025-11-24T00:00:0x.",
    "",
    "1 readings of 2 expected, 0 sensor faults, 0 late",
    "  20 °C (20 to 20, median 20)",
    "  40 % (40 to 40, median 40)",
    "",
    "Versions:",
    "  revision 0  1 readings, 0 faults, 0 late  made by record 3 at 2025-11-24T00:00:0x",
    "",
    "Readings:",
    "  2025-11-24T00:00:0x  slot 0  20 °C  40 %  record 1 at 2025-11-24T00:00:0x",
    "",
    "Quarantined in and around it:",
    "  2025-11-24T00:00:30.000Z  out_of_range: temperature_c -200 is outside −40…80 °C  record 2 at 2025-11-24T00:00:0x",
    "",
    "The device: last heard 2025-11-24T00:00:0x, every 30 s, complete up to 2025-11-24T00:01:30.000Z; 0 duplicates " +
    "and 1 quarantined in all.",
    "The rows go up to offset 4 of partition 0 (2025-11-24T00:00:0x).",
  ]);
  await running.stop();
});
