/**
 * InfluxDB's write doors: `/api/v2/write` and `/write`, with that API's own answers, so that writers which know InfluxDB
 * need only a URL and a key. As there, points that are none are told with 400 ("partial write") while the others are
 * stored; everything else that is refused stores nothing. 204 only when the log has them.
 */
import { problemKinds } from "../core/problem.ts";
import { jsonAnswer, type Refusal, refused, retryAfterText } from "./answers.ts";
import { type Grant, secretOf } from "./authority.ts";
import { type Incoming, incomingOf } from "./incoming.ts";
import { mapPoints, precisionNames } from "./influx.ts";
import type { Intake } from "./intake.ts";
import type { IngestLimits } from "./limits.ts";
import { type LineProblem, parseLines } from "./line_protocol.ts";

export type InfluxVersion = 1 | 2;

const utf8 = new TextDecoder("utf-8", { fatal: true });
/** Problems that an answer lists. */
const LISTED_MAX = 10;

export async function takeLines(
  request: Request,
  intake: Intake,
  limits: IngestLimits,
): Promise<Response | Refusal> {
  const query = new URL(request.url).searchParams;
  const incoming = incomingOf(request);
  const admitted = intake.admit(incoming, influxSecret(incoming, query));
  if (admitted.kind === "refused") return admitted;
  const precision = query.get("precision") ?? "ns";
  if (!precisionNames.includes(precision)) {
    return refused(
      "bad-request",
      `the precision ${JSON.stringify(precision.slice(0, 20))} is unknown: use ns, us, ms or s`,
    );
  }
  const body = await intake.body(incoming, limits.ndjsonBytesMax);
  if (body.kind === "refused") return body;
  try {
    return await write(body.bytes, precision, admitted.grant, intake, limits);
  } finally {
    body.release();
  }
}

async function write(
  bytes: Uint8Array,
  precision: string,
  grant: Grant,
  intake: Intake,
  limits: IngestLimits,
): Promise<Response | Refusal> {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return refused("no-batch", "the body is not UTF-8");
  }
  const parsed = parseLines(text);
  const { parcels, readings, problems } = mapPoints(parsed.points, precision);
  const dropped = [...parsed.problems, ...problems].sort((a, b) => a.line - b.line);
  if (readings > limits.readingsPerRequestMax) {
    return refused(
      "too-large",
      `the request has ${readings} readings, at most ${limits.readingsPerRequestMax} fit`,
    );
  }
  if (parcels.length === 0) {
    return refused(
      "no-batch",
      dropped.length === 0 ? "there are no points" : `no point was stored: ${told(dropped)}`,
    );
  }
  const taken = await intake.append(grant, parcels, bytes.length);
  if (taken.kind === "refused") return taken;
  if (dropped.length === 0) return new Response(null, { status: 204, headers: VERSION });
  return refused("no-batch", `partial write: ${told(dropped)}; dropped=${dropped.length}`);
}

function told(problems: readonly LineProblem[]): string {
  const shown = problems.slice(0, LISTED_MAX).map(({ line, message }) => `line ${line}: ${message}`).join(
    "; ",
  );
  return problems.length > LISTED_MAX ? `${shown}; and ${problems.length - LISTED_MAX} more` : shown;
}

/** InfluxDB 1's clients send a password, by Basic or in the query; it is the key. */
function influxSecret(incoming: Incoming, query: URLSearchParams): string | null {
  const basic = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(incoming.header("authorization") ?? "");
  if (basic !== null) {
    try {
      const pair = atob(basic[1]!);
      return pair.slice(pair.indexOf(":") + 1);
    } catch {
      return null;
    }
  }
  return secretOf(incoming) ?? query.get("p");
}

/** Some clients look for it to know that this is something they can talk to. */
const VERSION = { "x-influxdb-version": "2.7-isotherm" };

const codes: Readonly<Record<number, string>> = {
  400: "invalid",
  401: "unauthorized",
  403: "forbidden",
  404: "not found",
  405: "method not allowed",
  408: "invalid",
  413: "request too large",
  415: "invalid",
  429: "too many requests",
  503: "unavailable",
};

/** A refusal in InfluxDB's words. */
export function influxProblem(refusal: Refusal, version: InfluxVersion, requestId: string): Response {
  const { status } = problemKinds[refusal.name];
  const headers: Record<string, string> = { ...VERSION, ...refusal.headers, "x-request-id": requestId };
  if (refusal.retryAfterMs !== undefined) {
    headers["retry-after"] = retryAfterText(refusal.retryAfterMs);
  }
  if (version === 1) return jsonAnswer(status, { error: refusal.detail }, headers);
  return jsonAnswer(status, { code: codes[status] ?? "internal error", message: refusal.detail }, headers);
}

/** `/ping`: InfluxDB 1's clients ask whether it is there. */
export const pong = (): Response => new Response(null, { status: 204, headers: VERSION });

/** `/health`: InfluxDB 2's clients ask whether it works. */
export function influxHealth(reason: string | null): Response {
  return reason === null
    ? jsonAnswer(200, { name: "isotherm", status: "pass", message: "ready for writes" }, VERSION)
    : jsonAnswer(503, { name: "isotherm", status: "fail", message: reason }, VERSION);
}

/** `/query`: Telegraf creates its database first; there is none to create. Nothing else is answered here. */
export function influxQuery(request: Request, form: string): Response {
  const statement = new URL(request.url).searchParams.get("q") ?? new URLSearchParams(form).get("q") ?? "";
  return /^\s*CREATE DATABASE\b/i.test(statement)
    ? jsonAnswer(200, { results: [{ statement_id: 0 }] }, VERSION)
    : jsonAnswer(400, { error: "only writes are taken here; ask the published files with SQL" }, VERSION);
}
