import { deepEqual, equal } from "node:assert/strict";
import type { Clock } from "../core/ports/clock.ts";
import type { Changes } from "../core/ports/store.ts";
import type { ChannelRow, ReadingRow, WindowRow } from "../core/rows.ts";
import { bannerLines, type Started } from "./banner.ts";
import { parseDevOptions } from "./options.ts";
import {
  createTerminal,
  durationText,
  linesPerSecondMax,
  readingLine,
  traceLine,
  windowLine,
} from "./terminal.ts";

const channel = (more: Partial<ChannelRow> = {}): ChannelRow => ({
  count: 6,
  sum: 128_400,
  sumSquares: 0n,
  min: 21_250,
  max: 21_600,
  first: 21_250,
  last: 21_600,
  firstKey: "",
  lastKey: "",
  p50: 21_400,
  p95: 21_600,
  ...more,
});

const window = (more: Partial<WindowRow> = {}): WindowRow => ({
  device: "desk-1",
  windowSize: "1m",
  startMs: Date.UTC(2026, 0, 2, 8, 5),
  endMs: Date.UTC(2026, 0, 2, 8, 6),
  readings: 6,
  sensorFaults: 0,
  late: 0,
  timeUncertain: 0,
  everyMs: 10_000,
  oldestAppendMs: 0,
  temperature: channel(),
  humidity: channel({ sum: 288_000, min: 47_900, max: 48_100 }),
  closedBy: "watermark",
  revision: 0,
  replaces: null,
  changedAppendMs: null,
  changedOffset: null,
  ...more,
});

const reading = (more: Partial<ReadingRow> = {}): ReadingRow => ({
  device: "desk-1",
  boot: 1,
  seq: 1,
  tsMs: Date.UTC(2026, 0, 2, 8, 5, 20),
  appendMs: 0,
  offset: 0,
  index: 0,
  temperatureMilliC: 21_450,
  humidityMilliPct: 48_000,
  everyMs: 10_000,
  fault: null,
  flag: null,
  late: false,
  timeUncertain: false,
  released: false,
  ...more,
});

Deno.test("a closed window is a line with its means and ranges", () => {
  equal(
    windowLine(window()),
    "window 1m  2026-01-02 08:05 to 08:06  desk-1  6 readings  21.4 °C (21.3 to 21.6)  " +
      "48.0 % (47.9 to 48.1)  closed by watermark",
  );
});

Deno.test("a window without values says so, and a revision shows its number", () => {
  const empty = channel({ count: 0, sum: 0, min: null, max: null });
  equal(
    windowLine(window({ readings: 0, sensorFaults: 2, temperature: empty, humidity: empty, revision: 3 })),
    "window 1m  2026-01-02 08:05 to 08:06  desk-1  0 readings, 2 faults  no °C  no %  revision 3",
  );
});

Deno.test("a reading is a line with what it has", () => {
  equal(readingLine(reading()), "reading  08:05:20  desk-1  21.4 °C  48.0 %");
  equal(
    readingLine(reading({ temperatureMilliC: null, late: true })),
    "reading  08:05:20  desk-1  48.0 %  late",
  );
  equal(readingLine(reading({ fault: "checksum" })), "reading  08:05:20  desk-1  no value: checksum");
});

Deno.test("a diagnostic is a line", () => {
  equal(traceLine("warn", "log.down", { retryAfterMs: 5, stack: "x" }), "warn: log.down (retryAfterMs 5)");
  equal(traceLine("error", "x.y", {}), "error: x.y");
});

Deno.test("a fleet that catches up writes a few lines a second and a count", () => {
  let nowMs = 0;
  const clock: Clock = {
    nowMs: () => 0,
    monotonicMs: () => nowMs,
    sleep: () => Promise.resolve(),
    after: () => () => {},
  };
  const lines: string[] = [];
  const terminal = createTerminal(clock, (line) => lines.push(line));
  const commit = (windows: WindowRow[]) =>
    terminal.committed({ windows, readings: [], quarantined: [] } as unknown as Changes);
  commit(Array.from({ length: 100 }, () => window()));
  equal(lines.length, linesPerSecondMax);
  nowMs = 999;
  commit([window()]);
  equal(lines.length, linesPerSecondMax);
  nowMs = 1_000;
  commit([window()]);
  deepEqual(lines.slice(linesPerSecondMax), ["… and 93 more closed windows", windowLine(window())]);
});

Deno.test("only warnings and errors are shown", () => {
  const clock: Clock = {
    nowMs: () => 0,
    monotonicMs: () => 0,
    sleep: () => Promise.resolve(),
    after: () => () => {},
  };
  const lines: string[] = [];
  const { trace } = createTerminal(clock, (line) => lines.push(line));
  for (const level of ["debug", "info", "warn", "error"] as const) trace.emit(level, "some.event");
  deepEqual(lines, ["warn: some.event", "error: some.event"]);
});

Deno.test("durations are told in the largest unit that fits", () => {
  deepEqual([1_500, 90_000, 600_000, 86_400_000].map(durationText), ["1.5s", "90s", "10m", "1d"]);
});

const started = (args: string[], more: Partial<Started> = {}): string => {
  const parsed = parseDevOptions(args);
  if (parsed.kind !== "options") throw new Error(JSON.stringify(parsed));
  return bannerLines({
    options: parsed.options,
    data: "/house/data",
    url: "http://127.0.0.1:8086",
    dashboardUrl: "http://127.0.0.1:8088/",
    lanUrl: null,
    key: null,
    boards: ["desk-1"],
    historyMs: 600_000,
    neighboursBackMs: null,
    task: "deno task",
    ...more,
  }).join("\n");
};

Deno.test("the banner says what runs and where, and what to try", () => {
  equal(
    started([]),
    `  log         embedded: /house/data/log.sqlite
  ingest      http://127.0.0.1:8086/v1/readings
  dashboard   http://127.0.0.1:8088/
  aggregator  in this process: windows of 1 min, 1 h and 1 day
  boards      desk-1: simulated ESP32 with a DHT22, running the project's MicroPython firmware, starting 10m back
  data        /house/data

In a second terminal:
  deno task sql "FROM windows ORDER BY window_start DESC LIMIT 5"
  curl -d '{"device":"desk","temperature_c":21.5,"humidity_pct":40}' http://127.0.0.1:8086/v1/readings

Ctrl-C stops it; the next start goes on from here. Times below are UTC.
`,
  );
});

Deno.test("the banner says that the neighbour starts later", () => {
  const text = started([], { boards: ["board-1", "board-2"], neighboursBackMs: 60_000 });
  equal(text.includes("board-1, board-2: simulated ESP32"), true, text);
  equal(text.includes("starting 10m (board-2 1m) back\n"), true, text);
});

Deno.test("the banner shows an address without its password", () => {
  const text = started(["--log", "redis://:secret@a:6379/house"]);
  equal(text.includes("log         redis://:…@a:6379/house\n"), true, text);
  equal(text.includes("secret"), false);
});

Deno.test("the banner follows the options", () => {
  const text = started(
    ["--data", "my house", "--for", "30s", "--log", "kafka://a:9092", "--lan", "--no-board"],
    { boards: [], lanUrl: "http://192.168.1.7:8086", key: "iso_dev_x", task: "npx -y deno@2.9.6 task" },
  );
  for (
    const part of [
      "log         kafka://a:9092\n",
      "boards      none\n",
      `npx -y deno@2.9.6 task sql --data 'my house' "FROM`,
      "curl -H 'authorization: Bearer iso_dev_x' -d",
      "A board on the desk sends to http://192.168.1.7:8086 with the key iso_dev_x\n",
      "Ctrl-C stops it, or after 30s;",
    ]
  ) equal(text.includes(part), true, `${part}\nin\n${text}`);
});
