/** Tells watchers what changes in a partition: the newest state every half second, not every step. */
import type { Partition } from "../core/partition.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { LiveFeed } from "../core/ports/live_feed.ts";

/** Watchers are told of open windows, devices and positions so often at the most, of so many devices at a time. */
const TELL_EVERY_MS = 500;
const TOLD_DEVICES_MAX = 2_000;

export class Teller {
  #dueMs = 0;
  #toldOffset = -1;

  constructor(private readonly ports: { readonly clock: Clock; readonly live: LiveFeed }) {}

  /** How long until somebody who watches is to be told what is new; Infinity if there is nothing, or nobody. */
  waitMs(fold: Partition): number {
    const { clock, live } = this.ports;
    return fold.hasUnshown && live.isWatched() ? this.#dueMs - clock.monotonicMs() : Infinity;
  }

  tellIfDue(fold: Partition): void {
    const { clock, live } = this.ports;
    if (clock.monotonicMs() < this.#dueMs) return;
    this.#dueMs = clock.monotonicMs() + TELL_EVERY_MS;
    if (!live.isWatched()) {
      this.#toldOffset = fold.nextOffset;
      return fold.forgetUnshown();
    }
    for (const { row, last, open } of fold.takeUnshown(TOLD_DEVICES_MAX)) {
      live.emit({ kind: "device", row, last });
      for (const window of open) live.emit({ kind: "window", row: window, open: true });
    }
    if (fold.nextOffset === this.#toldOffset) return;
    this.#toldOffset = fold.nextOffset;
    const { partition, nextOffset, appendHighMs: appendMs } = fold;
    live.emit({ kind: "position", partition, nextOffset, appendMs });
  }
}
