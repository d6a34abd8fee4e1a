/**
 * Windows as people write them: `1m,1h,1d`. A size alone is a tumbling window; `10m/1m` hops, a window of ten minutes
 * starting every minute; `1d@Europe/Berlin` is the local day of an IANA zone, 23, 24 or 25 h long.
 */
import type { WindowSpec } from "./config.ts";
import { isZone } from "./windows.ts";

export const windowLimits = {
  /** Kinds of windows; each is accumulated from every reading. */
  kindsMax: 8,
  sizeMsMin: 1_000,
  sizeMsMax: 31 * 86_400_000,
  /** Windows that one reading may belong to in a hopping kind. */
  overlapMax: 60,
} as const;

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export type ParsedWindows =
  | { readonly kind: "ok"; readonly windows: readonly WindowSpec[] }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

/** Reads the list; finest first, whatever the order. Reports every problem at once. */
export function parseWindows(text: string): ParsedWindows {
  const problems: string[] = [];
  const windows: WindowSpec[] = [];
  const items = text.split(",").map((item) => item.trim());
  for (const item of items) {
    const spec = parseWindow(item);
    if (typeof spec === "string") problems.push(`${JSON.stringify(item)} ${spec}`);
    else windows.push(spec);
  }
  const { kindsMax } = windowLimits;
  if (items.length > kindsMax) {
    problems.push(`there are ${items.length} kinds, at most ${kindsMax} are possible`);
  }
  const labels = windows.map((spec) => spec.label);
  const double = labels.find((label, i) => labels.indexOf(label) !== i);
  if (double !== undefined) problems.push(`${JSON.stringify(double)} comes twice`);
  if (problems.length > 0) return { kind: "problems", problems };
  return { kind: "ok", windows: windows.toSorted((a, b) => sizeMsOf(a) - sizeMsOf(b)) };
}

const sizeMsOf = (spec: WindowSpec) => spec.kind === "fixed" ? spec.sizeMs : unitMs.d!;

function parseWindow(item: string): WindowSpec | string {
  const [size, zone, ...more] = item.split("@");
  if (zone !== undefined) {
    if (more.length > 0 || size !== "1d") return "must be 1d@Zone: only days follow a zone";
    if (!isZone(zone)) return `names no IANA time zone, for instance 1d@Europe/Berlin`;
    return { kind: "local_day", label: item, zone };
  }
  const [sizeText = "", hopText = sizeText, ...rest] = item.split("/");
  const [sizeMs, hopMs] = [msOf(sizeText), msOf(hopText)];
  if (sizeMs === null || hopMs === null || rest.length > 0) {
    return "must be a size like 1m, a size and a hop like 10m/1m, or 1d@Zone";
  }
  const { sizeMsMin, sizeMsMax, overlapMax } = windowLimits;
  if (sizeMs < sizeMsMin || sizeMs > sizeMsMax) return "must be from 1s to 31d long";
  if (hopMs < sizeMsMin || hopMs > sizeMs || sizeMs % hopMs !== 0) {
    return "must have a hop of at least 1s that divides its size";
  }
  if (sizeMs / hopMs > overlapMax) return `must hop so that a reading is in at most ${overlapMax} windows`;
  return { kind: "fixed", label: item, sizeMs, hopMs };
}

/** "90s" → 90,000; null if it is no duration. */
function msOf(text: string): number | null {
  const match = /^([1-9]\d{0,7})([smhd])$/.exec(text);
  return match === null ? null : Number(match[1]) * unitMs[match[2]!]!;
}
