/** Responses of ingest: JSON with its length, and problem documents. */
import { problemDocument, problemMediaType, type ProblemName } from "../core/problem.ts";
import type { Problem } from "../core/schema.ts";

/** A refusal as a value, on its way to becoming a problem document. */
export interface Refusal {
  readonly kind: "refused";
  readonly name: ProblemName;
  /** One sentence about this occurrence. */
  readonly detail: string;
  readonly problems?: readonly Problem[];
  /** For 429 and 503. */
  readonly retryAfterMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export function refused(
  name: ProblemName,
  detail: string,
  more: Omit<Refusal, "kind" | "name" | "detail"> = {},
): Refusal {
  return { kind: "refused", name, detail, ...more };
}

/** An answer before it is a `Response`. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const encoder = new TextEncoder();
const JSON_HEADERS = { "content-type": "application/json" };

/** A body as JSON. */
export const jsonText = (status: number, body: unknown): Answer => ({
  status,
  headers: JSON_HEADERS,
  body: JSON.stringify(body),
});

/** An answer with its exact length. */
export function responseOf({ status, headers, body }: Answer): Response {
  const bytes = encoder.encode(body);
  return new Response(bytes, { status, headers: { "content-length": String(bytes.length), ...headers } });
}

/** JSON with its exact length. */
export const jsonAnswer = (
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response => responseOf({ status, headers: { ...JSON_HEADERS, ...headers }, body: JSON.stringify(body) });

/** A `Retry-After` in seconds, at least one. Rounded to the nearest: upwards, 1.0 to 2.0 s would all be 2, a fleet in step. */
export const retryAfterText = (ms: number): string => String(Math.max(1, Math.round(ms / 1_000)));

/** The problem document of a refusal, as text. */
export function problemText(refusal: Refusal, requestId: string): Answer {
  const { name, detail, problems, retryAfterMs } = refusal;
  const document = problemDocument(name, detail, {
    requestId,
    ...(problems === undefined ? {} : { problems }),
  });
  const headers: Record<string, string> = {
    "content-type": problemMediaType,
    "x-request-id": requestId,
    ...refusal.headers,
  };
  if (retryAfterMs !== undefined) {
    headers["retry-after"] = retryAfterText(retryAfterMs);
  }
  return { status: document.status, headers, body: JSON.stringify(document) };
}

/** The problem document of a refusal. */
export const problemAnswer = (refusal: Refusal, requestId: string): Response =>
  responseOf(problemText(refusal, requestId));
