/** Builders of rows for tests: defaults everywhere, so that every field that is shown matters. */
import type { LogRecord, RecordBlock } from "../ports/log.ts";
import { ReadingBlock } from "../reading_block.ts";
import type { Changes, Needs } from "../ports/store.ts";
import type {
  AlertRow,
  BootRow,
  ChannelRow,
  DeviceRow,
  PositionRow,
  QuarantineRow,
  ReadingRow,
  ReleaseRow,
  WindowRow,
} from "../rows.ts";

/** 2026-01-01T00:00:00Z: where the builders' time starts. */
export const startMs = 1_767_225_600_000;

/** A counted reading of "desk": 21.5 °C and 40 %. */
export function readingRow(fields: Partial<ReadingRow> = {}): ReadingRow {
  return {
    device: "desk",
    boot: 1,
    seq: 0,
    tsMs: startMs,
    appendMs: startMs + 500,
    offset: 0,
    index: 0,
    temperatureMilliC: 21_500,
    humidityMilliPct: 40_000,
    fault: null,
    flag: null,
    late: false,
    timeUncertain: false,
    released: false,
    everyMs: 10_000,
    ...fields,
  };
}

/** A reading of "desk" that was out of range. */
export function quarantineRow(fields: Partial<QuarantineRow> = {}): QuarantineRow {
  return {
    device: "desk",
    boot: 1,
    seq: 0,
    tsMs: startMs,
    appendMs: startMs + 500,
    offset: 0,
    index: 0,
    reason: "out_of_range",
    detail: "temperature -200 °C is outside -40 to 80 °C",
    raw: '{"seq":0,"temperature_c":-200}',
    ...fields,
  };
}

export function releaseRow(fields: Partial<ReleaseRow> = {}): ReleaseRow {
  return { device: "desk", offset: 0, index: 0, byOffset: 1, ...fields };
}

/** The same records side by side in one buffer, as a fast reader gives them. */
export function recordBlock(records: readonly LogRecord[]): RecordBlock {
  const bytes = new Uint8Array(records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0));
  const [starts, ends, plain] = [[], [], []] as [number[], number[], number[]];
  let end = 0;
  for (const { value, headers } of records) {
    starts.push(value === null ? -1 : end);
    if (value !== null) bytes.set(value, end);
    end += value?.length ?? 0;
    ends.push(end);
    const isUsual = Object.entries(headers).every(([name, text]) => name === "isotherm" && text === "1");
    plain.push(value !== null && isUsual ? 1 : 0);
  }
  return {
    partition: records[0]?.partition ?? 0,
    length: records.length,
    offsets: Float64Array.from(records, ({ offset }) => offset),
    appendMs: Float64Array.from(records, ({ appendMs }) => appendMs),
    bytes,
    starts: Int32Array.from(starts),
    ends: Int32Array.from(ends),
    plain: Uint8Array.from(plain),
    record: (index) => records[index]!,
    head: (count) => recordBlock(records.slice(0, count)),
  };
}

/** The same readings in columns, as a fold hands them over. */
export function readingBlock(rows: readonly ReadingRow[]): ReadingBlock {
  const block = new ReadingBlock();
  const newest = new Map<string, number>();
  for (const row of rows) {
    if (!newest.has(row.device)) block.devices.push(row.device);
    const number = block.devices.indexOf(row.device);
    newest.set(row.device, block.pushRow(row, number, newest.get(row.device) ?? -1));
  }
  return block;
}

/** A channel of one value. */
export function channelRow(value: number, fields: Partial<ChannelRow> = {}): ChannelRow {
  return {
    count: 1,
    sum: value,
    sumSquares: BigInt(value) * BigInt(value),
    min: value,
    max: value,
    first: value,
    last: value,
    firstKey: "k",
    lastKey: "k",
    p50: value,
    p95: value,
    ...fields,
  };
}

/** A channel without values. */
export const emptyChannel: ChannelRow = {
  count: 0,
  sum: 0,
  sumSquares: 0n,
  min: null,
  max: null,
  first: null,
  last: null,
  firstKey: null,
  lastKey: null,
  p50: null,
  p95: null,
};

/** A minute of "desk", closed by its watermark, with one reading. */
export function windowRow(fields: Partial<WindowRow> = {}): WindowRow {
  const start = fields.startMs ?? startMs;
  return {
    device: "desk",
    windowSize: "1m",
    startMs: start,
    endMs: start + 60_000,
    readings: 1,
    sensorFaults: 0,
    late: 0,
    timeUncertain: 0,
    everyMs: 10_000,
    oldestAppendMs: startMs + 500,
    temperature: channelRow(21_500),
    humidity: channelRow(40_000),
    closedBy: "watermark",
    revision: 0,
    replaces: null,
    changedAppendMs: startMs + 90_500,
    changedOffset: 1,
    ...fields,
  };
}

/** "desk" after one counted reading; no watermark. */
export function deviceRow(fields: Partial<DeviceRow> = {}): DeviceRow {
  return {
    device: "desk",
    firstAppendMs: startMs + 500,
    lastAppendMs: startMs + 500,
    lastOffset: 0,
    highestEventMs: startMs,
    pendingSinceMs: null,
    watermarkMs: null,
    everyMs: 10_000,
    currentBoot: 1,
    displayName: null,
    retired: false,
    sharedName: false,
    counted: 1,
    countedLate: 0,
    sensorFault: 0,
    quarantined: 0,
    duplicates: 0,
    released: 0,
    unsequencedHighestMs: null,
    unsequencedExpiredMs: null,
    unsequencedDays: "",
    quarantineDay: 0,
    quarantinedToday: 0,
    ...fields,
  };
}

/** Boot 1 of "desk" with slot 0 counted. */
export function bootRow(fields: Partial<BootRow> = {}): BootRow {
  return {
    device: "desk",
    boot: 1,
    firstAppendMs: startMs + 500,
    heard: true,
    firstEventMs: startMs,
    lastEventMs: startMs,
    slots: 1,
    counted: 1,
    countedLate: 0,
    sensorFault: 0,
    quarantined: 0,
    lost: 0,
    spans: "0-0:f",
    ...fields,
  };
}

/** Partition 0 after its first record. */
export function positionRow(fields: Partial<PositionRow> = {}): PositionRow {
  return {
    partition: 0,
    nextOffset: 1,
    appendHighMs: startMs + 500,
    epoch: -1,
    lastOffset: 0,
    lastHash: "00",
    configHash: "11",
    ...fields,
  };
}

/** "warm" fired for "desk" at the end of its first minute. */
export function alertRow(fields: Partial<AlertRow> = {}): AlertRow {
  return {
    partition: 0,
    offset: 1,
    index: 0,
    appendMs: startMs + 90_500,
    kind: "fired",
    rule: "warm",
    device: "desk",
    atMs: startMs + 60_000,
    valueMilli: 31_000,
    sentence: "mean of 31 °C, above 30 °C",
    windowSize: "1m",
    startMs,
    previousStartMs: null,
    isPast: false,
    ...fields,
  };
}

/** A transaction; what isn't named is empty. */
export function changes(fields: Partial<Changes> = {}): Changes {
  return {
    position: positionRow(),
    readings: [],
    quarantined: [],
    released: [],
    gaps: [],
    windows: [],
    devices: [],
    boots: [],
    alerts: { alerts: [], rules: [], states: [] },
    ...fields,
  };
}

/** What a fold asks for; what isn't named is empty. */
export function needs(fields: Partial<Needs> = {}): Needs {
  return { readings: [], windows: [], ...fields };
}
