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

const encoder = new TextEncoder();

/** JSON with its exact length. */
export function jsonAnswer(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const bytes = encoder.encode(JSON.stringify(body));
  const all = { "content-type": "application/json", "content-length": String(bytes.length), ...headers };
  return new Response(bytes, { status, headers: all });
}

/** The problem document of a refusal. */
export function problemAnswer(refusal: Refusal, requestId: string): Response {
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
    headers["retry-after"] = String(Math.max(1, Math.ceil(retryAfterMs / 1_000)));
  }
  return jsonAnswer(document.status, document, headers);
}
