/**
 * An automation scenario: what somebody at the board would do and look at, step by step. Read from a file by
 * `scenario_file.ts`, carried out by `scenario_run.ts`.
 */

export interface Scenario {
  readonly name: string;
  readonly steps: readonly Step[];
  /** Nanoseconds of simulated time that it may take; null: what the runner is told. Ours: wokwi-cli has only an option. */
  readonly timeoutNanos: number | null;
}

/** What all steps have. */
export interface StepFrame {
  /** What the file calls it; null: it is described by what it does. */
  readonly name: string | null;
  /** Where it begins in the file, from 1. */
  readonly line: number;
  /** Nanoseconds of simulated time that the step may take; null: as long as the scenario. Ours. */
  readonly timeoutNanos: number | null;
}

export type Step = StepFrame & Action;

export type Action =
  | { readonly kind: "delay"; readonly nanos: number }
  /** Runs until these bytes have appeared. `text` is for people. */
  | { readonly kind: "wait-serial"; readonly text: string; readonly bytes: Uint8Array }
  /** Writes to the board's serial port; simulated time stands still. */
  | { readonly kind: "write-serial"; readonly text: string; readonly bytes: Uint8Array }
  | { readonly kind: "set-control"; readonly part: string; readonly control: string; readonly value: number }
  | { readonly kind: "expect-pin"; readonly part: string; readonly pin: string; readonly value: 0 | 1 }
  /** Runs until the pin has changed to this level. Ours, and the offline simulator's. */
  | { readonly kind: "wait-pin"; readonly part: string; readonly pin: string; readonly value: 0 | 1 }
  | { readonly kind: "expect-chip-output"; readonly text: string }
  | {
    readonly kind: "take-screenshot";
    readonly part: string;
    /** Files, relative to the scenario; at least one of the two. */
    readonly saveTo: string | null;
    readonly compareWith: string | null;
  }
  | {
    readonly kind: "touch";
    readonly part: string;
    readonly x: number;
    readonly y: number;
    readonly durationNanos: number;
    /** Runs until the finger is off again. */
    readonly wait: boolean;
  }
  | {
    readonly kind: "touch-press" | "touch-move";
    readonly part: string;
    readonly x: number;
    readonly y: number;
  }
  | { readonly kind: "touch-release"; readonly part: string };

export type StepKind = Action["kind"];

/** What of a scenario wokwi-cli would not take, in words; none: it runs there unchanged. */
export function extensionsOf(scenario: Scenario): string[] {
  const found = new Set<string>();
  if (scenario.timeoutNanos !== null) found.add("timeout of the scenario");
  for (const step of scenario.steps) {
    if (step.timeoutNanos !== null) found.add("timeout of a step");
    if (step.kind === "wait-pin") found.add("wait-pin");
  }
  return [...found];
}
