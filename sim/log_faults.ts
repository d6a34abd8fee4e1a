/** What can go wrong with the simulated log: faults that were seen on real brokers, drawn at each commit or read. */
/** Chances per thousand, drawn at each commit or read, and the sizes of what then happens. */
export interface SimLogFaults {
  /** A commit stores nothing and its appends are refused. */
  readonly refused: number;
  /** A commit stores a part of its records, in order, and its appends are refused. */
  readonly cutOff: number;
  /** A commit stores everything, and yet its appends are refused: the answer was lost. */
  readonly unanswered: number;
  /** A commit is stored twice, as by a retry that the broker didn't recognise; the first places are answered. */
  readonly doubled: number;
  /** A commit waits up to `slowMsMax` before it is stored. */
  readonly slow: number;
  /** A commit is stored and read, but answered up to `slowMsMax` later. */
  readonly slowAnswer: number;
  readonly slowMsMax: number;
  /** The append clock is set: from then on it is up to `clockStepMsMax` before or behind. */
  readonly clockStep: number;
  readonly clockStepMsMax: number;
  /** A read is refused. */
  readonly refusedRead: number;
  /** A read gives fewer records than it could. */
  readonly shortRead: number;
  /** After a commit the group is rebalanced: everything is revoked, given out, and read again from its position. */
  readonly rebalance: number;
  /** At a rebalance a member hears of it only up to `slowMsMax` after its partitions were given to others. */
  readonly zombie: number;
}

/** Nothing goes wrong. */
export const noLogFaults: SimLogFaults = {
  refused: 0,
  cutOff: 0,
  unanswered: 0,
  doubled: 0,
  slow: 0,
  slowAnswer: 0,
  slowMsMax: 0,
  clockStep: 0,
  clockStepMsMax: 0,
  refusedRead: 0,
  shortRead: 0,
  rebalance: 0,
  zombie: 0,
};

/** Faults by name; `slowMsMax` and `clockStepMsMax` are sizes. */
export type SimLogFaultName = Exclude<keyof SimLogFaults, "slowMsMax" | "clockStepMsMax">;

/** How long those who are refused are told to wait. */
export const RETRY_AFTER_MS = 1_000;
