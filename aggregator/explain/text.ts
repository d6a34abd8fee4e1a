/** The answer of `/explain` as text for a person. Pure. */

type Json = Record<string, unknown>;

/** Readings that are written out; of more the rest is counted. */
const READINGS_WRITTEN_MAX = 40;

/** The lines. */
export function explanationLines(answer: Json): string[] {
  const list = (name: string) => (answer[name] ?? []) as Json[];
  const row = answer.row as Json | null;
  const duplicates = answer.duplicates as Json | null;
  const device = answer.device_state as Json | null;
  const log = answer.log as Json;
  const readings = list("readings");
  const hidden = Math.max(0, readings.length - READINGS_WRITTEN_MAX) + Number(answer.readings_more ?? 0);
  return [
    `${answer.device}, ${answer.window_size} from ${answer.window_start} to ${answer.window_end}: ${answer.state}`,
    String(answer.sentence),
    ...row === null ? [] : ["", ...rowLines(row)],
    ...section("Versions", list("versions").map(versionLine)),
    ...section(
      answer.readings_expired ? "Readings (older ones have expired)" : "Readings",
      readings.slice(0, READINGS_WRITTEN_MAX).map(readingLine),
    ),
    ...hidden === 0 ? [] : [`  … and ${hidden} more`],
    ...section("Quarantined in and around it", list("quarantined").map(quarantineLine)),
    ...section(
      "Duplicates of its readings",
      ((duplicates?.in_window ?? []) as Json[]).map((each) => `  ${each.ts}  ${placeText(each)}`),
    ),
    "",
    ...device === null ? [] : [deviceLine(device)],
    `The rows go up to offset ${log.next_offset} of partition ${log.partition} (${log.append_time}).`,
  ];
}

const section = (title: string, lines: readonly string[]) =>
  lines.length === 0 ? [] : ["", `${title}:`, ...lines];

function rowLines(row: Json): string[] {
  const expected = row.expected === null ? "" : ` of ${row.expected} expected`;
  const counts = `${row.readings} readings${expected}, ${row.sensor_faults} sensor faults, ${row.late} late`;
  const channel = (name: string, unit: string) =>
    Number(row[`${name}_count`]) === 0
      ? `  no ${unit}`
      : `  ${number(row[`${name}_mean`])} ${unit} (${number(row[`${name}_min`])} to ${
        number(row[`${name}_max`])
      }, ` +
        `median ${number(row[`${name}_p50`])})`;
  return [counts, channel("temperature_c", "°C"), channel("humidity_pct", "%")];
}

const number = (value: unknown) =>
  typeof value === "number" ? String(Math.round(value * 1_000) / 1_000) : "–";

const versionLine = (version: Json) =>
  `  revision ${version.revision}  ${version.readings} readings, ${version.sensor_faults} faults, ${version.late} late` +
  `  made by record ${version.changed_by_offset} at ${version.changed_at}`;

const placeText = (row: Json) =>
  `record ${row.log_offset}${row.log_index === 0 ? "" : ` #${row.log_index}`} at ${row.append_time}`;

function readingLine(row: Json): string {
  const values = row.fault === null
    ? `${row.temperature_c ?? "–"} °C  ${row.humidity_pct ?? "–"} %`
    : `no value: ${row.fault}`;
  const marks = ["late", "time_uncertain", "released"].filter((name) => row[name] === true);
  if (row.flag !== null) marks.push(String(row.flag));
  const slot = row.seq === null ? "" : `  slot ${row.seq}`;
  return `  ${row.ts}${slot}  ${values}  ${placeText(row)}${
    marks.length === 0 ? "" : `  (${marks.join(", ")})`
  }`;
}

const quarantineLine = (row: Json) =>
  `  ${row.ts ?? "no time"}  ${row.reason}: ${row.detail}  ${placeText(row)}${
    row.in_window ? "" : "  (beside it)"
  }`;

function deviceLine(device: Json): string {
  const every = device.every_ms === null ? "" : `, every ${Number(device.every_ms) / 1_000} s`;
  const pending = device.pending_since === null
    ? ""
    : `, readings since ${device.pending_since} still to come`;
  return `The device: last heard ${device.last_heard}${every}, complete up to ${
    device.watermark ?? "nowhere"
  }${pending}; ` +
    `${device.duplicates} duplicates and ${device.quarantined} quarantined in all.`;
}
