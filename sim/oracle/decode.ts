/** From bytes to what a sender said, by the section “What is in a batch” of `docs/judging.md`. */

export interface SaidReading {
  readonly seq: number | null;
  readonly tsMs: number | null;
  readonly temperature: number | null;
  readonly humidity: number | null;
  readonly fault: string | null;
  readonly flag: string | null;
  readonly malformed: boolean;
  /** The reading as JSON text, cut at 1,024 characters. */
  readonly raw: string;
}

export interface SaidBatch {
  readonly device: string;
  readonly boot: number | null;
  readonly everyMs: number | null;
  readonly synced: boolean;
  readonly pendingSinceMs: number | null;
  readonly previous: { readonly boot: number; readonly slots: number } | null;
  readonly lost: readonly { readonly from: number; readonly to: number }[];
  readonly readings: readonly SaidReading[];
}

/** A number with the text that it had. */
class Num {
  constructor(readonly value: number, readonly text: string) {}
}
type Json = null | boolean | string | Num | Json[] | { [name: string]: Json };
type Obj = { [name: string]: Json };

/** Parsed JSON with every number's text; undefined if it is none. */
function parse(bytes: Uint8Array | null): Json | undefined {
  if (bytes === null) return undefined;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const keepText = (_key: string, value: unknown, context?: { source: string }) =>
      typeof value === "number" ? new Num(value, context?.source ?? String(value)) : value;
    return JSON.parse(text, keepText as (this: unknown, key: string, value: unknown) => unknown);
  } catch {
    return undefined;
  }
}

/** The JSON text that a plain `JSON.stringify` of the plainly parsed value gives. */
const stringify = (json: Json | undefined): string =>
  JSON.stringify(json, (_key, value) => value instanceof Num ? value.value : value) ?? "";

const isObj = (json: Json | undefined): json is Obj =>
  typeof json === "object" && json !== null && !Array.isArray(json) && !(json instanceof Num);
const get = (object: Obj, name: string): Json => Object.getOwnPropertyDescriptor(object, name)?.value ?? null;

class Bad extends Error {}

function integer(json: Json, min: number, max: number): number | null {
  if (json === null) return null;
  if (!(json instanceof Num) || !Number.isInteger(json.value) || json.value < min || json.value > max) {
    throw new Bad();
  }
  return json.value;
}
function required<T>(value: T | null): T {
  if (value === null) throw new Bad();
  return value;
}
function word(json: Json): string | null {
  if (json === null) return null;
  if (typeof json !== "string" || !/^[a-z0-9_]{1,32}$/.test(json)) throw new Bad();
  return json;
}
function name(json: Json): string {
  if (typeof json !== "string" || json.length < 1 || json.length > 128) throw new Bad();
  for (const character of json) {
    const code = character.codePointAt(0) ?? 0;
    const control = code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0x2028 || code === 0x2029;
    const half = code >= 0xd800 && code <= 0xdfff;
    if (control || half) throw new Bad();
  }
  return json;
}
const SLOTS_MAX = 10_000_000_000;
const TIME_MAX = 9_999_999_999_999;

/** Thousandths of a decimal number in JSON's notation, half away from zero, in integers throughout. */
export function thousandths(text: string): number {
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e");
  const negative = mantissa.startsWith("-");
  const [whole = "", fraction = ""] = mantissa.replace("-", "").split(".");
  let digits = BigInt(whole + fraction);
  const power = Number(exponent) - fraction.length + 3;
  if (digits === 0n) return 0;
  // Beyond these powers the result is far outside every range, or zero.
  if (power > 40) digits = 10n ** 40n;
  else if (power < -1_000) digits = 0n;
  else if (power >= 0) digits *= 10n ** BigInt(power);
  else {
    const unit = 10n ** BigInt(-power);
    digits = (2n * digits + unit) / (2n * unit);
  }
  return digits === 0n ? 0 : Number(negative ? -digits : digits);
}

function value(json: Json): number | null {
  if (json === null) return null;
  if (!(json instanceof Num) || !Number.isFinite(json.value)) throw new Bad();
  return thousandths(json.text);
}

function orElse<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Bad) return otherwise;
    throw error;
  }
}

function decodeReading(json: Json): SaidReading {
  const raw = stringify(json).slice(0, 1_024);
  const nothing = { temperature: null, humidity: null, fault: null, flag: null, malformed: true, raw };
  if (!isObj(json)) return { seq: null, tsMs: null, ...nothing };
  const seq = orElse(() => integer(get(json, "seq"), 0, SLOTS_MAX - 1), null);
  const tsMs = orElse(() => integer(get(json, "ts"), 0, TIME_MAX), null);
  try {
    integer(get(json, "seq"), 0, SLOTS_MAX - 1);
    integer(get(json, "ts"), 0, TIME_MAX);
    const temperature = value(get(json, "temperature_c"));
    const humidity = value(get(json, "humidity_pct"));
    const fault = word(get(json, "error"));
    const flag = word(get(json, "flag"));
    const hasValue = temperature !== null || humidity !== null;
    if (hasValue === (fault !== null)) throw new Bad();
    return { seq, tsMs, temperature, humidity, fault, flag, malformed: false, raw };
  } catch (error) {
    if (error instanceof Bad) return { seq, tsMs, ...nothing };
    throw error;
  }
}

function decodeSpan(json: Json): { from: number; to: number } {
  if (!isObj(json)) throw new Bad();
  const from = required(integer(get(json, "from"), 0, SLOTS_MAX - 1));
  const to = required(integer(get(json, "to"), 0, SLOTS_MAX - 1));
  word(get(json, "reason"));
  if (from > to) throw new Bad();
  return { from, to };
}

function decodePrevious(json: Json): { boot: number; slots: number } | null {
  if (json === null) return null;
  if (!isObj(json)) throw new Bad();
  const boot = required(integer(get(json, "boot"), 0, Number.MAX_SAFE_INTEGER));
  return { boot, slots: required(integer(get(json, "slots"), 0, SLOTS_MAX)) };
}

/** The batch, or null where the value is none. */
export function decodeBatch(bytes: Uint8Array | null): SaidBatch | null {
  const json = parse(bytes);
  if (!isObj(json)) return null;
  return orElse(() => {
    const lost = get(json, "lost");
    if (lost !== null && (!Array.isArray(lost) || lost.length > 256)) throw new Bad();
    const synced = get(json, "synced");
    if (synced !== null && typeof synced !== "boolean") throw new Bad();
    const readings = Object.hasOwn(json, "readings") ? get(json, "readings") : [json];
    if (!Array.isArray(readings) || readings.length > 4_096) throw new Bad();
    const previous = decodePrevious(get(json, "previous"));
    if (readings.length === 0 && previous === null && (lost ?? []).length === 0) throw new Bad();
    return {
      device: name(get(json, "device")),
      boot: integer(get(json, "boot"), 0, Number.MAX_SAFE_INTEGER),
      everyMs: integer(get(json, "every_ms"), 100, 86_400_000),
      synced: synced ?? true,
      pendingSinceMs: integer(get(json, "pending_since"), 0, TIME_MAX),
      previous,
      lost: (lost ?? []).map(decodeSpan),
      readings: readings.map(decodeReading),
    };
  }, null);
}

/** The text of a value that is no batch, as far as it is text. */
export const textOf = (bytes: Uint8Array | null): string =>
  new TextDecoder().decode(bytes ?? new Uint8Array()).slice(0, 1_024);

export type SaidDevice = { readonly retire: true } | { readonly name: string };

/** A device record's value, or null. */
export function decodeDeviceRecord(bytes: Uint8Array | null): SaidDevice | null {
  const json = parse(bytes);
  if (!isObj(json)) return null;
  if (get(json, "action") === "retire") return { retire: true };
  if (get(json, "action") !== "rename") return null;
  return orElse<SaidDevice | null>(() => ({ name: name(get(json, "name")) }), null);
}

/** Whether a record's key can be a device's name. */
export const isName = (text: string | null): text is string => orElse(() => name(text) !== "", false);

/** Whether a value is an owner record's. */
export function isOwner(bytes: Uint8Array | null): boolean {
  const json = parse(bytes);
  const worker = isObj(json) ? get(json, "worker") : null;
  return typeof worker === "string" && worker.length <= 256;
}

/** Whether a value is a list of rules, as far as a sound worker writes it. */
export function isRules(bytes: Uint8Array | null): boolean {
  const json = parse(bytes);
  return isObj(json) && Array.isArray(get(json, "rules"));
}

export interface SaidRelease {
  readonly device: string;
  readonly offset: number;
  readonly index: number;
  readonly boot: number | null;
  readonly reading: SaidReading;
}

/** A release record's value, or null. */
export function decodeRelease(bytes: Uint8Array | null): SaidRelease | null {
  const json = parse(bytes);
  if (!isObj(json)) return null;
  return orElse(() => {
    const reading = decodeReading(get(json, "reading"));
    if (reading.malformed) throw new Bad();
    return {
      device: name(get(json, "device")),
      offset: required(integer(get(json, "offset"), 0, Number.MAX_SAFE_INTEGER)),
      index: required(integer(get(json, "index"), 0, 4_095)),
      boot: integer(get(json, "boot"), 0, Number.MAX_SAFE_INTEGER),
      reading,
    };
  }, null);
}
