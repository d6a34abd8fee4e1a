/** The wait of a log's reader at the end of its partition. */
import { assert } from "../core/assert.ts";
import type { Clock } from "../core/ports/clock.ts";

/** Who may be asleep. */
export interface Sleeper {
  /** Ends the sleep; null while nobody sleeps. */
  wake: (() => void) | null;
}

/** Resolves when `sleeper` is woken, after `ms`, or at an abort. */
export function sleepUntilWoken(
  clock: Clock,
  sleeper: Sleeper,
  ms: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  assert(sleeper.wake === null, "one read of a partition at a time");
  return new Promise((resolve) => {
    const wake = () => {
      cancel();
      signal?.removeEventListener("abort", wake);
      sleeper.wake = null;
      resolve();
    };
    const cancel = clock.after(ms, wake);
    signal?.addEventListener("abort", wake, { once: true });
    sleeper.wake = wake;
  });
}
