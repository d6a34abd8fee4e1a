/**
 * The one source of order in the simulated world: virtual milliseconds, one event at a time, each awaited to its end.
 *
 * Events of one instant run in the order in which they were planned. Nothing else may let time pass: no timer, no second
 * loop. So a run is a function of its seed, and a day of a board costs what its events cost.
 */
import { assert } from "../core/assert.ts";

/** What an event does; a returned promise is awaited before the next event. */
export type EventTask = () => void | Promise<void>;

/** An event that has not run yet. */
export interface Planned {
  /** Takes the event back; harmless when it has run. */
  cancel(): void;
}

/** Thrown when the events of one instant re-plan themselves for ever. */
export class InstantOverrun extends Error {
  override name = "InstantOverrun";
}

export interface SchedulerOptions {
  /** Virtual Unix time at the start, in milliseconds (default 0). */
  readonly startMs?: number;
  /** Events that one instant may hold (default 100,000: a fleet's worth); above, {@link InstantOverrun} is thrown. */
  readonly eventsPerInstantMax?: number;
}

interface Entry extends Planned {
  readonly timeMs: number;
  readonly order: number;
  task: EventTask | null;
}

export class Scheduler {
  /** Virtual Unix time in milliseconds; never goes back. */
  nowMs: number;
  readonly #eventsPerInstantMax: number;
  readonly #heap: Entry[] = [];
  #plannedCount = 0;
  #instantCount = 0;
  #running = false;

  constructor({ startMs = 0, eventsPerInstantMax = 100_000 }: SchedulerOptions = {}) {
    this.nowMs = startMs;
    this.#eventsPerInstantMax = eventsPerInstantMax;
  }

  /** Plans `task` for `timeMs`; for now, when that has passed. */
  at(timeMs: number, task: EventTask): Planned {
    assert(Number.isFinite(timeMs), "an event has a time");
    const entry: Entry = {
      timeMs: Math.max(timeMs, this.nowMs),
      order: this.#plannedCount++,
      task,
      cancel() {
        entry.task = null;
      },
    };
    siftUp(this.#heap, entry);
    return entry;
  }

  /** Plans `task` for `ms` from now. */
  after(ms: number, task: EventTask): Planned {
    return this.at(this.nowMs + ms, task);
  }

  /** When the next event is due, in virtual milliseconds; null when nothing is planned. */
  get nextMs(): number | null {
    while (this.#heap.length > 0 && this.#heap[0]?.task === null) takeFirst(this.#heap);
    return this.#heap[0]?.timeMs ?? null;
  }

  /** Runs the next event to its end; false when nothing is planned. */
  async step(): Promise<boolean> {
    if (this.nextMs === null) return false;
    const entry = takeFirst(this.#heap);
    this.#enter(entry.timeMs);
    const task = entry.task;
    entry.task = null;
    assert(!this.#running, "one event runs at a time");
    this.#running = true;
    try {
      const pending = task?.();
      if (pending !== undefined) await pending;
    } finally {
      this.#running = false;
    }
    return true;
  }

  /** Runs every event up to and including `untilMs`, and sets the time to it. Returns how many ran. */
  async runUntil(untilMs: number): Promise<number> {
    let count = 0;
    for (let nextMs = this.nextMs; nextMs !== null && nextMs <= untilMs; nextMs = this.nextMs) {
      await this.step();
      count++;
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
    return count;
  }

  #enter(timeMs: number): void {
    if (timeMs > this.nowMs) this.#instantCount = 0;
    this.nowMs = timeMs;
    if (++this.#instantCount <= this.#eventsPerInstantMax) return;
    throw new InstantOverrun(
      `${this.#instantCount} events at ${timeMs} ms: something plans itself again at the same instant; ` +
        "let it wait, or raise eventsPerInstantMax",
    );
  }
}

const isBefore = (a: Entry, b: Entry) => a.timeMs < b.timeMs || (a.timeMs === b.timeMs && a.order < b.order);

function siftUp(heap: Entry[], entry: Entry): void {
  let index = heap.push(entry) - 1;
  while (index > 0) {
    const parentIndex = (index - 1) >> 1;
    const parent = heap[parentIndex] as Entry;
    if (isBefore(parent, entry)) break;
    heap[index] = parent;
    index = parentIndex;
  }
  heap[index] = entry;
}

function takeFirst(heap: Entry[]): Entry {
  const first = heap[0] as Entry;
  const last = heap.pop() as Entry;
  if (heap.length > 0) siftDown(heap, last);
  return first;
}

function siftDown(heap: Entry[], entry: Entry): void {
  let index = 0;
  for (;;) {
    const left = 2 * index + 1;
    if (left >= heap.length) break;
    const right = left + 1;
    const childIndex = right < heap.length && isBefore(heap[right] as Entry, heap[left] as Entry)
      ? right
      : left;
    const child = heap[childIndex] as Entry;
    if (isBefore(entry, child)) break;
    heap[index] = child;
    index = childIndex;
  }
  heap[index] = entry;
}
