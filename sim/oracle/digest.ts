/** The digest of closed windows, as the last section of `docs/judging.md` has it. */
import type { OracleChannel, OracleWindow } from "./types.ts";

const text = (value: number | bigint | string | null): string => value === null ? "" : String(value);

const channel = (c: OracleChannel): (number | bigint | null)[] => [
  c.count,
  c.sum,
  c.sumSquares,
  c.min,
  c.max,
  c.first,
  c.last,
  c.p50,
  c.p95,
];

/** One closed window as a line. */
export function digestLine(w: OracleWindow): string {
  return [
    JSON.stringify(w.device),
    w.size,
    w.startMs,
    w.endMs,
    w.readings,
    w.sensorFaults,
    w.late,
    w.timeUncertain,
    w.everyMs,
    ...channel(w.temperature),
    ...channel(w.humidity),
    w.closedBy,
    w.revision,
  ].map(text).join("|");
}

/** All lines in order of code units. */
export const digestText = (windows: readonly OracleWindow[]): string =>
  windows.map(digestLine).sort((a, b) => a < b ? -1 : a > b ? 1 : 0).join("\n");

/** SHA-256 of the text, in lower-case hex. */
export async function digestOf(windows: readonly OracleWindow[]): Promise<string> {
  const bytes = new TextEncoder().encode(digestText(windows));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
