/**
 * Metrics in Prometheus' text format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).
 *
 * Label values may come from outside, so one name holds at most `SERIES_MAX` series; what would be one more is dropped
 * and counted in `isotherm_metrics_dropped_total`.
 */
import { assert } from "../core/assert.ts";
import type { Metrics } from "../core/ports/metrics.ts";

/** Series of one name. Ours have a handful; a label that an outsider can choose must not fill the memory. */
const SERIES_MAX = 1_000;
/** Upper bounds of the histogram's buckets in seconds: from a memory copy to a broker's outage. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const DROPPED = "isotherm_metrics_dropped_total";
const NAME = /^[a-z][a-z0-9_]*$/;

type Labels = Readonly<Record<string, string>>;
type Kind = "counter" | "gauge" | "histogram";

interface Family {
  readonly kind: Kind;
  /** Series by their label text; a counter or gauge is one number, a histogram its buckets, count and sum. */
  readonly series: Map<string, Float64Array>;
}

/** Metrics that can be read. */
export interface MetricsRegistry extends Metrics {
  /** All series as text, names in order of first use. */
  text(): string;
}

/** A new registry. `help` describes names; names without a description are shown all the same. */
export function metricsRegistry(help: Readonly<Record<string, string>> = {}): MetricsRegistry {
  const families = new Map<string, Family>();

  const series = (name: string, kind: Kind, labels: Labels | undefined): Float64Array | null => {
    let family = families.get(name);
    if (family === undefined) {
      assert(NAME.test(name), `a metric's name is of a–z, 0–9 and _: ${name}`);
      family = { kind, series: new Map() };
      families.set(name, family);
    }
    // Sentences are only made when they are needed: this runs ten times a request.
    if (family.kind !== kind) assert(false, `${name} is always a ${family.kind}`);
    const key = labels === undefined ? "" : labelText(labels);
    let cells = family.series.get(key);
    if (cells === undefined) {
      if (family.series.size >= SERIES_MAX) {
        count(DROPPED, 1);
        return null;
      }
      cells = new Float64Array(kind === "histogram" ? BUCKETS.length + 2 : 1);
      family.series.set(key, cells);
    }
    return cells;
  };

  const count = (name: string, by: number, labels?: Labels) => {
    if (!(by >= 0)) assert(false, `a counter only grows: ${name} by ${by}`);
    const cells = series(name, "counter", labels);
    if (cells !== null) cells[0]! += by;
  };

  return {
    count,
    gauge(name, value, labels) {
      const cells = series(name, "gauge", labels);
      if (cells !== null) cells[0] = value;
    },
    observe(name, seconds, labels) {
      const cells = series(name, "histogram", labels);
      if (cells === null) return;
      const bucket = BUCKETS.findIndex((bound) => seconds <= bound);
      if (bucket >= 0) cells[bucket]! += 1;
      cells[BUCKETS.length]! += 1;
      cells[BUCKETS.length + 1]! += seconds;
    },
    text() {
      const lines: string[] = [];
      for (const [name, family] of families) {
        if (Object.hasOwn(help, name)) lines.push(`# HELP ${name} ${help[name]}`);
        lines.push(`# TYPE ${name} ${family.kind}`);
        for (const [labels, cells] of family.series) {
          if (family.kind === "histogram") lines.push(...histogramLines(name, labels, cells));
          else lines.push(`${name}${braced(labels)} ${cells[0]}`);
        }
      }
      return lines.map((line) => line + "\n").join("");
    },
  };
}

function histogramLines(name: string, labels: string, cells: Float64Array): string[] {
  const comma = labels === "" ? "" : ",";
  let below = 0;
  const buckets = BUCKETS.map((bound, i) => {
    below += cells[i]!;
    return `${name}_bucket{${labels}${comma}le="${bound}"} ${below}`;
  });
  const total = cells[BUCKETS.length]!;
  return [
    ...buckets,
    `${name}_bucket{${labels}${comma}le="+Inf"} ${total}`,
    `${name}_sum${braced(labels)} ${cells[BUCKETS.length + 1]}`,
    `${name}_count${braced(labels)} ${total}`,
  ];
}

const braced = (labels: string) => labels === "" ? "" : `{${labels}}`;

function labelText(labels: Labels): string {
  const names = Object.keys(labels);
  if (names.length === 1) return `${names[0]}="${escaped(labels[names[0]!]!)}"`;
  return Object.keys(labels).sort().map((name) => `${name}="${escaped(labels[name]!)}"`).join(",");
}

const escaped = (value: string) =>
  !/["\\\n]/.test(value)
    ? value
    : value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
