/**
 * When to publish: soon after something was committed, and so seldom that publishing takes at most a fifth of the time.
 *
 * Of a thousand devices a publication takes some 50 ms, and the interval is the configured one. Of a hundred thousand it
 * takes seconds, and rows are worth more committed than published: the next one waits then until four times as long has
 * gone by, but not for ever, and no longer than twice as long once nothing comes any more: the last rows of a backlog don't
 * wait for nothing. How old published rows can be so is told (`publish_every_seconds` of `/status`, metric
 * `isotherm_publish_interval_seconds`).
 */

/** Part of the time that may be spent publishing; the design promises published rows within 5 s, met up to 1 s each. */
const TIME_SHARE_MAX = 1 / 5;
/** Without a transaction for so long, or for two publications, nothing comes any more. */
const QUIET_MS_MIN = 250;
/** Rows are never kept back longer for that, however slow the disk. */
export const publishIntervalMsMax = 60_000;

export class PublishPace {
  #committedDueMs = 0;
  #restedMs = 0;
  #quietMs = QUIET_MS_MIN;
  #newestMs = 0;
  #intervalMs: number;

  /** `everyMs`: what is configured. All times are of one monotonic clock, ms. */
  constructor(readonly everyMs: number) {
    this.#intervalMs = everyMs;
  }

  /** The least time from one publication to the next, as of the last. */
  get intervalMs(): number {
    return this.#intervalMs;
  }

  /** Something was committed at `nowMs`; `isFirst` since the last publication. */
  committed(nowMs: number, isFirst: boolean): void {
    this.#newestMs = nowMs;
    if (isFirst) this.#committedDueMs = nowMs + this.everyMs;
  }

  /** A publication has begun and ended. */
  published(startedMs: number, endedMs: number): void {
    const bounded = Math.min((endedMs - startedMs) / TIME_SHARE_MAX, publishIntervalMsMax);
    this.#intervalMs = Math.max(this.everyMs, bounded);
    this.#restedMs = startedMs + Math.max(bounded, endedMs - startedMs);
    this.#quietMs = Math.max(QUIET_MS_MIN, 2 * (endedMs - startedMs));
  }

  /** One has failed: it is tried again after `waitMs`. */
  failed(nowMs: number, waitMs: number): void {
    this.#committedDueMs = nowMs + waitMs;
  }

  /** How long the next one has to wait; at most 0 if it is due. */
  waitMs(nowMs: number): number {
    const restedMs = Math.min(this.#restedMs, this.#newestMs + this.#quietMs);
    return Math.max(this.#committedDueMs, restedMs) - nowMs;
  }
}
