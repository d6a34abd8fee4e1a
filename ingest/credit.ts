/**
 * How many readings a request is invited to carry, from measured load: so many that all senders who wait now get a turn
 * within `roundMs`. Deciding code: time comes in as an argument.
 *
 * A request costs as much as 60 readings (measured), so very small ones help nobody: below `creditSoftMin` a round may
 * take `roundMsMax` before credit falls further. It never falls below 1.
 *
 * Rejected: halving credit while a queue stands (AIMD on the wait). With a thousand boards that drain, a queue stands
 * whatever they send; credit fell to 1 and throughput to a thirtieth, while live readings went first all the time anyway.
 */
export interface CreditBounds {
  readonly creditMax: number;
  readonly creditSoftMin: number;
  readonly creditStepMs: number;
  readonly roundMs: number;
  readonly roundMsMax: number;
  readonly heldBytesMax: number;
  readonly readingBytes: number;
}

/** What a log is thought to take before anything was measured. */
const READINGS_PER_SECOND_FIRST = 20_000;
/** Weight of the newest step. */
const NEWEST = 0.3;

export class Credit {
  readonly #bounds: CreditBounds;
  /** What all may send at once, so that half of the room for bodies is left for those who send unasked. */
  readonly #readingsHeldMax: number;
  #readingsPerSecond = READINGS_PER_SECOND_FIRST;
  #stepStartMs: number;
  #stepReadings = 0;
  #stepWasBusy = false;

  constructor(bounds: CreditBounds, nowMs: number) {
    this.#bounds = bounds;
    this.#readingsHeldMax = bounds.heldBytesMax / 2 / bounds.readingBytes;
    this.#stepStartMs = nowMs;
  }

  /** `readings` became durable; `isBusy` if others wait, so that this shows what the log can take. */
  observe(readings: number, isBusy: boolean, nowMs: number): void {
    const elapsedMs = nowMs - this.#stepStartMs;
    if (elapsedMs >= this.#bounds.creditStepMs) {
      if (this.#stepWasBusy) {
        const measured = (this.#stepReadings * 1_000) / elapsedMs;
        this.#readingsPerSecond += NEWEST * (measured - this.#readingsPerSecond);
      }
      this.#stepStartMs = nowMs;
      this.#stepReadings = 0;
      this.#stepWasBusy = isBusy;
    }
    this.#stepReadings += readings;
    this.#stepWasBusy &&= isBusy;
  }

  /** How long `readings` take at the measured rate. */
  msFor(readings: number): number {
    return (readings * 1_000) / Math.max(1, this.#readingsPerSecond);
  }

  /** Readings that the next request may carry, with so many senders: 1 … `creditMax`. */
  for(senders: number): number {
    const { creditMax, creditSoftMin, roundMs, roundMsMax } = this.#bounds;
    const perMs = this.#readingsPerSecond / 1_000 / Math.max(1, senders);
    const fair = perMs * roundMs;
    const credit = fair >= creditSoftMin ? fair : Math.min(creditSoftMin, perMs * roundMsMax);
    const fits = this.#readingsHeldMax / Math.max(1, senders);
    return Math.max(1, Math.min(creditMax, Math.round(credit), Math.floor(fits)));
  }
}
