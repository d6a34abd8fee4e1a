/**
 * Alerts as a fold over rows. What a rule says of a device is decided by the device's closed windows in order of their
 * start and by nothing else: not by when they are looked at, in how many portions, or by whom. So whoever reads the log
 * again finds the same alerts, and each names the rows that caused it.
 *
 * Silence is the exception: when nobody sends, no row is made and the log's time stands still, so it is measured against
 * a time that the caller gives (a replay gives the log's).
 *
 * A window is judged once, as it is when the fold first sees it closed; a late reading that revises it afterwards changes
 * the row, not the alert. Rejected: taking an alert back weeks later, when somebody has long acted on it.
 */
import { assert } from "./assert.ts";
import { limits } from "./limits.ts";

export type AlertChannel = "temperature_c" | "humidity_pct";
export type AlertStatistic = "mean" | "min" | "max";

export type AlertCondition =
  /** Fires beyond `bound`, clears at `clear` or on its good side: values between change nothing. */
  | {
    readonly kind: "above" | "below";
    readonly channel: AlertChannel;
    readonly statistic: AlertStatistic;
    readonly bound: number;
    readonly clear: number;
  }
  /** Change of the mean from one window to the next with a value, in either direction, per hour. */
  | { readonly kind: "rate"; readonly channel: AlertChannel; readonly perHourMax: number }
  /** Readings of expected ones, 0 … 1; windows without an expectation are passed over. */
  | { readonly kind: "completeness"; readonly bound: number; readonly clear: number }
  /** Nothing was heard for so long. */
  | { readonly kind: "silence"; readonly forMs: number };

export interface AlertRule {
  readonly name: string;
  /** A device name, in which `*` stands for any text. */
  readonly device: string;
  /** Label of the windows that are looked at; silence looks at none. */
  readonly windowSize: string;
  readonly when: AlertCondition;
}

/** One closed window, as far as rules look at it. */
export interface AlertRow {
  readonly device: string;
  readonly windowSize: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly revision: number;
  readonly readings: number;
  readonly expected: number | null;
  /** By channel and statistic; null without values. */
  readonly temperature_c: Readonly<Record<AlertStatistic, number | null>>;
  readonly humidity_pct: Readonly<Record<AlertStatistic, number | null>>;
}

export interface AlertEvidence {
  readonly windowSize: string;
  readonly startMs: number;
  readonly revision: number;
}

export interface AlertEvent {
  /** The same for the same cause, whoever finds it: a receiver can tell a repetition. */
  readonly id: string;
  readonly kind: "fired" | "cleared";
  readonly rule: string;
  readonly device: string;
  /** End of the window that decided; for silence, the moment from which it held. */
  readonly atMs: number;
  readonly value: number;
  readonly sentence: string;
  readonly rows: readonly AlertEvidence[];
}

/** What the fold remembers of one rule and device. */
export interface AlertState {
  readonly firedAtMs: number | null;
  /** Start of the newest window looked at: earlier ones are passed over. */
  readonly lastStartMs: number | null;
  /** The newest window with a value, for the rate. */
  readonly previous: { readonly startMs: number; readonly revision: number; readonly value: number } | null;
}

export const initialAlertState: AlertState = { firedAtMs: null, lastStartMs: null, previous: null };

export interface AlertStep {
  readonly state: AlertState;
  readonly event: AlertEvent | null;
}

/** The rule's word on one more closed window of a device that it {@link concerns}. */
export function stepAlert(rule: AlertRule, state: AlertState, row: AlertRow): AlertStep {
  assert(rule.when.kind !== "silence", "silence looks at no window");
  if (row.windowSize !== rule.windowSize) return { state, event: null };
  if (state.lastStartMs !== null && row.startMs <= state.lastStartMs) return { state, event: null };
  const seen = { ...state, lastStartMs: row.startMs };
  const measured = measure(rule.when, state, row);
  if (measured === null) return { state: seen, event: null };
  const next = { ...seen, previous: measured.previous };
  if (measured.verdict === "between" || (measured.verdict === "bad") === (state.firedAtMs !== null)) {
    return { state: next, event: null };
  }
  const kind = measured.verdict === "bad" ? "fired" : "cleared";
  return {
    state: { ...next, firedAtMs: kind === "fired" ? row.endMs : null },
    event: {
      id: idOf(rule, row.device, row.startMs, kind),
      kind,
      rule: rule.name,
      device: row.device,
      atMs: row.endMs,
      value: measured.value,
      sentence: measured.sentence,
      rows: measured.rows,
    },
  };
}

/** The rule's word on a device's silence at `nowMs`. */
export function stepSilence(
  rule: AlertRule,
  state: AlertState,
  device: { readonly device: string; readonly lastHeardMs: number; readonly retired: boolean },
  nowMs: number,
): AlertStep {
  assert(rule.when.kind === "silence", "other rules look at windows");
  const sinceMs = device.lastHeardMs + rule.when.forMs;
  const isSilent = !device.retired && nowMs >= sinceMs;
  if (isSilent === (state.firedAtMs !== null)) return { state, event: null };
  const kind = isSilent ? "fired" : "cleared";
  const atMs = isSilent ? sinceMs : device.lastHeardMs;
  return {
    state: { ...state, firedAtMs: isSilent ? atMs : null },
    event: {
      id: idOf(rule, device.device, device.lastHeardMs, kind),
      kind,
      rule: rule.name,
      device: device.device,
      atMs,
      value: rule.when.forMs / 1_000,
      sentence: isSilent
        ? `nothing heard for ${rule.when.forMs / 1_000} s`
        : device.retired
        ? "it was retired"
        : "heard again",
      rows: [],
    },
  };
}

/** Whether a rule is about a device. */
export function concerns(rule: AlertRule, device: string): boolean {
  if (device === "") return false;
  const parts = rule.device.split("*");
  const first = parts[0] as string;
  if (parts.length === 1) return device === first;
  const last = parts.at(-1) as string;
  if (!device.startsWith(first) || !device.endsWith(last) || device.length < first.length + last.length) {
    return false;
  }
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = device.indexOf(part, at);
    if (found < 0 || found + part.length > device.length - last.length) return false;
    at = found + part.length;
  }
  return true;
}

const idOf = (rule: AlertRule, device: string, startMs: number, kind: string) =>
  `${rule.name}/${device}/${rule.windowSize}/${startMs}/${kind}`;

interface Measured {
  readonly verdict: "bad" | "good" | "between";
  readonly value: number;
  readonly sentence: string;
  readonly rows: readonly AlertEvidence[];
  readonly previous: AlertState["previous"];
}

function measure(when: AlertCondition, state: AlertState, row: AlertRow): Measured | null {
  const evidence: AlertEvidence = {
    windowSize: row.windowSize,
    startMs: row.startMs,
    revision: row.revision,
  };
  switch (when.kind) {
    case "above":
    case "below": {
      const value = row[when.channel][when.statistic];
      if (value === null) return null;
      const sign = when.kind === "above" ? 1 : -1;
      const verdict = sign * (value - when.bound) > 0
        ? "bad"
        : sign * (value - when.clear) <= 0
        ? "good"
        : "between";
      const side = value === when.bound ? "at" : value > when.bound ? "above" : "below";
      const sentence = `${when.statistic} of ${text(value, when.channel)}, ${side} ${
        text(when.bound, when.channel)
      }`;
      return { verdict, value, sentence, rows: [evidence], previous: state.previous };
    }
    case "rate": {
      const value = row[when.channel].mean;
      if (value === null) return null;
      const previous = { startMs: row.startMs, revision: row.revision, value };
      const before = state.previous;
      if (before === null) return { verdict: "between", value: 0, sentence: "", rows: [], previous };
      // In thousandths: 20.1 − 20 is a little more than 0.1 in binary.
      const perHour = Math.round((value - before.value) / (row.startMs - before.startMs) * 3_600_000_000) /
        1_000;
      return {
        verdict: Math.abs(perHour) > when.perHourMax ? "bad" : "good",
        value: perHour,
        sentence: `changes by ${text(perHour, when.channel)} an hour, allowed are ${
          text(when.perHourMax, when.channel)
        }`,
        rows: [{ ...evidence, startMs: before.startMs, revision: before.revision }, evidence],
        previous,
      };
    }
    case "completeness": {
      if (row.expected === null || row.expected === 0) return null;
      const value = row.readings / row.expected;
      const verdict = value < when.bound ? "bad" : value >= when.clear ? "good" : "between";
      const sentence = `${row.readings} of ${row.expected} readings, at least ${
        Math.round(when.bound * 100)
      } % are wanted`;
      return { verdict, value, sentence, rows: [evidence], previous: state.previous };
    }
    case "silence":
      return null;
  }
}

const text = (value: number, channel: AlertChannel) =>
  `${Math.round(value * 100) / 100} ${channel === "temperature_c" ? "°C" : "%"}`;

/** The rules of a file; every problem at once when there are any. */
export type ParsedAlerts =
  | { readonly kind: "rules"; readonly rules: readonly AlertRule[]; readonly webhook: string | null }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

/** Rules of one file; each costs a look at every window of its size. */
export const alertRulesMax = 100;
const nameLengthMax = 80;

/** Reads the text of a file of rules (`docs/alerts.md`). */
export function parseAlerts(source: string): ParsedAlerts {
  let file: unknown;
  try {
    file = JSON.parse(source);
  } catch (error) {
    return { kind: "problems", problems: [`the file is not JSON: ${(error as Error).message}`] };
  }
  const { rules, webhook = null } = isObject(file) ? file : {};
  const problems: string[] = [];
  if (!Array.isArray(rules)) return { kind: "problems", problems: ["`rules` must be a list"] };
  if (rules.length > alertRulesMax) {
    problems.push(`there are ${rules.length} rules: at most ${alertRulesMax}`);
  }
  if (webhook !== null && !(typeof webhook === "string" && /^https?:\/\/\S+$/.test(webhook))) {
    problems.push("`webhook` must be an address that begins with http:// or https://");
  }
  const parsed = rules.map((rule, index) => {
    const outcome = parseRule(rule);
    if (typeof outcome === "string") problems.push(`rule ${index + 1}: ${outcome}`);
    return outcome;
  });
  const names = parsed.flatMap((rule) => typeof rule === "string" ? [] : [rule.name]);
  for (const name of new Set(names.filter((name, index) => names.indexOf(name) !== index))) {
    problems.push(`two rules are called ${JSON.stringify(name)}: names tell alerts apart`);
  }
  if (problems.length > 0) return { kind: "problems", problems };
  return { kind: "rules", rules: parsed as AlertRule[], webhook: webhook as string | null };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

function parseRule(rule: unknown): AlertRule | string {
  if (!isObject(rule)) return "must be an object";
  const { name, device = "*", window_size: windowSize = "1m" } = rule;
  if (typeof name !== "string" || name === "" || name.length > nameLengthMax) {
    return `\`name\` must be a text of 1 to ${nameLengthMax} characters`;
  }
  if (typeof device !== "string" || device === "" || device.length > limits.deviceNameLengthMax) {
    return "`device` must be a name, in which * stands for any text";
  }
  if (typeof windowSize !== "string" || windowSize === "") return "`window_size` must be a label such as 1m";
  const when = parseCondition(rule);
  return typeof when === "string" ? when : { name, device, windowSize, when };
}

function parseCondition(rule: Record<string, unknown>): AlertCondition | string {
  const { above, below, clear, changes_per_hour: rate, complete_below: complete, silent_for_s: silent } =
    rule;
  const { channel = "temperature_c", statistic = "mean" } = rule;
  const given = [above, below, rate, complete, silent].filter((value) => value !== undefined);
  if (given.length !== 1 || !isNumber(given[0])) {
    return "needs exactly one number of `above`, `below`, `changes_per_hour`, `complete_below`, `silent_for_s`";
  }
  if (channel !== "temperature_c" && channel !== "humidity_pct") {
    return "`channel` must be temperature_c or humidity_pct";
  }
  if (statistic !== "mean" && statistic !== "min" && statistic !== "max") {
    return "`statistic` must be mean, min or max";
  }
  if (clear !== undefined && !isNumber(clear)) return "`clear` must be a number";
  if (isNumber(above)) {
    if (clear !== undefined && clear > above) return "`clear` must not be above `above`";
    return { kind: "above", channel, statistic, bound: above, clear: clear ?? above };
  }
  if (isNumber(below)) {
    if (clear !== undefined && clear < below) return "`clear` must not be below `below`";
    return { kind: "below", channel, statistic, bound: below, clear: clear ?? below };
  }
  if (isNumber(rate)) {
    return rate > 0 ? { kind: "rate", channel, perHourMax: rate } : "`changes_per_hour` must be above 0";
  }
  if (isNumber(complete)) {
    if (complete <= 0 || complete > 1) return "`complete_below` must be above 0 and at most 1";
    if (clear !== undefined && clear < complete) return "`clear` must not be below `complete_below`";
    return { kind: "completeness", bound: complete, clear: clear ?? complete };
  }
  return isNumber(silent) && silent >= 10
    ? { kind: "silence", forMs: silent * 1_000 }
    : "`silent_for_s` must be at least 10";
}
