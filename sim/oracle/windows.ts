/** Which windows hold an event time, from the calendar and from multiplication. */
import type { OracleWindowSpec } from "./types.ts";

export interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

/** Every window of the kind that holds `tsMs`, earliest first. */
export function windowsOf(spec: OracleWindowSpec, tsMs: number): readonly Span[] {
  if (spec.kind === "local_day") return [localDay(spec.zone, tsMs)];
  const spans: Span[] = [];
  const newest = Math.floor(tsMs / spec.hopMs) * spec.hopMs;
  for (let startMs = newest; startMs + spec.sizeMs > tsMs; startMs -= spec.hopMs) {
    spans.unshift({ startMs, endMs: startMs + spec.sizeMs });
  }
  return spans;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** The date that a wall calendar in `zone` shows at `tsMs`, as a text that sorts. */
function dateAt(zone: string, tsMs: number): string {
  let format = formats.get(zone);
  if (format === undefined) {
    const parts = { year: "numeric", month: "2-digit", day: "2-digit" } as const;
    format = new Intl.DateTimeFormat("en-CA", { timeZone: zone, calendar: "gregory", ...parts });
    formats.set(zone, format);
  }
  return format.format(tsMs);
}

const QUARTER_MS = 900_000;
const days = new Map<string, Span>();

/** Walks in quarters of an hour (every offset since 2015 is a multiple) to where the date changes, both ways. */
function localDay(zone: string, tsMs: number): Span {
  const date = dateAt(zone, tsMs);
  const known = days.get(`${zone} ${date}`);
  if (known !== undefined) return known;
  let startMs = Math.floor(tsMs / QUARTER_MS) * QUARTER_MS;
  let endMs = startMs + QUARTER_MS;
  while (dateAt(zone, startMs - QUARTER_MS) === date) startMs -= QUARTER_MS;
  while (dateAt(zone, endMs) === date) endMs += QUARTER_MS;
  const span = { startMs, endMs };
  days.set(`${zone} ${date}`, span);
  return span;
}
