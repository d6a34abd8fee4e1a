/**
 * Points of InfluxDB's line protocol as batches. Temperature and humidity may come in one point or in several; points of
 * one device and time become one reading. There is no boot or seq, so a reading's identity is device, time and channel,
 * and a write that is sent again counts once. A point without timestamp is dated by the log. Pure.
 *
 * Which tag names the device, and which field is which channel, follows what people's writers send: Telegraf, ESPHome and
 * the Arduino client (a tag and fields named for what they are), Home Assistant (measurement = unit, tag `entity_id`,
 * field `value`).
 */
import { limits } from "../core/limits.ts";
import { deviceNameProblem } from "../core/schema.ts";

import type { LineProblem, Point } from "./line_protocol.ts";
import { type Parcel, readParcel } from "./parcel.ts";

/** Tags that may name the device, the first one present wins: the nearer to the sensor, the earlier. */
export const deviceTags = [
  "device",
  "device_id",
  "sensor",
  "sensor_id",
  "node",
  "id",
  "name",
  "entity_id",
  "host",
] as const;

const TEMPERATURE = /^(temperature|temp)(_?c|_celsius)?$|^t$/i;
const HUMIDITY = /^(relative_)?(humidity|hum)(_?(pct|percent))?$|^rh$|^h$/i;
const FAHRENHEIT = /_?f(ahrenheit)?$/i;
/** What Home Assistant appends to a device's name in `entity_id`. */
const ENTITY_SUFFIX = /_(temperature|humidity|temp|hum)$/i;

type Channel = "temperature_c" | "humidity_pct";

/** Milliseconds in a unit of `precision`, as a fraction; null for an unknown one. */
const precisions: Readonly<Record<string, readonly [numerator: bigint, denominator: bigint]>> = {
  ns: [1n, 1_000_000n],
  n: [1n, 1_000_000n],
  us: [1n, 1_000n],
  u: [1n, 1_000n],
  "µ": [1n, 1_000n],
  ms: [1n, 1n],
  s: [1_000n, 1n],
  m: [60_000n, 1n],
  h: [3_600_000n, 1n],
};

export const precisionNames: readonly string[] = Object.keys(precisions);

/** Unix ms of a timestamp, rounded down; null if it is before 1970 or beyond what a number holds. */
export function timestampMs(digits: string, precision: string): number | null {
  const [numerator, denominator] = precisions[precision]!;
  const ms = (BigInt(digits) * numerator) / denominator;
  return ms < 0n || ms > BigInt(Number.MAX_SAFE_INTEGER) ? null : Number(ms);
}

interface OneReading {
  tsMs: number | null;
  readonly values: Map<Channel, string>;
}

export interface Mapped {
  readonly parcels: readonly Parcel[];
  readonly readings: number;
  readonly problems: readonly LineProblem[];
}

/** Makes batches of points; a point that is no reading is a problem of its line. */
export function mapPoints(points: readonly Point[], precision: string): Mapped {
  const devices = new Map<string, OneReading[]>();
  /** The reading of a device and time that takes further channels. */
  const open = new Map<string, OneReading>();
  const problems: LineProblem[] = [];
  let readings = 0;
  for (const point of points) {
    const device = deviceOf(point);
    const values = channelsOf(point);
    const tsMs = point.timestamp === null ? null : timestampMs(point.timestamp, precision);
    const wrong = deviceNameProblem(device) ?? null;
    if (typeof values === "string" || wrong !== null || (tsMs === null && point.timestamp !== null)) {
      const message = wrong !== null
        ? `no tag names the device (${deviceTags.join(", ")}), or its name ${wrong}`
        : typeof values === "string"
        ? values
        : "the timestamp is out of range: check the precision";
      problems.push({ line: point.line, message });
      continue;
    }
    const key = `${tsMs} ${device}`;
    let reading = open.get(key);
    if (reading === undefined || [...values.keys()].some((channel) => reading!.values.has(channel))) {
      reading = { tsMs, values: new Map() };
      open.set(key, reading);
      const list = devices.get(device!);
      if (list === undefined) devices.set(device!, [reading]);
      else list.push(reading);
      readings++;
    }
    for (const [channel, value] of values) reading.values.set(channel, value);
  }
  const parcels = [...devices].flatMap(([device, list]) => parcelsOf(device, list));
  return { parcels, readings, problems };
}

function deviceOf({ tags }: Point): string | undefined {
  for (const name of deviceTags) {
    const value = tags.get(name);
    if (value !== undefined && value !== "") {
      return name === "entity_id" ? value.replace(ENTITY_SUFFIX, "") : value;
    }
  }
  return undefined;
}

/** The channels of a point with their numbers, or why there are none. */
function channelsOf({ measurement, tags, fields }: Point): Map<Channel, string> | string {
  const values = new Map<Channel, string>();
  for (const [field, value] of fields) {
    const channel = field.toLowerCase() === "value"
      ? channelOfValue(measurement, tags.get("entity_id") ?? "")
      : TEMPERATURE.test(field)
      ? "temperature_c"
      : HUMIDITY.test(field)
      ? "humidity_pct"
      : null;
    if (channel !== null) values.set(channel, value);
  }
  if (values.size > 0) return values;
  return FAHRENHEIT.test(measurement) ||
      [...fields.keys()].some((field) => /^temp.*f(ahrenheit)?$/i.test(field))
    ? "temperatures are taken in °C only"
    : "it has no field temperature or humidity";
}

/** A field named `value` is what the measurement or the entity is named for. */
function channelOfValue(measurement: string, entity: string): Channel | null {
  if (measurement === "°C" || TEMPERATURE.test(measurement)) return "temperature_c";
  if (HUMIDITY.test(measurement) || (measurement === "%" && /hum/i.test(entity))) return "humidity_pct";
  return null;
}

const encoder = new TextEncoder();

/** Dated readings in batches, each undated one alone. */
function parcelsOf(device: string, list: readonly OneReading[]): Parcel[] {
  const name = JSON.stringify(device);
  const fieldsOf = ({ tsMs, values }: OneReading) =>
    [
      ...(tsMs === null ? [] : [`"ts":${tsMs}`]),
      ...[...values].map(([channel, value]) => `"${channel}":${value}`),
    ].join(
      ",",
    );
  const dated = list.filter(({ tsMs }) => tsMs !== null);
  const texts = list.filter(({ tsMs }) => tsMs === null).map((reading) =>
    `{"device":${name},${fieldsOf(reading)}}`
  );
  for (let start = 0; start < dated.length; start += limits.readingsPerBatchMax) {
    const some = dated.slice(start, start + limits.readingsPerBatchMax);
    texts.push(
      `{"device":${name},"readings":[${some.map((reading) => `{${fieldsOf(reading)}}`).join(",")}]}`,
    );
  }
  return texts.map((text) => {
    const read = readParcel(encoder.encode(text));
    if (read.kind === "problems") {
      throw new Error(`a batch made of points is none: ${read.problems[0]!.message}`);
    }
    return read.parcel;
  });
}
