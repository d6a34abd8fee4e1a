/**
 * Configuration by environment as a declared table: each setting states its unit, range, default and consequence, so one
 * declaration reads the value, prints `--help` and fills the README. Reading reports every problem at once and touches
 * nothing but the getter it is given.
 */

/** One environment variable. */
export interface Setting<T> {
  /** Name of the variable, `ISOTHERM_…`. */
  readonly env: string;
  /** What is counted: `port`, `ms`, `bytes`, `path`, `text`. */
  readonly unit: string;
  /** Allowed values, for people. */
  readonly range: string;
  /** Value when the variable is unset or empty. */
  readonly fallback: T;
  /** The fallback for people; "" when there is none. */
  readonly fallbackText: string;
  /** What changes with it, in one sentence. */
  readonly consequence: string;
  /** Secrets are never printed. */
  readonly secret: boolean;
  /** The value, or what is wrong with the text ("must be …"). */
  parse(text: string): { readonly value: T } | { readonly problem: string };
}

export type SettingTable = Readonly<Record<string, Setting<unknown>>>;

/** The values of a table. */
export type SettingValues<S extends SettingTable> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never;
};

interface Described {
  readonly env: string;
  readonly consequence: string;
}

/** An integer from `min` to `max`. */
export function integerSetting(
  spec: Described & {
    readonly unit: string;
    readonly min: number;
    readonly max: number;
    readonly fallback: number;
  },
): Setting<number> {
  const { env, consequence, unit, min, max, fallback } = spec;
  const parse = (text: string) => {
    const value = Number(text);
    return /^-?\d{1,15}$/.test(text) && value >= min && value <= max
      ? { value }
      : { problem: `must be an integer from ${min} to ${max} (${unit})` };
  };
  const range = `${min} to ${max}`;
  return { env, unit, range, fallback, fallbackText: String(fallback), consequence, secret: false, parse };
}

/** A text that matches `pattern` (all of it). `range` says the same to people. Unset gives `fallback`. */
export function textSetting<F extends string | null>(
  spec: Described & {
    readonly unit?: string;
    readonly range: string;
    readonly pattern: RegExp;
    readonly fallback: F;
    readonly secret?: boolean;
  },
): Setting<string | F> {
  const { env, consequence, unit = "text", range, pattern, fallback, secret = false } = spec;
  return {
    env,
    unit,
    range,
    fallback,
    fallbackText: fallback ?? "",
    consequence,
    secret,
    parse: (text) => pattern.test(text) ? { value: text } : { problem: `must be ${range}` },
  };
}

/** One of `choices`; the first is the default. */
export function choiceSetting<C extends string>(
  spec: Described & { readonly choices: readonly [C, ...C[]] },
): Setting<C> {
  const { env, consequence, choices } = spec;
  const parse = (text: string) => {
    const value = choices.find((choice) => choice === text);
    return value === undefined ? { problem: `must be one of ${choices.join(", ")}` } : { value };
  };
  return {
    env,
    unit: "word",
    range: choices.join(", "),
    fallback: choices[0],
    fallbackText: choices[0],
    consequence,
    secret: false,
    parse,
  };
}

/** `1`, `true`, `yes` or `on`; `0`, `false`, `no` or `off`; off when unset. */
export function flagSetting(spec: Described): Setting<boolean> {
  const { env, consequence } = spec;
  const parse = (text: string) => {
    if (/^(1|true|yes|on)$/i.test(text)) return { value: true };
    if (/^(0|false|no|off)$/i.test(text)) return { value: false };
    return { problem: "must be 1 or 0" };
  };
  return {
    env,
    unit: "flag",
    range: "0, 1",
    fallback: false,
    fallbackText: "0",
    consequence,
    secret: false,
    parse,
  };
}

export type SettingsOutcome<S extends SettingTable> =
  | { readonly kind: "ok"; readonly values: SettingValues<S> }
  /** One sentence for each variable that is wrong, with its name and (unless secret) its value. */
  | { readonly kind: "problems"; readonly problems: readonly string[] };

/** Reads a table through `get` (for instance `Deno.env.get`); an empty variable counts as unset. */
export function readSettings<S extends SettingTable>(
  table: S,
  get: (name: string) => string | undefined,
): SettingsOutcome<S> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(table)) {
    const text = get(setting.env)?.trim() ?? "";
    if (text === "") {
      values[name] = setting.fallback;
      continue;
    }
    const parsed = setting.parse(text);
    if ("value" in parsed) values[name] = parsed.value;
    else {problems.push(
        `${setting.env} ${
          setting.secret ? "" : `is ${JSON.stringify(withoutPassword(text))}, `
        }${parsed.problem}`,
      );}
  }
  if (problems.length > 0) return { kind: "problems", problems };
  return { kind: "ok", values: values as SettingValues<S> };
}

/** An address without the password in it: `redis://user:…@host`. */
const withoutPassword = (text: string) => text.replace(/(:\/\/[^\s/@]*:)[^\s@]*@/, "$1…@");

/** The table as Markdown, for the README. */
export function settingsMarkdown(table: SettingTable): string {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  const rows = Object.values(table).map(({ env, unit, range, fallbackText, consequence }) =>
    `| \`${env}\` | ${cell(unit)} | ${cell(range)} | ${
      fallbackText === "" ? "–" : `\`${cell(fallbackText)}\``
    } | ${cell(consequence)} |`
  );
  return ["| variable | unit | range | default | consequence |", "|---|---|---|---|---|", ...rows].join("\n");
}

/** The table as plain text, for `--help`. */
export function settingsHelp(table: SettingTable): string {
  return Object.values(table).map(({ env, unit, range, fallbackText, consequence }) =>
    `  ${env} (${unit}: ${range}${
      fallbackText === "" ? "" : `; default ${fallbackText}`
    })\n      ${consequence}`
  ).join("\n");
}
