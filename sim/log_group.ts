/** The simulated log's consumer group: who reads which partition, and who hears of it late. */
import { assert } from "../core/assert.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Assignments } from "../core/ports/log.ts";
import type { SimReader } from "./log_reader.ts";

/** The consumer group: eager rebalances, one at a time. A callback that throws is a mistake of the worker's. */
export class Group {
  readonly #partitions: number;
  readonly #clock: Clock;
  readonly #drawZombieMs: () => number;
  readonly #members = new Map<SimReader, Assignments>();
  /** Members that have been replaced and don't know. */
  readonly #zombies = new Set<SimReader>();
  #last: Promise<void> = Promise.resolve();

  constructor(partitions: number, clock: Clock, drawZombieMs: () => number) {
    this.#partitions = partitions;
    this.#clock = clock;
    this.#drawZombieMs = drawZombieMs;
  }

  join(reader: SimReader, assignments: Assignments): Promise<void> {
    assert(!this.#members.has(reader), "a reader joins once");
    this.#members.set(reader, assignments);
    return this.rebalance();
  }

  leave(reader: SimReader): void {
    this.#zombies.delete(reader);
    if (this.#members.delete(reader)) void this.rebalance();
  }

  rebalance(): Promise<void> {
    return this.#enqueue(async () => {
      for (const reader of this.#living()) {
        if (!this.#becomesZombie(reader)) await this.#revoke(reader);
      }
      const living = this.#living();
      for (const [i, reader] of living.entries()) {
        const share: number[] = [];
        for (let p = i; p < this.#partitions; p += living.length) share.push(p);
        if (share.length === 0 || !this.#members.has(reader)) continue;
        for (const partition of share) reader.owned.add(partition);
        await this.#members.get(reader)?.assigned(share);
      }
    });
  }

  #enqueue(task: () => Promise<void>): Promise<void> {
    return this.#last = this.#last.then(task, task);
  }

  #living(): SimReader[] {
    return [...this.#members.keys()].filter((reader) => !this.#zombies.has(reader));
  }

  #becomesZombie(reader: SimReader): boolean {
    if (reader.owned.size === 0 || this.#living().length < 2) return false;
    const zombieMs = this.#drawZombieMs();
    if (zombieMs === 0) return false;
    this.#zombies.add(reader);
    this.#clock.after(zombieMs, () => {
      if (!this.#zombies.has(reader)) return;
      void this.#enqueue(async () => {
        this.#zombies.delete(reader);
        await this.#revoke(reader);
      });
      void this.rebalance();
    });
    return true;
  }

  async #revoke(reader: SimReader): Promise<void> {
    const partitions = [...reader.owned];
    if (partitions.length === 0) return;
    reader.owned.clear();
    reader.wake();
    await this.#members.get(reader)?.revoked(partitions);
  }
}
