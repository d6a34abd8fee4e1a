/**
 * What goes into the oracle and what comes out: plain data, declared here once more so that no mistake of `core/` can
 * reach it through a type. Times are Unix milliseconds, temperatures thousandths of °C, humidities thousandths of %.
 */

/** A record of the log, of any partition. */
export interface OracleRecord {
  readonly partition: number;
  readonly offset: number;
  readonly appendMs: number;
  readonly key: string | null;
  readonly value: Uint8Array | null;
  readonly headers: Readonly<Record<string, string>>;
}

export type OracleWindowSpec =
  | { readonly kind: "fixed"; readonly label: string; readonly sizeMs: number; readonly hopMs: number }
  | { readonly kind: "local_day"; readonly label: string; readonly zone: string };

/** The recorded configuration. */
export interface OracleConfig {
  readonly windows: readonly OracleWindowSpec[];
  readonly outOfOrderMs: number;
  readonly idleMs: number;
  readonly futureMs: number;
  readonly pendingMs: number;
  readonly retentionMs: number;
}

/** The values of one reading. */
export interface OracleValues {
  readonly temperature: number | null;
  readonly humidity: number | null;
  readonly fault: string | null;
}

/** A reading that was accepted. */
export interface OracleReading extends OracleValues {
  readonly device: string;
  readonly boot: number | null;
  readonly seq: number | null;
  /** Event time; the append time where it was sent without. */
  readonly tsMs: number;
  readonly appendMs: number;
  readonly offset: number;
  readonly index: number;
  readonly flag: string | null;
  /** Its window of the finest kind had closed. */
  readonly late: boolean;
  readonly timeUncertain: boolean;
  readonly released: boolean;
}

/** A reading that was not. `device` is "" for what belongs to no device of this partition. */
export interface OracleQuarantined {
  readonly device: string;
  readonly boot: number | null;
  readonly seq: number | null;
  readonly tsMs: number | null;
  readonly appendMs: number;
  readonly offset: number;
  readonly index: number;
  readonly reason: string;
  readonly raw: string;
}

export interface OracleChannel {
  readonly count: number;
  readonly sum: bigint;
  readonly sumSquares: bigint;
  readonly min: number | null;
  readonly max: number | null;
  readonly first: number | null;
  readonly last: number | null;
  readonly p50: number | null;
  readonly p95: number | null;
}

/** The newest version of a window; `closedBy` null while it is open. */
export interface OracleWindow {
  readonly device: string;
  readonly size: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly readings: number;
  readonly sensorFaults: number;
  readonly late: number;
  readonly timeUncertain: number;
  readonly everyMs: number | null;
  readonly oldestAppendMs: number;
  readonly temperature: OracleChannel;
  readonly humidity: OracleChannel;
  readonly closedBy: "watermark" | "silence" | null;
  readonly revision: number;
}

export type SlotState = "counted" | "counted_late" | "sensor_fault" | "quarantined" | "lost" | "missing";

/** The slots of one boot by state; they sum up to `slots`. */
export interface OracleBoot {
  readonly device: string;
  readonly boot: number;
  readonly slots: number;
  readonly states: Readonly<Record<SlotState, number>>;
  /** The ledger's text: merged spans of final (f), quarantined (q) and lost (l) slots. */
  readonly spans: string;
}

export interface OracleArrivals {
  counted: number;
  counted_late: number;
  sensor_fault: number;
  quarantined: number;
  duplicates: number;
  released: number;
}

export interface OracleDevice {
  readonly device: string;
  /** Readings of it in the log. */
  readonly inLog: number;
  readonly arrivals: Readonly<OracleArrivals>;
  /** A of its latest batch; of the record that first named it if there was no batch. */
  readonly lastAppendMs: number;
  readonly highestEventMs: number | null;
  readonly pendingSinceMs: number | null;
  readonly watermarkMs: number | null;
  readonly everyMs: number | null;
  readonly displayName: string | null;
  readonly retired: boolean;
  readonly sharedName: boolean;
}

export interface OracleReleased {
  readonly device: string;
  readonly offset: number;
  readonly index: number;
  readonly byOffset: number;
}

/** Everything that one partition's records must have become. */
export interface OracleResult {
  readonly partition: number;
  /** Running maximum of append times; −∞ before any record. */
  readonly appendMs: number;
  /** Offset of the newest owner record, −1 before. */
  readonly epoch: number;
  /** Offset of the record that nothing may guess at; what lies behind it is not judged. */
  readonly stoppedAt: number | null;
  readonly windows: readonly OracleWindow[];
  readonly open: readonly OracleWindow[];
  readonly readings: readonly OracleReading[];
  readonly quarantined: readonly OracleQuarantined[];
  readonly released: readonly OracleReleased[];
  readonly devices: readonly OracleDevice[];
  readonly boots: readonly OracleBoot[];
}
