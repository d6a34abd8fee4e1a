/** One member of the simulated log's group, which reads what it takes for its own. */
import type { Clock } from "../core/ports/clock.ts";
import {
  type Assignments,
  type LogReader,
  LogUnavailable,
  type ReadLimits,
  type ReadOutcome,
} from "../core/ports/log.ts";
import type { SimLog } from "./log.ts";
import { RETRY_AFTER_MS } from "./log_faults.ts";
import type { Group } from "./log_group.ts";

export class SimReader implements LogReader {
  readonly partitions: number;
  /** Partitions of which this member believes that they are its own. */
  readonly owned = new Set<number>();
  readonly #log: SimLog;
  readonly #group: Group;
  readonly #clock: Clock;
  readonly #sleepers = new Set<() => void>();
  #isClosed = false;

  constructor(log: SimLog, group: Group, clock: Clock) {
    this.#log = log;
    this.#group = group;
    this.#clock = clock;
    this.partitions = log.partitions;
  }

  join(assignments: Assignments): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return this.#group.join(this, assignments);
  }

  range(partition: number): Promise<{ readonly earliest: number; readonly next: number }> {
    if (this.#log.isDown()) {
      return Promise.reject(new LogUnavailable("the simulated log is down", RETRY_AFTER_MS));
    }
    return Promise.resolve(this.#log.range(partition));
  }

  async read(partition: number, offset: number, limits: ReadLimits): Promise<ReadOutcome> {
    const deadlineMs = this.#clock.monotonicMs() + limits.waitMs;
    for (;;) {
      if (this.#isClosed || !this.owned.has(partition)) return { kind: "revoked" };
      if (this.#log.isDown() || this.#log.draw("refusedRead")) {
        throw new LogUnavailable("the simulated log refuses to be read", RETRY_AFTER_MS);
      }
      const outcome = this.#log.fetch(partition, offset, limits);
      const leftMs = deadlineMs - this.#clock.monotonicMs();
      const isOver = leftMs <= 0 || limits.signal?.aborted === true;
      if (outcome.kind !== "records" || outcome.records.length > 0 || isOver) return outcome;
      await this.#sleep(leftMs, limits.signal);
    }
  }

  hint(): void {}

  settled(): void {}

  close(): Promise<void> {
    this.kill();
    return Promise.resolve();
  }

  /** Leaves the group without a word. */
  kill(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.owned.clear();
    this.#group.leave(this);
    this.wake();
  }

  wake(): void {
    for (const wake of [...this.#sleepers]) wake();
  }

  #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        cancel();
        signal?.removeEventListener("abort", wake);
        this.#sleepers.delete(wake);
        resolve();
      };
      const cancel = this.#clock.after(ms, wake);
      signal?.addEventListener("abort", wake, { once: true });
      this.#sleepers.add(wake);
    });
  }
}
