/**
 * Time as a service sees it. The only two implementations are `platform/clock.ts` (the machine's) and
 * `sim/clock.ts` (virtual); everything else is handed one of them, so that a run can be repeated.
 */
export interface Clock {
  /** Wall time in Unix milliseconds (an integer). May step when the machine's clock is set. */
  nowMs(): number;
  /** Milliseconds since an arbitrary origin; never goes back. For durations and deadlines. */
  monotonicMs(): number;
  /** Resolves after `ms` (≥ 0); at once, without an error, when `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Runs `task` once after `ms` (≥ 0). The returned function cancels it. */
  after(ms: number, task: () => void): () => void;
}
