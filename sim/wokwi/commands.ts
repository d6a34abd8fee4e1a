/** The commands of the protocol with their parameters: what each field may hold, and how a wrong one is told. */
import type { CommandFrame } from "./frames.ts";
import { isRefusal, listOf, type Refusal, refusal } from "./refusal.ts";

/** Bounds of what a client may send; a value beyond is refused with a sentence. */
export const commandLimits = {
  /** Names of files, parts, pins, controls and pause points. */
  nameLengthMax: 256,
  /** Bytes to the serial port in one command: a file that mpremote sends comes in portions of 256. */
  serialBytesMax: 1 << 20,
  /** A sequence that a pause point waits for. */
  pauseBytesMax: 4_096,
  /** Parts of a flash image; ESP-IDF makes three to five. */
  sectionsMax: 64,
} as const;

/** A parameter: the value, or what it must be. */
type Field<T> = (value: unknown) => { readonly value: T } | { readonly must: string };
type Fields = Readonly<Record<string, Field<unknown>>>;
type Values<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

const text: Field<string> = (value) => typeof value === "string" ? { value } : { must: "be text" };

const name: Field<string> = (value) => {
  const fits = typeof value === "string" && value.length > 0 && value.length <= commandLimits.nameLengthMax;
  return fits ? { value } : { must: `be text of 1 to ${commandLimits.nameLengthMax} characters` };
};

/** Scenarios write pins as numbers, too. */
const pinName: Field<string> = (value) => name(typeof value === "number" ? String(value) : value);

const number: Field<number> = (value) => {
  const given = typeof value === "boolean" ? Number(value) : value;
  return typeof given === "number" && Number.isFinite(given) ? { value: given } : { must: "be a number" };
};

const nanos: Field<number> = (value) =>
  typeof value === "number" && Number.isFinite(value) && value >= 0
    ? { value: Math.round(value) }
    : { must: "be a number of nanoseconds, 0 or more" };

const level: Field<0 | 1> = (value) => {
  const given = typeof value === "boolean" ? Number(value) : value;
  return given === 0 || given === 1 ? { value: given } : { must: "be 0 or 1" };
};

const flag: Field<boolean> = (value) => typeof value === "boolean" ? { value } : { must: "be true or false" };

const oneOf = <const T extends string>(...words: readonly T[]): Field<T> => (value) => {
  const found = words.find((word) => word === value);
  return found === undefined ? { must: `be one of ${listOf(words)}` } : { value: found };
};

const bytes = (min: number, max: number): Field<readonly number[]> => (value) => {
  const fits = Array.isArray(value) && value.length >= min && value.length <= max &&
    value.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255);
  return fits ? { value } : { must: `be a list of ${min} to ${max} numbers from 0 to 255` };
};

/** Absent, or null. */
const optional = <T>(field: Field<T>): Field<T | null> => (value) =>
  value === undefined || value === null ? { value: null } : field(value);

/** A part of a flash image and where it lies. */
export interface FlashSection {
  readonly offset: number;
  readonly file: string;
}

const firmware: Field<string | readonly FlashSection[]> = (value) => {
  const must = `be a file's name, or a list of 1 to ${commandLimits.sectionsMax} of { offset, file }`;
  if (!Array.isArray(value)) {
    const file = name(value);
    return "value" in file ? file : { must };
  }
  const sections = value.map((section: unknown): FlashSection | null => {
    if (typeof section !== "object" || section === null) return null;
    const { offset, file } = section as { offset?: unknown; file?: unknown };
    const isOffset = Number.isSafeInteger(offset) && (offset as number) >= 0;
    return isOffset && typeof file === "string" ? { offset: offset as number, file } : null;
  }).filter((section) => section !== null);
  const fits = sections.length === value.length && value.length > 0 &&
    value.length <= commandLimits.sectionsMax;
  return fits ? { value: sections } : { must };
};

const names: Field<readonly string[]> = (value) =>
  Array.isArray(value) && value.length <= 100 && value.every((item) => typeof item === "string")
    ? { value }
    : { must: "be a list of at most 100 names" };

const anything: Field<unknown> = (value) => ({ value });

const fieldsOf = {
  "file:upload": { name, text: optional(text), binary: optional(text) },
  "file:download": { name },
  "sim:start": {
    firmware: optional(firmware),
    flashSize: anything,
    elf: anything,
    chips: optional(names),
    pause: optional(flag),
    sdcards: anything,
  },
  "sim:pause": {},
  "sim:resume": { pauseAfter: optional(nanos) },
  "sim:restart": { pause: optional(flag) },
  "sim:status": {},
  "serial-monitor:listen": {},
  "serial-monitor:write": { bytes: bytes(0, commandLimits.serialBytesMax) },
  "pause-point:add": {
    id: name,
    type: oneOf("time-absolute", "time-relative", "serial-bytes", "pin"),
    nanos: optional(nanos),
    bytes: optional(bytes(1, commandLimits.pauseBytesMax)),
    part: optional(name),
    pin: optional(pinName),
    value: optional(level),
  },
  "pause-point:remove": { id: name },
  "control:set": { part: name, control: name, value: number },
  "pin:read": { part: name, pin: pinName },
  "pin:listen": { part: name, pin: pinName, listen: optional(flag) },
  "gpio:list": {},
  "framebuffer:read": { id: name },
  "touch:event": {
    part: name,
    x: number,
    y: number,
    event: oneOf("press", "release", "move"),
    releaseAfter: optional(nanos),
  },
  "sim:read-vcd": {},
  "sdcard:export": { format: oneOf("image", "files"), part: optional(name) },
} as const satisfies Readonly<Record<string, Fields>>;

export type CommandName = keyof typeof fieldsOf;
export type ParamsOf<N extends CommandName> = Values<(typeof fieldsOf)[N]>;

/** A command with parameters that hold what they must. */
export type Command = { readonly [N in CommandName]: { readonly name: N; readonly params: ParamsOf<N> } }[
  CommandName
];

/** Every command that is known. */
export const commandNames = Object.keys(fieldsOf) as CommandName[];

/** The command that a frame holds. Fields that nobody knows are ignored: newer clients may send more. */
export function decodeCommand({ command, params }: CommandFrame): Command | Refusal {
  if (!Object.hasOwn(fieldsOf, command)) {
    return refusal(404, `there is no command ${JSON.stringify(command)}; known are ${listOf(commandNames)}`);
  }
  const decoded = decodeParams(command, fieldsOf[command as CommandName], params);
  if (isRefusal(decoded)) return decoded;
  return { name: command, params: decoded } as Command;
}

function decodeParams(command: string, fields: Fields, params: CommandFrame["params"]) {
  const values: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(fields)) {
    const read = field(Object.hasOwn(params, key) ? params[key] : undefined);
    if ("must" in read) return refusal(400, `${command}: "${key}" must ${read.must}`);
    values[key] = read.value;
  }
  return values;
}
