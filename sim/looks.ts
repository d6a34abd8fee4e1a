/**
 * Readers that look at published files while the run goes on beside them. They take real time, and how much is the
 * machine's: virtual time waits for one only where its rights would end otherwise.
 */

/** Readers at one time; for one more, the first has to be done. */
const UNDER_WAY_MAX = 8;

export class Looks {
  readonly #graceMs: number;
  /** In the order in which they began. */
  readonly #underWay = new Set<{ readonly sinceMs: number; readonly over: Promise<void> }>();

  /** `graceMs`: how long, in virtual time, what a reader has found stays readable. */
  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  /** `look` began at virtual `sinceMs`, and is over when it resolves; it never rejects. */
  add(sinceMs: number, look: Promise<void>): void {
    const entry = { sinceMs, over: look.finally(() => this.#underWay.delete(entry)) };
    this.#underWay.add(entry);
  }

  /** Resolves when virtual time may become `nextMs` without taking files from a reader that still has a right to them. */
  async mayBecome(nextMs: number): Promise<void> {
    for (const { sinceMs, over } of this.#underWay) {
      if (nextMs - sinceMs < this.#graceMs && this.#underWay.size <= UNDER_WAY_MAX) return;
      await over;
    }
  }

  /** Resolves when nobody looks any more. */
  async over(): Promise<void> {
    for (const { over } of this.#underWay) await over;
  }
}
