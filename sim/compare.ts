/**
 * Two recomputations of the same rows, made comparable: one line of text for each fact, so that a difference reads as a
 * difference of rows.
 */
import type { QuarantineRow, ReadingRow, ReleaseRow, WindowRow } from "../core/rows.ts";
import { windowLine } from "../core/digest.ts";
import { digestLine, type OracleResult } from "./oracle.ts";
import type { BootRow, DeviceRow } from "../core/rows.ts";

/** The facts of one partition as production code stores them. */
export interface StoredFacts {
  readonly readings: readonly ReadingRow[];
  readonly quarantined: readonly QuarantineRow[];
  readonly released: readonly ReleaseRow[];
  readonly windows: Iterable<WindowRow>;
  readonly open: readonly WindowRow[];
  readonly devices: Iterable<DeviceRow>;
  readonly boots: Iterable<BootRow>;
}

const line = (kind: string, fields: object) => `${kind} ${JSON.stringify(fields)}`;

/** Lines of what is stored. */
export function storedLines(facts: StoredFacts): string[] {
  return [
    ...[...facts.windows].map((row) => `window ${windowLine(row)}`),
    ...facts.open.map((row) => `open ${windowLine(row)}`),
    ...facts.readings.map((row) => {
      const { device, boot, seq, tsMs, appendMs, offset, index, fault, flag, late, timeUncertain, released } =
        row;
      const values = [row.temperatureMilliC, row.humidityMilliPct, fault, flag];
      const at = [tsMs, appendMs, offset, index];
      return line("reading", { device, boot, seq, at, values, late, timeUncertain, released });
    }),
    ...facts.quarantined.map(({ device, boot, seq, tsMs, appendMs, offset, index, reason, raw }) => {
      const nameless = device === null || reason === "wrong_partition";
      const named = { device: nameless ? "" : device, boot, seq };
      return line("quarantined", { ...named, at: [tsMs, appendMs, offset, index], reason, raw });
    }),
    ...facts.released.map(({ device, offset, index, byOffset }) =>
      line("released", { device, offset, index, byOffset })
    ),
    ...[...facts.devices].map((row) => {
      const arrivals = [
        row.counted,
        row.countedLate,
        row.sensorFault,
        row.quarantined,
        row.duplicates,
        row.released,
      ];
      const { device, highestEventMs, pendingSinceMs, watermarkMs, everyMs } = row;
      const { displayName, retired, sharedName } = row;
      return line("device", {
        ...{ device, arrivals, highestEventMs, pendingSinceMs, watermarkMs, everyMs },
        ...{ displayName, retired, sharedName },
      });
    }),
    ...[...facts.boots].filter((row) => row.slots > 0).map((row) => {
      const { device, boot, slots, counted, countedLate, sensorFault, quarantined, lost, spans } = row;
      return line("boot", {
        device,
        boot,
        slots,
        states: [counted, countedLate, sensorFault, quarantined, lost],
        spans,
      });
    }),
  ].sort();
}

/** Lines of what must be. */
export function oracleLines(result: OracleResult): string[] {
  return [
    ...result.windows.map((row) => `window ${digestLine(row)}`),
    ...result.open.map((row) => `open ${digestLine(row)}`),
    ...result.readings.map((row) => {
      const { device, boot, seq, tsMs, appendMs, offset, index, fault, flag, late, timeUncertain, released } =
        row;
      const values = [row.temperature, row.humidity, fault, flag];
      const at = [tsMs, appendMs, offset, index];
      return line("reading", { device, boot, seq, at, values, late, timeUncertain, released });
    }),
    ...result.quarantined.map(({ device, boot, seq, tsMs, appendMs, offset, index, reason, raw }) =>
      line("quarantined", { device, boot, seq, at: [tsMs, appendMs, offset, index], reason, raw })
    ),
    ...result.released.map(({ device, offset, index, byOffset }) =>
      line("released", { device, offset, index, byOffset })
    ),
    ...result.devices.map((row) => {
      const { device, highestEventMs, pendingSinceMs, watermarkMs, everyMs } = row;
      const { displayName, retired, sharedName } = row;
      return line("device", {
        ...{ device, arrivals: Object.values(row.arrivals) },
        ...{ highestEventMs, pendingSinceMs, watermarkMs, everyMs, displayName, retired, sharedName },
      });
    }),
    ...result.boots.filter((row) => row.slots > 0).map(({ device, boot, slots, states, spans }) => {
      const { counted, counted_late, sensor_fault, quarantined, lost } = states;
      const numbers = [counted, counted_late, sensor_fault, quarantined, lost];
      return line("boot", { device, boot, slots, states: numbers, spans });
    }),
  ].sort();
}

export interface Difference {
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
}

/** What the oracle has and the store lacks, and the other way round; null if they agree line by line. */
export function difference(stored: readonly string[], expected: readonly string[]): Difference | null {
  const missing = without(expected, stored);
  const unexpected = without(stored, expected);
  return missing.length === 0 && unexpected.length === 0 ? null : { missing, unexpected };
}

/** The first differing rows side by side, for a person. */
export function describeDifference({ missing, unexpected }: Difference, most = 5): string {
  const show = (sign: string, lines: readonly string[]) =>
    lines.slice(0, most).map((text) => `${sign} ${text}`);
  return [
    `${missing.length} rows are missing or differ (-), ${unexpected.length} are not expected so (+):`,
    ...show("-", missing),
    ...show("+", unexpected),
  ].join("\n");
}

function without(lines: readonly string[], others: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const text of others) counts.set(text, (counts.get(text) ?? 0) + 1);
  return lines.filter((text) => {
    const count = counts.get(text) ?? 0;
    counts.set(text, count - 1);
    return count <= 0;
  });
}
