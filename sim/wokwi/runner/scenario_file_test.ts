import assert from "node:assert/strict";
import fc from "fast-check";
import { extensionsOf, type Scenario } from "./scenario.ts";
import { readScenario, scenarioBytesMax } from "./scenario_file.ts";

function scenarioOf(text: string): Scenario {
  const read = readScenario(text, "x.scenario.yaml");
  assert.ok(read.kind === "scenario", read.kind === "problems" ? read.problems.join("\n") : "");
  return read.scenario;
}

function problemsOf(text: string): readonly string[] {
  const read = readScenario(text, "x.scenario.yaml");
  return read.kind === "problems" ? read.problems : [];
}

const withStep = (step: string) => `name: test\nversion: 1\nsteps:\n  - ${step}\n`;
const actionOf = (step: string) => {
  const { name: _name, line: _line, timeoutNanos: _timeout, ...action } = scenarioOf(withStep(step))
    .steps[0]!;
  return action;
};
const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("every step that wokwi-cli knows is read, with its older names", () => {
  const cases: [string, unknown][] = [
    ["delay: 2s", { kind: "delay", nanos: 2_000_000_000 }],
    ["delay: 0", { kind: "delay", nanos: 0 }],
    [`wait-serial: "21 °C"`, { kind: "wait-serial", text: "21 °C", bytes: bytes("21 °C") }],
    [`write-serial: "ping\\r\\n"`, { kind: "write-serial", text: "ping\r\n", bytes: bytes("ping\r\n") }],
    ["write-serial: [3, 0xff]", {
      kind: "write-serial",
      text: "bytes 3 255",
      bytes: new Uint8Array([3, 255]),
    }],
    ["set-control: { part-id: dht, name: temperature, value: -20.5 }", {
      kind: "set-control",
      part: "dht",
      control: "temperature",
      value: -20.5,
    }],
    ["set-control: { part-id: dht, control: humidity, value: 66 }", {
      kind: "set-control",
      part: "dht",
      control: "humidity",
      value: 66,
    }],
    ["expect-pin: { part-id: esp, name: 15, value: 1 }", {
      kind: "expect-pin",
      part: "esp",
      pin: "15",
      value: 1,
    }],
    [`expect-pin: { part-id: esp, pin: "GND.1", value: 0 }`, {
      kind: "expect-pin",
      part: "esp",
      pin: "GND.1",
      value: 0,
    }],
    ["expect-chip-output: ready", { kind: "expect-chip-output", text: "ready" }],
    ["take-screenshot: { part-id: lcd, save-to: a.png }", {
      kind: "take-screenshot",
      part: "lcd",
      saveTo: "a.png",
      compareWith: null,
    }],
    ["take-screenshot: { part-id: lcd, save-to: a.png, compare-with: b.png }", {
      kind: "take-screenshot",
      part: "lcd",
      saveTo: "a.png",
      compareWith: "b.png",
    }],
    ["touch: { part-id: lcd, x: 1, y: 2 }", {
      kind: "touch",
      part: "lcd",
      x: 1,
      y: 2,
      durationNanos: 50_000_000,
      wait: false,
    }],
    ["touch: { part-id: lcd, x: 1, y: 2, duration: 1s, wait: true }", {
      kind: "touch",
      part: "lcd",
      x: 1,
      y: 2,
      durationNanos: 1_000_000_000,
      wait: true,
    }],
    ["touch-press: { part-id: lcd, x: 1, y: 2 }", { kind: "touch-press", part: "lcd", x: 1, y: 2 }],
    ["touch-move: { part-id: lcd, x: 3, y: 4 }", { kind: "touch-move", part: "lcd", x: 3, y: 4 }],
    ["touch-release: { part-id: lcd }", { kind: "touch-release", part: "lcd" }],
  ];
  for (const [step, action] of cases) {
    assert.deepEqual(actionOf(step), action, step);
    assert.deepEqual(extensionsOf(scenarioOf(withStep(step))), [], step);
  }
});

Deno.test("what is ours is named: wokwi-cli would refuse it", () => {
  const scenario = scenarioOf(`name: test
version: 1
author: somebody
timeout: 7200s
steps:
  - name: the sensor answers
    wait-pin: { part-id: esp, name: 15, value: 0 }
    timeout: 5s
`);
  assert.deepEqual(extensionsOf(scenario), ["timeout of the scenario", "timeout of a step", "wait-pin"]);
  assert.equal(scenario.timeoutNanos, 7_200_000_000_000);
  assert.deepEqual(scenario.steps, [{
    kind: "wait-pin",
    part: "esp",
    pin: "15",
    value: 0,
    name: "the sensor answers",
    line: 6,
    timeoutNanos: 5_000_000_000,
  }]);
});

Deno.test("each mistake is told with its line, before anything starts", () => {
  const cases: [string, RegExp][] = [
    ["delay: 500", /:4: delay must be a number with a unit/],
    ["wait-serial: 21", /:4: wait-serial must be text: put it in quotes/],
    [`wait-serial: ""`, /:4: wait-serial must not be empty/],
    ["write-serial: []", /:4: write-serial must be text or a list of bytes, 0 to 255/],
    ["write-serial: [256]", /:4: write-serial must be/],
    ["set-control: { part-id: dht, name: temperature }", /:4: set-control lacks value/],
    ["set-control: { part-id: dht, value: 1 }", /:4: set-control lacks name/],
    ["set-control: { part-id: d, name: a, control: b, value: 1 }", /has both name and control/],
    [`set-control: { part-id: d, name: a, value: "1" }`, /:4: value must be a number/],
    ["set-control: { part-id: d, name: a, value: .nan }", /:4: value must be a number/],
    ["expect-pin: { part-id: esp, name: 15, value: 2 }", /value must be 0 or 1/],
    ["expect-pin: { part-id: esp, name: 15, expected: 1 }", /:4: expected is unknown in expect-pin/],
    ["expect-pin: 15", /:4: expect-pin needs part-id, name, pin, value/],
    ["take-screenshot: { part-id: lcd }", /needs save-to, compare-with or both/],
    ["touch: { part-id: lcd, x: 1, y: 2, wait: 1 }", /wait must be true or false/],
    ["sleep: 1s", /:4: sleep is no step: known are delay, wait-serial/],
    ["delay:", /delay must be/],
    ["{ delay: 1s, wait-serial: x }", /a step has exactly one of/],
    ["name: nothing", /a step has exactly one of/],
    ["1s", /a step is one of/],
    ["{ delay: 1s, timeout: 5 }", /timeout must be a number with a unit/],
    ["{ delay: 1s, delay: 2s }", /:4: .*unique/],
    ["&a { delay: 1s }\n  - *a", /:5: \*a: aliases aren't taken/],
  ];
  for (const [step, problem] of cases) {
    assert.ok(
      problemsOf(withStep(step)).some((text) => problem.test(text)),
      `${step}: ${problemsOf(withStep(step))}`,
    );
  }
});

Deno.test("a scenario has a name, version 1 and steps, and nothing unknown", () => {
  const cases: [string, RegExp][] = [
    ["", /:1: must begin with name, version and steps/],
    ["- delay: 1s", /must begin with/],
    ["version: 1\nsteps:\n  - delay: 1s", /the scenario lacks name/],
    ["name: a\nsteps:\n  - delay: 1s", /lacks version: 1/],
    ["name: a\nversion: 2\nsteps:\n  - delay: 1s", /:2: version must be 1/],
    ["name: a\nversion: 1", /lacks steps/],
    ["name: a\nversion: 1\nsteps: []", /steps must be a list/],
    ["name: a\nversion: 1\nspeed: 2\nsteps:\n  - delay: 1s", /:3: speed is unknown in the scenario/],
    ["name: a\nversion: 1\nsteps:\n  - delay: [", /:4: /],
  ];
  for (const [text, problem] of cases) {
    assert.ok(problemsOf(text).some((each) => problem.test(each)), `${text}: ${problemsOf(text)}`);
  }
});

Deno.test("every mistake of a file is told at once", () => {
  assert.equal(problemsOf(`${withStep("delay: 1")}  - wait-serial: 2\n  - jump: 3\n`).length, 3);
});

Deno.test("a file beyond the bound is refused without being read", () => {
  const text = withStep("delay: 1s");
  assert.deepEqual(problemsOf(text + "#".repeat(scenarioBytesMax - text.length)), []);
  assert.equal(problemsOf(text + "#".repeat(scenarioBytesMax - text.length + 1)).length, 1);
});

Deno.test("no text makes the reader throw", () => {
  const line = fc.oneof(
    fc.constantFrom(
      "name: a",
      "version: 1",
      "steps:",
      "  - delay: 1s",
      "  - wait-pin: {",
      "}",
      "  - *a",
      "? x",
      "a: &b",
    ),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
      const read = readScenario(lines.join("\n"), "x");
      assert.ok(read.kind === "scenario" || read.problems.length > 0);
    }),
    { numRuns: 500 },
  );
});
