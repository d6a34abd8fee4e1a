/**
 * How many readings a request is invited to carry, from measured load. Additive-increase/multiplicative-decrease on the
 * time that requests wait for their turn, judged by the shortest wait of each step as CoDel does (RFC 8289): a burst
 * that passes leaves credit alone, a queue that stands halves it. Deciding code: time comes in as an argument.
 */
export interface CreditBounds {
  readonly waitTargetMs: number;
  readonly creditStepMs: number;
  readonly creditMax: number;
}

/** Share by which credit grows in a step without a standing queue. */
const GROWTH = 1.25;
/** Credit of a server that has just started: half an hour at the default interval. */
const CREDIT_START = 180;
/** Credit has grown to its bound after so many quiet steps from 1. */
const QUIET_STEPS_MAX = 64;

export class Credit {
  readonly #bounds: CreditBounds;
  #level: number;
  #stepStartMs: number;
  #shortestWaitMs: number | null = null;

  constructor(bounds: CreditBounds, nowMs: number) {
    this.#bounds = bounds;
    this.#level = Math.min(CREDIT_START, bounds.creditMax);
    this.#stepStartMs = nowMs;
  }

  /** A request got its turn at `nowMs` after `waitMs`. */
  observe(waitMs: number, nowMs: number): void {
    this.#advance(nowMs);
    this.#shortestWaitMs = Math.min(this.#shortestWaitMs ?? Infinity, waitMs);
  }

  /** Readings that the next request may carry: 1 … `creditMax`. */
  at(nowMs: number): number {
    this.#advance(nowMs);
    return Math.floor(this.#level);
  }

  #advance(nowMs: number): void {
    const { creditStepMs, creditMax, waitTargetMs } = this.#bounds;
    const steps = Math.floor((nowMs - this.#stepStartMs) / creditStepMs);
    if (steps <= 0) return;
    this.#stepStartMs += steps * creditStepMs;
    const stands = this.#shortestWaitMs !== null && this.#shortestWaitMs > waitTargetMs;
    this.#shortestWaitMs = null;
    if (stands) this.#level = Math.max(1, this.#level / 2);
    const quietSteps = Math.min(steps - (stands ? 1 : 0), QUIET_STEPS_MAX);
    for (let i = 0; i < quietSteps; i++) this.#level = Math.min(creditMax, this.#level * GROWTH);
  }
}
