/** What `deno task dev` writes: pure text, made from what the pipeline tells. */
import type { Clock } from "../core/ports/clock.ts";
import type { Changes } from "../core/ports/store.ts";
import type { Trace, TraceFields, TraceLevel } from "../core/ports/trace.ts";
import type { ChannelRow, QuarantineRow, ReadingRow, WindowRow } from "../core/rows.ts";

/** One version of a closed window. */
export function windowLine(row: WindowRow): string {
  return [
    `window ${row.windowSize}`,
    `${timeText(row.startMs)} to ${clockText(row.endMs)}`,
    row.device,
    countText(row),
    valuesText(row.temperature, "°C"),
    valuesText(row.humidity, "%"),
    row.revision > 0 ? `revision ${row.revision}` : `closed by ${row.closedBy}`,
  ].join("  ");
}

function countText({ readings, sensorFaults }: WindowRow): string {
  const faults = sensorFaults === 0 ? "" : `, ${sensorFaults} fault${sensorFaults === 1 ? "" : "s"}`;
  return `${readings} reading${readings === 1 ? "" : "s"}${faults}`;
}

/** Mean and range, to a tenth. */
function valuesText(channel: ChannelRow, unit: string): string {
  if (channel.count === 0 || channel.min === null || channel.max === null) return `no ${unit}`;
  const tenths = (thousandths: number) => (thousandths / 1_000).toFixed(1);
  return `${tenths(channel.sum / channel.count)} ${unit} (${tenths(channel.min)} to ${tenths(channel.max)})`;
}

/** "2026-11-24 08:05" in UTC. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace("T", " ");
}

function clockText(ms: number): string {
  return new Date(ms).toISOString().slice(11, 16);
}

/** "90s", "10m", "24h": the largest unit that divides it. */
export function durationText(ms: number): string {
  for (const [unitMs, unit] of [[86_400_000, "d"], [3_600_000, "h"], [60_000, "m"]] as const) {
    if (ms >= unitMs && ms % unitMs === 0) return `${ms / unitMs}${unit}`;
  }
  return `${ms / 1_000}s`;
}

/** One counted reading, or a slot without one. */
export function readingLine(row: ReadingRow): string {
  const seconds = new Date(row.tsMs).toISOString().slice(11, 19);
  const values = row.fault === null
    ? [valueText(row.temperatureMilliC, "°C"), valueText(row.humidityMilliPct, "%")].filter((text) =>
      text !== ""
    )
    : [`no value: ${row.fault}`];
  return ["reading", seconds, row.device, ...values, ...row.late ? ["late"] : []].join("  ");
}

/** A quarantined reading. */
export function quarantineLine(row: QuarantineRow): string {
  return `quarantined  ${row.device ?? "(no device)"}  ${row.reason}: ${row.detail}`;
}

const valueText = (thousandths: number | null, unit: string) =>
  thousandths === null ? "" : `${(thousandths / 1_000).toFixed(1)} ${unit}`;

/** A diagnostic as a line for a person. */
export function traceLine(level: TraceLevel, event: string, fields: TraceFields): string {
  const text = Object.entries(fields).filter(([name]) => name !== "stack").map(([name, value]) =>
    `${name} ${value}`
  );
  return `${level}: ${event}${text.length === 0 ? "" : ` (${text.join(", ")})`}`;
}

/** Lines of each kind in one second; more are counted, so that a fleet that catches up can't flood the terminal. */
export const linesPerSecondMax = 8;

/** Passes lines on, at most {@link linesPerSecondMax} a second, and says how many it kept back. */
export class LinePacer {
  #secondMs = -Infinity;
  #written = 0;
  #kept = 0;

  constructor(readonly what: string, readonly write: (line: string) => void) {}

  /** Writes the line that `text` makes, unless this second is full. */
  offer(nowMs: number, text: () => string): void {
    if (nowMs - this.#secondMs >= 1_000) {
      this.flush();
      this.#secondMs = nowMs;
      this.#written = 0;
    }
    if (this.#written < linesPerSecondMax) {
      this.#written++;
      this.write(text());
    } else this.#kept++;
  }

  /** Says what was kept back so far. */
  flush(): void {
    if (this.#kept > 0) this.write(`… and ${this.#kept} more ${this.what}`);
    this.#kept = 0;
  }
}

export interface Terminal {
  readonly trace: Trace;
  /** Shows what a transaction has made durable. */
  committed(changes: Changes): void;
  /** Says what was kept back. */
  end(): void;
}

/** Shows readings, closed windows, quarantined readings and warnings as they come. */
export function createTerminal(clock: Clock, write: (line: string) => void): Terminal {
  const pacers = {
    readings: new LinePacer("readings", write),
    windows: new LinePacer("closed windows", write),
    quarantined: new LinePacer("quarantined readings", write),
    trace: new LinePacer("messages", write),
  };
  return {
    trace: {
      emit(level, event, fields = {}) {
        if (level === "warn" || level === "error") {
          pacers.trace.offer(clock.monotonicMs(), () => traceLine(level, event, fields));
        }
      },
    },
    committed({ readings, windows, quarantined }) {
      const nowMs = clock.monotonicMs();
      for (const row of readings) pacers.readings.offer(nowMs, () => readingLine(row));
      for (const row of quarantined) pacers.quarantined.offer(nowMs, () => quarantineLine(row));
      for (const row of windows) pacers.windows.offer(nowMs, () => windowLine(row));
    },
    end() {
      for (const pacer of Object.values(pacers)) pacer.flush();
    },
  };
}
