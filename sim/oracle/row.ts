/** A window's row from the list of everything that is in it. */
import type { OracleChannel, OracleReading, OracleWindow, OracleWindowSpec } from "./types.ts";
import type { Span } from "./windows.ts";

/** A window of a device that something has arrived in. */
export interface Holding {
  readonly device: string;
  readonly spec: OracleWindowSpec;
  readonly span: Span;
  readonly held: { readonly reading: OracleReading; readonly late: boolean }[];
  everyMs: number | null;
  closedBy: "watermark" | "silence" | null;
  revision: number;
  /** Append time and offset of the record that made the newest revision. */
  revised: { readonly appendMs: number; readonly offset: number } | null;
}

/** The end of keeping what was appended at `appendMs`. */
export function keptUntil(appendMs: number, retentionMs: number): number {
  const dayMs = 86_400_000;
  return (Math.floor(appendMs / dayMs) + 1) * dayMs + retentionMs;
}

export function rowOf(window: Holding, retentionMs: number): OracleWindow {
  const { device, spec, span, held, everyMs, closedBy, revision, revised } = window;
  const readings = held.map((entry) => entry.reading);
  const values = readings.filter((reading) => reading.fault === null);
  const oldestAppendMs = Math.min(...readings.map((reading) => reading.appendMs));
  const ranked = revised === null || keptUntil(oldestAppendMs, retentionMs) > revised.appendMs;
  return {
    device,
    size: spec.label,
    startMs: span.startMs,
    endMs: span.endMs,
    readings: values.length,
    sensorFaults: readings.length - values.length,
    late: held.filter((entry) => entry.late).length,
    timeUncertain: readings.filter((reading) => reading.timeUncertain).length,
    everyMs,
    oldestAppendMs,
    temperature: channelOf(readings, (reading) => reading.temperature, ranked),
    humidity: channelOf(readings, (reading) => reading.humidity, ranked),
    closedBy,
    revision,
  };
}

function channelOf(
  readings: readonly OracleReading[],
  valueOf: (reading: OracleReading) => number | null,
  ranked: boolean,
): OracleChannel {
  const inOrder = readings.toSorted(byPlace).map(valueOf).filter((value) => value !== null);
  const sorted = inOrder.toSorted((a, b) => a - b);
  const percentile = (p: number) => ranked ? sorted[Math.ceil(p * sorted.length / 100) - 1] ?? null : null;
  return {
    count: inOrder.length,
    sum: inOrder.reduce((sum, value) => sum + BigInt(value), 0n),
    sumSquares: inOrder.reduce((sum, value) => sum + BigInt(value) * BigInt(value), 0n),
    min: sorted[0] ?? null,
    max: sorted.at(-1) ?? null,
    first: inOrder[0] ?? null,
    last: inOrder.at(-1) ?? null,
    p50: percentile(50),
    p95: percentile(95),
  };
}

/** (ts, boot, seq, offset, index), none before any number. */
function byPlace(a: OracleReading, b: OracleReading): number {
  const place = (r: OracleReading) => [r.tsMs, r.boot ?? -1, r.seq ?? -1, r.offset, r.index];
  const [left, right] = [place(a), place(b)];
  const i = left.findIndex((value, at) => value !== right[at]);
  return i < 0 ? 0 : (left[i] ?? 0) - (right[i] ?? 0);
}
