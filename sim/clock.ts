import type { Clock } from "../core/ports/clock.ts";
import type { Scheduler } from "./scheduler.ts";

/** Turns of the microtask queue that a woken sleeper gets before the next event; more than any chain of ours is deep. */
const SETTLE_TURNS = 64;

/**
 * The virtual time of `scheduler` as a service sees it. Wall time and monotonic time are the same here.
 *
 * The event that ends a sleep lasts until what it woke has come to rest, as long as that needs microtasks only.
 */
export function virtualClock(scheduler: Scheduler): Clock {
  return {
    nowMs: () => scheduler.nowMs,
    monotonicMs: () => scheduler.nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const planned = scheduler.after(ms, () => {
          resolve();
          return settle();
        });
        signal?.addEventListener("abort", () => {
          planned.cancel();
          resolve();
        }, { once: true });
      }),
    after(ms, task) {
      const planned = scheduler.after(ms, () => {
        task();
        return settle();
      });
      return () => planned.cancel();
    },
  };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < SETTLE_TURNS; turn++) await undefined;
}
