import assert from "node:assert/strict";
import { junitText } from "./junit.ts";
import { exitCode, type ScenarioOutcome } from "./results.ts";
import type { Step } from "./scenario.ts";

const step = (nanos: number): Step => ({ kind: "delay", nanos, name: null, line: 1, timeoutNanos: null });
const done = (index: number, result: "passed" | "failed" | "timed out", sentence: string | null = null) => ({
  step: step(1e9),
  index,
  result,
  sentence,
  fromNanos: index * 1e9,
  toNanos: (index + 1) * 1e9,
});
const outcome = (given: Partial<ScenarioOutcome>): ScenarioOutcome => ({
  path: "a.scenario.yaml",
  scenario: { name: "first", steps: [step(1e9), step(1e9)], timeoutNanos: null },
  verdict: { kind: "passed" },
  steps: [done(0, "passed"), done(1, "passed")],
  expectations: [],
  nanos: 2e9,
  serial: new Uint8Array(),
  vcd: null,
  ...given,
});

Deno.test("a scenario is a suite; steps and statements are its cases", () => {
  const passed = outcome({ expectations: [{ line: 3, sql: "SELECT 1;\nSELECT", mismatch: null }] });
  assert.equal(
    junitText([passed]),
    `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="wokwi" tests="3" failures="0" errors="0" skipped="0">
  <testsuite name="first" file="a.scenario.yaml" tests="3" failures="0" errors="0" skipped="0" time="2">
    <testcase classname="first" name="1. wait 1 s" time="1"/>
    <testcase classname="first" name="2. wait 1 s" time="1"/>
    <testcase classname="first" name="SQL 3: SELECT 1;" time="0"/>
    <system-out></system-out>
  </testsuite>
</testsuites>
`,
  );
});

Deno.test("failures, errors and steps that were never begun are told apart", () => {
  const failed = outcome({
    verdict: { kind: "failed", sentence: "no" },
    steps: [done(0, "failed", `not "1" < 2\nmore`)],
    expectations: [{ line: 1, sql: "SELECT 1;", mismatch: "other" }],
  });
  const text = junitText([failed, outcome({ verdict: { kind: "broken", sentence: "gone" }, steps: [] })]);
  assert.match(text, /<testsuites name="wokwi" tests="6" failures="2" errors="1" skipped="3">/);
  assert.match(text, /<failure message="not &quot;1&quot; &lt; 2">not &quot;1&quot; &lt; 2\nmore<\/failure>/);
  assert.match(text, /name="simulator" time="0"><error message="gone">gone<\/error>/);
});

Deno.test("what a board prints can't break the file", () => {
  const serial = new Uint8Array([0, 27, 91, 60, 0xff, 10]);
  assert.match(junitText([outcome({ serial })]), /<system-out>\ufffd\ufffd\[&lt;\ufffd\n<\/system-out>/);
});

Deno.test("a run's exit status is 0, the time-out's if nothing but time was short, else 1", () => {
  const late = outcome({ verdict: { kind: "timed out", sentence: "" } });
  const failed = outcome({ verdict: { kind: "failed", sentence: "" } });
  const broken = outcome({ verdict: { kind: "broken", sentence: "" } });
  const wrongRows = outcome({ expectations: [{ line: 1, sql: "", mismatch: "other" }] });
  const passed = outcome({});
  assert.equal(exitCode([passed, passed], 42), 0);
  assert.equal(exitCode([passed, late], 42), 42);
  assert.equal(exitCode([passed, late], 7), 7);
  for (const each of [failed, broken, wrongRows]) {
    assert.equal(exitCode([each], 42), 1);
    assert.equal(exitCode([late, each], 42), 1);
  }
});
