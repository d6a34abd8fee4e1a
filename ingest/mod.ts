/**
 * Ingest: the front door. `createIngest(ports, config)` gives an app that takes readings over HTTP, checks who may write
 * what, appends whole batches to the log as received, and answers 202 only when the log has them.
 *
 * It decides nothing about readings: `flagged` tells what the fold is going to say, by the same pure function.
 */
import { type Context, Hono } from "hono";
import { defaultConfig } from "../core/config.ts";
import type { Random } from "../core/ports/random.ts";
import {
  type Answer,
  jsonAnswer,
  jsonText,
  problemAnswer,
  problemText,
  type Refusal,
  refused,
  responseOf,
} from "./answers.ts";
import { actOnDevice, release } from "./control_route.ts";
import { type Incoming, incomingOf, wholeIncoming } from "./incoming.ts";
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
  /** Readings in short bodies, without the web's objects: the same answers as the handler's, for less. */
  readonly plain: {
    readonly path: string;
    handle(request: Parameters<typeof wholeIncoming>[0]): Promise<Answer>;
  };
  /** For doors that aren't HTTP. */
  readonly intake: Intake;
  /** Null when readings are taken, else a sentence. */
  ready(): string | null;
  /** Takes no more requests and resolves when what was taken is durable or refused. The log stays open. */
  stop(): Promise<void>;
}

const READINGS_PATH = "/v1/readings";
/** What a visitor finds. */
const ROOT = {
  service: "isotherm ingest",
  readings: READINGS_PATH,
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

  /** Counts a refusal and tells the trace; the id under which it is told. */
  const told = ({ name, detail }: Refusal, sentId: string | null): string => {
    const requestId = requestIdOf(sentId, random);
    metrics.count("isotherm_ingest_refused_total", 1, { problem: name });
    trace.emit("debug", "ingest.refused", { requestId, problem: name, detail });
    return requestId;
  };
  /** Turns a refusal into its document. */
  const answered = async (
    request: Request,
    outcome: Promise<Response | Refusal>,
    document: (refusal: Refusal, requestId: string) => Response = problemAnswer,
  ): Promise<Response> => {
    const result = await outcome;
    if (result instanceof Response) return result;
    return document(result, told(result, request.headers.get("x-request-id")));
  };
  const readings = async (incoming: Incoming): Promise<Answer> => {
    const result = await takeReadings(incoming, intake, limits, clock.nowMs);
    if (result.kind === "accepted") return jsonText(202, result.answer);
    return problemText(result, told(result, incoming.header("x-request-id")));
  };
  const lines = (version: InfluxVersion) => ({ req: { raw } }: Context) =>
    answered(raw, takeLines(raw, intake, limits), (refusal, id) => influxProblem(refusal, version, id));
  const refusing = (refusal: Refusal) => (context: Context) =>
    problemAnswer(refusal, requestIdOf(context.req.raw.headers.get("x-request-id"), random));
  const only = (allow: string) =>
    refusing(refused("method-not-allowed", `use ${allow} here`, { headers: { allow } }));

  const app = new Hono();
  app.post(READINGS_PATH, async ({ req: { raw } }) => responseOf(await readings(incomingOf(raw))));
  app.all(READINGS_PATH, only("POST"));
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
    plain: { path: READINGS_PATH, handle: (request) => readings(wholeIncoming(request)) },
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
function requestIdOf(sent: string | null, random: Random): string {
  if (sent !== null && /^[\w.:-]{1,64}$/.test(sent)) return sent;
  const hex = () => random.uint32().toString(16).padStart(8, "0");
  return hex() + hex();
}
