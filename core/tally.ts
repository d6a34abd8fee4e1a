/** Readings by what became of them since a fold was made; for metrics, the rows are the account. */
import type { QuarantineReason } from "./rows.ts";

export interface Tally {
  counted: number;
  countedLate: number;
  sensorFault: number;
  duplicates: number;
  released: number;
  readonly quarantined: Record<QuarantineReason, number>;
}

export const newTally = (): Tally => ({
  counted: 0,
  countedLate: 0,
  sensorFault: 0,
  duplicates: 0,
  released: 0,
  quarantined: {
    future: 0,
    out_of_range: 0,
    no_time: 0,
    conflict: 0,
    undecidable: 0,
    wrong_partition: 0,
    malformed: 0,
  },
});
