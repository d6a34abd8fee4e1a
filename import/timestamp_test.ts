import { deepEqual, equal, match } from "node:assert/strict";
import { type ParsedTime, parseTimestamp, type TimestampFormat, zoneProblem } from "./timestamp.ts";

function msOf(cell: string, format: TimestampFormat = "auto", zone = "UTC"): number {
  const parsed = parseTimestamp(cell, format, zone);
  if (parsed.kind !== "time") throw new Error(`${cell}: ${JSON.stringify(parsed)}`);
  return parsed.ms;
}

Deno.test("numbers are seconds below 1e11 and milliseconds from there on", () => {
  equal(msOf("1606510591"), 1_606_510_591_000);
  equal(msOf("99999999999"), 99_999_999_999_000);
  equal(msOf("100000000000"), 100_000_000_000);
  equal(msOf("1606510591123"), 1_606_510_591_123);
  equal(msOf("1606510591.1239"), 1_606_510_591_123);
  equal(msOf("1606510591.5", "s"), 1_606_510_591_500);
  equal(msOf("1606510591", "ms"), 1_606_510_591);
});

Deno.test("text with an offset means the same instant in every zone", () => {
  for (const zone of ["UTC", "Europe/Berlin", "America/Sao_Paulo"]) {
    equal(msOf("2020-11-27T20:56:31Z", "iso", zone), 1_606_510_591_000);
    equal(msOf("2020-11-27 17:56:31-03:00", "auto", zone), 1_606_510_591_000);
    equal(msOf("2020-11-27T21:56:31.250+01", "auto", zone), 1_606_510_591_250);
  }
});

Deno.test("text without an offset is local time of the zone", () => {
  equal(msOf("2020-11-27 20:56:31"), 1_606_510_591_000);
  equal(msOf("2020/11/27 17:56:31", "auto", "America/Sao_Paulo"), 1_606_510_591_000);
  equal(msOf("2020-11-27T17:56", "iso", "America/Sao_Paulo"), 1_606_510_560_000);
  equal(msOf("2026-07-01", "iso", "Europe/Berlin"), Date.UTC(2026, 5, 30, 22));
});

Deno.test("a local time that happens twice has both its instants", () => {
  const parsed = parseTimestamp("2026-10-25 02:30:00", "auto", "Europe/Berlin");
  deepEqual(parsed, {
    kind: "twice",
    earlierMs: Date.UTC(2026, 9, 25, 0, 30),
    laterMs: Date.UTC(2026, 9, 25, 1, 30),
  });
  equal(msOf("2026-10-25 01:59:59", "auto", "Europe/Berlin"), Date.UTC(2026, 9, 24, 23, 59, 59));
  equal(msOf("2026-10-25 03:00:00", "auto", "Europe/Berlin"), Date.UTC(2026, 9, 25, 2));
});

Deno.test("a local time that never happens is what a clock shows that was not set", () => {
  const parsed = parseTimestamp("2026-03-29 02:30:00", "auto", "Europe/Berlin");
  deepEqual(parsed, { kind: "skipped", ms: Date.UTC(2026, 2, 29, 1, 30) });
  equal(msOf("2026-03-29 01:59:59", "auto", "Europe/Berlin"), Date.UTC(2026, 2, 29, 0, 59, 59));
  equal(msOf("2026-03-29 03:00:00", "auto", "Europe/Berlin"), Date.UTC(2026, 2, 29, 1));
});

Deno.test("what is no time says what a time looks like", () => {
  const bad = (cell: string, format: TimestampFormat = "auto") => {
    const parsed: ParsedTime = parseTimestamp(cell, format, "UTC");
    return parsed.kind === "bad" ? parsed.message : `no: ${JSON.stringify(parsed)}`;
  };
  equal(bad(" "), "is empty");
  match(bad("27.11.2020 17:56"), /^is no time like 2026-01-31 23:59:00/);
  match(bad("-5"), /^is no time like/);
  equal(bad("2026-02-30 10:00"), "is no date and time of the calendar");
  equal(bad("2026-01-01 24:00:00"), "is no date and time of the calendar");
  equal(bad("2026-01-01 10:00:00+19:00"), "has no valid offset from UTC: +19:00");
  equal(bad("2026-01-01", "s"), "is no number of seconds");
  equal(bad("x", "ms"), "is no number of milliseconds");
  match(bad("1606510591", "iso"), /^is no time like/);
});

Deno.test("a zone is an IANA name", () => {
  equal(zoneProblem("Europe/Berlin"), null);
  match(zoneProblem("Mars/Olympus") ?? "", /there is no time zone "Mars\/Olympus"/);
});
