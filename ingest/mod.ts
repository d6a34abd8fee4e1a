/**
 * Ingest: the front door. `createIngest(ports, config)` gives an app that takes readings over HTTP, checks who may write
 * what, appends whole batches to the log as received, and answers 202 only when the log has them.
 *
 * It decides nothing about readings: `flagged` tells what the fold is going to say, by the same pure function.
 */
import { type Context, Hono } from "hono";
import { defaultConfig } from "../core/config.ts";
import type { Random } from "../core/ports/random.ts";
import { jsonAnswer, problemAnswer, type Refusal, refused } from "./answers.ts";
import { actOnDevice, release } from "./control_route.ts";
import { Intake } from "./intake.ts";
import { ingestLimits } from "./limits.ts";
import {
  influxHealth,
  influxProblem,
  influxQuery,
  type InfluxVersion,
  pong,
  takeLines,
} from "./influx_route.ts";
import type { IngestConfig, IngestPorts } from "./ports.ts";
import { openapi } from "./openapi.ts";
import { referencePage } from "./reference.ts";
import { takeReadings } from "./readings_route.ts";

export type { Flagged } from "./parcel.ts";
export { type IngestConfig, ingestMetricsHelp, type IngestPorts } from "./ports.ts";
export type { Accepted } from "./readings_route.ts";

export interface Ingest {
  /** The Hono app; `app.request()` drives it without a socket. */
  readonly app: Hono;
  /** The same as a server's handler. */
  readonly handler: (request: Request) => Response | Promise<Response>;
  /** For doors that aren't HTTP. */
  readonly intake: Intake;
  /** Null when readings are taken, else a sentence. */
  ready(): string | null;
  /** Takes no more requests and resolves when what was taken is durable or refused. The log stays open. */
  stop(): Promise<void>;
}

/** What a visitor finds. */
const ROOT = {
  service: "isotherm ingest",
  readings: "/v1/readings",
  reference: "/reference",
  openapi: "/openapi.json",
};
const PAGE_HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
};

const defaults: IngestConfig = { judge: defaultConfig, limits: ingestLimits };

/** Makes ingest. Nothing runs until a request comes. */
export function createIngest(ports: IngestPorts, config: Partial<IngestConfig> = {}): Ingest {
  const { judge, limits } = { ...defaults, ...config };
  const { clock, random, trace, metrics } = ports;
  const intake = new Intake(ports, { judge, limits });

  /** Turns a refusal into its document, and tells the trace under the document's id. */
  const answered = async (
    request: Request,
    outcome: Promise<Response | Refusal>,
    document: (refusal: Refusal, requestId: string) => Response = problemAnswer,
  ): Promise<Response> => {
    const result = await outcome;
    if (result instanceof Response) return result;
    const requestId = requestIdOf(request.headers, random);
    metrics.count("isotherm_ingest_refused_total", 1, { problem: result.name });
    trace.emit("debug", "ingest.refused", { requestId, problem: result.name, detail: result.detail });
    return document(result, requestId);
  };
  const lines = (version: InfluxVersion) => ({ req: { raw } }: Context) =>
    answered(raw, takeLines(raw, intake, limits), (refusal, id) => influxProblem(refusal, version, id));
  const refusing = (refusal: Refusal) => (context: Context) =>
    problemAnswer(refusal, requestIdOf(context.req.raw.headers, random));
  const only = (allow: string) =>
    refusing(refused("method-not-allowed", `use ${allow} here`, { headers: { allow } }));

  const app = new Hono();
  app.post(
    "/v1/readings",
    ({ req: { raw } }) => answered(raw, takeReadings(raw, intake, limits, clock.nowMs)),
  );
  app.all("/v1/readings", only("POST"));
  app.post(
    "/v1/devices/:device",
    ({ req }) => answered(req.raw, actOnDevice(req.raw, req.param("device"), intake)),
  );
  app.all("/v1/devices/:device", only("POST"));
  app.post("/v1/releases", ({ req: { raw } }) => answered(raw, release(raw, intake)));
  app.all("/v1/releases", only("POST"));
  app.post("/api/v2/write", lines(2));
  app.post("/write", lines(1));
  app.get("/ping", pong); // and HEAD, by the server
  app.get("/health", () => influxHealth(intake.ready()));
  app.on(["GET", "POST"], "/query", async ({ req: { raw } }) => influxQuery(raw, await shortText(raw)));
  for (const path of ["/api/v2/write", "/write"]) app.all(path, only("POST"));
  app.get("/", () => jsonAnswer(200, ROOT));
  app.get("/openapi.json", () => jsonAnswer(200, openapi()));
  app.get("/reference", () => new Response(referencePage(), { headers: PAGE_HEADERS }));
  app.notFound(refusing(refused("not-found", "there is nothing at this path")));
  app.onError((error) => {
    throw error; // the server's business: 500 and a trace, or the end of the service
  });

  return {
    app,
    handler: (request) => app.fetch(request),
    intake,
    ready: () => intake.ready(),
    stop: () => intake.stop(),
  };
}

/** A short body as text; "" if it is long or has none. */
async function shortText(request: Request): Promise<string> {
  return Number(request.headers.get("content-length") ?? Infinity) <= 4_096 ? await request.text() : "";
}

/** The sender's own id if it is harmless, else one of ours. */
function requestIdOf(headers: Headers, random: Random): string {
  const sent = headers.get("x-request-id");
  if (sent !== null && /^[\w.:-]{1,64}$/.test(sent)) return sent;
  const hex = () => random.uint32().toString(16).padStart(8, "0");
  return hex() + hex();
}
