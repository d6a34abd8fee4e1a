/**
 * Problem documents of RFC 9457 (`application/problem+json`): one table of the kinds that our services answer with, so
 * that code, OpenAPI and the reference page can't tell different stories. Pure; the services make responses of them.
 */
import type { Problem } from "./schema.ts";

export interface ProblemKind {
  readonly status: number;
  readonly title: string;
  /** What it means and what the sender does next. */
  readonly meaning: string;
}

export const problemKinds = {
  "no-batch": {
    status: 400,
    title: "This is not a batch of readings",
    meaning:
      "The body, or a line of it, can't be read as a batch; `problems` lists everything that is wrong, by JSON " +
      "pointer (RFC 6901). Nothing of the request was stored. Correct it before sending again.",
  },
  "bad-request": {
    status: 400,
    title: "The request can't be understood",
    meaning: "The request's line, headers or encoding are broken; `detail` says where.",
  },
  "no-key": {
    status: 401,
    title: "A key is needed",
    meaning:
      "Send a valid key as `Authorization: Bearer KEY` or `X-Api-Key: KEY`. Keys are made by `deno task keys`.",
  },
  "not-allowed": {
    status: 403,
    title: "This is not allowed",
    meaning:
      "The key is valid, but not for this device or action; or a browser's page of another origin sent it. Nothing " +
      "was stored.",
  },
  "not-found": {
    status: 404,
    title: "There is nothing here",
    meaning: "Readings go to `POST /v1/readings`.",
  },
  "method-not-allowed": {
    status: 405,
    title: "This method does nothing here",
    meaning: "The header `Allow` lists the methods that do.",
  },
  "too-slow": {
    status: 408,
    title: "The request took too long to arrive",
    meaning: "The body must arrive within the time in the limits table. Nothing was stored; send it again.",
  },
  "too-large": {
    status: 413,
    title: "The request is too large",
    meaning: "`detail` names the bound. Nothing was stored; send smaller batches.",
  },
  "unknown-format": {
    status: 415,
    title: "The format of the body isn't known",
    meaning: "`detail` lists the content types and encodings that are.",
  },
  "too-many": {
    status: 429,
    title: "This device sends more than its share",
    meaning:
      "Too many of this device's or key's requests wait already. Nothing of this one was stored; send it again after " +
      "`Retry-After` seconds.",
  },
  "internal": {
    status: 500,
    title: "The service made a mistake",
    meaning:
      "A fault of ours; the trace has it under the request's id. Whether it was stored is unknown; send it again.",
  },
  "log-down": {
    status: 503,
    title: "The log can't take readings now",
    meaning:
      "Keep the readings and send them again after `Retry-After` seconds. Some may be in the log already; readings " +
      "with an identity count once however often they are sent.",
  },
  "busy": {
    status: 503,
    title: "The service has too much to do",
    meaning: "Nothing was stored; send it again after `Retry-After` seconds.",
  },
} as const satisfies Record<string, ProblemKind>;

export type ProblemName = keyof typeof problemKinds;

/** A document as it is sent. */
export interface ProblemDocument {
  /** Reference to the kind's description, relative to the service. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly request_id?: string;
  readonly problems?: readonly Problem[];
  /** Problems beyond the bound of the list. */
  readonly problems_more?: number;
}

/** Problems that one document lists; the rest is only counted. A 4 MB body of broken lines must not answer with 40. */
const PROBLEMS_LISTED_MAX = 100;

/** The media type of problem documents. */
export const problemMediaType = "application/problem+json";

/** Makes a document of a kind. `detail` is one sentence about this occurrence. */
export function problemDocument(
  name: ProblemName,
  detail: string,
  { requestId, problems }: { readonly requestId?: string; readonly problems?: readonly Problem[] } = {},
): ProblemDocument {
  const { status, title } = problemKinds[name];
  const more = (problems?.length ?? 0) - PROBLEMS_LISTED_MAX;
  return {
    type: `/reference#${name}`,
    title,
    status,
    detail,
    ...(requestId === undefined ? {} : { request_id: requestId }),
    ...(problems === undefined ? {} : { problems: problems.slice(0, PROBLEMS_LISTED_MAX) }),
    ...(more > 0 ? { problems_more: more } : {}),
  };
}
