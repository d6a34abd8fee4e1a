/** What the workers tell Prometheus: counters as they commit, gauges when somebody asks. */
import type { Tally } from "../core/partition.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { WorkerStatus } from "./partition_worker.ts";

export const aggregatorMetricsHelp: Readonly<Record<string, string>> = {
  isotherm_readings_total: "Readings folded, by what became of them and, if quarantined, why.",
  isotherm_records_folded_total: "Records of the log in committed transactions.",
  isotherm_window_versions_total: "Versions of closed windows committed.",
  isotherm_alerts_total: "Alerts committed, by kind (fired, cleared).",
  isotherm_alert_deliveries_total:
    "Tries to tell the webhook, by outcome (delivered, failed, given_up), and alerts dropped because too many waited.",
  isotherm_commit_seconds: "Time of a transaction.",
  isotherm_publish_seconds: "Time of a publication.",
  isotherm_publish_interval_seconds:
    "The least time from one publication to the next: as configured, or five times what the last one took.",
  isotherm_publish_failures_total: "Publications that failed and are tried again.",
  isotherm_partition_state: "1 for the state that the partition is in.",
  isotherm_lag_records: "Records of the log that are not folded yet.",
  isotherm_lag_seconds: "Age of the newest folded record, while there are others behind it; else 0.",
  isotherm_next_offset: "Offset to be folded next.",
  isotherm_watermark_age_seconds: "Age of the lowest watermark of the devices that have open windows.",
  isotherm_open_windows: "Windows open.",
  isotherm_devices: "Devices known.",
  isotherm_committed_timestamp_seconds: "When the last transaction was committed.",
  isotherm_published_timestamp_seconds: "When the last publication was made.",
  isotherm_published_offset: "Offset up to which rows are published.",
};

/** Counts what became of readings as the difference to the last time. */
export class TallyMetrics {
  readonly #before = new Map<string, number>();

  constructor(readonly metrics: Metrics) {}

  count(tally: Tally): void {
    const { quarantined, ...outcomes } = tally;
    for (const [outcome, total] of Object.entries(outcomes)) {
      this.#add(outcome, total, {
        outcome: outcome.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      });
    }
    for (const [reason, total] of Object.entries(quarantined)) {
      this.#add(`quarantined ${reason}`, total, { outcome: "quarantined", reason });
    }
  }

  #add(key: string, total: number, labels: Readonly<Record<string, string>>): void {
    const before = this.#before.get(key) ?? 0;
    if (total === before) return;
    this.#before.set(key, total);
    this.metrics.count("isotherm_readings_total", total - before, labels);
  }
}

const states = ["starting", "running", "waiting", "stopped", "superseded", "released"] as const;

/** How far the log is behind. */
export function lagOf(
  status: WorkerStatus,
  nowMs: number,
): { readonly records: number; readonly seconds: number } {
  const records = status.endOffset - status.nextOffset;
  return { records, seconds: records === 0 ? 0 : Math.max(0, nowMs - status.appendHighMs) / 1_000 };
}

/** Sets the gauges. */
export function gaugeWorkers(statuses: readonly WorkerStatus[], clock: Clock, metrics: Metrics): void {
  const nowMs = clock.nowMs();
  for (const status of statuses) {
    const labels = { partition: String(status.partition) };
    const lag = lagOf(status, nowMs);
    for (const state of states) {
      metrics.gauge("isotherm_partition_state", state === status.state ? 1 : 0, { ...labels, state });
    }
    metrics.gauge("isotherm_lag_records", lag.records, labels);
    metrics.gauge("isotherm_lag_seconds", lag.seconds, labels);
    metrics.gauge("isotherm_next_offset", status.nextOffset, labels);
    metrics.gauge("isotherm_open_windows", status.openWindows, labels);
    metrics.gauge("isotherm_publish_interval_seconds", status.publishEveryMs / 1_000, labels);
    metrics.gauge("isotherm_devices", status.devices, labels);
    const { watermarkMs, committedMs, published } = status;
    const ageMs = watermarkMs === null ? 0 : Math.max(0, nowMs - watermarkMs);
    metrics.gauge("isotherm_watermark_age_seconds", ageMs / 1_000, labels);
    if (committedMs !== null) {
      metrics.gauge("isotherm_committed_timestamp_seconds", committedMs / 1_000, labels);
    }
    if (published !== null) {
      metrics.gauge("isotherm_published_timestamp_seconds", published.atMs / 1_000, labels);
      metrics.gauge("isotherm_published_offset", published.nextOffset, labels);
    }
  }
}
