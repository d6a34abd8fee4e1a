import assert from "node:assert/strict";
import type { WindowSpec } from "./config.ts";
import { lowestStart, windowOf, windowsOf } from "./windows.ts";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const at = (text: string) => Date.parse(text);
const text = (ms: number) => new Date(ms).toISOString();
const day = (zone: string): WindowSpec => ({ kind: "local_day", label: `1d@${zone}`, zone });

Deno.test("a local day runs from midnight to midnight: 23, 24 and 25 hours, and 24.5 where clocks step by half an hour", () => {
  // The rules are those of the IANA database: the European Union, and Lord Howe Island.
  const cases: [string, string, string, number][] = [
    ["Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-27T23:00:00.000Z", 24],
    ["Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00.000Z", 23],
    ["Europe/Berlin", "2026-03-30T12:00:00Z", "2026-03-29T22:00:00.000Z", 24],
    ["Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00.000Z", 25],
    ["Australia/Lord_Howe", "2026-04-05T02:00:00Z", "2026-04-04T13:00:00.000Z", 24.5],
    ["UTC", "2026-03-29T12:00:00Z", "2026-03-29T00:00:00.000Z", 24],
  ];
  for (const [zone, event, start, hours] of cases) {
    const { startMs, endMs } = windowOf(day(zone), at(event));
    assert.deepEqual([zone, text(startMs), (endMs - startMs) / HOUR_MS], [zone, start, hours]);
  }
});

Deno.test("a local day holds its first millisecond and not its end, which is the next one's", () => {
  const berlin = day("Europe/Berlin");
  const { startMs, endMs } = windowOf(berlin, at("2026-03-29T12:00:00Z"));
  assert.deepEqual(windowOf(berlin, startMs), { startMs, endMs });
  assert.deepEqual(windowOf(berlin, endMs - 1), { startMs, endMs });
  assert.equal(windowOf(berlin, endMs).startMs, endMs);
  assert.equal(windowOf(berlin, startMs - 1).endMs, startMs);
});

Deno.test("a hopping spec has a window for each hop that reaches the event, the latest start first", () => {
  const hopping: WindowSpec = {
    kind: "fixed",
    label: "10m/4m",
    sizeMs: 10 * MINUTE_MS,
    hopMs: 4 * MINUTE_MS,
  };
  const starts = (minute: number) =>
    windowsOf(hopping, minute * MINUTE_MS).map(({ startMs }) => startMs / MINUTE_MS);
  assert.deepEqual(starts(9), [8, 4, 0]);
  assert.deepEqual(starts(10), [8, 4], "it is the end of the window that starts at 0");
  assert.deepEqual(starts(11.99), [8, 4]);
  assert.deepEqual(starts(12), [12, 8, 4]);
  assert.equal(
    lowestStart([hopping, day("Europe/Berlin")], at("2026-03-29T12:00:00Z")),
    at("2026-03-28T23:00:00Z"),
  );
});
