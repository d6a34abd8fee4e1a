/** Diagnostics. (The word *log* belongs to the record log.) Each entry is one JSON object on one line. */
export type TraceLevel = "debug" | "info" | "warn" | "error";

/** Values that a trace entry may carry; a name ends in its unit (`lagRecords`, `commitMs`). */
export type TraceFields = Readonly<Record<string, string | number | boolean | null>>;

export interface Trace {
  /** Writes an entry; never throws, never blocks. `event` is a stable dotted name such as `ingest.log_down`. */
  emit(level: TraceLevel, event: string, fields?: TraceFields): void;
}

/** A trace that keeps nothing. */
export const silentTrace: Trace = { emit() {} };
