/** The aggregator's endpoints over HTTP; docs/endpoints.md is their contract. */
import type { JudgeConfig, WindowSpec } from "../core/config.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { LiveFeed } from "../core/ports/live_feed.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import { StoreRefused, StoreUnavailable } from "../core/ports/store.ts";
import { problemDocument, problemMediaType, type ProblemName } from "../core/problem.ts";
import { deviceNameProblem } from "../core/schema.ts";
import { windowOf } from "../core/windows.ts";
import type { AlertDesk } from "./alert_desk.ts";
import { alertsBody } from "./alerts_answer.ts";
import type { AggregatorConfig } from "./config.ts";
import { configHash } from "./hashes.ts";
import { createLiveHub, type LiveFilter, type LiveHub, liveLimits } from "./live_hub.ts";
import type { Aggregator } from "./mod.ts";
import { type WorkerStatus, WorkerUnavailable } from "./partition_worker.ts";
import { timeOrNull, timeText } from "./shapes.ts";
import { readiness } from "./status.ts";
import { gaugeWorkers, lagOf } from "./worker_metrics.ts";

export interface EndpointsPorts {
  readonly aggregator: Aggregator;
  readonly feed: LiveFeed;
  /** Null: only what the rows say of alerts is told. */
  readonly alerts?: AlertDesk | null;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Tells this process from any other in event ids; of a–z and 0–9. */
  readonly instance: string;
  /** Partitions of the log. */
  readonly partitions: number;
}

export interface Endpoints {
  /** Answers `/live`, `/explain`, `/alerts` and `/status`; null for anything else. */
  handle(request: Request): Response | Promise<Response> | null;
  /** Sets the gauges; call it before metrics are shown. */
  gauge(): void;
  /** Ends the live streams, which would go on for ever. */
  close(): void;
}

/** Names that one request may list. */
const NAMES_MAX = 1_000;

export function createEndpoints(ports: EndpointsPorts, config: AggregatorConfig): Endpoints {
  const { aggregator, feed, clock, metrics, instance, partitions } = ports;
  const hub = createLiveHub({
    feed,
    clock,
    instance,
    views: (names) => aggregator.views(names),
    positions: () => aggregator.status(),
  });
  const hash = configHash(config.judge, partitions);
  return {
    handle(request) {
      const url = new URL(request.url);
      switch (url.pathname) {
        case "/live":
          return forGet(request) ?? live(hub, url, request.headers.get("last-event-id"), config.judge);
        case "/explain":
          return forGet(request) ?? explain(aggregator, url, config.judge);
        case "/alerts":
          return forGet(request) ?? json(alertsBody(aggregator.alerts(), ports.alerts?.state() ?? null));
        case "/status":
          return forGet(request) ?? json(statusBody(aggregator.status(), hub, config, hash, clock.nowMs()));
        default:
          return null;
      }
    },
    gauge() {
      gaugeWorkers(aggregator.status(), clock, metrics);
      metrics.gauge("isotherm_live_clients", hub.status().clients);
    },
    close: () => hub.close(),
  };
}

function forGet(request: Request): Response | null {
  if (request.method === "GET" || request.method === "HEAD") return null;
  return problem("method-not-allowed", "only GET does something here", { allow: "GET, HEAD" });
}

// --- /live ---------------------------------------------------------------------------------------------------------

function live(hub: LiveHub, url: URL, lastEventId: string | null, config: JudgeConfig): Response {
  const unknown = url.searchParams.getAll("window_size").find((label) => specOf(config, label) === undefined);
  if (unknown !== undefined) return noSuchSize(unknown, config);
  const filter: LiveFilter = {
    devices: namesOf(url, "device"),
    windowSizes: namesOf(url, "window_size"),
  };
  if ((filter.devices?.size ?? 0) > NAMES_MAX) {
    return problem("bad-request", `at most ${NAMES_MAX} devices can be named; without any, all come`);
  }
  const stream = hub.open(filter, lastEventId ?? url.searchParams.get("since"));
  if (stream === null) {
    const detail = `${liveLimits.clientsMax} clients are connected already, or the service is stopping`;
    return problem("busy", detail, { "retry-after": "5" });
  }
  return new Response(stream, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no", // nginx would hold events back
    },
  });
}

function namesOf(url: URL, name: string): ReadonlySet<string> | null {
  const names = url.searchParams.getAll(name);
  return names.length === 0 ? null : new Set(names);
}

// --- /explain ------------------------------------------------------------------------------------------------------

async function explain(aggregator: Aggregator, url: URL, config: JudgeConfig): Promise<Response> {
  const device = url.searchParams.get("device");
  const wrong = deviceNameProblem(device ?? undefined);
  if (device === null || wrong !== null) return problem("bad-request", `device ${wrong}`);
  const label = url.searchParams.get("window_size") ?? config.windows[0]!.label;
  const spec = specOf(config, label);
  if (spec === undefined) return noSuchSize(label, config);
  const atMs = timeOf(url.searchParams.get("window_start"));
  if (atMs === null) {
    const detail = "window_start must be a time like 2025-11-24T00:00:00Z, or Unix milliseconds";
    return problem("bad-request", detail);
  }
  try {
    return json(await aggregator.explain({ device, spec, window: windowOf(spec, atMs) }));
  } catch (error) {
    if (
      error instanceof WorkerUnavailable || error instanceof StoreUnavailable || error instanceof StoreRefused
    ) {
      return problem("busy", error.message, { "retry-after": "1" });
    }
    throw error;
  }
}

const specOf = (config: JudgeConfig, label: string): WindowSpec | undefined =>
  config.windows.find((spec) => spec.label === label);

function noSuchSize(label: string, config: JudgeConfig): Response {
  const known = config.windows.map((spec) => spec.label).join(", ");
  return problem("not-found", `there is no window size ${JSON.stringify(label)}; there are ${known}`);
}

/** Highest time that a date can hold, see ECMA-262 "Time Values". */
const TIME_MS_MAX = 8.64e15;

/** Unix milliseconds or ISO 8601 (UTC unless it says otherwise); null if it is neither. */
export function timeOf(text: string | null): number | null {
  if (text === null) return null;
  if (/^\d{1,16}$/.test(text)) return Number(text) <= TIME_MS_MAX ? Number(text) : null;
  if (!/^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/.test(text)) return null;
  const hasZone = /(Z|[+-]\d\d:?\d\d)$/.test(text.slice(10));
  const ms = Date.parse(text.replace(" ", "T") + (hasZone || text.length === 10 ? "" : "Z"));
  return Number.isNaN(ms) ? null : ms;
}

// --- /status -------------------------------------------------------------------------------------------------------

function statusBody(
  statuses: readonly WorkerStatus[],
  hub: LiveHub,
  config: AggregatorConfig,
  hash: string,
  nowMs: number,
): Record<string, unknown> {
  const reason = readiness(statuses);
  const { clients, ringEvents, oldestId, newestId } = hub.status();
  return {
    time: timeText(nowMs),
    worker: config.worker,
    ready: reason === null,
    reason,
    config: { windows: config.judge.windows.map((spec) => spec.label), hash },
    partitions: statuses.map((status) => partitionBody(status, nowMs)),
    live: { clients, ring_events: ringEvents, oldest_id: oldestId, newest_id: newestId },
  };
}

function partitionBody(status: WorkerStatus, nowMs: number): Record<string, unknown> {
  const lag = lagOf(status, nowMs);
  const { watermarkMs, published } = status;
  return {
    partition: status.partition,
    state: status.state,
    sentence: status.sentence,
    epoch: status.epoch,
    next_offset: status.nextOffset,
    end_offset: status.endOffset,
    lag_records: lag.records,
    lag_seconds: lag.seconds,
    append_time: status.appendHighMs === 0 ? null : timeText(status.appendHighMs),
    devices: status.devices,
    open_windows: status.openWindows,
    watermark: timeOrNull(watermarkMs),
    watermark_age_seconds: watermarkMs === null ? null : (nowMs - watermarkMs) / 1_000,
    committed_at: timeOrNull(status.committedMs),
    published: published && {
      next_offset: published.nextOffset,
      generation: published.generation,
      at: timeText(published.atMs),
      age_seconds: (nowMs - published.atMs) / 1_000,
    },
    publish_every_seconds: status.publishEveryMs / 1_000,
  };
}

// --- answers -------------------------------------------------------------------------------------------------------

function json(body: unknown): Response {
  return new Response(JSON.stringify(body), {
    headers: { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" },
  });
}

function problem(
  name: ProblemName,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const document = problemDocument(name, detail);
  return new Response(JSON.stringify(document), {
    status: document.status,
    headers: { "content-type": problemMediaType, ...headers },
  });
}
