/** What became of the file's rows, and how the user is told. */
import type { LocalTimeCounts } from "./rows.ts";

/** A row that was not sent, or that ingest did not take. */
export interface Rejection {
  readonly line: number;
  readonly column: string | null;
  readonly message: string;
}

interface Flagged {
  count: number;
  firstLine: number;
}

export interface Tally {
  rows: number;
  sent: number;
  accepted: number;
  requests: number;
  retries: number;
  rejected: number;
  readonly flagged: Map<string, Flagged>;
}

/** Rejected rows that are shown one by one; more are counted only, so that a wrong column can't flood the terminal. */
export const rejectionsShownMax = 20;

export function createTally(): Tally {
  return { rows: 0, sent: 0, accepted: 0, requests: 0, retries: 0, rejected: 0, flagged: new Map() };
}

export function flag(tally: Tally, reason: string, line: number): void {
  const known = tally.flagged.get(reason);
  if (known === undefined) tally.flagged.set(reason, { count: 1, firstLine: line });
  else {
    known.count++;
    known.firstLine = Math.min(known.firstLine, line);
  }
}

export function rejectionText(rejection: Rejection): string {
  const column = rejection.column === null ? "" : `, column ${rejection.column}`;
  return `line ${rejection.line}${column}: ${rejection.message}`;
}

const digits = new Intl.NumberFormat("en-US");

/** The closing lines. */
export function summaryLines(
  tally: Tally,
  localTimes: Readonly<LocalTimeCounts>,
  zone: string,
  elapsedMs: number,
): string[] {
  const counts: [number, string][] = [
    [tally.rows, "rows read"],
    [tally.sent, `readings sent in ${plural(tally.requests, "request")}, ${rate(tally.sent, elapsedMs)}`],
    [tally.accepted, "accepted: stored in the log"],
  ];
  for (const [reason, { count, firstLine }] of [...tally.flagged].sort(([a], [b]) => a < b ? -1 : 1)) {
    counts.push([count, `of them flagged ${reason}, first at line ${firstLine}`]);
  }
  counts.push([tally.rejected, "rejected: not sent, or refused by ingest"]);
  if (tally.retries > 0) counts.push([tally.retries, "requests repeated: ingest was busy or away"]);
  const width = Math.max(...counts.map(([count]) => digits.format(count).length));
  const lines = counts.map(([count, text]) => `${digits.format(count).padStart(width)} ${text}`);
  if (localTimes.twice > 0) {
    lines.push(
      `${plural(localTimes.twice, "local time")} of ${zone} happened twice (clock set back), first at line ` +
        `${localTimes.firstTwiceLine}: read as the earlier hour until the device's times repeat, then as the later`,
    );
  }
  if (localTimes.skipped > 0) {
    lines.push(
      `${
        plural(localTimes.skipped, "local time")
      } of ${zone} never happened (clock set forward), first at line ` +
        `${localTimes.firstSkippedLine}: read as by a clock that was not set`,
    );
  }
  return lines;
}

function plural(count: number, noun: string): string {
  return `${digits.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}

function rate(count: number, elapsedMs: number): string {
  const seconds = (elapsedMs / 1_000).toFixed(1);
  const perSecond = digits.format(Math.round(count / Math.max(elapsedMs / 1_000, 0.001)));
  return `${seconds} s, ${perSecond} readings/s`;
}
