/**
 * Ingest: the front door. `createIngest(ports, config)` gives an app that takes readings over HTTP, checks who may write
 * what, appends whole batches to the log as received, and answers 202 only when the log has them.
 *
 * It decides nothing about readings: `flagged` tells what the fold is going to say, by the same pure function.
 */
import { Hono } from "hono";
import { defaultConfig, type JudgeConfig } from "../core/config.ts";
import { inspect } from "../core/judge.ts";
import { partitionOf } from "../core/murmur2.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Appended, LogWriter, NewRecord } from "../core/ports/log.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Random } from "../core/ports/random.ts";
import type { Trace } from "../core/ports/trace.ts";
import type { QuarantineReason } from "../core/rows.ts";
import { formatVersion, headerNames } from "../core/schema.ts";
import { jsonAnswer, problemAnswer, type Refusal, refused } from "./answers.ts";
import { type Authority, type Grant, openAuthority, secretOf } from "./authority.ts";
import { ByteBudget, readBody } from "./body.ts";
import { Dispatcher } from "./dispatcher.ts";
import { encodingOf, expand } from "./encoding.ts";
import { formatOf, type Parcel, parseBody } from "./formats.ts";
import { type IngestLimits, ingestLimits } from "./limits.ts";

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

export interface Ingest {
  /** The Hono app; `app.request()` drives it without a socket. */
  readonly app: Hono;
  /** The same as a server's handler. */
  readonly handler: (request: Request) => Response | Promise<Response>;
  /** Null when readings are taken, else a sentence. */
  ready(): string | null;
  /** Takes no more requests and resolves when what was taken is durable or refused. The log stays open. */
  stop(): Promise<void>;
}

/** What a 202 says. */
export interface Accepted {
  /** Readings that are in the log now. */
  readonly accepted: number;
  /** Readings that won't be counted as they are; `index` counts the readings of the whole request from 0. */
  readonly flagged: readonly Flagged[];
  /** Flagged readings beyond the bound of the list. */
  readonly flagged_more?: number;
  /** The server's wall clock in Unix ms; sets the clock of a device without NTP. */
  readonly now: number;
  /** Readings that the next request may carry; at least 1. */
  readonly credit: number;
}

export interface Flagged {
  readonly index: number;
  readonly reason: QuarantineReason;
  readonly detail: string;
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

const defaults: IngestConfig = { judge: defaultConfig, limits: ingestLimits };

/** Makes ingest. Nothing runs until a request comes. */
export function createIngest(ports: IngestPorts, config: Partial<IngestConfig> = {}): Ingest {
  const { judge, limits } = { ...defaults, ...config };
  const { log, clock, random, trace, metrics, authority = openAuthority } = ports;
  const dispatcher = new Dispatcher(ports, limits);
  const budget = new ByteBudget(limits.heldBytesMax);

  const take = async (request: Request): Promise<Response | Refusal> => {
    const { headers } = request;
    if (headers.has("origin")) {
      return refused("not-allowed", "a page in a browser sent this: readings are taken from programs only");
    }
    const grant = authority.check(secretOf(headers));
    if (grant === null) {
      return refused("no-key", "the request has no valid key", { headers: { "www-authenticate": "Bearer" } });
    }
    const closed = dispatcher.closed();
    if (closed !== null) return closed;
    const format = formatOf(headers.get("content-type"));
    if (format.kind === "refused") return format;
    const encoding = encodingOf(headers.get("content-encoding"));
    if (encoding.kind === "refused") return encoding;
    const bytesMax = format.format === "json" ? limits.jsonBytesMax : limits.ndjsonBytesMax;
    const body = await readBody(request, { bytesMax, bodyMs: limits.bodyMs }, budget, clock);
    if (body.kind === "refused") return body;
    try {
      const expanded = expand(encoding.encoding, body.bytes, bytesMax);
      if (expanded.kind === "refused") return expanded;
      return await append(grant, parseBody(format.format, expanded.bytes, limits), expanded.bytes.length);
    } finally {
      budget.give(body.bytes.length);
    }
  };

  const append = async (
    grant: Grant,
    parsed: ReturnType<typeof parseBody>,
    bytes: number,
  ): Promise<Response | Refusal> => {
    if (parsed.kind === "refused") return parsed;
    const { parcels } = parsed;
    const foreign = parcels.find(({ batch }) => !grant.allows(batch.device));
    if (foreign !== undefined) {
      return refused("not-allowed", `the key may not write for ${JSON.stringify(foreign.batch.device)}`);
    }
    const outcome = await dispatcher.submit(senderOf(parcels, grant), parcels.map(recordOf), bytes);
    if (outcome.kind === "refused") return outcome;
    const flagged = flaggedOf(parcels, outcome.appended, judge);
    metrics.count("isotherm_ingest_readings_total", parsed.readings);
    for (const { reason } of flagged) metrics.count("isotherm_ingest_flagged_total", 1, { reason });
    const credit = dispatcher.credit();
    metrics.gauge("isotherm_ingest_credit_readings", credit);
    const more = flagged.length - limits.flaggedListedMax;
    const accepted: Accepted = {
      accepted: parsed.readings,
      flagged: more > 0 ? flagged.slice(0, limits.flaggedListedMax) : flagged,
      ...(more > 0 ? { flagged_more: more } : {}),
      now: clock.nowMs(),
      credit,
    };
    return jsonAnswer(202, accepted);
  };

  const recordOf = ({ batch, value }: Parcel): NewRecord => ({
    partition: partitionOf(batch.device, log.partitions),
    key: batch.device,
    value,
    headers: RECORD_HEADERS,
  });

  const answered = async (request: Request): Promise<Response> => {
    const outcome = await take(request);
    if (outcome instanceof Response) return outcome;
    const requestId = requestIdOf(request.headers, random);
    metrics.count("isotherm_ingest_refused_total", 1, { problem: outcome.name });
    trace.emit("debug", "ingest.refused", { requestId, problem: outcome.name, detail: outcome.detail });
    return problemAnswer(outcome, requestId);
  };

  const app = new Hono();
  app.post("/v1/readings", (context) => answered(context.req.raw));
  app.all("/v1/readings", (context) => {
    const refusal = refused("method-not-allowed", "readings are sent with POST", {
      headers: { allow: "POST" },
    });
    return problemAnswer(refusal, requestIdOf(context.req.raw.headers, random));
  });
  app.notFound((context) =>
    problemAnswer(
      refused("not-found", "there is nothing at this path"),
      requestIdOf(context.req.raw.headers, random),
    )
  );
  app.onError((error) => {
    throw error; // the server's business: 500 and a trace, or the end of the service
  });

  return {
    app,
    handler: (request) => app.fetch(request),
    ready() {
      metrics.gauge("isotherm_ingest_held_bytes", budget.bytes);
      return dispatcher.closed()?.detail ?? null;
    },
    stop: () => dispatcher.stop(),
  };
}

const RECORD_HEADERS = { [headerNames.version]: formatVersion };

/** Whose turn a request uses: the device's, or that of the key that sends for several. */
function senderOf(parcels: readonly Parcel[], grant: Grant): string {
  const { device } = parcels[0]!.batch;
  return parcels.every(({ batch }) => batch.device === device) ? `device ${device}` : `key ${grant.key}`;
}

function flaggedOf(
  parcels: readonly Parcel[],
  appended: readonly Appended[],
  judge: Pick<JudgeConfig, "futureMs">,
): Flagged[] {
  const flagged: Flagged[] = [];
  let start = 0;
  for (const [place, { batch }] of parcels.entries()) {
    const { appendMs } = appended[place]!;
    for (let index = 0; index < batch.readings.length; index++) {
      const verdict = inspect(batch, index, appendMs, judge);
      if (verdict !== null) flagged.push({ index: start + index, ...verdict });
    }
    start += batch.readings.length;
  }
  return flagged;
}

/** The sender's own id if it is harmless, else one of ours. */
function requestIdOf(headers: Headers, random: Random): string {
  const sent = headers.get("x-request-id");
  if (sent !== null && /^[\w.:-]{1,64}$/.test(sent)) return sent;
  const hex = () => random.uint32().toString(16).padStart(8, "0");
  return hex() + hex();
}
