/** Results for people. */
import { durationText } from "./duration.ts";
import { type ExpectationOutcome, hasPassed, type ScenarioOutcome } from "./results.ts";
import type { StepOutcome } from "./scenario_run.ts";
import { stepText } from "./step_text.ts";

const TIME_WIDTH = 14;
const mark = (passed: boolean) => passed ? "ok  " : "FAIL";

/** `ok    6.5 s          wait for "…"`: when the step was over, and what it was. */
export function stepLines({ step, result, sentence, toNanos }: StepOutcome): string[] {
  const line = `  ${mark(result === "passed")} ${durationText(toNanos).padEnd(TIME_WIDTH)} ${stepText(step)}`;
  return sentence === null ? [line] : [line, ...indented(sentence)];
}

export function expectationLines({ line, sql, mismatch }: ExpectationOutcome): string[] {
  const [first = ""] = sql.split("\n");
  const head = `  ${mark(mismatch === null)} ${"SQL".padEnd(TIME_WIDTH)} ${line}: ${first}`;
  return mismatch === null ? [head] : [head, ...indented(mismatch)];
}

const indented = (text: string) => text.split("\n").map((line) => `${" ".repeat(TIME_WIDTH + 8)}${line}`);

/** The line below a scenario's steps. `wallMs`: real time that it took. */
export function verdictLine(outcome: ScenarioOutcome, wallMs: number): string {
  const { verdict, scenario, nanos } = outcome;
  const word = hasPassed(outcome) ? "passed" : verdict.kind === "passed" ? "failed" : verdict.kind;
  const why = verdict.kind === "broken" ? `: ${verdict.sentence}` : "";
  return `  ${word}${why} (${scenario.name}, ${durationText(nanos)} simulated in ${
    (wallMs / 1_000).toFixed(2)
  } s)`;
}

export function summaryLine(outcomes: readonly ScenarioOutcome[]): string {
  const passed = outcomes.filter(hasPassed).length;
  const simulated = outcomes.reduce((sum, { nanos }) => sum + nanos, 0);
  return `${passed} of ${outcomes.length} scenarios passed, ${durationText(simulated)} simulated`;
}
