/**
 * Readings in the order in which they were added, found by event time. The index is made when it is first asked, and
 * only over what came since: readings with a seq never ask, and a backlog without one asks for each of its readings, so
 * going through all of them each time would cost the square of their number.
 */
import type { ReadingRow } from "./rows.ts";

export class RowsByTime {
  readonly #rows: ReadingRow[] = [];
  readonly #at = new Map<number, ReadingRow[]>();
  #indexed = 0;

  get rows(): readonly ReadingRow[] {
    return this.#rows;
  }

  push(row: ReadingRow): void {
    this.#rows.push(row);
  }

  /** Rows with this event time, in the order in which they were added. */
  at(tsMs: number): readonly ReadingRow[] {
    for (; this.#indexed < this.#rows.length; this.#indexed++) {
      const row = this.#rows[this.#indexed]!;
      const same = this.#at.get(row.tsMs);
      if (same === undefined) this.#at.set(row.tsMs, [row]);
      else same.push(row);
    }
    return this.#at.get(tsMs) ?? NONE;
  }
}

const NONE: readonly ReadingRow[] = [];
