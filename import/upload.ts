/**
 * Batches → ingest, with each device's batches in order and a few devices at once. What ingest says is honoured: `credit`
 * bounds a device's next batch, `Retry-After` its pause. Retries are bounded, and harmless: readings are known by device,
 * time and channel, so one that is sent again isn't counted again.
 */
import type { Clock } from "../core/ports/clock.ts";
import { type Random, unit } from "../core/ports/random.ts";
import { batchBody, type ImportBatch } from "./batches.ts";
import type { ImportReading } from "./rows.ts";
import { flag, type Rejection, type Tally } from "./tally.ts";

export interface Answer {
  readonly status: number;
  /** The `Retry-After` header as it stands. */
  readonly retryAfter: string | null;
  readonly body: string;
}

export interface UploadPorts {
  /** One POST to ingest. Rejects when nothing answers; `signal` ends it. */
  post(body: string, signal: AbortSignal): Promise<Answer>;
  readonly clock: Clock;
  readonly random: Random;
  reject(rejection: Rejection): void;
  /** Ingest is busy or away; told once for each such time. */
  waiting(reason: string): void;
}

/** The import can't go on; the message says why and what to do. */
export class UploadStopped extends Error {
  override name = "UploadStopped";
}

/** Batches on their way or waiting behind another of their device; `send` waits above. */
export const batchesInFlightMax = 4;
/** Tries of one request: with the pauses below, ingest may be away for about two minutes. */
export const triesMax = 12;
/** Tries while nothing at all has been accepted yet: most likely the address is wrong. */
export const firstTriesMax = 4;
const pauseFirstMs = 500;
const pauseMsMax = 20_000;
/** A longer `Retry-After` is cut to this, so that the user sees a sentence and not a terminal that stands still. */
const retryAfterMsMax = 60_000;

export interface Uploader {
  /** Takes a batch; resolves when there is room for the next. Rejects with {@link UploadStopped}. */
  send(batch: ImportBatch): Promise<void>;
  /** Resolves when everything is acknowledged. Rejects with {@link UploadStopped}. */
  finish(): Promise<void>;
}

export function createUploader(ports: UploadPorts, tally: Tally, signal: AbortSignal): Uploader {
  const stop = new AbortController();
  const aborted = AbortSignal.any([signal, stop.signal]);
  const lastOf = new Map<string, Promise<void>>();
  const creditOf = new Map<string, number>();
  const inFlight = new Set<Promise<void>>();
  let stopped: UploadStopped | null = null;
  let isWaitTold = false;

  async function send(batch: ImportBatch): Promise<void> {
    while (inFlight.size >= batchesInFlightMax) await Promise.race(inFlight);
    throwIfStopped();
    const before = lastOf.get(batch.device) ?? Promise.resolve();
    const delivery: Promise<void> = before.then(() => deliver(batch)).catch((error: unknown) => {
      stopped ??= error instanceof UploadStopped ? error : new UploadStopped(String(error));
      stop.abort();
    }).finally(() => {
      inFlight.delete(delivery);
      if (lastOf.get(batch.device) === delivery) lastOf.delete(batch.device);
    });
    lastOf.set(batch.device, delivery);
    inFlight.add(delivery);
  }

  async function finish(): Promise<void> {
    await Promise.all(inFlight);
    throwIfStopped();
  }

  function throwIfStopped(): void {
    if (stopped !== null) throw stopped;
    if (signal.aborted) throw new UploadStopped("stopped by the user");
  }

  /** One batch, in as many requests as credit and size limits ask for. */
  async function deliver(batch: ImportBatch): Promise<void> {
    let rest = batch.readings;
    let fits = rest.length;
    while (rest.length > 0) {
      throwIfStopped();
      const part = rest.slice(0, Math.min(fits, creditOf.get(batch.device) ?? rest.length));
      const answer = await postPatiently(batchBody(batch.device, part));
      if (answer.status === 413 && part.length > 1) {
        fits = Math.ceil(part.length / 2);
        continue;
      }
      tally.sent += part.length;
      if (answer.status >= 200 && answer.status < 300) accept(batch.device, part, answer);
      else refuse(part, answer);
      rest = rest.slice(part.length);
    }
  }

  /** Posts until ingest decides, with pauses; never more than {@link triesMax} times. */
  async function postPatiently(body: string): Promise<Answer> {
    for (let tries = 1;; tries++) {
      const outcome = await tryPost(body);
      if (typeof outcome !== "string" && !isTransient(outcome.status)) {
        isWaitTold = false;
        return outcome;
      }
      const what = typeof outcome === "string"
        ? outcome
        : `ingest answered ${outcome.status} (${sentence(outcome)})`;
      if (tries >= (tally.accepted === 0 ? firstTriesMax : triesMax)) {
        throw new UploadStopped(
          `${what}, ${tries} times in a row: when ingest is there, run the same command again; ` +
            "what is stored already doesn't count twice",
        );
      }
      if (tries === 2 && !isWaitTold) {
        isWaitTold = true;
        ports.waiting(`${what}: waiting for it`);
      }
      tally.retries++;
      await ports.clock.sleep(
        pauseMs(tries, typeof outcome === "string" ? null : outcome.retryAfter),
        aborted,
      );
      throwIfStopped();
    }
  }

  async function tryPost(body: string): Promise<Answer | string> {
    tally.requests++;
    try {
      return await ports.post(body, aborted);
    } catch (error) {
      throwIfStopped();
      const { message, cause } = error as Error;
      return `ingest can't be reached (${lastClause(cause instanceof Error ? cause.message : message)})`;
    }
  }

  function pauseMs(tries: number, retryAfter: string | null): number {
    const asked = retryAfter !== null && /^\d+$/.test(retryAfter.trim()) ? Number(retryAfter) * 1_000 : null;
    if (asked !== null) return Math.min(asked, retryAfterMsMax);
    const full = Math.min(pauseFirstMs * 2 ** (tries - 1), pauseMsMax);
    return Math.floor(full / 2 + unit(ports.random) * full / 2);
  }

  function accept(device: string, part: readonly ImportReading[], answer: Answer): void {
    const answered = decodeAccepted(answer.body);
    if (answered === null) {
      throw new UploadStopped(
        `the answer ${answer.status} is not ingest's (${
          sentence(answer)
        }): does --url name an ingest service?`,
      );
    }
    tally.accepted += answered.accepted;
    for (const { index, reason } of answered.flagged) flag(tally, reason, part[index]?.line ?? 0);
    if (answered.credit !== null) creditOf.set(device, Math.max(1, answered.credit));
  }

  function refuse(part: readonly ImportReading[], answer: Answer): void {
    if (answer.status === 401 || answer.status === 403) {
      throw new UploadStopped(
        `ingest answered ${answer.status} (${sentence(answer)}): give a key that may write with --key`,
      );
    }
    if (answer.status !== 400 && answer.status !== 413 && answer.status !== 422) {
      throw new UploadStopped(
        `ingest answered ${answer.status} (${sentence(answer)}): does --url name an ingest service?`,
      );
    }
    const message = `ingest refused it: ${sentence(answer)}`;
    tally.rejected += part.length;
    for (const { line } of part) ports.reject({ line, column: null, message });
  }

  return { send, finish };
}

/** A network error names all of its layers; the last says what happened. */
function lastClause(message: string): string {
  return (message.split(": ").at(-1) ?? message).replace(/ \(os error \d+\)/, "").replace(/\)+$/, "")
    .toLowerCase();
}

/** Worth another try: busy, away, or failed on the way. */
const isTransient = (status: number) => status === 408 || status === 429 || status >= 500;

interface Accepted {
  readonly accepted: number;
  readonly flagged: readonly { readonly index: number; readonly reason: string }[];
  readonly credit: number | null;
}

function decodeAccepted(body: string): Accepted | null {
  const answer = parsed(body);
  if (typeof answer?.accepted !== "number") return null;
  const flagged = Array.isArray(answer.flagged) ? answer.flagged : [];
  const isFlag = (one: unknown): one is { index: number; reason: string } =>
    typeof (one as { index?: unknown } | null)?.index === "number" &&
    typeof (one as { reason?: unknown }).reason === "string";
  return {
    accepted: answer.accepted,
    flagged: flagged.filter(isFlag),
    credit: typeof answer.credit === "number" ? answer.credit : null,
  };
}

/** What an answer says: a problem document's words, else the beginning of its text. */
function sentence(answer: Answer): string {
  const problem = parsed(answer.body);
  const words = [problem?.title, problem?.detail].filter((part) => typeof part === "string");
  if (words.length > 0) return words.join(": ");
  const text = answer.body.trim().replace(/\s+/g, " ");
  return text === "" ? "no text" : text.slice(0, 80);
}

function parsed(body: string): { readonly [name: string]: unknown } | null {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? value as { [name: string]: unknown } : null;
  } catch {
    return null;
  }
}
