/**
 * The language on the wire: batches of readings and control records, decoded from a record of the log.
 *
 * What is *no batch* (broken JSON, a wrong `device`, a field of the batch itself that makes no sense) is told with every
 * problem by path, in the sense of RFC 6901 pointers. What is wrong with a single reading costs only that reading: it
 * becomes `malformed` and goes on with the others, so that ingest and the fold agree on what arrived.
 */
import { thousandths, thousandthsOfText } from "./decimal.ts";
import { limits } from "./limits.ts";
import { scanBatch } from "./scan.ts";

/** One thing that is wrong: `path` is a JSON pointer, "" the whole. */
export interface Problem {
  readonly path: string;
  readonly message: string;
  /** It is a batch, but larger than a bound of `limits`: 413 rather than 400. */
  readonly tooLarge?: true;
}

/** Slots that a device had to give up, both ends included. */
export interface LostSpan {
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

/** A reading that can be judged. With `fault`, both values are null. */
export interface Reading {
  readonly kind: "reading";
  readonly seq: number | null;
  readonly tsMs: number | null;
  readonly temperatureMilliC: number | null;
  readonly humidityMilliPct: number | null;
  readonly fault: string | null;
  readonly flag: string | null;
}

/** A reading that can't: kept raw. `seq` and `tsMs` where they could still be read. */
export interface MalformedReading {
  readonly kind: "malformed";
  readonly seq: number | null;
  readonly tsMs: number | null;
  readonly detail: string;
}

export interface Batch {
  readonly device: string;
  readonly boot: number | null;
  readonly everyMs: number | null;
  /** False: `ts` is the device's estimate. */
  readonly synced: boolean;
  readonly pendingSinceMs: number | null;
  readonly previous: { readonly boot: number; readonly slots: number } | null;
  readonly lost: readonly LostSpan[];
  readonly readings: readonly (Reading | MalformedReading)[];
  /** JSON of reading `i`, for quarantine; computed when asked. */
  rawReading(index: number): string;
}

export type Decoded =
  | { readonly kind: "batch"; readonly batch: Batch }
  | { readonly kind: "problems"; readonly problems: readonly Problem[] };

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Decodes a record's value: by the scanner if it is of the usual kind, else with a close look. */
export function decodeBatch(value: Uint8Array): Decoded {
  const batch = scanBatch(value, rawReadingsOf);
  return batch === null ? decodeBatchClosely(value) : { kind: "batch", batch };
}

function rawReadingsOf(value: Uint8Array): (index: number) => string {
  const decoded = decodeBatchClosely(value);
  return (index) => decoded.kind === "batch" ? decoded.batch.rawReading(index) : "";
}

/** Decodes a record's value without the scanner. */
export function decodeBatchClosely(value: Uint8Array): Decoded {
  let text: string;
  try {
    text = utf8.decode(value);
  } catch {
    return problem("", "is not UTF-8: send JSON in UTF-8");
  }
  return decodeBatchText(text);
}

/** Decodes a batch from its JSON text. */
export function decodeBatchText(text: string): Decoded {
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (error) {
    return problem("", `is not JSON: ${(error as Error).message}`);
  }
  return decodeBatchValue(json);
}

/** A number whose text may have more digits than a double keeps. */
class LongNumber {
  constructor(readonly text: string) {}
  toJSON(): number {
    return Number(this.text);
  }
}
/** 16 digits with a point or an exponent, or 17: only such numbers can have 16 significant digits or more. */
const LONG_NUMBER = /\d[\d.]{15}[\d.eE]/;

/**
 * `JSON.parse`, but numbers of more than 16 characters keep their text, and nesting is bounded: how deep the runtime's
 * own recursion gets depends on its stack, so without a bound one record could be decoded here and refused there.
 */
export function parseJson(text: string): unknown {
  if (isDeeperThan(text, limits.nestingMax)) {
    throw new SyntaxError(`nested deeper than ${limits.nestingMax} levels`);
  }
  if (!LONG_NUMBER.test(text)) return JSON.parse(text);
  return JSON.parse(
    text,
    ((_key: string, value: unknown, context?: { source?: string }) =>
      typeof value === "number" && context?.source !== undefined && context.source.length > 16
        ? new LongNumber(context.source)
        : value) as (this: unknown, key: string, value: unknown) => unknown,
  );
}

/** True if brackets outside of strings nest deeper than `max`. What is no JSON may give either answer. */
function isDeeperThan(text: string, max: number): boolean {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x22: // "
        i = endOfString(text, i);
        break;
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > max) return true;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth--;
    }
  }
  return false;
}

/** Index of the quote that ends the string that starts at `start`, or the text's length. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}

const problem = (path: string, message: string): Decoded => ({
  kind: "problems",
  problems: [{ path, message }],
});

type JsonObject = { readonly [name: string]: unknown };
const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof LongNumber);
const own = (object: JsonObject, name: string): unknown =>
  Object.hasOwn(object, name) ? object[name] : undefined;

/** Decodes a batch from parsed JSON (by {@link parseJson}). */
export function decodeBatchValue(json: unknown): Decoded {
  if (!isObject(json)) return problem("", "is not an object: send one batch or one reading as a JSON object");
  const problems: Problem[] = [];
  const field = <T>(name: string, fallback: T, decode: (value: unknown) => T | string): T => {
    const value = own(json, name);
    if (value === undefined || value === null) return fallback;
    const decoded = decode(value);
    if (typeof decoded !== "string") return decoded;
    problems.push({ path: `/${name}`, message: decoded });
    return fallback;
  };
  const device = decodeDevice(own(json, "device"), problems);
  const boot = field("boot", null, integer(0, Number.MAX_SAFE_INTEGER));
  const everyMs = field("every_ms", null, integer(limits.everyMsMin, limits.everyMsMax));
  const synced = field(
    "synced",
    true,
    (value) => typeof value === "boolean" ? value : "must be true or false",
  );
  const pendingSinceMs = field("pending_since", null, integer(0, limits.eventMsMax));
  const previous = field("previous", null, decodePrevious);
  const lost = decodeLost(own(json, "lost"), problems);
  const list = own(json, "readings");
  const readings = list === undefined ? [json] : list;
  if (!Array.isArray(readings)) {
    problems.push({ path: "/readings", message: "must be an array of readings" });
  } else if (readings.length > limits.readingsPerBatchMax) {
    const message =
      `has ${readings.length} readings, at most ${limits.readingsPerBatchMax} fit: send several batches`;
    problems.push({ path: "/readings", message, tooLarge: true });
  } else if (readings.length === 0 && lost.length === 0 && previous === null) {
    problems.push({ path: "/readings", message: "is empty: send at least one reading" });
  }
  if (problems.length > 0 || !Array.isArray(readings)) return { kind: "problems", problems };
  const batch: Batch = {
    device,
    boot,
    everyMs,
    synced,
    pendingSinceMs,
    previous,
    lost,
    readings: readings.map(decodeReading),
    rawReading: (index) => JSON.stringify(readings[index]) ?? "",
  };
  return { kind: "batch", batch };
}

function decodeDevice(value: unknown, problems: Problem[]): string {
  const message = deviceNameProblem(value);
  if (message !== null) problems.push({ path: "/device", message });
  return typeof value === "string" ? value : "";
}

/** What is wrong with a device name, or null. Any printable text will do; the views escape it. */
export function deviceNameProblem(value: unknown): string | null {
  if (value === undefined || value === null) {
    return 'is missing: name the device, for instance "greenhouse-3"';
  }
  if (typeof value !== "string") return "must be a string";
  if (value.length === 0 || value.length > limits.deviceNameLengthMax) {
    return `must have 1 to ${limits.deviceNameLengthMax} characters, has ${value.length}`;
  }
  // deno-lint-ignore no-control-regex -- control characters are what it looks for
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(value)) return "must not contain control characters";
  if (!value.isWellFormed()) return "must be well-formed Unicode (it has half of a surrogate pair)";
  return null;
}

const integer = (min: number, max: number) => (value: unknown): number | string => {
  const number = value instanceof LongNumber ? Number(value.text) : value;
  return typeof number === "number" && Number.isInteger(number) && number >= min && number <= max
    ? number + 0 // −0 is 0
    : `must be an integer from ${min} to ${max}`;
};

function decodePrevious(value: unknown): { boot: number; slots: number } | string {
  if (!isObject(value)) return "must be an object with boot and slots";
  const boot = integer(0, Number.MAX_SAFE_INTEGER)(own(value, "boot"));
  const slots = integer(0, limits.slotsPerBootMax)(own(value, "slots"));
  if (typeof boot === "string") return `boot ${boot}`;
  if (typeof slots === "string") return `slots ${slots}`;
  return { boot, slots };
}

function decodeLost(value: unknown, problems: Problem[]): LostSpan[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    problems.push({ path: "/lost", message: "must be an array of spans" });
    return [];
  }
  if (value.length > limits.lostSpansPerBatchMax) {
    const message =
      `has ${value.length} spans, at most ${limits.lostSpansPerBatchMax} fit: send several batches`;
    problems.push({ path: "/lost", message });
    return [];
  }
  const slot = integer(0, limits.slotsPerBootMax - 1);
  const spans: LostSpan[] = [];
  value.forEach((span: unknown, i) => {
    const before = problems.length;
    const at = (name: string, message: string) => problems.push({ path: `/lost/${i}${name}`, message });
    if (!isObject(span)) return at("", "must be an object with from, to and reason");
    const [from, to, reason] = [
      slot(own(span, "from")),
      slot(own(span, "to")),
      own(span, "reason") ?? "unknown",
    ];
    if (typeof from === "string") at("/from", from);
    if (typeof to === "string") at("/to", to);
    if (!isWord(reason)) at("/reason", WORD_RULE);
    if (typeof from === "number" && typeof to === "number" && from > to) at("", "must have from ≤ to");
    if (problems.length === before) {
      spans.push({ from: from as number, to: to as number, reason: reason as string });
    }
  });
  return spans;
}

const WORD = /^[a-z0-9_]+$/;
const WORD_RULE = `must be a word of a–z, 0–9 and _, at most ${limits.wordLengthMax} characters`;
const isWord = (value: unknown): value is string =>
  typeof value === "string" && value.length <= limits.wordLengthMax && WORD.test(value);

function decodeReading(json: unknown): Reading | MalformedReading {
  if (!isObject(json)) {
    return { kind: "malformed", seq: null, tsMs: null, detail: "a reading must be an object" };
  }
  const faults: string[] = [];
  const optional = <T>(name: string, decode: (value: unknown) => T | string): T | null => {
    const value = own(json, name);
    if (value === undefined || value === null) return null;
    const decoded = decode(value);
    if (typeof decoded !== "string") return decoded;
    faults.push(`${name} ${decoded}`);
    return null;
  };
  const word = (value: unknown) => isWord(value) ? { word: value } : WORD_RULE;
  const seq = optional("seq", integer(0, limits.slotsPerBootMax - 1));
  const tsMs = optional("ts", integer(0, limits.eventMsMax));
  const temperatureMilliC = optional("temperature_c", channel);
  const humidityMilliPct = optional("humidity_pct", channel);
  const fault = optional("error", word)?.word ?? null;
  const flag = optional("flag", word)?.word ?? null;
  const hasValue = temperatureMilliC !== null || humidityMilliPct !== null;
  if (faults.length === 0 && !hasValue && fault === null) {
    faults.push("it carries neither temperature_c nor humidity_pct nor error");
  }
  if (faults.length === 0 && hasValue && fault !== null) faults.push("it carries both a value and an error");
  if (faults.length > 0) return { kind: "malformed", seq, tsMs, detail: faults.join("; ") };
  return { kind: "reading", seq, tsMs, temperatureMilliC, humidityMilliPct, fault, flag };
}

function channel(value: unknown): number | string {
  if (value instanceof LongNumber && Number.isFinite(Number(value.text))) {
    return thousandthsOfText(value.text);
  }
  if (typeof value === "number" && Number.isFinite(value)) return thousandths(value);
  return "must be a finite number";
}

/** What a record is, by its headers and key. */
export type RecordKind = "batch" | "tick" | "owner" | "device" | "release" | "rules";

/** Names of the headers; a record without them is a batch of version 1. */
export const headerNames = { version: "isotherm", kind: "isotherm-kind" } as const;
export const formatVersion = "1";

export type Classified =
  | { readonly kind: RecordKind }
  /** A record that this build must not guess at: the partition stops with `sentence`. */
  | { readonly kind: "unknown"; readonly sentence: string };

const TICK: Classified = { kind: "tick" };
const BATCH: Classified = { kind: "batch" };
const controlKinds: ReadonlySet<string> = new Set<RecordKind>([
  "batch",
  "tick",
  "owner",
  "device",
  "release",
  "rules",
]);

/** Tells what a record is without decoding its value. */
export function classify(
  record: {
    readonly partition: number;
    readonly offset: number;
    readonly value: Uint8Array | null;
    readonly headers: Readonly<Record<string, string>>;
  },
): Classified {
  const version = record.headers[headerNames.version] ?? formatVersion;
  const kind = record.headers[headerNames.kind];
  // Called for every record: the usual ones leave here, without a text or an object of their own.
  if (version === formatVersion && kind === undefined) return record.value === null ? TICK : BATCH;
  const where = `record ${record.offset} of partition ${record.partition}`;
  if (version.split(".")[0] !== formatVersion) {
    const sentence = `${where} has version ${JSON.stringify(version)}, this build reads ${formatVersion}: ` +
      "run a newer Isotherm on this log; nothing was skipped";
    return { kind: "unknown", sentence };
  }
  if (kind === undefined) return { kind: record.value === null ? "tick" : "batch" };
  if (!controlKinds.has(kind)) {
    const sentence = `${where} is of the kind ${JSON.stringify(kind)}, which this build doesn't know: ` +
      "run a newer Isotherm on this log; nothing was skipped";
    return { kind: "unknown", sentence };
  }
  return { kind: kind as RecordKind };
}

/** Value of an owner record: who takes the partition. Its offset becomes the epoch. */
export interface OwnerRecord {
  readonly worker: string;
}

/** Value of a device record (its key is the device). */
export type DeviceRecord =
  | { readonly action: "retire" }
  | { readonly action: "rename"; readonly name: string };

/** Value of a release record (its key is the device): the quarantined reading's place, and the reading to count. */
export interface ReleaseRecord {
  readonly device: string;
  readonly offset: number;
  readonly index: number;
  readonly boot: number | null;
  readonly reading: Reading;
  /** JSON of the reading. */
  readonly raw: string;
}

type ControlDecoded<T> = { readonly kind: "ok"; readonly value: T } | {
  readonly kind: "bad";
  readonly detail: string;
};

function decodeControl<T>(
  value: Uint8Array | null,
  decode: (json: JsonObject) => T | string,
): ControlDecoded<T> {
  let json: unknown;
  try {
    json = parseJson(utf8.decode(value ?? new Uint8Array()));
  } catch {
    return { kind: "bad", detail: "the value is not JSON in UTF-8" };
  }
  if (!isObject(json)) return { kind: "bad", detail: "the value is not an object" };
  const decoded = decode(json);
  return typeof decoded === "string" ? { kind: "bad", detail: decoded } : { kind: "ok", value: decoded };
}

export function decodeOwner(value: Uint8Array | null): ControlDecoded<OwnerRecord> {
  return decodeControl(value, (json) => {
    const worker = own(json, "worker");
    return typeof worker === "string" && worker.length <= 256 ? { worker } : "worker must be a string";
  });
}

export function decodeDeviceRecord(value: Uint8Array | null): ControlDecoded<DeviceRecord> {
  return decodeControl<DeviceRecord>(value, (json) => {
    const action = own(json, "action");
    if (action === "retire") return { action };
    if (action !== "rename") return "action must be retire or rename";
    const name = own(json, "name");
    return deviceNameProblem(name) === null ? { action, name: name as string } : "name must be a device name";
  });
}

export function decodeRelease(value: Uint8Array | null): ControlDecoded<ReleaseRecord> {
  return decodeControl(value, (json) => {
    const device = own(json, "device");
    if (deviceNameProblem(device) !== null) return "device must be a device name";
    const offset = integer(0, Number.MAX_SAFE_INTEGER)(own(json, "offset"));
    const index = integer(0, limits.readingsPerBatchMax - 1)(own(json, "index"));
    if (typeof offset === "string") return `offset ${offset}`;
    if (typeof index === "string") return `index ${index}`;
    const boot = own(json, "boot") ?? null;
    if (boot !== null && typeof integer(0, Number.MAX_SAFE_INTEGER)(boot) === "string") {
      return "boot must be an integer";
    }
    const given = own(json, "reading");
    const reading = decodeReading(given);
    if (reading.kind === "malformed") return `reading: ${reading.detail}`;
    return {
      device: device as string,
      offset,
      index,
      boot: boot as number | null,
      reading,
      raw: JSON.stringify(given),
    };
  });
}
