/**
 * Results as JUnit XML: a suite for each scenario, a case for each step and each statement of SQL. Times are simulated
 * seconds, so that the same seed gives the same file.
 */
import { lastLine, stepText } from "./step_text.ts";
import type { ScenarioOutcome } from "./results.ts";

/** Serial output in a suite: the end of it. */
const OUTPUT_LENGTH_MAX = 20_000;

export function junitText(outcomes: readonly ScenarioOutcome[]): string {
  const suites = outcomes.map(suiteOf);
  const count = (key: "tests" | "failures" | "errors" | "skipped") =>
    suites.reduce((sum, suite) => sum + suite[key], 0);
  const head = `<testsuites name="wokwi" tests="${count("tests")}" failures="${count("failures")}" ` +
    `errors="${count("errors")}" skipped="${count("skipped")}">`;
  return [
    `<?xml version="1.0" encoding="UTF-8"?>`,
    head,
    ...suites.map(({ xml }) => xml),
    "</testsuites>",
    "",
  ].join("\n");
}

interface Case {
  readonly name: string;
  readonly seconds: number;
  readonly outcome: "passed" | "skipped" | { readonly failure: string } | { readonly error: string };
}

function suiteOf(outcome: ScenarioOutcome) {
  const cases = casesOf(outcome);
  const having = (key: "failure" | "error") =>
    cases.filter((each) => typeof each.outcome === "object" && key in each.outcome).length;
  const counts = {
    tests: cases.length,
    failures: having("failure"),
    errors: having("error"),
    skipped: cases.filter((each) => each.outcome === "skipped").length,
  };
  const { scenario, path, nanos, serial } = outcome;
  const output = new TextDecoder().decode(serial.subarray(Math.max(0, serial.length - OUTPUT_LENGTH_MAX)));
  const xml = [
    `  <testsuite name="${escaped(scenario.name)}" file="${escaped(path)}" tests="${counts.tests}" ` +
    `failures="${counts.failures}" errors="${counts.errors}" skipped="${counts.skipped}" time="${
      nanos / 1e9
    }">`,
    ...cases.map((each) => caseXml(each, scenario.name)),
    `    <system-out>${escaped(output)}</system-out>`,
    "  </testsuite>",
  ].join("\n");
  return { ...counts, xml };
}

function casesOf({ scenario, steps, expectations, verdict, serial }: ScenarioOutcome): Case[] {
  const cases: Case[] = scenario.steps.map((step, index) => {
    const done = steps[index];
    const name = `${index + 1}. ${stepText(step)}`;
    if (done === undefined) return { name, seconds: 0, outcome: "skipped" };
    const seconds = (done.toNanos - done.fromNanos) / 1e9;
    const failure = done.sentence ?? `the board's last line is ${lastLine(serial)}`;
    return { name, seconds, outcome: done.result === "passed" ? "passed" : { failure } };
  });
  for (const { line, sql, mismatch } of expectations) {
    const outcome = mismatch === null ? "passed" as const : { failure: mismatch };
    cases.push({ name: `SQL ${line}: ${sql.split("\n")[0]}`, seconds: 0, outcome });
  }
  // What broke outside of any step is an error of its own.
  if (verdict.kind === "broken") {
    cases.push({ name: "simulator", seconds: 0, outcome: { error: verdict.sentence } });
  }
  return cases;
}

function caseXml({ name, seconds, outcome }: Case, suite: string): string {
  const head = `    <testcase classname="${escaped(suite)}" name="${escaped(name)}" time="${seconds}"`;
  if (outcome === "passed") return `${head}/>`;
  if (outcome === "skipped") return `${head}><skipped/></testcase>`;
  const [tag, text] = "failure" in outcome ? ["failure", outcome.failure] : ["error", outcome.error];
  return `${head}><${tag} message="${escaped(text.split("\n")[0] ?? "")}">${
    escaped(text)
  }</${tag}></testcase>`;
}

/** Also without what XML 1.0 can't hold, which boards print. */
function escaped(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd")
    .replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}
