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
  if (eventMs < limits.eventMsMin) {
    return { reason: "no_time", detail: `ts ${eventMs} is before 2015: the device's clock was not set` };
  }
  if (eventMs > appendMs + config.futureMs) {
    const aheadSeconds = Math.round((eventMs - appendMs) / 1_000);
    return { reason: "future", detail: `ts lies ${aheadSeconds} s ahead of the log's time` };
  }
  return outOfRange(reading);
}

function outOfRange(reading: Reading): Verdict | null {
  const { temperatureMilliC: temperature, humidityMilliPct: humidity } = reading;
  if (
    temperature !== null &&
    (temperature < limits.temperatureMilliCMin || temperature > limits.temperatureMilliCMax)
  ) return { reason: "out_of_range", detail: `temperature_c ${temperature / 1_000} is outside −40…80 °C` };
  if (humidity !== null && (humidity < limits.humidityMilliPctMin || humidity > limits.humidityMilliPctMax)) {
    return { reason: "out_of_range", detail: `humidity_pct ${humidity / 1_000} is outside 0…100 %` };
  }
  return null;
}
