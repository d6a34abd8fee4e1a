/**
 * Batches → ingest, with each device's batches in order and a few devices at once. What ingest says is honoured: `credit`
 * bounds a device's next batch, `Retry-After` its pause. Retries are bounded, and harmless: readings are known by device,
 * time and channel, so one that is sent again isn't counted again.
 */
import type { Clock } from "../core/ports/clock.ts";
import { type Random, unit } from "../core/ports/random.ts";
import type { IngestClient, SendOutcome } from "../ingest/client.ts";
import { batchBody, type ImportBatch } from "./batches.ts";
import type { ImportReading } from "./rows.ts";
import { flag, type Rejection, type Tally } from "./tally.ts";

export interface UploadPorts {
  readonly client: Pick<IngestClient, "post">;
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
      const outcome = await postPatiently(batchBody(batch.device, part));
      if (outcome.kind === "refused" && outcome.status === 413 && part.length > 1) {
        fits = Math.ceil(part.length / 2);
        continue;
      }
      tally.sent += part.length;
      if (outcome.kind === "accepted") accept(batch.device, part, outcome);
      else refuse(part, outcome);
      rest = rest.slice(part.length);
    }
  }

  /** Posts until ingest decides, with pauses; never more than {@link triesMax} times. */
  async function postPatiently(body: string): Promise<SendOutcome> {
    for (let tries = 1;; tries++) {
      const outcome = await tryPost(body);
      if (typeof outcome !== "string" && (outcome.kind === "accepted" || !outcome.isTransient)) {
        isWaitTold = false;
        return outcome;
      }
      const what = typeof outcome === "string" ? outcome : sentence(outcome);
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
        pauseMs(tries, typeof outcome === "string" ? 0 : outcome.retryAfterMs),
        aborted,
      );
      throwIfStopped();
    }
  }

  async function tryPost(body: string): Promise<SendOutcome | string> {
    tally.requests++;
    try {
      return await ports.client.post(body, "application/json", aborted);
    } catch (error) {
      throwIfStopped();
      const { message, cause } = error as Error;
      return `ingest can't be reached (${lastClause(cause instanceof Error ? cause.message : message)})`;
    }
  }

  /** At least what ingest asked for, and longer the longer it is away. */
  function pauseMs(tries: number, askedMs: number): number {
    const full = Math.min(pauseFirstMs * 2 ** (tries - 1), pauseMsMax);
    const drawnMs = Math.floor(full / 2 + unit(ports.random) * full / 2);
    return Math.max(drawnMs, Math.min(askedMs, retryAfterMsMax));
  }

  function accept(device: string, part: readonly ImportReading[], outcome: Accepted): void {
    tally.accepted += outcome.accepted;
    for (const { index, reason } of outcome.flagged) flag(tally, reason, part[index]?.line ?? 0);
    creditOf.set(device, Math.max(1, outcome.credit));
  }

  function refuse(part: readonly ImportReading[], outcome: Refused): void {
    if (outcome.status === 401 || outcome.status === 403) {
      throw new UploadStopped(`${sentence(outcome)}: give a key that may write with --key`);
    }
    if (outcome.problem === null || (outcome.status !== 400 && outcome.status !== 413)) {
      throw new UploadStopped(`${sentence(outcome)}: does --url name an ingest service?`);
    }
    tally.rejected += part.length;
    for (const { line } of part) ports.reject({ line, column: null, message: sentence(outcome) });
  }

  return { send, finish };
}

type Accepted = SendOutcome & { readonly kind: "accepted" };
type Refused = SendOutcome & { readonly kind: "refused" };

function sentence({ status, problem }: Refused): string {
  return `ingest answered ${status}${problem === null ? "" : ` (${problem.title}: ${problem.detail})`}`;
}

/** A network error names all of its layers; the last says what happened. */
function lastClause(message: string): string {
  return (message.split(": ").at(-1) ?? message).replace(/ \(os error \d+\)/, "").replace(/\)+$/, "")
    .toLowerCase();
}
