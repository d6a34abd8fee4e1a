import { deepEqual, equal } from "node:assert/strict";
import {
  type AlertEvent,
  type AlertRow,
  type AlertRule,
  concerns,
  initialAlertState,
  parseAlerts,
  stepAlert,
  stepSilence,
} from "./alerts.ts";

const MINUTE = 60_000;
const values = (mean: number | null) => ({ mean, min: mean, max: mean });
const row = (minute: number, mean: number | null, more: Partial<AlertRow> = {}): AlertRow => ({
  device: "desk",
  windowSize: "1m",
  startMs: minute * MINUTE,
  endMs: (minute + 1) * MINUTE,
  revision: 0,
  readings: 6,
  expected: 6,
  temperature_c: values(mean),
  humidity_pct: values(50),
  ...more,
});

function ruleOf(rule: Record<string, unknown>): AlertRule {
  const parsed = parseAlerts(JSON.stringify({ rules: [{ name: "r", ...rule }] }));
  if (parsed.kind === "problems") throw new Error(parsed.problems.join());
  return parsed.rules[0] as AlertRule;
}

function eventsOf(rule: AlertRule, rows: readonly AlertRow[]): AlertEvent[] {
  let state = initialAlertState;
  const events: AlertEvent[] = [];
  for (const one of rows) {
    const step = stepAlert(rule, state, one);
    state = step.state;
    if (step.event !== null) events.push(step.event);
  }
  return events;
}

const told = (events: readonly AlertEvent[]) => events.map(({ kind, atMs }) => `${kind} ${atMs / MINUTE}`);

Deno.test("a threshold fires beyond its bound and clears only at the clearing value", () => {
  const rule = ruleOf({ above: 30, clear: 28 });
  const rows = [30, 30.01, 29, 31, 28.01, 28, 29.9, 30.5].map((mean, minute) => row(minute, mean));
  deepEqual(told(eventsOf(rule, rows)), ["fired 2", "cleared 6", "fired 8"]);
});

Deno.test("a lower threshold is the mirror image", () => {
  const rows = [5, 4.99, 5.5, 6, 7].map((mean, minute) => row(minute, mean));
  deepEqual(told(eventsOf(ruleOf({ below: 5, clear: 6 }), rows)), ["fired 2", "cleared 4"]);
});

Deno.test("a window without a value changes nothing: a gap is no zero", () => {
  const rows = [row(0, 31), row(1, null), row(2, null), row(3, 31), row(4, 20)];
  deepEqual(told(eventsOf(ruleOf({ above: 30 }), rows)), ["fired 1", "cleared 5"]);
});

Deno.test("a firing names the row that caused it and says why", () => {
  const [event] = eventsOf(ruleOf({ above: 30 }), [row(7, 31.25, { revision: 2 })]);
  deepEqual(event, {
    id: "r/desk/1m/420000/fired",
    kind: "fired",
    rule: "r",
    device: "desk",
    atMs: 480_000,
    value: 31.25,
    sentence: "mean of 31.25 °C, above 30 °C",
    rows: [{ windowSize: "1m", startMs: 420_000, revision: 2 }],
  });
});

Deno.test("a rate is per hour, over the time between two windows with values", () => {
  const rule = ruleOf({ changes_per_hour: 6 });
  deepEqual(told(eventsOf(rule, [row(0, 20), row(1, 20.1), row(2, 20.21)])), ["fired 3"]);
  deepEqual(told(eventsOf(rule, [row(0, 20), row(1, null), row(2, 20.2), row(3, 20.5), row(4, 20.5)])), [
    "fired 4",
    "cleared 5",
  ]);
});

Deno.test("completeness counts readings of expected ones", () => {
  const rule = ruleOf({ complete_below: 0.8, clear: 1 });
  const rows = [[6, 6], [4, 6], [5, 6], [6, 6], [0, null]].map(([readings, expected], minute) =>
    row(minute, 20, { readings: readings as number, expected: expected as number | null })
  );
  deepEqual(told(eventsOf(rule, rows)), ["fired 2", "cleared 4"]);
});

Deno.test("a window is judged once: repeated, older and differently sized ones change nothing", () => {
  const rule = ruleOf({ above: 30 });
  const rows = [row(5, 31), row(5, 20, { revision: 1 }), row(3, 20), row(6, 20, { windowSize: "1h" })];
  deepEqual(told(eventsOf(rule, rows)), ["fired 6"]);
});

Deno.test("rows in one portion or in many give the same alerts", () => {
  const rule = ruleOf({ above: 24, clear: 21 });
  const rows = Array.from({ length: 200 }, (_, minute) => row(minute, 15 + minute * 7 % 13));
  const whole = eventsOf(rule, rows);
  equal(whole.length > 10, true);
  for (const portion of [1, 7, 50]) {
    let state = initialAlertState;
    const events: AlertEvent[] = [];
    for (let from = 0; from < rows.length; from += portion) {
      // A portion is looked at again with some of the one before, and the state has been to a file and back.
      state = JSON.parse(JSON.stringify(state));
      for (const one of rows.slice(Math.max(0, from - 5), from + portion)) {
        const step = stepAlert(rule, state, one);
        state = step.state;
        if (step.event !== null) events.push(step.event);
      }
    }
    deepEqual(events, whole);
  }
});

Deno.test("silence fires when its time has passed since the last word, and clears with the next", () => {
  const rule = ruleOf({ silent_for_s: 600 });
  const device = (lastHeardMs: number, retired = false) => ({ device: "desk", lastHeardMs, retired });
  equal(stepSilence(rule, initialAlertState, device(0), 599_999).event, null);
  const fired = stepSilence(rule, initialAlertState, device(0), 600_000);
  deepEqual([fired.event?.kind, fired.event?.atMs], ["fired", 600_000]);
  equal(stepSilence(rule, fired.state, device(0), 900_000).event, null);
  const cleared = stepSilence(rule, fired.state, device(950_000), 960_000);
  deepEqual([cleared.event?.kind, cleared.event?.atMs], ["cleared", 950_000]);
  equal(stepSilence(rule, initialAlertState, device(0, true), 900_000).event, null);
});

Deno.test("a star in a rule's device stands for any text", () => {
  const is = (pattern: string, device: string) =>
    concerns({ ...ruleOf({ above: 1 }), device: pattern }, device);
  deepEqual(
    [
      is("*", "a"),
      is("green-*", "green-1"),
      is("green-*", "red-1"),
      is("*-in", "x-in"),
      is("a*a", "a"),
      is("a*b*c", "axbxc"),
    ],
    [true, true, false, true, false, true],
  );
  deepEqual([is("a.c", "abc"), is("*", ""), is("a*b*c", "acb")], [false, false, false]);
});

Deno.test("a file of rules tells all its problems at once", () => {
  deepEqual(parseAlerts("[]"), { kind: "problems", problems: ["`rules` must be a list"] });
  deepEqual(
    parseAlerts(JSON.stringify({
      webhook: "ftp://x",
      rules: [
        { name: "a", above: 1, clear: 2 },
        { name: "b", above: 1, below: 2 },
        { name: "b", silent_for_s: 9 },
        { name: "b", complete_below: 1.1 },
        { name: "c", above: 1, channel: "pressure" },
        { name: "d", above: 1 },
        { name: "d", below: 1 },
        4,
      ],
    })),
    {
      kind: "problems",
      problems: [
        "`webhook` must be an address that begins with http:// or https://",
        "rule 1: `clear` must not be above `above`",
        "rule 2: needs exactly one number of `above`, `below`, `changes_per_hour`, `complete_below`, `silent_for_s`",
        "rule 3: `silent_for_s` must be at least 10",
        "rule 4: `complete_below` must be above 0 and at most 1",
        "rule 5: `channel` must be temperature_c or humidity_pct",
        "rule 8: must be an object",
        'two rules are called "d": names tell alerts apart',
      ],
    },
  );
});
