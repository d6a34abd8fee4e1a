/** Configurations and values of generated logs. */
import type { JudgeConfig, WindowSpec } from "../core/config.ts";
import { defaultConfig } from "../core/config.ts";
import { below, chance, type Random } from "../core/ports/random.ts";
import { pick } from "./random.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const ZONES = [
  "Europe/Berlin",
  "America/New_York",
  "Australia/Lord_Howe",
  "Asia/Kathmandu",
  "America/Havana",
  "Africa/Cairo",
  "Pacific/Chatham",
];
/** Starts before a local day that isn't 24 h long. */
const CHANGES = [
  { atMs: Date.UTC(2026, 2, 28, 22), zone: "Europe/Berlin" },
  { atMs: Date.UTC(2026, 9, 24, 21), zone: "Europe/Berlin" },
  { atMs: Date.UTC(2026, 3, 23, 21), zone: "Africa/Cairo" },
];

/** Windows of every kind, and bounds; `startMs`: where the log starts. */
export function drawConfig(random: Random, startMs: number): JudgeConfig {
  const fixed = (label: string, sizeMs: number, hopMs = sizeMs): WindowSpec => ({
    kind: "fixed",
    label,
    sizeMs,
    hopMs,
  });
  // Half of the time the zone whose clocks change right after the start, if there is one.
  const changing = CHANGES.filter(({ atMs }) => atMs <= startMs && startMs < atMs + HOUR);
  const zone = pick(random, [...ZONES, ...changing.flatMap((change) => ZONES.map(() => change.zone))]);
  const windows = pick<readonly WindowSpec[]>(random, [
    defaultConfig.windows,
    defaultConfig.windows,
    [fixed("10s", 10 * SECOND), fixed("1m", MINUTE)],
    [fixed("1m", MINUTE), fixed("5m by 1m", 5 * MINUTE, MINUTE), fixed("1h", HOUR)],
    [fixed("1m by 20s", MINUTE, 20 * SECOND), fixed("1d", DAY)],
    [fixed("1m", MINUTE), { kind: "local_day", label: "day", zone }],
    [{ kind: "local_day", label: "day", zone }, fixed("7m", 7 * MINUTE)],
  ]);
  if (chance(random, 2, 3)) return { ...defaultConfig, windows };
  const outOfOrderMs = pick(random, [0, 1, 5 * SECOND, 2 * MINUTE]);
  const idleMs = pick(random, [5 * MINUTE, 6 * MINUTE, HOUR]);
  return { ...defaultConfig, windows, outOfOrderMs, idleMs };
}

/** Temperatures in every notation that JSON allows, rounding cases among them. */
export function drawDecimal(random: Random): string {
  const digits = (count: number) => Array.from({ length: count }, () => String(below(random, 10))).join("");
  const sign = chance(random, 1, 3) ? "-" : "";
  return pick(random, [
    () => `${sign}${below(random, 40)}.${digits(1)}`,
    () => `${sign}${below(random, 40)}.${digits(1)}`,
    () => `${sign}${below(random, 40)}`,
    () => `${sign}${below(random, 40)}.${digits(3)}5`,
    () => `${sign}${below(random, 40)}.${digits(3)}499999999999999999`,
    () => `${sign}${below(random, 40)}.${digits(2)}`,
    () => `${sign}${1 + below(random, 3)}.${digits(4)}e1`,
    () => `${sign}${1 + below(random, 39)}${digits(3)}E-3`,
    () => `${sign}0.000${digits(1)}`,
    () => "-0",
    () => "-0.0",
  ])();
}
