/**
 * Pairs of fault × outcome that cannot meet in one run, each with the reason. Any other pair has to be reached by some
 * seed of the nightly range, and one of these that is reached is a finding: the reason is wrong.
 */
import type { OutcomeColumn } from "./coverage.ts";
import type { IncidentKind } from "./scenario.ts";

export interface Unreachable {
  readonly kind: IncidentKind;
  readonly outcome: OutcomeColumn;
  readonly reason: string;
}

export const unreachable: readonly Unreachable[] = [];
