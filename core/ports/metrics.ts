/** The metrics hook: counters and gauges with few labels, shown in Prometheus' text format by the service shell. */
export interface Metrics {
  /** Adds `by` (≥ 0) to a counter. `name` ends in `_total`. */
  count(name: string, by: number, labels?: Readonly<Record<string, string>>): void;
  /** Sets a gauge. The name ends in its unit (`_seconds`, `_bytes`, `_records`). */
  gauge(name: string, value: number, labels?: Readonly<Record<string, string>>): void;
  /** Adds a duration in seconds to a histogram. The name ends in `_seconds`. */
  observe(name: string, seconds: number, labels?: Readonly<Record<string, string>>): void;
}

/** Metrics that keep nothing. */
export const noMetrics: Metrics = { count() {}, gauge() {}, observe() {} };
