/**
 * How many senders there are: distinct ones of this period and the one before. The number of those that wait at a moment
 * is another: between two sends of a fleet that drains, nobody waits, and whoever is answered then would be invited to
 * send as if it were alone.
 */

/** Names that are remembered of a period; above, there are so many. */
const SENDERS_MAX = 20_000;

export class RecentSenders {
  readonly #periodMs: number;
  #periodStartMs: number;
  #now = new Set<string>();
  #before = new Set<string>();

  constructor(periodMs: number, nowMs: number) {
    this.#periodMs = periodMs;
    this.#periodStartMs = nowMs;
  }

  /** A request of `sender` came. */
  note(sender: string, nowMs: number): void {
    this.#turn(nowMs);
    if (this.#now.size < SENDERS_MAX) this.#now.add(sender);
  }

  /** Senders of the last one to two periods, or a few less; at most 20,000. */
  count(nowMs: number): number {
    this.#turn(nowMs);
    return Math.max(this.#now.size, this.#before.size);
  }

  #turn(nowMs: number): void {
    const periods = Math.floor((nowMs - this.#periodStartMs) / this.#periodMs);
    if (periods < 1) return;
    this.#before = periods === 1 ? this.#now : new Set();
    this.#now = new Set();
    this.#periodStartMs += periods * this.#periodMs;
  }
}
