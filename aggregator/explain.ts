/** `GET /explain`: what made one window of one device. Pure; `PartitionWorker` finds what it is made of. */
import { type Absence, absenceMeanings, absenceOf } from "../core/absence.ts";
import { WindowState } from "../core/accumulator.ts";
import type { JudgeConfig, WindowSpec } from "../core/config.ts";
import type { DeviceView } from "../core/partition.ts";
import type { Known } from "../core/ports/store.ts";
import type { QuarantineRow, ReadingRow, WindowRow } from "../core/rows.ts";
import type { Window } from "../core/windows.ts";
import {
  deviceShape,
  duplicateShape,
  quarantineShape,
  readingShape,
  timeText,
  versionShape,
  windowShape,
} from "./shapes.ts";

/** Readings and quarantined readings that are listed; the rest is counted. */
export const explainLimits = { readingsMax: 1_000, quarantinedMax: 200 } as const;

export interface ExplainQuery {
  readonly device: string;
  readonly spec: WindowSpec;
  readonly window: Window;
}

/** What was found, as of one position of the log. */
export interface ExplainFacts {
  readonly partition: number;
  readonly nextOffset: number;
  readonly appendHighMs: number;
  /** Null if the device was never heard of. */
  readonly view: DeviceView | null;
  /** Its readings in the window, its quarantined ones around it, all versions of the window. */
  readonly known: Known;
  readonly hasLostSlots: boolean;
}

/** The span in which quarantined readings are looked for: one window to each side, at most an hour. */
export function around({ startMs, endMs }: Window): Window {
  const sizeMs = Math.min(endMs - startMs, 3_600_000);
  return { startMs: startMs - sizeMs, endMs: endMs + sizeMs };
}

const isIn = (window: Window, tsMs: number) => window.startMs <= tsMs && tsMs < window.endMs;

/** The answer, as JSON. */
export function explanation(
  query: ExplainQuery,
  facts: ExplainFacts,
  config: JudgeConfig,
): Record<string, unknown> {
  const { device, spec, window } = query;
  const { partition, known, view } = facts;
  const readings = known.readings.filter((row) => row.device === device && isIn(window, row.tsMs));
  const versions = known.windows.toSorted((a, b) => a.revision - b.revision);
  const row = versions.at(-1) ?? openRow(query, readings);
  const quarantined = known.quarantined.filter((each) => each.device === device);
  const absence = row === null
    ? absenceOf(window, { ...facts, device: view?.row ?? null, firstMs: view?.firstMs ?? 0 }, config)
    : row.readings === 0
    ? "sensor_fault" as const
    : null;
  const arrivals = row === null ? 0 : row.readings + row.sensorFaults;
  return {
    device,
    window_size: spec.label,
    window_start: timeText(window.startMs),
    window_end: timeText(window.endMs),
    state: row === null ? "empty" : row.closedBy === null ? "open" : "closed",
    absence,
    sentence: sentenceOf(row, absence, versions),
    row: row && windowShape(row),
    versions: versions.map(versionShape),
    readings: readings.slice(0, explainLimits.readingsMax).map((each) => readingShape(each, partition)),
    readings_more: Math.max(0, readings.length - explainLimits.readingsMax),
    readings_expired: arrivals > readings.length,
    quarantined: quarantined.slice(0, explainLimits.quarantinedMax).map((each) =>
      quarantinedNear(each, window, partition)
    ),
    quarantined_more: Math.max(0, quarantined.length - explainLimits.quarantinedMax),
    duplicates: view && {
      device_total: view.row.duplicates,
      known_since: view.duplicatesSinceMs === 0 ? null : timeText(view.duplicatesSinceMs),
      in_window: view.duplicates.filter(({ tsMs }) => isIn(window, tsMs)).map((note) =>
        duplicateShape(note, partition)
      ),
    },
    device_state: view && deviceShape(view.row, view.last),
    log: { partition, next_offset: facts.nextOffset, append_time: timeText(facts.appendHighMs) },
  };
}

/** An open window is made of its readings, as the fold makes it. */
function openRow({ device, spec, window }: ExplainQuery, readings: readonly ReadingRow[]): WindowRow | null {
  if (readings.length === 0) return null;
  const state = new WindowState(0, window.startMs, window.endMs);
  for (const reading of readings) state.addOpen(reading);
  return state.row(device, spec.label);
}

const quarantinedNear = (row: QuarantineRow, window: Window, partition: number) => ({
  ...quarantineShape(row, partition),
  in_window: row.tsMs !== null && isIn(window, row.tsMs),
});

function sentenceOf(
  row: WindowRow | null,
  absence: Absence | "sensor_fault" | null,
  versions: readonly WindowRow[],
): string {
  if (row === null) return `Nothing arrived: ${absenceMeanings[absence as Absence]}.`;
  const faults = row.readings === 0 ? " Every slot that arrived had a sensor fault." : "";
  if (row.closedBy === null) {
    return `Still open: neither the device's own watermark nor silence has passed its end.${faults}`;
  }
  const first = versions[0]!;
  const by = row.closedBy === "silence" ? "silence of the device" : "the device's own watermark";
  const place = (version: WindowRow) =>
    version.changedAppendMs === null
      ? ""
      : `with record ${version.changedOffset} at ${timeText(version.changedAppendMs)}`;
  // A window that the watermark had passed before anything arrived in it begins with revision 1.
  const closed = first.revision === 0
    ? `Closed by ${by} ${place(first)}`
    : `Passed by ${by} before anything arrived in it, which happened first ${place(first)}`;
  const since = row.revision === 0
    ? ""
    : row.revision === 1
    ? "; revised once by late readings"
    : `; revised ${row.revision} times by late readings`;
  const last = versions.length > 1 ? `, last ${place(versions.at(-1)!)}` : "";
  return `${closed}${since}${last}.${faults}`;
}
