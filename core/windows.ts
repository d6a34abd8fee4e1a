/** Which windows hold an event time. Half-open: an event at a window's end belongs to the next. */
import { assert } from "./assert.ts";
import type { WindowSpec } from "./config.ts";

export interface Window {
  readonly startMs: number;
  readonly endMs: number;
}

/** The window of a tumbling spec (or local day) that holds `eventMs`; of a hopping spec, the one that starts last. */
export function windowOf(spec: WindowSpec, eventMs: number): Window {
  if (spec.kind === "local_day") return localDayOf(spec.zone, eventMs);
  const startMs = Math.floor(eventMs / spec.hopMs) * spec.hopMs;
  const endMs = startMs + spec.sizeMs;
  assert(startMs <= eventMs && eventMs < endMs, "a window holds its event");
  return { startMs, endMs };
}

/** Whether every event time lies in one window only. */
export function isTumbling(spec: WindowSpec): boolean {
  return spec.kind === "local_day" || spec.hopMs === spec.sizeMs;
}

/** All windows of a spec that hold `eventMs`, latest start first. */
export function windowsOf(spec: WindowSpec, eventMs: number): Window[] {
  const last = windowOf(spec, eventMs);
  const all = [last];
  if (spec.kind === "local_day" || isTumbling(spec)) return all;
  for (let startMs = last.startMs - spec.hopMs; startMs + spec.sizeMs > eventMs; startMs -= spec.hopMs) {
    all.push({ startMs, endMs: startMs + spec.sizeMs });
  }
  return all;
}

/** Lowest start of any window that holds `eventMs` or a later event; −∞ for null. */
export function lowestStart(specs: readonly WindowSpec[], eventMs: number | null): number {
  if (eventMs === null) return -Infinity;
  return Math.min(...specs.map((spec) => windowsOf(spec, eventMs).at(-1)!.startMs));
}

// --- local days ------------------------------------------------------------------------------------------------------
// The zone's rules come from the runtime's own copy of the IANA database, which is pinned with the runtime. Offsets are
// asked for through Intl and cached by UTC hour: rules change on no finer grid than the quarter hours checked below.

const formats = new Map<string, Intl.DateTimeFormat>();
const days = new Map<string, Window>();
const DAYS_CACHED_MAX = 4_096;
const HOUR_MS = 3_600_000;

/** Whether the runtime knows the IANA zone. */
export function isZone(zone: string): boolean {
  try {
    formatOf(zone);
    return true;
  } catch {
    return false;
  }
}

/** Throws a RangeError for a zone that the runtime doesn't know. */
function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    formats.set(zone, format);
  }
  return format;
}

/** Local wall time at `utcMs` as if it were UTC, whole seconds. */
function localMs(zone: string, utcMs: number): number {
  const part: Record<string, number> = {};
  for (const { type, value } of formatOf(zone).formatToParts(utcMs)) part[type] = Number(value);
  return Date.UTC(part.year!, part.month! - 1, part.day!, part.hour!, part.minute!, part.second!);
}

const DAY_MS = 24 * HOUR_MS;
const localDayNumber = (zone: string, utcMs: number) => Math.floor(localMs(zone, utcMs) / DAY_MS);

/** First instant of the local day `day` (days since 1970-01-01): the first at which the zone shows that date. */
function startOfLocalDay(zone: string, day: number): number {
  // Offsets lie within ±18 h (IANA: −15:56 … +15:13); the first instant with a local date ≥ day is found by bisection.
  let before = day * DAY_MS - 18 * HOUR_MS;
  let after = day * DAY_MS + 18 * HOUR_MS;
  while (after - before > 1_000) {
    const middle = Math.floor((before + after) / 2_000) * 1_000;
    if (localDayNumber(zone, middle) >= day) after = middle;
    else before = middle;
  }
  return after;
}

function localDayOf(zone: string, eventMs: number): Window {
  const hour = `${zone} ${Math.floor(eventMs / HOUR_MS)}`;
  const cached = days.get(hour);
  if (cached !== undefined && cached.startMs <= eventMs && eventMs < cached.endMs) return cached;
  const day = localDayNumber(zone, eventMs);
  const window = { startMs: startOfLocalDay(zone, day), endMs: startOfLocalDay(zone, day + 1) };
  assert(window.startMs <= eventMs && eventMs < window.endMs, "a local day holds its event");
  if (days.size >= DAYS_CACHED_MAX) days.clear();
  days.set(hour, window);
  return window;
}
