/** The digest's text, see docs/judging.md: the newest version of every closed window as ordered lines. */
import type { ChannelRow, WindowRow } from "./rows.ts";

const text = (value: number | bigint | string | null) => value === null ? "" : String(value);

function channelText(channel: ChannelRow): string {
  const { count, sum, sumSquares, min, max, first, last, p50, p95 } = channel;
  return [count, sum, sumSquares, min, max, first, last, p50, p95].map(text).join("|");
}

/** One window as a line: no offsets, append times or doubles. */
export function windowLine(row: WindowRow): string {
  const head = [
    JSON.stringify(row.device),
    row.windowSize,
    row.startMs,
    row.endMs,
    row.readings,
    row.sensorFaults,
  ];
  return [
    ...head,
    row.late,
    row.timeUncertain,
    text(row.everyMs),
    channelText(row.temperature),
    channelText(row.humidity),
    text(row.closedBy),
    row.revision,
  ].join("|");
}

/** The text of newest closed versions in any order; its SHA-256 is the digest. */
export function digestText(rows: Iterable<WindowRow>): string {
  const lines: string[] = [];
  for (const row of rows) if (row.closedBy !== null) lines.push(windowLine(row));
  return lines.sort().join("\n");
}
