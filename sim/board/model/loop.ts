/**
 * MicroPython's asyncio in small: tasks are generators that yield what they wait for. Everything runs inside events of the
 * scheduler, on the board's clock.
 */
import type { HostClock } from "../host.ts";

/** What a task waits for. `block` stops all tasks, as a C function does. */
export type Wait =
  | { readonly kind: "sleep"; readonly ms: number }
  | { readonly kind: "block"; readonly ms: number }
  | { readonly kind: "flag"; readonly flag: Flag };

/** A step-wise computation that ends in a `T`. */
export type Task<T> = Generator<Wait, T, void>;

export const sleep = (ms: number): Wait => ({ kind: "sleep", ms: Math.max(0, ms) });
export const block = (ms: number): Wait => ({ kind: "block", ms });

/** asyncio.Event. */
export class Flag {
  isSet = false;
  readonly #loop: Loop;
  waiting: Task<void>[] = [];

  constructor(loop: Loop) {
    this.#loop = loop;
  }

  set(): void {
    this.isSet = true;
    for (const task of this.waiting.splice(0)) this.#loop.ready(task);
  }

  clear(): void {
    this.isSet = false;
  }

  *wait(): Task<void> {
    if (!this.isSet) yield { kind: "flag", flag: this };
  }
}

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly task: Task<void>;
}

export class Loop {
  readonly #clock: HostClock;
  #queue: Entry[] = [];
  #order = 0;
  #isBlocked = false;
  #planned: { cancel(): void } | null = null;

  constructor(clock: HostClock) {
    this.#clock = clock;
  }

  /** Runs `task` in this turn, after those that are due before. */
  ready(task: Task<void>): void {
    this.#push(this.#clock.ticksMs(), task);
  }

  /** Nothing runs any more: the chip is about to reset. */
  stop(): void {
    this.#isBlocked = true;
  }

  /** Runs everything that is due, then plans the next turn. */
  turn(): void {
    this.#planned?.cancel();
    this.#planned = null;
    while (!this.#isBlocked) {
      const first = this.#queue[0];
      if (first === undefined) return;
      const waitMs = first.atMs - this.#clock.ticksMs();
      if (waitMs > 0) return this.#plan(waitMs);
      this.#queue.shift();
      this.#advance(first.task);
    }
  }

  #advance(task: Task<void>): void {
    const next = task.next();
    if (this.#isBlocked) return;
    if (next.done === true) return;
    const wait = next.value;
    if (wait.kind === "sleep") return this.#push(this.#clock.ticksMs() + wait.ms, task);
    if (wait.kind === "flag") return void wait.flag.waiting.push(task);
    this.#isBlocked = true;
    this.#clock.wake(wait.ms, () => {
      this.#isBlocked = false;
      this.#advance(task);
      this.turn();
    });
  }

  #plan(ms: number): void {
    this.#planned = this.#clock.wake(ms, () => {
      this.#planned = null;
      this.turn();
    });
  }

  #push(atMs: number, task: Task<void>): void {
    const entry = { atMs, order: this.#order++, task };
    let index = this.#queue.length;
    while (index > 0 && (this.#queue[index - 1] as Entry).atMs > atMs) index--;
    this.#queue.splice(index, 0, entry);
  }
}
