/**
 * Somebody who reads a data folder while it is written, as `duckdb` or a notebook does: what is published is whole at any
 * moment, is what its digest says, and never goes back.
 */
import { rowDigest } from "../platform/duckdb/digest.ts";
import { readPublished } from "./published.ts";

export class Outsider {
  readonly #directory: string;
  /** Where the partitions were published up to when last seen. */
  readonly #seen = new Map<number, number>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** What is wrong with what is published now, null if nothing is. Never rejects. */
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
    const published = await readPublished(this.#directory, partition);
    if (published === null) return null;
    const { windows, position: { nextOffset } } = published;
    const digest = rowDigest(windows);
    if (digest !== published.rowDigest) {
      return `a reader of partition ${partition} saw rows of digest ${digest}, published is ${published.rowDigest}`;
    }
    const before = this.#seen.get(partition) ?? 0;
    if (nextOffset < before) return `a reader of partition ${partition} saw ${before}, then ${nextOffset}`;
    this.#seen.set(partition, nextOffset);
    return null;
  }
}
