/** A promise that may not take for ever. */
import type { Clock } from "../core/ports/clock.ts";
import { LogUnavailable } from "../core/ports/log.ts";

/** What a caller is told to wait while a log is away. */
export const RETRY_AFTER_MS = 1_000;

/**
 * Rejects with {@link LogUnavailable} when `promise` takes longer than `ms`; the promise is left to itself. `sentence`
 * says what could not be done and who did not answer.
 */
export async function before<T>(clock: Clock, ms: number, sentence: string, promise: Promise<T>): Promise<T> {
  let cancel = () => {};
  const timeout = new Promise<never>((_, reject) => {
    cancel = clock.after(ms, () => {
      reject(new LogUnavailable(`${sentence} within ${ms} ms`, RETRY_AFTER_MS));
    });
  });
  promise.catch(() => {});
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    cancel();
  }
}
