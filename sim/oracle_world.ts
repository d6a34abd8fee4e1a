/**
 * The oracle of the world: from what simulated sensors measured to what must be in the rows once everything has drained,
 * without a look at the log. It shares nothing with what lies between: not HTTP, not the log, not the judge.
 *
 * Every slot that reached a board's flash must be in exactly one state, with the value that the air had; a slot that a
 * power cut or an erased flash took may be missing, nothing else may. Windows of devices with a good clock must add up
 * to exactly what was measured in them.
 */
import type { OracleReading, OracleWindow, OracleWindowSpec } from "./oracle/types.ts";
import { windowsOf } from "./oracle/windows.ts";

/** One sampling slot as it truly was, and what became of it on the board. */
export interface WorldSample {
  readonly device: string;
  readonly boot: number;
  readonly seq: number;
  readonly trueMs: number;
  readonly temperatureMilliC: number | null;
  readonly humidityMilliPct: number | null;
  readonly fault: string | null;
  /** The event time it was sent with; null if it never was. */
  readonly sentTsMs: number | null;
  readonly fate: "ram" | "flash" | "gone" | "evicted" | "acknowledged";
}

/** What the rows say, in the oracle's words. */
export interface WorldRows {
  readonly readings: readonly Pick<
    OracleReading,
    "device" | "boot" | "seq" | "tsMs" | "temperature" | "humidity" | "fault"
  >[];
  readonly windows: readonly OracleWindow[];
  /** The ledger: spans of slots as "from-to:state", of which q is quarantined. */
  readonly boots: readonly { readonly device: string; readonly boot: number; readonly spans: string }[];
}

const slotOf = (at: { readonly device: string; readonly boot: number | null; readonly seq: number | null }) =>
  JSON.stringify([at.device, at.boot, at.seq]);

/** What is wrong with the rows, in sentences; none if all is well. */
export function judgeWorld(
  samples: readonly WorldSample[],
  rows: WorldRows,
  windows: readonly OracleWindowSpec[],
): string[] {
  const problems: string[] = [];
  const counted = Map.groupBy(rows.readings, slotOf);
  const quarantined = quarantinedSlots(rows.boots);
  const known = new Map(samples.map((sample) => [slotOf(sample), sample]));
  for (const sample of samples) {
    const found = counted.get(slotOf(sample)) ?? [];
    const name = `${sample.device}, boot ${sample.boot}, seq ${sample.seq} (${sample.fate})`;
    if (found.length > 1) problems.push(`${name} is counted ${found.length} times`);
    const [reading] = found;
    if (reading !== undefined && !isSame(sample, reading)) {
      problems.push(`${name} measured ${valuesOf(sample)}, but ${valuesOf(reading)} was counted`);
    }
    const isThere = found.length > 0 || quarantined(sample);
    if (!isThere && sample.fate === "acknowledged") {
      problems.push(`${name} was acknowledged and is in no row`);
    }
    if (!isThere && sample.fate === "flash") {
      problems.push(`${name} is still on the board after the quiet phase`);
    }
  }
  const devices = new Set(samples.map((sample) => sample.device));
  for (const [slot, [reading]] of counted) {
    if (devices.has(reading?.device ?? "") && !known.has(slot)) {
      problems.push(`${slot} is counted and was never measured`);
    }
  }
  return [...problems, ...windowProblems(samples, rows, windows, counted)];
}

/** Tells of a slot whether the ledger has it as quarantined. (Not every quarantined reading is kept as a row.) */
export function quarantinedSlots(
  boots: WorldRows["boots"],
): (sample: Pick<WorldSample, "device" | "boot" | "seq">) => boolean {
  const spans = new Map<string, number[][]>();
  for (const { device, boot, spans: text } of boots) {
    const quarantined = text.split(",").filter((span) => span.endsWith(":q"));
    spans.set(`${boot} ${device}`, quarantined.map((span) => span.slice(0, -2).split("-").map(Number)));
  }
  return ({ device, boot, seq }) =>
    (spans.get(`${boot} ${device}`) ?? []).some(([from = 0, to = 0]) => from <= seq && seq <= to);
}

interface Measured {
  readonly temperatureMilliC: number | null;
  readonly humidityMilliPct: number | null;
  readonly fault: string | null;
}

function isSame(sample: WorldSample, reading: WorldRows["readings"][number]): boolean {
  return sample.temperatureMilliC === reading.temperature && sample.humidityMilliPct === reading.humidity &&
    sample.fault === reading.fault && (sample.sentTsMs === null || sample.sentTsMs === reading.tsMs);
}

const valuesOf = (from: Measured | WorldRows["readings"][number]): string =>
  "temperature" in from
    ? `${from.temperature}/${from.humidity}/${from.fault}`
    : `${from.temperatureMilliC}/${from.humidityMilliPct}/${from.fault}`;

/** Counts, sums and extremes of each window, straight from the samples that were counted. */
function windowProblems(
  samples: readonly WorldSample[],
  rows: WorldRows,
  specs: readonly OracleWindowSpec[],
  counted: ReadonlyMap<string, readonly unknown[]>,
): string[] {
  const problems: string[] = [];
  const held = new Map<string, WorldSample[]>();
  for (const sample of samples) {
    if (sample.sentTsMs === null || !counted.has(slotOf(sample))) continue;
    for (const spec of specs) {
      for (const { startMs } of windowsOf(spec, sample.sentTsMs)) {
        const key = JSON.stringify([sample.device, spec.label, startMs]);
        const inside = held.get(key);
        if (inside === undefined) held.set(key, [sample]);
        else inside.push(sample);
      }
    }
  }
  const devices = new Set(samples.map((sample) => sample.device));
  for (const row of rows.windows) {
    if (!devices.has(row.device)) continue;
    const key = JSON.stringify([row.device, row.size, row.startMs]);
    const inside = held.get(key) ?? [];
    held.delete(key);
    const expected = summary(inside);
    const found = [
      row.readings,
      row.sensorFaults,
      row.temperature.count,
      Number(row.temperature.sum),
      row.temperature.min,
      row.temperature.max,
      row.humidity.count,
      Number(row.humidity.sum),
      row.humidity.min,
      row.humidity.max,
    ];
    if (JSON.stringify(found) !== JSON.stringify(expected)) {
      problems.push(`window ${key} has ${JSON.stringify(found)}, measured was ${JSON.stringify(expected)}`);
    }
  }
  for (const key of held.keys()) {
    problems.push(`window ${key} is missing, ${held.get(key)?.length} were measured in it`);
  }
  return problems;
}

function summary(inside: readonly WorldSample[]): (number | null)[] {
  const good = inside.filter((sample) => sample.fault === null);
  const of = (values: (number | null)[]): (number | null)[] => {
    const present = values.filter((value) => value !== null).sort((a, b) => a - b);
    return [
      present.length,
      present.reduce((sum, value) => sum + value, 0),
      present[0] ?? null,
      present.at(-1) ?? null,
    ];
  };
  return [
    good.length,
    inside.length - good.length,
    ...of(good.map((sample) => sample.temperatureMilliC)),
    ...of(good.map((sample) => sample.humidityMilliPct)),
  ];
}
