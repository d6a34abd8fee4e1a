/**
 * What people publish over MQTT, as batches: our own JSON, bare numbers (ESPHome), Tasmota's `SENSOR` messages, and flat
 * JSON with temperature and humidity (Zigbee2MQTT and many others). Pure.
 *
 * The topic names the device, since brokers grant rights by topic: a payload that names another one is refused. Most
 * payloads carry no time; they are dated by the log, so one that the broker had retained is old and isn't taken.
 */
import { type Batch, decodeBatchText } from "../core/schema.ts";
import type { TopicMatch } from "./mqtt_topics.ts";

export type PayloadOutcome =
  /** Batches as JSON; `dated` if every reading carries its time. */
  | { readonly kind: "batches"; readonly texts: readonly string[]; readonly dated: boolean }
  /** Nothing about temperature or humidity: expected, not worth a word. */
  | { readonly kind: "other" }
  /** It should have been a reading. */
  | { readonly kind: "bad"; readonly reason: string };

type Channel = "temperature_c" | "humidity_pct";

const utf8 = new TextDecoder("utf-8", { fatal: true });
const NUMBER = /^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$/;

/** Reads a message. */
export function readPayload({ device, sensor }: TopicMatch, payload: Uint8Array): PayloadOutcome {
  let text: string;
  try {
    text = utf8.decode(payload).trim();
  } catch {
    return { kind: "bad", reason: "the payload is not UTF-8" };
  }
  if (!text.startsWith("{")) return bareValue(device, sensor, text);
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(text);
  } catch {
    return { kind: "bad", reason: "the payload is not JSON" };
  }
  if (isOurs(json)) return ourBatch(device, json, text);
  if (Object.hasOwn(json, "TempUnit") || Object.hasOwn(json, "Time")) return tasmota(device, json);
  return flat(device, json);
}

/** ESPHome: one number for each topic; the sensor's name tells the channel. */
function bareValue(device: string, sensor: string, text: string): PayloadOutcome {
  const channel = channelOf(sensor);
  if (channel === null) return { kind: "other" };
  if (/^nan$/i.test(text)) return undated(device, '"error":"nan"');
  if (!NUMBER.test(text)) return { kind: "bad", reason: `${JSON.stringify(text.slice(0, 40))} is no number` };
  return undated(device, `"${channel}":${Number(text)}`);
}

function channelOf(name: string): Channel | null {
  if (/temp/i.test(name)) return "temperature_c";
  return /hum/i.test(name) ? "humidity_pct" : null;
}

const undated = (device: string, fields: string): PayloadOutcome => ({
  kind: "batches",
  texts: [`{"device":${JSON.stringify(device)},${fields}}`],
  dated: false,
});

const isOurs = (json: Record<string, unknown>) =>
  ["readings", "temperature_c", "humidity_pct", "error", "lost"].some((name) => Object.hasOwn(json, name));

function ourBatch(device: string, json: Record<string, unknown>, text: string): PayloadOutcome {
  if (Object.hasOwn(json, "device") && json.device !== device) {
    const reason = `the payload names the device ${JSON.stringify(json.device)}, the topic ${
      JSON.stringify(device)
    }`;
    return { kind: "bad", reason };
  }
  const whole = Object.hasOwn(json, "device") ? text : `{"device":${JSON.stringify(device)},${text.slice(1)}`;
  const decoded = decodeBatchText(whole);
  if (decoded.kind === "problems") {
    const [{ path, message }] = decoded.problems as readonly [{ path: string; message: string }];
    return { kind: "bad", reason: `${path || "the batch"} ${message}` };
  }
  return { kind: "batches", texts: [whole], dated: isDated(decoded.batch) };
}

const isDated = (batch: Batch) =>
  batch.readings.every(({ tsMs, seq }) => tsMs !== null || (batch.boot !== null && seq !== null));

/** Tasmota: a member for each sensor, `{"Time":"…","AM2301":{"Temperature":21.4,"Humidity":48.2},"TempUnit":"C"}`. */
function tasmota(device: string, json: Record<string, unknown>): PayloadOutcome {
  if (json.TempUnit === "F") {
    return { kind: "bad", reason: "temperatures are taken in °C only: SetOption8 0" };
  }
  const sensors = Object.entries(json).filter(([, value]) =>
    isObject(value) && (Object.hasOwn(value, "Temperature") || Object.hasOwn(value, "Humidity"))
  ) as [string, Record<string, unknown>][];
  if (sensors.length === 0) return { kind: "other" };
  const texts = sensors.map(([name, values]) => {
    const fields = channelsOf(values, "Temperature", "Humidity") ?? '"error":"no_value"';
    const full = sensors.length === 1 ? device : `${device}/${name}`;
    return `{"device":${JSON.stringify(full)},${fields}}`;
  });
  return { kind: "batches", texts, dated: false };
}

/** Flat JSON: `{"temperature":21.4,"humidity":48.2,"battery":90}`. */
function flat(device: string, json: Record<string, unknown>): PayloadOutcome {
  const fields = channelsOf(json, "temperature", "humidity");
  return fields === null ? { kind: "other" } : undated(device, fields);
}

/** The numbers among two members, as our fields; null if there are none. */
function channelsOf(values: Record<string, unknown>, temperature: string, humidity: string): string | null {
  const fields: string[] = [];
  const take = (name: string, channel: Channel) => {
    const value = Object.hasOwn(values, name) ? values[name] : null;
    if (typeof value === "number" && Number.isFinite(value)) fields.push(`"${channel}":${value}`);
  };
  take(temperature, "temperature_c");
  take(humidity, "humidity_pct");
  return fields.length === 0 ? null : fields.join(",");
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
