/**
 * Rules of alerts as people write them (`docs/alerts.md`) and as the log records them: one file, one shape. Numbers are
 * thousandths inside, so that a rule is decided on exact integers.
 */
import { limits } from "./limits.ts";

export type AlertChannel = "temperature_c" | "humidity_pct";
export type AlertStatistic = "mean" | "min" | "max";

export type AlertCondition =
  /** Fires beyond `boundMilli`, clears at `clearMilli` or on its good side: values between change nothing. */
  | {
    readonly kind: "above" | "below";
    readonly channel: AlertChannel;
    readonly statistic: AlertStatistic;
    readonly boundMilli: number;
    readonly clearMilli: number;
  }
  /** Change of the mean from one window to the next with a value, in either direction, in thousandths per hour. */
  | { readonly kind: "rate"; readonly channel: AlertChannel; readonly perHourMilliMax: number }
  /** Readings of expected ones, in thousandths; windows without an expectation are passed over. */
  | { readonly kind: "completeness"; readonly boundMilli: number; readonly clearMilli: number }
  /** Nothing was heard for so long, in append time. */
  | { readonly kind: "silence"; readonly forMs: number };

export interface AlertRule {
  readonly name: string;
  /** A device name, in which `*` stands for any text. */
  readonly device: string;
  /** Label of the windows that are looked at; silence looks at none. */
  readonly windowSize: string;
  readonly when: AlertCondition;
}

/** The rules of a text; every problem at once when there are any. */
export type ParsedAlerts =
  | { readonly kind: "rules"; readonly rules: readonly AlertRule[]; readonly webhook: string | null }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

/** Rules of one file; each costs a look at every window of its size. Above: refused. */
export const alertRulesMax = 100;
const nameLengthMax = 80;
/** Above any value, rate or time that makes sense, and exact in thousandths. */
const numberMax = 1e9;
const utf8 = new TextDecoder();

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

/** A rule as JSON with nothing left to a default: two rules are the same if their texts are. */
export function definitionOf({ name, device, windowSize, when }: AlertRule): string {
  const of = { name, device };
  switch (when.kind) {
    case "above":
    case "below": {
      const { channel, statistic, boundMilli, clearMilli } = when;
      const bounds = { [when.kind]: boundMilli / 1_000, clear: clearMilli / 1_000 };
      return JSON.stringify({ ...of, window_size: windowSize, ...bounds, channel, statistic });
    }
    case "rate": {
      const changes_per_hour = when.perHourMilliMax / 1_000;
      return JSON.stringify({ ...of, window_size: windowSize, changes_per_hour, channel: when.channel });
    }
    case "completeness": {
      const bounds = { complete_below: when.boundMilli / 1_000, clear: when.clearMilli / 1_000 };
      return JSON.stringify({ ...of, window_size: windowSize, ...bounds });
    }
    case "silence":
      return JSON.stringify({ ...of, silent_for_s: when.forMs / 1_000 });
  }
}

/** Value of the record that puts rules into force from its place in the log on. The webhook is nobody else's business. */
export function rulesText(definitions: readonly string[]): string {
  return `{"rules":[${definitions.join(",")}]}`;
}

/** Reads the value of a record of rules. */
export function decodeRules(
  value: Uint8Array | null,
): { readonly kind: "ok"; readonly value: readonly AlertRule[] } | {
  readonly kind: "bad";
  readonly detail: string;
} {
  const parsed = parseAlerts(utf8.decode(value ?? new Uint8Array()));
  return parsed.kind === "rules"
    ? { kind: "ok", value: parsed.rules }
    : { kind: "bad", detail: parsed.problems.join("; ") };
}

/** Reads the text of a file of rules (`docs/alerts.md`), or of a record. */
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
  const parsed = rules.slice(0, alertRulesMax).map((rule, index) => {
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
const isNumber = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value) && Math.abs(value) <= numberMax;
const milli = (value: number) => Math.round(value * 1_000);

/** A rule, or what is wrong with it. */
export function parseRule(rule: unknown): AlertRule | string {
  if (!isObject(rule)) return "must be an object";
  const { name, device = "*", window_size: windowSize = "1m" } = rule;
  if (typeof name !== "string" || name === "" || name.length > nameLengthMax) {
    return `\`name\` must be a text of 1 to ${nameLengthMax} characters`;
  }
  if (typeof device !== "string" || device === "" || device.length > limits.deviceNameLengthMax) {
    return "`device` must be a name, in which * stands for any text";
  }
  if (typeof windowSize !== "string" || windowSize === "" || windowSize.length > limits.deviceNameLengthMax) {
    return "`window_size` must be a label such as 1m";
  }
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
  if (isNumber(above) || isNumber(below)) {
    const [kind, bound] = isNumber(above) ? ["above", above] as const : ["below", below as number] as const;
    if (clear !== undefined && (kind === "above" ? clear > bound : clear < bound)) {
      return `\`clear\` must not be ${kind} \`${kind}\``;
    }
    return { kind, channel, statistic, boundMilli: milli(bound), clearMilli: milli(clear ?? bound) };
  }
  if (isNumber(rate)) {
    return rate > 0
      ? { kind: "rate", channel, perHourMilliMax: milli(rate) }
      : "`changes_per_hour` must be above 0";
  }
  if (isNumber(complete)) {
    if (complete <= 0 || complete > 1) return "`complete_below` must be above 0 and at most 1";
    if (clear !== undefined && clear < complete) return "`clear` must not be below `complete_below`";
    return { kind: "completeness", boundMilli: milli(complete), clearMilli: milli(clear ?? complete) };
  }
  return isNumber(silent) && silent >= 10
    ? { kind: "silence", forMs: milli(silent) }
    : "`silent_for_s` must be at least 10";
}
