/** What became of a scenario: its steps and, offline, what it left in DuckDB. */
import type { Scenario } from "./scenario.ts";
import type { StepOutcome, Verdict } from "./scenario_run.ts";

export interface ExpectationOutcome {
  readonly line: number;
  readonly sql: string;
  /** Null: the rows are the expected ones. */
  readonly mismatch: string | null;
}

export interface ScenarioOutcome {
  /** As it was given, for messages. */
  readonly path: string;
  readonly scenario: Scenario;
  readonly verdict: Verdict;
  readonly steps: readonly StepOutcome[];
  readonly expectations: readonly ExpectationOutcome[];
  readonly nanos: number;
  readonly serial: Uint8Array;
  readonly vcd: string | null;
}

export const hasPassed = ({ verdict, expectations }: ScenarioOutcome): boolean =>
  verdict.kind === "passed" && expectations.every(({ mismatch }) => mismatch === null);

/** The exit status of a run: 0, `timeoutExitCode` if nothing but time was short, 1 otherwise. */
export function exitCode(outcomes: readonly ScenarioOutcome[], timeoutExitCode: number): number {
  const failed = outcomes.filter((outcome) => !hasPassed(outcome));
  if (failed.length === 0) return 0;
  return failed.every(({ verdict }) => verdict.kind === "timed out") ? timeoutExitCode : 1;
}
