/**
 * What the page of a run shows, as data: each reading with the requests that carried it, the records that hold it, the
 * row that it became and the windows around it.
 */
import type { LogRecord } from "../../core/ports/log.ts";
import type { OracleResult, OracleWindow } from "../oracle.ts";
import { quarantinedSlots } from "../oracle_world.ts";
import { type Incident, incidentKinds } from "../scenario.ts";
import type { Story } from "./story.ts";

/** Lanes from top to bottom; boards' own come first. */
export type SharedLane = "network" | "ingest" | "log" | "aggregator";

export interface StoryReading {
  /** Number of its board. */
  readonly board: number;
  readonly boot: number;
  readonly seq: number;
  readonly measuredMs: number;
  /** As people write it: "21.4 °C, 48.2 %", or the fault. */
  readonly said: string;
  readonly fate: string;
  /** Numbers of the requests that carried it, in order. */
  readonly requests: readonly number[];
  /** Numbers of the records that hold it. */
  readonly records: readonly number[];
  /** What it became: "counted", "counted_late", "sensor_fault", "quarantined: future", or null: no row. */
  readonly row: string | null;
  /** Numbers of the windows that hold it. */
  readonly windows: readonly number[];
}

export interface StoryData {
  readonly title: string;
  readonly violation: string | null;
  readonly digest: string;
  readonly startMs: number;
  /** When the faults stop. */
  readonly quietMs: number;
  readonly endMs: number;
  readonly boards: readonly string[];
  readonly incidents: readonly {
    readonly kind: string;
    readonly atMs: number;
    readonly forMs: number;
    /** Number of a board, or a shared lane. */
    readonly lane: number | SharedLane;
  }[];
  readonly readings: readonly StoryReading[];
  readonly requests: readonly {
    readonly board: number;
    readonly sentMs: number;
    readonly endedMs: number | null;
    readonly outcome: string | null;
    readonly fault: string | null;
    readonly readings: number;
  }[];
  readonly records: readonly {
    readonly partition: number;
    readonly offset: number;
    readonly appendMs: number;
    readonly key: string | null;
    readonly kind: string;
  }[];
  readonly windows: readonly {
    readonly device: string;
    /** Number of its board, null for a device that is none of ours. */
    readonly board: number | null;
    readonly size: string;
    readonly startMs: number;
    readonly endMs: number;
    readonly readings: number;
    /** Null while it is open. */
    readonly closedBy: string | null;
    readonly revision: number;
  }[];
}

interface SaidBatch {
  readonly device?: unknown;
  readonly boot?: unknown;
  readonly readings?: unknown;
}

const slotKey = (device: string, boot: unknown, seq: unknown) => JSON.stringify([device, boot, seq]);

export function storyData(story: Story): StoryData {
  const { scenario, samples, judged } = story;
  const boards = scenario.boards.map(({ device }) => device);
  const boardOf = (device: string) => boards.indexOf(device);
  const windows = judged.flatMap((result) => [...result.windows, ...result.open]);
  const requestsOf = Map.groupBy(
    story.requests.flatMap(({ body }, i) => slotsIn(body).map((slot) => ({ slot, i }))),
    ({ slot }) => slot,
  );
  const recordsOf = Map.groupBy(
    story.records.flatMap(({ value }, i) => slotsIn(textOf(value)).map((slot) => ({ slot, i }))),
    ({ slot }) => slot,
  );
  const rows = rowsOf(judged);
  const isQuarantined = quarantinedSlots(judged.flatMap(({ boots }) => boots));
  const windowsOf = Map.groupBy(windows.map((window, i) => ({ window, i })), ({ window }) => window.device);
  return {
    title: `seed ${scenario.seed}`,
    ...{ violation: story.violation, digest: story.digest, startMs: scenario.startMs, endMs: story.endMs },
    quietMs: scenario.startMs + scenario.faultsMs,
    boards,
    incidents: scenario.incidents.map((incident) => ({
      kind: incident.kind,
      atMs: scenario.startMs + incident.atMs,
      forMs: incident.forMs ?? 0,
      lane: laneOf(incident),
    })),
    readings: samples.map((sample) => {
      const key = slotKey(sample.device, sample.boot, sample.seq);
      const row = rows.get(key) ?? null;
      const numbers = (found: { readonly i: number }[] | undefined) => [
        ...new Set((found ?? []).map(({ i }) => i)),
      ];
      return {
        board: boardOf(sample.device),
        ...{ boot: sample.boot, seq: sample.seq, measuredMs: sample.trueMs, fate: sample.fate },
        said: sample.fault ??
          `${(sample.temperatureMilliC ?? 0) / 1_000} °C, ${(sample.humidityMilliPct ?? 0) / 1_000} %`,
        requests: numbers(requestsOf.get(key)),
        records: numbers(recordsOf.get(key)),
        // Not every quarantined reading is kept as a row; its slot's state is.
        row: row?.what ?? (isQuarantined(sample) ? "quarantined: not kept" : null),
        windows: row?.tsMs === undefined || row.tsMs === null
          ? []
          : (windowsOf.get(sample.device) ?? []).filter(({ window }) => holds(window, row.tsMs!))
            .map(({ i }) => i),
      };
    }),
    requests: story.requests.map(({ device, sentMs, endedMs, outcome, fault, body }) => ({
      board: boardOf(device),
      ...{ sentMs, endedMs, outcome, fault, readings: slotsIn(body).length },
    })),
    records: story.records.map(({ partition, offset, appendMs, key, value, headers }) => ({
      ...{ partition, offset, appendMs, key },
      kind: headers["isotherm-kind"] ?? (value === null ? "tick" : "batch"),
    })),
    windows: windows.map(({ device, size, startMs, endMs, readings, closedBy, revision }) => ({
      device,
      board: boards.includes(device) ? boardOf(device) : null,
      ...{ size, startMs, endMs, readings, closedBy, revision },
    })),
  };
}

const holds = ({ startMs, endMs }: OracleWindow, tsMs: number) => startMs <= tsMs && tsMs < endMs;

const decoder = new TextDecoder();
const textOf = (value: LogRecord["value"]): string => value === null ? "" : decoder.decode(value);

/** Slots that a batch carries; none where it can't be read. */
function slotsIn(text: string): string[] {
  let batch: SaidBatch;
  try {
    batch = JSON.parse(text) as SaidBatch;
  } catch {
    return [];
  }
  if (typeof batch?.device !== "string" || !Array.isArray(batch.readings)) return [];
  const { device, boot } = batch;
  return (batch.readings as readonly ({ readonly seq?: unknown } | null)[])
    .map((reading) => slotKey(device, boot, reading?.seq));
}

function rowsOf(judged: readonly OracleResult[]): Map<string, { what: string; tsMs: number | null }> {
  const rows = new Map<string, { what: string; tsMs: number | null }>();
  for (const { quarantined, readings } of judged) {
    for (const { device, boot, seq, reason } of quarantined) {
      rows.set(slotKey(device, boot, seq), { what: `quarantined: ${reason}`, tsMs: null });
    }
    for (const { device, boot, seq, fault, late, tsMs } of readings) {
      const what = fault !== null ? "sensor_fault" : late ? "counted_late" : "counted";
      rows.set(slotKey(device, boot, seq), { what, tsMs });
    }
  }
  return rows;
}

/** Where a fault is marked. */
function laneOf({ kind, board }: Incident): number | SharedLane {
  const needs: readonly string[] = incidentKinds[kind];
  if (kind === "dns_down") return "network";
  if (needs.includes("board")) return board ?? 0;
  if (needs.includes("worker") || kind === "rebalance" || kind === "zombie") return "aggregator";
  if (needs.includes("ingest") || kind === "hostile_sender") return "ingest";
  return "log";
}
