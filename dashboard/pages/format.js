/** Numbers, spans and times for people. Pure but for the viewer's zone. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A value with so many digits behind the point, or a dash: a gap is no zero. */
export function number(value, digits = 1) {
  return value === null || value === undefined ? "–" : value.toFixed(digits).replace("-", "−");
}

export const celsius = (value) => value === null || value === undefined ? "–" : `${number(value)} °C`;
export const percent = (value) => value === null || value === undefined ? "–" : `${number(value)} %`;

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
/** 12,345. */
export const count = (value) => value === null || value === undefined ? "–" : grouped.format(value);

export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** "12 s", "5 min", "3 h 20 min", "4 d". */
export function span(ms) {
  const value = Math.max(0, ms);
  if (value < 1_000) return `${Math.round(value)} ms`;
  if (value < 90_000) return `${Math.round(value / 1_000)} s`;
  if (value < 90 * MINUTE) return `${Math.round(value / MINUTE)} min`;
  if (value < 2 * DAY) {
    const hours = Math.floor(value / HOUR);
    const minutes = Math.round((value - hours * HOUR) / MINUTE);
    return minutes === 0 || hours >= 6 ? `${Math.round(value / HOUR)} h` : `${hours} h ${minutes} min`;
  }
  return `${Math.round(value / DAY)} d`;
}

/** "just now", "12 s ago"; a time ahead is told as such. */
export function ago(atMs, nowMs) {
  if (atMs === null || atMs === undefined) return "never";
  const ms = nowMs - atMs;
  if (ms < -5_000) return `in ${span(-ms)}`;
  return ms < 2_000 ? "just now" : `${span(ms)} ago`;
}

let utc = false;
export const isUtc = () => utc;
export function useUtc(on) {
  utc = on;
  formats.clear();
}
export const zoneName = () =>
  utc
    ? "UTC"
    : new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts().find((p) =>
      p.type === "timeZoneName"
    )?.value ?? "local";

const formats = new Map();
function formatted(kind, options, ms) {
  let format = formats.get(kind);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-GB", {
      ...options,
      hour12: false,
      ...utc ? { timeZone: "UTC" } : {},
    });
    formats.set(kind, format);
  }
  return format.format(ms);
}

const HM = { hour: "2-digit", minute: "2-digit" };
const DMY = { day: "numeric", month: "short" };
export const clockTime = (ms) => formatted("hm", HM, ms);
export const clockSeconds = (ms) => formatted("hms", { ...HM, second: "2-digit" }, ms);
export const dayTime = (ms) => `${formatted("dm", DMY, ms)}, ${clockTime(ms)}`;
export const daySeconds = (ms) => `${formatted("dm", DMY, ms)}, ${clockSeconds(ms)}`;
export const dayOnly = (ms) => formatted("dmy", { ...DMY, year: "numeric" }, ms);

/** Always UTC, to the millisecond if there are any: what goes beside a local time. */
export function utcText(ms) {
  if (ms === null || ms === undefined) return "";
  return new Date(ms).toISOString().replace("T", " ").replace(/(\.000)?Z$/, " UTC");
}

/** "2 Nov, 10:00 – 10:01", in the viewer's zone. */
export function windowText(startMs, endMs) {
  if (endMs - startMs >= DAY - HOUR) return dayOnly(startMs + HOUR);
  return `${dayTime(startMs)} – ${clockTime(endMs)}`;
}

export const sizeMs = (label) => {
  const match = /^(\d+)([smhd])$/.exec(label);
  return match === null ? MINUTE : Number(match[1]) * { s: 1_000, m: MINUTE, h: HOUR, d: DAY }[match[2]];
};

/** "1-minute windows" of `1m`. */
export function sizeName(label) {
  const match = /^(\d+)([smhd])$/.exec(label);
  return match === null
    ? `${label} windows`
    : `${match[1]}-${{ s: "second", m: "minute", h: "hour", d: "day" }[match[2]]} windows`;
}
