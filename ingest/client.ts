/**
 * A small typed client of ingest, for programs in TypeScript: the import, the benchmark, tests, and yours.
 *
 * ```ts ignore
 * const client = createIngestClient({ url: "http://localhost:8086", key: null, clock: machineClock });
 * const outcome = await client.send({ device: "desk", readings: [{ ts, temperature_c: 21.5 }] });
 * if (outcome.kind === "refused" && outcome.isTransient) await clock.sleep(outcome.retryAfterMs);
 * ```
 *
 * It never retries by itself: what to keep, and how long to wait, is the sender's business, and a retry is harmless only
 * for readings with an identity.
 */
import type { Clock } from "../core/ports/clock.ts";
import type { ProblemDocument } from "../core/problem.ts";
import type { Accepted } from "./readings_route.ts";

export interface ReadingBody {
  readonly seq?: number;
  /** Unix ms. */
  readonly ts?: number;
  readonly temperature_c?: number;
  readonly humidity_pct?: number;
  readonly error?: string;
  readonly flag?: string;
}

export interface BatchBody {
  readonly device: string;
  readonly boot?: number;
  readonly every_ms?: number;
  readonly synced?: boolean;
  readonly pending_since?: number | null;
  readonly previous?: { readonly boot: number; readonly slots: number };
  readonly lost?: readonly { readonly from: number; readonly to: number; readonly reason?: string }[];
  readonly readings: readonly ReadingBody[];
}

export type SendOutcome =
  | ({ readonly kind: "accepted" } & Accepted)
  | {
    readonly kind: "refused";
    readonly status: number;
    /** Null when something else than ingest answered. */
    readonly problem: ProblemDocument | null;
    /** True for 408, 429 and 5xx: the same body may be taken later. */
    readonly isTransient: boolean;
    /** What `Retry-After` says, else 1 s. */
    readonly retryAfterMs: number;
  };

export interface IngestClientOptions {
  /** Of the service (`http://host:port`), or of its readings (`…/v1/readings`). */
  readonly url: string;
  readonly key: string | null;
  readonly clock: Clock;
  /** A request that isn't answered by then fails (default 30 s). */
  readonly answerMsMax?: number;
  readonly fetch?: typeof fetch;
}

export interface IngestClient {
  /** Sends one batch, or several as NDJSON. Rejects when nothing answers. */
  send(batches: BatchBody | readonly BatchBody[], signal?: AbortSignal): Promise<SendOutcome>;
  /** Sends a body as it is. */
  post(body: BodyInit, contentType: string, signal?: AbortSignal): Promise<SendOutcome>;
}

export function createIngestClient(options: IngestClientOptions): IngestClient {
  const { key, clock, answerMsMax = 30_000, fetch: request = fetch } = options;
  const url = options.url.endsWith("/v1/readings")
    ? options.url
    : `${options.url.replace(/\/$/, "")}/v1/readings`;
  const headers: Record<string, string> = key === null ? {} : { authorization: `Bearer ${key}` };

  const post = async (body: BodyInit, contentType: string, signal?: AbortSignal): Promise<SendOutcome> => {
    const late = new AbortController();
    const cancel = clock.after(
      answerMsMax,
      () => late.abort(new Error(`${url} did not answer within ${answerMsMax / 1_000} s`)),
    );
    try {
      const response = await request(url, {
        method: "POST",
        body,
        headers: { ...headers, "content-type": contentType },
        signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
      });
      return outcomeOf(response.status, response.headers.get("retry-after"), await response.text());
    } finally {
      cancel();
    }
  };

  return {
    post,
    send: (batches, signal) =>
      isList(batches)
        ? post(batches.map((batch) => JSON.stringify(batch)).join("\n"), "application/x-ndjson", signal)
        : post(JSON.stringify(batches), "application/json", signal),
  };
}

const isList = (batches: BatchBody | readonly BatchBody[]): batches is readonly BatchBody[] =>
  Array.isArray(batches);

/** Reads an answer. */
export function outcomeOf(status: number, retryAfter: string | null, text: string): SendOutcome {
  let json: unknown = null;
  try {
    json = JSON.parse(text);
  } catch {
    // Something else than ingest answered; the status says enough.
  }
  const isObject = typeof json === "object" && json !== null;
  if (status === 202 && isObject) return { kind: "accepted", ...json as Accepted };
  const seconds = /^\d{1,6}$/.test(retryAfter ?? "") ? Number(retryAfter) : 1;
  return {
    kind: "refused",
    status,
    problem: isObject && typeof (json as ProblemDocument).detail === "string"
      ? json as ProblemDocument
      : null,
    isTransient: status === 408 || status === 429 || status >= 500,
    retryAfterMs: seconds * 1_000,
  };
}
