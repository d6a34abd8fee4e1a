/**
 * The outer guard against a firmware that hangs. `while True: pass` calls nothing and can't be interrupted from
 * JavaScript; so a run that must end goes into a Worker, and the Worker is ended when it makes no progress.
 */
import type { Clock } from "../../core/ports/clock.ts";

/** What the Worker is told. */
export interface GuardedJob {
  /** Files for the flash, `/main.py` among them; without them the project's own firmware. */
  readonly files: Readonly<Record<string, string>>;
  readonly seed: number;
  /** Virtual milliseconds to run. */
  readonly runMs: number;
}

export type GuardedOutcome =
  /** It ran to its end; `failure` is what stopped the firmware, null if nothing did. */
  | { readonly kind: "ended"; readonly serial: string; readonly failure: string | null }
  /** No event came to its end for `wallMs`: the event began at virtual `atMs` since the start, as number `events`. */
  | { readonly kind: "hung"; readonly serial: string; readonly atMs: number; readonly events: number };

/** Messages of the Worker (see `guard_worker.ts`). */
export type GuardMessage =
  | { readonly kind: "serial"; readonly text: string }
  | { readonly kind: "ended"; readonly failure: string | null };

/** Places in the shared progress: events begun, virtual milliseconds of the last one. */
export const progress = { events: 0, atMs: 1, bytes: 16 } as const;
const LOOK_MS = 100;

/** Runs `job` in a Worker; ends it when no event has ended for `wallMs` of the clock's time. */
export async function runGuarded(job: GuardedJob, wallMs: number, clock: Clock): Promise<GuardedOutcome> {
  const shared = new SharedArrayBuffer(progress.bytes);
  const seen = new Float64Array(shared);
  const worker = new Worker(new URL("./guard_worker.ts", import.meta.url), { type: "module" });
  const ended = Promise.withResolvers<GuardedOutcome>();
  let serial = "";
  let done = false;
  worker.onmessage = ({ data }: MessageEvent<GuardMessage>) => {
    if (data.kind === "serial") serial += data.text;
    else ended.resolve({ kind: "ended", serial, failure: data.failure });
  };
  worker.onerror = (event) => {
    event.preventDefault();
    ended.resolve({ kind: "ended", serial, failure: event.message });
  };
  worker.postMessage({ job, shared });
  const watch = async () => {
    let lastEvents = -1;
    for (let sinceMs = clock.monotonicMs(); !done; await clock.sleep(LOOK_MS)) {
      const events = seen[progress.events] ?? 0;
      if (events !== lastEvents) sinceMs = clock.monotonicMs();
      lastEvents = events;
      if (events === 0 || clock.monotonicMs() - sinceMs < wallMs) continue;
      return ended.resolve({ kind: "hung", serial, atMs: seen[progress.atMs] ?? 0, events });
    }
  };
  const watching = watch();
  const outcome = await ended.promise;
  done = true;
  worker.terminate();
  await watching;
  return outcome;
}
