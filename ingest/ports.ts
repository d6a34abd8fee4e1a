/** What ingest is made of: the world it needs and the bounds it keeps. */
import type { JudgeConfig } from "../core/config.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { LogWriter } from "../core/ports/log.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Random } from "../core/ports/random.ts";
import type { Trace } from "../core/ports/trace.ts";
import type { Authority } from "./authority.ts";
import type { IngestLimits } from "./limits.ts";

export interface IngestPorts {
  readonly log: LogWriter;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  readonly metrics: Metrics;
  /** Left out, everybody may write: only on loopback. */
  readonly authority?: Authority;
}

export interface IngestConfig {
  /** What the aggregator judges by; for `flagged`. */
  readonly judge: Pick<JudgeConfig, "futureMs">;
  readonly limits: IngestLimits;
}

/** Descriptions of the metrics. */
export const ingestMetricsHelp: Readonly<Record<string, string>> = {
  isotherm_ingest_readings_total: "Readings that are in the log.",
  isotherm_ingest_flagged_total: "Readings of those that will be quarantined, by reason.",
  isotherm_ingest_refused_total: "Requests that were refused, by problem.",
  isotherm_ingest_waiting_requests: "Requests that wait for their turn at the log.",
  isotherm_ingest_held_bytes: "Bytes of bodies in memory.",
  isotherm_ingest_wait_seconds: "From a request's arrival to its turn at the log.",
  isotherm_ingest_append_seconds: "From the turn to the log's word that it is durable.",
  isotherm_ingest_credit_readings: "Readings that a request is invited to carry.",
};
