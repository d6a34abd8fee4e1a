/** What can be said of a reading by itself and its append time; ingest tells the sender, the fold decides by it. */
import type { JudgeConfig } from "./config.ts";
import { limits } from "./limits.ts";
import type { QuarantineReason } from "./rows.ts";
import type { Batch, MalformedReading, Reading } from "./schema.ts";

export interface Verdict {
  readonly reason: QuarantineReason;
  /** One sentence for a person. */
  readonly detail: string;
}

/** A reading's event time: its `ts`, or the append time for a batch of one; null if there is none. */
export function eventTimeOf(
  reading: Reading | MalformedReading,
  batchLength: number,
  appendMs: number,
): number | null {
  return reading.tsMs ?? (batchLength === 1 ? appendMs : null);
}

/** Why reading `index` of `batch` can't be counted whatever else is known, or null. `appendMs`: when it is appended. */
export function inspect(
  batch: Pick<Batch, "readings">,
  index: number,
  appendMs: number,
  config: Pick<JudgeConfig, "futureMs">,
): Verdict | null {
  return inspectReading(batch.readings[index]!, batch.readings.length, appendMs, config);
}

export function inspectReading(
  reading: Reading | MalformedReading,
  batchLength: number,
  appendMs: number,
  config: Pick<JudgeConfig, "futureMs">,
): Verdict | null {
  if (reading.kind === "malformed") return { reason: "malformed", detail: reading.detail };
  const eventMs = eventTimeOf(reading, batchLength, appendMs);
  if (eventMs === null) {
    return { reason: "no_time", detail: "a batch of several readings needs a ts for each" };
  }
  if (isUnset(eventMs)) {
    return { reason: "no_time", detail: `ts ${eventMs} is before 2015: the device's clock was not set` };
  }
  if (isFuture(eventMs, appendMs, config)) {
    const aheadSeconds = Math.round((eventMs - appendMs) / 1_000);
    return { reason: "future", detail: `ts lies ${aheadSeconds} s ahead of the log's time` };
  }
  return outOfRange(reading);
}

function outOfRange(reading: Reading): Verdict | null {
  const { temperatureMilliC: temperature, humidityMilliPct: humidity } = reading;
  if (temperature !== null && isTemperatureOut(temperature)) {
    return { reason: "out_of_range", detail: `temperature_c ${temperature / 1_000} is outside −40…80 °C` };
  }
  if (humidity !== null && isHumidityOut(humidity)) {
    return { reason: "out_of_range", detail: `humidity_pct ${humidity / 1_000} is outside 0…100 %` };
  }
  return null;
}

/** A time of a clock that was never set. */
export const isUnset = (eventMs: number) => eventMs < limits.eventMsMin;
export const isFuture = (eventMs: number, appendMs: number, config: Pick<JudgeConfig, "futureMs">) =>
  eventMs > appendMs + config.futureMs;
export const isTemperatureOut = (temperature: number) =>
  temperature < limits.temperatureMilliCMin || temperature > limits.temperatureMilliCMax;
export const isHumidityOut = (humidity: number) =>
  humidity < limits.humidityMilliPctMin || humidity > limits.humidityMilliPctMax;
