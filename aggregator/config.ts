import { defaultConfig, type JudgeConfig } from "../core/config.ts";

export interface AggregatorConfig {
  readonly judge: JudgeConfig;
  /** Who writes owner records; a name that differs between workers. */
  readonly worker: string;
  /** Records and value bytes of one read at most: folding them holds up everything else in the process. */
  readonly recordsPerReadMax: number;
  readonly bytesPerReadMax: number;
  /**
   * Records, and rows that they make, in one transaction at most: while the log is ahead several reads become one, since
   * state is written once a transaction. More would hold memory, and be read again after a crash.
   */
  readonly recordsPerCommitMax: number;
  readonly rowsPerCommitMax: number;
  /** A transaction takes in reads for so long at the most. */
  readonly commitEveryMs: number;
  /** New rows are published so often at the most, if there are any. The design promises 5 s. */
  readonly publishEveryMs: number;
  /** How long one read waits for records; bounds the delay of ticks and of the stop. */
  readonly readWaitMs: number;
  /** How long past its due time (own clock) a silent window waits before a tick is appended: the log may be busy. */
  readonly tickAfterMs: number;
  /** Nothing is appended (no owner records, no ticks): for recorded logs. */
  readonly replay: boolean;
  /** Records that the log has dropped before they were folded are accepted as a gap; otherwise the start is refused. */
  readonly acceptGap: boolean;
}

export const defaultAggregatorConfig: AggregatorConfig = {
  judge: defaultConfig,
  worker: "worker",
  recordsPerReadMax: 20_000,
  bytesPerReadMax: 8_000_000,
  recordsPerCommitMax: 200_000,
  rowsPerCommitMax: 200_000,
  commitEveryMs: 1_000,
  publishEveryMs: 2_000,
  readWaitMs: 500,
  tickAfterMs: 1_000,
  replay: false,
  acceptGap: false,
};
