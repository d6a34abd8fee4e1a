/** What the pages decide, without a browser: states, gaps, which row counts, words of SQL. */
import { deepEqual, equal, match } from "node:assert/strict";
import { createFleet } from "./pages/fleet.js";
import { chartData, counts, lonely, sizeFor } from "./pages/series.js";
import { sparkPaths, trendOf } from "./pages/spark.js";
import { conditionText } from "./pages/alerts.js";
import { barSpans, plotOf } from "./pages/result_plot.js";
import { csvOf, partsOf, suggest } from "./pages/sql_words.js";
import { completenessOf, stateOf } from "./pages/states.js";
import { ago, number, sizeMs, span } from "./pages/format.js";

const MINUTE = 60_000;
const NOW = 1_763_950_000_000;
const device = (more = {}) => ({
  retired: false,
  everyMs: 10_000,
  lastHeardMs: NOW - 5_000,
  valueMs: NOW - 5_000,
  newestReadings: 6,
  newestFaults: 0,
  quarantinedRecently: 0,
  quarantinedAtMs: null,
  ...more,
});

Deno.test("a device's state is told by its last word, its newest value and its sensor, each apart", () => {
  const is = (more: Record<string, unknown>) => stateOf(device(more), NOW);
  equal(is({}), "live");
  equal(is({ lastHeardMs: NOW - 2 * MINUTE }), "live");
  equal(is({ lastHeardMs: NOW - 2 * MINUTE - 1 }), "silent");
  equal(is({ everyMs: 3_600_000, lastHeardMs: NOW - 50 * MINUTE, valueMs: NOW - 50 * MINUTE }), "waiting");
  equal(is({ everyMs: 3_600_000, lastHeardMs: NOW - 182 * MINUTE }), "silent");
  equal(is({ valueMs: NOW - 60 * MINUTE }), "stale");
  equal(is({ newestReadings: 0, newestFaults: 6 }), "faulty");
  equal(is({ newestReadings: 5, newestFaults: 1 }), "live");
  equal(is({ quarantinedRecently: 3, quarantinedAtMs: NOW - 6_000 }), "quarantined");
  equal(is({ quarantinedRecently: 3, quarantinedAtMs: NOW - 60_000 }), "live");
  equal(is({ retired: true, lastHeardMs: 0 }), "retired");
});

Deno.test("completeness is unknown without an interval, and never above one", () => {
  equal(completenessOf({ expected: null, received: 5 }), null);
  equal(completenessOf({ expected: 10, received: 4, faults: 1 }), 0.5);
  equal(completenessOf({ expected: 10, received: 11, faults: 0 }), 1);
});

const window = (minute: number, more = {}) => ({
  startMs: minute * MINUTE,
  readings: 6,
  faults: 0,
  temperatureMean: 20,
  temperatureMin: 19,
  temperatureMax: 21,
  humidityMean: 50,
  humidityMin: 49,
  humidityMax: 51,
  closedBy: "watermark",
  revision: 0,
  ...more,
});

Deno.test("a gap is a break in the line with its cause, never a zero", () => {
  const windows = new Map([0, 1, 4, 5].map((minute) => [minute * MINUTE, window(minute)]));
  windows.set(
    6 * MINUTE,
    window(6, { readings: 0, faults: 6, temperatureMean: null, temperatureMin: null, temperatureMax: null }),
  );
  const data = chartData(windows, [[2 * MINUTE, "offline"], [3 * MINUTE, "offline"], [
    7 * MINUTE,
    "not_due_yet",
  ]], MINUTE);
  deepEqual(data.temperature[0], [20, 20, null, null, 20, 20, null, null]);
  deepEqual(data.gaps, [
    { fromMs: 2 * MINUTE, toMs: 4 * MINUTE, cause: "offline" },
    { fromMs: 6 * MINUTE, toMs: 7 * MINUTE, cause: "sensor_fault" },
    { fromMs: 7 * MINUTE, toMs: 8 * MINUTE, cause: "not_due_yet" },
  ]);
  deepEqual(data.x.slice(0, 2), [30, 90]);
});

Deno.test("a hole that has no cause is a break as well", () => {
  const data = chartData(new Map([[0, window(0)], [5 * MINUTE, window(5)]]), [], MINUTE);
  deepEqual(data.temperature[0], [20, null, 20]);
});

Deno.test("closed counts before open, the higher revision before the lower, the later word before the earlier", () => {
  const open = window(0, { closedBy: null });
  equal(counts(open, undefined), true);
  equal(counts(open, open), true);
  equal(counts(window(0), open), true);
  equal(counts(open, window(0)), false);
  equal(counts(window(0, { revision: 1 }), window(0)), true);
  equal(counts(window(0), window(0, { revision: 1 })), false);
});

Deno.test("the window size follows the span", () => {
  const of = (hours: number) => sizeFor(hours * 3_600_000, ["1m", "1h", "1d"], sizeMs);
  deepEqual([1, 24, 25, 26, 1_500, 1_501, 100_000].map(of), ["1m", "1m", "1m", "1h", "1h", "1d", "1d"]);
  deepEqual(lonely([1, null, 2, 3, null, 4]), [0, 5]);
});

Deno.test("a trend has its gaps, and a single value is still a dot", () => {
  deepEqual(trendOf("1:205 2:-10", 4), [null, 20.5, -1, null]);
  deepEqual(trendOf("", 2), [null, null]);
  deepEqual(trendOf("9:1 x", 2), [null, null]);
  deepEqual(sparkPaths([null, null]), { line: "", area: "" });
  match(sparkPaths([1, null, 2]).line, /^M0 [\d.]+h\.01M200 [\d.]+h\.01$/);
});

const event = (name: string, more = {}) => ({
  device: name,
  display_name: null,
  last_heard: new Date(NOW).toISOString(),
  last_reading: {
    ts: new Date(NOW).toISOString(),
    temperature_c: 21.5,
    humidity_pct: 40,
    fault: null,
    flag: null,
  },
  watermark: null,
  pending_since: null,
  every_ms: 10_000,
  retired: false,
  shared_name: false,
  quarantined: 0,
  ...more,
});
const page = (rows: unknown[][]) => ({
  columns: [
    "device",
    "displayName",
    "everyMs",
    "lastHeardMs",
    "valueMs",
    "temperatureC",
    "received",
    "retired",
  ],
  devices: rows,
  trend: { count: 3 },
});

Deno.test("events move the files' devices on, and older files don't move them back", () => {
  const fleet = createFleet();
  fleet.load(page([["a", "Attic", 10_000, NOW - 60_000, NOW - 60_000, 18, 100, false]]), NOW);
  fleet.apply(event("a", { display_name: "Attic" }), NOW);
  fleet.apply(event("new"), NOW);
  fleet.load(page([["a", "Attic", 10_000, NOW - 30_000, NOW - 30_000, 19, 103, false]]), NOW);
  deepEqual(
    fleet.all.map((
      d: Record<string, unknown>,
    ) => [d.device, d.displayName, d.temperatureC, d.received, d.state]),
    [
      ["a", "Attic", 21.5, 103, "live"],
      ["new", "new", 21.5, null, "live"],
    ],
  );
  deepEqual([...fleet.counts], [["live", 2]]);
  fleet.sweep(10, NOW + 5 * MINUTE);
  deepEqual([fleet.counts.get("live"), fleet.counts.get("silent")], [0, 2]);
});

Deno.test("a fault and a quarantined reading show in the state, the last good value stays", () => {
  const fleet = createFleet();
  fleet.apply(event("a"), NOW);
  fleet.apply(
    event("a", {
      last_reading: {
        ts: new Date(NOW).toISOString(),
        temperature_c: null,
        humidity_pct: null,
        fault: "timeout",
        flag: null,
      },
    }),
    NOW,
  );
  deepEqual([fleet.all[0].state, fleet.all[0].temperatureC], ["faulty", 21.5]);
  fleet.apply(event("a", { quarantined: 1 }), NOW);
  equal(fleet.all[0].state, "quarantined");
});

Deno.test("SQL is cut into coloured parts that are the text together", () => {
  const text = "SELECT 'it''s', 4.5 -- from\nFROM \"from\" /* x";
  const parts = partsOf(text);
  equal(parts.map(([part]: string[]) => part).join(""), text);
  deepEqual(parts.filter(([, kind]: string[]) => kind !== ""), [
    ["SELECT", "keyword"],
    ["'it''s'", "text"],
    ["4.5", "number"],
    ["-- from", "comment"],
    ["FROM", "keyword"],
    ["/* x", "comment"],
  ]);
});

Deno.test("views are suggested after FROM, columns of the named views elsewhere, nothing in a text", () => {
  const schema = [
    {
      name: "windows",
      columns: [{ name: "window_start", type: "TIMESTAMP" }, { name: "readings", type: "BIGINT" }],
    },
    { name: "devices", columns: [{ name: "device", type: "VARCHAR" }] },
  ];
  const words = (text: string) =>
    suggest(text, text.length, schema)?.items.map((item: { text: string }) => item.text).slice(0, 2) ?? null;
  deepEqual(words("FROM win"), ["windows", "window_start"]);
  deepEqual(words("SELECT * FROM windows WHERE win"), ["window_start", "windows"]);
  deepEqual(words("FROM devices SELECT dev"), ["device", "devices"]);
  equal(words("SELECT 'win"), null);
  equal(words("-- win"), null);
  equal(words("FROM "), null);
});

Deno.test("a result with times and numbers becomes lines, one for each name", () => {
  const columns = [
    { name: "t", type: "TIMESTAMP", isNumber: false },
    { name: "device", type: "VARCHAR", isNumber: false },
    { name: "mean", type: "DOUBLE", isNumber: true },
  ];
  const rows = [["2025-11-24 01:00:00", "a", 2], ["2025-11-24 00:00:00", "a", 1], [
    "2025-11-24 00:00:00",
    "b",
    null,
  ]];
  deepEqual(plotOf(columns, rows), {
    kind: "lines",
    x: [1_763_942_400, 1_763_946_000],
    lines: [{ label: "a", values: [1, 2] }, { label: "b", values: [null, null] }],
  });
  equal(plotOf(columns.slice(0, 2), rows), null);
  equal(csvOf(columns, [["x", 'say "hi", you', null]]), 't,device,mean\r\nx,"say ""hi"", you",\r\n');
});

Deno.test("a result without times becomes bars, one for each row, for any of its numbers", () => {
  const text = (name: string) => ({ name, type: "VARCHAR", isNumber: false });
  const number = (name: string) => ({ name, type: "DOUBLE", isNumber: true });
  deepEqual(
    plotOf([text("device"), number("mean"), text("reason"), number("n")], [["a", 1, "late", 5], [
      "b",
      null,
      null,
      6,
    ]]),
    {
      kind: "bars",
      by: "device, reason",
      labels: ["a · late", "b · NULL"],
      series: [{ label: "mean", values: [1, null] }, { label: "n", values: [5, 6] }],
    },
  );
  // The hours of a day, in their order.
  deepEqual(plotOf([number("hour"), number("mean")], [[2, 20], [0, 18], [1, 19]]), {
    kind: "bars",
    by: "hour",
    labels: ["0", "1", "2"],
    series: [{ label: "mean", values: [18, 19, 20] }],
  });
  const many = (count: number) => Array.from({ length: count }, (_, i) => [`d${i}`, i]);
  equal(plotOf([text("device"), number("n")], many(40))?.kind, "bars");
  equal(plotOf([text("device"), number("n")], many(41)), null);
  equal(plotOf([text("device"), number("n")], many(1)), null);
});

Deno.test("numbers over a number become a curve, unless the same comes twice", () => {
  const columns = ["x", "y"].map((name) => ({ name, type: "DOUBLE", isNumber: true }));
  deepEqual(plotOf(columns, [[1.5, 2], [0.5, 1], [2, null]]), {
    kind: "curve",
    by: "x",
    x: [0.5, 1.5, 2],
    lines: [{ label: "y", values: [1, 2, null] }],
  });
  equal(plotOf(columns, [[1, 2], [1, 3]]), null);
  equal(plotOf(columns, [[1, 2], [null, 3]]), null);
  equal(plotOf(columns.slice(0, 1), [[1], [2]]), null);
});

Deno.test("bars stand on zero, wherever their values are", () => {
  deepEqual(barSpans([5, 10, null]), { zero: 0, spans: [{ from: 0, to: 50 }, { from: 0, to: 100 }, null] });
  deepEqual(barSpans([-10, 30]), { zero: 25, spans: [{ from: 0, to: 25 }, { from: 25, to: 100 }] });
  deepEqual(barSpans([-4]), { zero: 100, spans: [{ from: 0, to: 100 }] });
  deepEqual(barSpans([0, null]), { zero: 0, spans: [{ from: 0, to: 0 }, null] });
});

Deno.test("a rule reads as a sentence", () => {
  const of = { window_size: "1m", channel: "temperature_c", statistic: "max" };
  deepEqual([
    conditionText({ ...of, above: 30, clear: 28 }),
    conditionText({ ...of, channel: "humidity_pct", statistic: "min", below: 20, clear: 20 }),
    conditionText({ ...of, changes_per_hour: 6 }),
    conditionText({ window_size: "1h", complete_below: 0.905, clear: 0.95 }),
    conditionText({ silent_for_s: 600 }),
  ], [
    "max of 1m above 30 °C, until 28 °C",
    "min of 1m below 20 %",
    "change by more than 6 °C an hour, between 1m windows",
    "less than 90.5 % of the readings in 1h, until 95 %",
    "nothing heard for 600 s",
  ]);
});

Deno.test("spans and numbers read as people say them", () => {
  deepEqual([400, 59_000, 89_000, 600_000, 5_400_000, 12_000_000, 86_400_000 * 3].map(span), [
    "400 ms",
    "59 s",
    "89 s",
    "10 min",
    "1 h 30 min",
    "3 h 20 min",
    "3 d",
  ]);
  deepEqual([ago(null, NOW), ago(NOW - 1_000, NOW), ago(NOW - 60_000, NOW), ago(NOW + 60_000, NOW)], [
    "never",
    "just now",
    "60 s ago",
    "in 60 s",
  ]);
  deepEqual([number(null), number(-0.25, 1), number(21.46)], ["–", "−0.3", "21.5"]);
});
