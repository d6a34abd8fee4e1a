/**
 * Somebody who reads a data folder while it is written, as `duckdb` or a notebook does: what is published is whole at any
 * moment, is what its digest says, and never goes back.
 */
import { rowDigest } from "../platform/duckdb/digest.ts";
import { type Published, readPublished } from "./published.ts";

/** What a look goes by. */
export type Seen = Pick<Published, "windows" | "position" | "rowDigest">;

export class Outsider {
  readonly #read: (partition: number) => Promise<Seen | null>;
  /** Where the partitions were published up to when last seen. */
  readonly #seen = new Map<number, number>();

  /** `read` gives the newest publication of a partition (default: from the files in `directory`). */
  constructor(
    directory: string,
    read = (partition: number): Promise<Seen | null> => readPublished(directory, partition),
  ) {
    this.#read = read;
  }

  /** What is wrong with what is published now, null if nothing is. Never rejects. Several may look at one time. */
  async look(partitions: number): Promise<string | null> {
    for (let partition = 0; partition < partitions; partition++) {
      const problem = await this.#lookAt(partition).catch((error) =>
        `a reader was turned away: ${String(error)}`
      );
      if (problem !== null) return problem;
    }
    return null;
  }

  async #lookAt(partition: number): Promise<string | null> {
    // Whoever comes while another still looks may be faster, and see more: that takes nothing from the slower one.
    const before = this.#seen.get(partition) ?? 0;
    const published = await this.#read(partition);
    if (published === null) return null;
    const { windows, position: { nextOffset } } = published;
    const digest = rowDigest(windows);
    if (digest !== published.rowDigest) {
      return `a reader of partition ${partition} saw rows of digest ${digest}, published is ${published.rowDigest}`;
    }
    if (nextOffset < before) return `a reader of partition ${partition} saw ${before}, then ${nextOffset}`;
    this.#seen.set(partition, Math.max(nextOffset, this.#seen.get(partition) ?? 0));
    return null;
  }
}
