/**
 * Rows as the endpoints show them (docs/endpoints.md): names and values of the SQL views, times in ISO 8601. Pure.
 */
import type { DeviceView } from "../core/partition.ts";
import type { LastReading } from "../core/device.ts";
import type { AlertRow, ChannelRow, DeviceRow, QuarantineRow, ReadingRow, WindowRow } from "../core/rows.ts";

export const timeText = (ms: number): string => new Date(ms).toISOString();
export const timeOrNull = (ms: number | null): string | null => ms === null ? null : timeText(ms);
const unit = (thousandths: number | null): number | null => thousandths === null ? null : thousandths / 1_000;

type Json = Record<string, unknown>;

/** Identity of an alert: its place in the log. */
export const alertId = ({ partition, offset, index }: AlertRow): string => `${partition}-${offset}-${index}`;

/** A row of `alerts`. */
export function alertShape(row: AlertRow): Json {
  return {
    alert_id: alertId(row),
    kind: row.kind,
    rule: row.rule,
    device: row.device,
    alert_time: timeText(row.atMs),
    value: unit(row.valueMilli),
    sentence: row.sentence,
    window_size: row.windowSize,
    window_start: timeOrNull(row.startMs),
    previous_window_start: timeOrNull(row.previousStartMs),
    past: row.isPast,
    decided_at: timeText(row.appendMs),
    log_partition: row.partition,
    log_offset: row.offset,
    log_index: row.index,
  };
}

/** A row of `windows_live`. */
export function windowShape(row: WindowRow): Json {
  return {
    device: row.device,
    window_size: row.windowSize,
    window_start: timeText(row.startMs),
    window_end: timeText(row.endMs),
    open: row.closedBy === null,
    closed_by: row.closedBy,
    revision: row.revision,
    changed_at: timeOrNull(row.changedAppendMs),
    changed_by_offset: row.changedOffset,
    readings: row.readings,
    sensor_faults: row.sensorFaults,
    late: row.late,
    time_uncertain: row.timeUncertain,
    expected: row.everyMs === null ? null : Math.floor((row.endMs - row.startMs) / row.everyMs),
    every_ms: row.everyMs,
    ...channelShape("temperature_c", row.temperature),
    ...channelShape("humidity_pct", row.humidity),
    temperature_milli_c_sum: row.temperature.sum,
    humidity_milli_pct_sum: row.humidity.sum,
  };
}

function channelShape(name: string, channel: ChannelRow): Json {
  return {
    [`${name}_count`]: channel.count,
    [`${name}_mean`]: channel.count === 0 ? null : channel.sum / (1_000 * channel.count),
    [`${name}_min`]: unit(channel.min),
    [`${name}_max`]: unit(channel.max),
    [`${name}_first`]: unit(channel.first),
    [`${name}_last`]: unit(channel.last),
    [`${name}_p50`]: unit(channel.p50),
    [`${name}_p95`]: unit(channel.p95),
    [`${name}_stddev`]: deviation(channel),
  };
}

/** Sample standard deviation, from exact integers up to the one division. */
function deviation({ count, sum, sumSquares }: ChannelRow): number | null {
  if (count < 2) return null;
  const numerator = Number(sumSquares * BigInt(count) - BigInt(sum) * BigInt(sum));
  return Math.sqrt(numerator / (count * (count - 1))) / 1_000;
}

/** One version in a list of them. */
export function versionShape(row: WindowRow): Json {
  return {
    revision: row.revision,
    closed_by: row.closedBy,
    changed_at: timeOrNull(row.changedAppendMs),
    changed_by_offset: row.changedOffset,
    readings: row.readings,
    sensor_faults: row.sensorFaults,
    late: row.late,
  };
}

export function deviceShape(row: DeviceRow, last: LastReading | null): Json {
  return {
    device: row.device,
    display_name: row.displayName,
    last_heard: timeText(row.lastAppendMs),
    last_offset: row.lastOffset,
    last_reading: last === null ? null : {
      ts: timeText(last.tsMs),
      temperature_c: unit(last.temperatureMilliC),
      humidity_pct: unit(last.humidityMilliPct),
      fault: last.fault,
      flag: last.flag,
    },
    watermark: timeOrNull(row.watermarkMs),
    pending_since: timeOrNull(row.pendingSinceMs),
    every_ms: row.everyMs,
    current_boot: row.currentBoot,
    retired: row.retired,
    shared_name: row.sharedName,
    counted: row.counted,
    counted_late: row.countedLate,
    sensor_fault: row.sensorFault,
    quarantined: row.quarantined,
    duplicates: row.duplicates,
    released: row.released,
  };
}

export function readingShape(row: ReadingRow, partition: number): Json {
  return {
    ts: timeText(row.tsMs),
    boot: row.boot,
    seq: row.seq,
    temperature_c: unit(row.temperatureMilliC),
    humidity_pct: unit(row.humidityMilliPct),
    fault: row.fault,
    flag: row.flag,
    late: row.late,
    time_uncertain: row.timeUncertain,
    released: row.released,
    append_time: timeText(row.appendMs),
    log_partition: partition,
    log_offset: row.offset,
    log_index: row.index,
  };
}

export function quarantineShape(row: QuarantineRow, partition: number): Json {
  return {
    ts: timeOrNull(row.tsMs),
    boot: row.boot,
    seq: row.seq,
    reason: row.reason,
    detail: row.detail,
    raw: row.raw,
    append_time: timeText(row.appendMs),
    log_partition: partition,
    log_offset: row.offset,
    log_index: row.index,
  };
}

export function duplicateShape(note: DeviceView["duplicates"][number], partition: number): Json {
  return {
    ts: timeText(note.tsMs),
    boot: note.boot,
    seq: note.seq,
    append_time: timeText(note.appendMs),
    log_partition: partition,
    log_offset: note.offset,
    log_index: note.index,
  };
}
