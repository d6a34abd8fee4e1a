/**
 * The rows of `tables.sql` as the fold makes them. Times are Unix ms, temperatures thousandths of °C, humidities
 * thousandths of %: exact integers throughout. Rows are only ever appended; of several versions the newest counts.
 */

/** A reading that was counted, or a slot whose sensor failed (`fault` says why, the values are null). */
export interface ReadingRow {
  readonly device: string;
  readonly boot: number | null;
  readonly seq: number | null;
  readonly tsMs: number;
  readonly appendMs: number;
  readonly offset: number;
  /** Place in its batch. */
  readonly index: number;
  readonly temperatureMilliC: number | null;
  readonly humidityMilliPct: number | null;
  readonly fault: string | null;
  /** What the device found odd about it (`stuck`). */
  readonly flag: string | null;
  /** Its window of the finest kind had closed. */
  readonly late: boolean;
  /** `ts` is the board's estimate. */
  readonly timeUncertain: boolean;
  /** It came out of quarantine by a release record. */
  readonly released: boolean;
  /** The device's sampling interval in force, null if it never stated one (and for released readings). */
  readonly everyMs: number | null;
}

export const quarantineReasons = [
  "future",
  "out_of_range",
  "no_time",
  "conflict",
  "undecidable",
  "wrong_partition",
  "malformed",
] as const;
export type QuarantineReason = typeof quarantineReasons[number];

/** A reading that was not counted. */
export interface QuarantineRow {
  /** Null when the record names no device. */
  readonly device: string | null;
  readonly boot: number | null;
  readonly seq: number | null;
  readonly tsMs: number | null;
  readonly appendMs: number;
  readonly offset: number;
  readonly index: number;
  readonly reason: QuarantineReason;
  /** One sentence for a person. */
  readonly detail: string;
  /** The reading as JSON, or the record's text; cut at `limits.quarantinedRawLengthMax`. */
  readonly raw: string;
}

/** A quarantined reading was released: `offset`, `index` are the quarantined one's. */
export interface ReleaseRow {
  readonly device: string;
  readonly offset: number;
  readonly index: number;
  readonly byOffset: number;
}

/** Records that had expired in the log before they were read: nobody knows what was in them. */
export interface GapRow {
  readonly partition: number;
  readonly fromOffset: number;
  /** The last of them. */
  readonly toOffset: number;
  /** Log time when it was accepted. */
  readonly appendMs: number;
}

export type ClosedBy = "watermark" | "silence";

/** One channel of a window; all integers are exact. `count` 0 goes with nulls and zero sums. */
export interface ChannelRow {
  readonly count: number;
  readonly sum: number;
  readonly sumSquares: bigint;
  readonly min: number | null;
  readonly max: number | null;
  readonly first: number | null;
  readonly last: number | null;
  /** Place of the first and last reading in the order (ts, boot, seq, offset, index), see `orderKey`. */
  readonly firstKey: string | null;
  readonly lastKey: string | null;
  /** Nearest rank over the readings kept; null once one of them has expired. */
  readonly p50: number | null;
  readonly p95: number | null;
}

/** One version of one window of one device. */
export interface WindowRow {
  readonly device: string;
  readonly windowSize: string;
  readonly startMs: number;
  readonly endMs: number;
  /** Readings counted (faults not among them). */
  readonly readings: number;
  readonly sensorFaults: number;
  /** Of `readings` and `sensorFaults`, those judged after the window had closed. */
  readonly late: number;
  readonly timeUncertain: number;
  /** The sampling interval that the device stated, null if it never did; `expected` = size ÷ it. */
  readonly everyMs: number | null;
  /** Append time of the oldest reading in it: when percentiles can no longer be recomputed. */
  readonly oldestAppendMs: number;
  readonly temperature: ChannelRow;
  readonly humidity: ChannelRow;
  /** Null for an open window. */
  readonly closedBy: ClosedBy | null;
  /** Log records that changed the row after the window had closed; 0 for an open one. */
  readonly revision: number;
  /** Revision of the version that this one replaces, null for the first. */
  readonly replaces: number | null;
  /** Append time and offset of the record that closed it or made this revision; null for an open window. */
  readonly changedAppendMs: number | null;
  readonly changedOffset: number | null;
}

/** One device's state; the newest version counts. */
export interface DeviceRow {
  readonly device: string;
  readonly firstAppendMs: number;
  readonly lastAppendMs: number;
  readonly lastOffset: number;
  /** Highest event time accepted with a synced clock. */
  readonly highestEventMs: number | null;
  readonly pendingSinceMs: number | null;
  readonly watermarkMs: number | null;
  readonly everyMs: number | null;
  readonly currentBoot: number | null;
  readonly displayName: string | null;
  readonly retired: boolean;
  readonly sharedName: boolean;
  /** Arrivals by outcome. */
  readonly counted: number;
  readonly countedLate: number;
  readonly sensorFault: number;
  readonly quarantined: number;
  readonly duplicates: number;
  readonly released: number;
  /** Readings without seq: the highest event time among them, for knowing that a newer one is new. */
  readonly unsequencedHighestMs: number | null;
  /** Highest event time of a reading without seq that has expired; at or below it identity is undecidable. */
  readonly unsequencedExpiredMs: number | null;
  /** Day of append time → highest event time of readings without seq, of the days still kept; "day:ms,day:ms". */
  readonly unsequencedDays: string;
  /** Day of append time that `quarantinedToday` counts, and the kept quarantine rows of that day. */
  readonly quarantineDay: number;
  readonly quarantinedToday: number;
}

/** One boot of one device in the ledger; the newest version counts. */
export interface BootRow {
  readonly device: string;
  readonly boot: number;
  readonly firstAppendMs: number;
  /** False when it is only known from the next boot's word (`previous`) or a lost span. */
  readonly heard: boolean;
  readonly firstEventMs: number | null;
  readonly lastEventMs: number | null;
  /** Slots 0 … `slots` − 1 are known to have been. */
  readonly slots: number;
  readonly counted: number;
  readonly countedLate: number;
  readonly sensorFault: number;
  readonly quarantined: number;
  readonly lost: number;
  /** Seen slots as merged spans, see `ledger.ts`: "from-to:state,…". */
  readonly spans: string;
}

/** How far a partition is. */
export interface PositionRow {
  readonly partition: number;
  /** Offset to read next. */
  readonly nextOffset: number;
  /** Running maximum of append times. */
  readonly appendHighMs: number;
  /** Offset of the owner record under which this was written; −1 before the first. */
  readonly epoch: number;
  /** Offset and SHA-256 (hex) of the last record that was folded; the log is re-read there to know it again. */
  readonly lastOffset: number | null;
  readonly lastHash: string | null;
  readonly configHash: string;
}

/** What a rule has decided of a device, see `alert_fold.ts`. (partition, offset, index) is its identity. */
export interface AlertRow {
  readonly partition: number;
  /** Offset of the record that decided it, and its place among the alerts of that record, from 0. */
  readonly offset: number;
  readonly index: number;
  /** Append time of that record. */
  readonly appendMs: number;
  readonly kind: "fired" | "cleared";
  readonly rule: string;
  readonly device: string;
  /** End of the window that decided; of silence the append time from which it held, or at which it ended. */
  readonly atMs: number;
  /** What was compared, in thousandths: °C, %, °C or % an hour, a share of 1, or seconds. Null if a rule was changed. */
  readonly valueMilli: number | null;
  readonly sentence: string;
  /** The row that caused it; null for silence. */
  readonly windowSize: string | null;
  readonly startMs: number | null;
  /** The row that it was compared with, for rules of change. */
  readonly previousStartMs: number | null;
  /** A new rule has found it in the time before the rule. */
  readonly isPast: boolean;
}

/** A rule of alerts in a partition; of several versions the newest counts. */
export interface AlertRuleRow {
  readonly partition: number;
  readonly name: string;
  /** Place among the rules, from 0. */
  readonly position: number;
  /** The rule as JSON; null once it was taken away. */
  readonly definition: string | null;
  /** Append time of the record that brought it, or took it away. */
  readonly sinceMs: number;
}

/** What alerts remember of one device, as JSON; the newest version counts. */
export interface AlertStateRow {
  readonly device: string;
  readonly state: string;
}
