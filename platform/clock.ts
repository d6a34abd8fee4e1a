/** The machine's time, behind the {@link Clock} port. Timers beyond 2^31 − 1 ms (24.8 days) are taken in steps. */
import type { Clock } from "../core/ports/clock.ts";

/** The longest delay that `setTimeout` keeps; a longer one would fire at once. */
const TIMER_MS_MAX = 2_147_483_647;

/** The only clock of a running process. */
export const machineClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const end = () => {
        cancel();
        signal?.removeEventListener("abort", end);
        resolve();
      };
      const cancel = after(ms, end);
      signal?.addEventListener("abort", end, { once: true });
    }),
  after,
};

function after(ms: number, task: () => void): () => void {
  let timer: ReturnType<typeof setTimeout>;
  const arm = (leftMs: number) => {
    timer = leftMs > TIMER_MS_MAX
      ? setTimeout(() => arm(leftMs - TIMER_MS_MAX), TIMER_MS_MAX)
      : setTimeout(task, leftMs);
  };
  arm(Math.max(0, ms));
  return () => clearTimeout(timer);
}
