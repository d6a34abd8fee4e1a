/**
 * The time in a cell → Unix milliseconds. Text without an offset is local time of the zone that the user names; twice a
 * year such a time is ambiguous (it happens twice) or doesn't exist (the clock skipped it). Neither may be decided
 * silently: the outcome says which it was, and the summary counts them.
 */

export type TimestampFormat = "auto" | "s" | "ms" | "iso";

export type ParsedTime =
  | { readonly kind: "time"; readonly ms: number; readonly local: "utc_given" | "once" }
  /** It happened twice; both instants. */
  | { readonly kind: "twice"; readonly earlierMs: number; readonly laterMs: number }
  /** It never happened; `ms` is what a clock would have shown that had not been set forward. */
  | { readonly kind: "skipped"; readonly ms: number }
  | { readonly kind: "bad"; readonly message: string };

const NUMBER = /^\d{1,16}(\.\d*)?$/;
const ISO =
  /^(\d{4})[-/](\d{2})[-/](\d{2})(?:[T ]+(\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?)?$/i;

/** Seconds since 1970 stay below this until the year 5138; milliseconds were above it from March 1973 on. */
const MILLISECONDS_FROM = 1e11;

/**
 * Parses a cell. `zone` is an IANA name, for times without an offset.
 *
 * ```ts
 * import { equal } from "node:assert/strict";
 * import { parseTimestamp } from "./timestamp.ts";
 *
 * equal(parseTimestamp("2026-10-25 02:30", "auto", "Europe/Berlin").kind, "twice");
 * equal(parseTimestamp("2026-03-29 02:30", "auto", "Europe/Berlin").kind, "skipped");
 * ```
 */
export function parseTimestamp(cell: string, format: TimestampFormat, zone: string): ParsedTime {
  const text = cell.trim();
  if (text === "") return bad("is empty");
  const isNumber = NUMBER.test(text);
  if (format === "s" || format === "ms") {
    return isNumber
      ? ofNumber(text, format)
      : bad(`is no number of ${format === "s" ? "seconds" : "milliseconds"}`);
  }
  if (format === "auto" && isNumber) return ofNumber(text, Number(text) < MILLISECONDS_FROM ? "s" : "ms");
  return ofText(text, zone);
}

function ofNumber(text: string, unit: "s" | "ms"): ParsedTime {
  const [whole = "0", fraction = ""] = text.split(".");
  // Decimal text all the way: 1606510591.123 s are 1606510591123 ms, whatever a double makes of it.
  const ms = unit === "ms" ? Number(whole) : Number(whole + fraction.padEnd(3, "0").slice(0, 3));
  return { kind: "time", ms, local: "utc_given" };
}

function ofText(text: string, zone: string): ParsedTime {
  const match = ISO.exec(text);
  if (match === null) return bad("is no time like 2026-01-31 23:59:00, 2026-01-31T23:59:00Z or 1769903940");
  const [, year, month, day, hour = "00", minute = "00", second = "00", fraction = "", offset] = match;
  const local = `${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.padEnd(3, "0").slice(0, 3)}`;
  let plain: Temporal.PlainDateTime;
  try {
    plain = Temporal.PlainDateTime.from(local, { overflow: "reject" });
  } catch {
    return bad("is no date and time of the calendar");
  }
  if (offset !== undefined) {
    const minutes = offsetMinutes(offset);
    if (minutes === null) return bad(`has no valid offset from UTC: ${offset}`);
    return {
      kind: "time",
      ms: plain.toZonedDateTime("UTC").epochMilliseconds - minutes * 60_000,
      local: "utc_given",
    };
  }
  const earlier = plain.toZonedDateTime(zone, { disambiguation: "earlier" });
  const later = plain.toZonedDateTime(zone, { disambiguation: "later" });
  const [earlierMs, laterMs] = [earlier.epochMilliseconds, later.epochMilliseconds];
  if (earlierMs === laterMs) return { kind: "time", ms: earlierMs, local: "once" };
  if (later.toPlainDateTime().equals(plain)) return { kind: "twice", earlierMs, laterMs };
  return { kind: "skipped", ms: laterMs };
}

function offsetMinutes(offset: string): number | null {
  if (/^z$/i.test(offset)) return 0;
  const hours = Number(offset.slice(1, 3));
  const minutes = Number(offset.slice(3).replace(":", "") || "0");
  if (hours > 18 || minutes > 59) return null;
  return (offset[0] === "-" ? -1 : 1) * (hours * 60 + minutes);
}

const bad = (message: string): ParsedTime => ({ kind: "bad", message });

/** What is wrong with the name of a zone, or null. */
export function zoneProblem(zone: string): string | null {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return null;
  } catch {
    return `there is no time zone ${JSON.stringify(zone)}: use an IANA name such as Europe/Berlin or UTC`;
  }
}
