/**
 * A queue that is fair between its keys: start-time fair queueing (P. Goyal, H. Vin, H. Cheng, SIGCOMM 1996). An item's
 * tag is the later of the queue's virtual time and the end of its key's last item, less an allowance; the lowest tag goes
 * first and sets the virtual time; an item's size moves the end of its key. So keys that want more than their share get equal shares by
 * size, and a key that takes less than its share goes next, whatever a thousand others drain. A device that floods, or
 * sends huge batches, waits for itself.
 *
 * Rejected: one queue (a flood starves all); deficit round robin with FQ-CoDel's list for newcomers (measured: while a
 * thousand boards drained, a live reading waited for a whole round, 600 ms); tags by the end of an item (equal batches
 * have equal tags, and again a round passes); a token bucket for each device (needs a rate that nobody knows, and wastes
 * an idle server).
 */
interface Entry<T> {
  readonly key: string;
  /** Where it starts and ends in virtual time; of equal starts the smaller item goes first. */
  readonly tag: number;
  readonly end: number;
  /** Order of arrival, for equals. */
  readonly order: number;
  readonly item: T;
}

interface KeyState {
  /** Where its last item ends in virtual time. */
  end: number;
  waiting: number;
}

/** Keys that are remembered while nothing of them waits. At it a new round begins, and all are equal again. */
const IDLE_KEYS_MAX = 20_000;

export class FairQueue<T> {
  /** So much a key may be ahead of its share: a live reading counts for nothing beside a batch. */
  readonly #allowance: number;
  /** A binary heap, the lowest tag first. */
  readonly #heap: Entry<T>[] = [];
  /** Keys with something waiting, or that have had more than others in this round. */
  readonly #keys = new Map<string, KeyState>();
  /** Of those keys, the ones with nothing waiting. */
  #idleCount = 0;
  #virtualTime = 0;
  #order = 0;

  constructor(allowance: number) {
    this.#allowance = allowance;
  }

  /** Items of all keys. */
  get length(): number {
    return this.#heap.length;
  }

  /** Keys with something waiting. */
  get keys(): number {
    return this.#keys.size - this.#idleCount;
  }

  /** Items of one key. */
  waiting(key: string): number {
    return this.#keys.get(key)?.waiting ?? 0;
  }

  /** Adds an item; `size` (> 0) is what it takes of its key's share. */
  push(key: string, size: number, item: T): void {
    if (this.#idleCount > 0 && (this.#heap.length === 0 || this.#idleCount >= IDLE_KEYS_MAX)) {
      this.#beginRound();
    }
    let state = this.#keys.get(key);
    if (state === undefined) {
      state = { end: this.#virtualTime, waiting: 0 };
      this.#keys.set(key, state);
    } else if (state.waiting === 0) this.#idleCount--;
    const tag = Math.max(this.#virtualTime, state.end - this.#allowance);
    state.end = Math.max(this.#virtualTime, state.end) + size;
    state.waiting++;
    siftUp(this.#heap, { key, tag, end: state.end, order: this.#order++, item });
  }

  /** The next item in fair order, or undefined when there is none. */
  take(): T | undefined {
    const first = this.#heap[0];
    if (first === undefined) return undefined;
    removeFirst(this.#heap);
    this.#virtualTime = first.tag;
    if (--this.#keys.get(first.key)!.waiting === 0) this.#idleCount++;
    return first.item;
  }

  /** Forgets what idle keys have had. */
  #beginRound(): void {
    for (const [key, { waiting }] of this.#keys) if (waiting === 0) this.#keys.delete(key);
    this.#idleCount = 0;
  }
}

type Tagged = Pick<Entry<unknown>, "tag" | "end" | "order">;

const isBefore = (a: Tagged, b: Tagged) =>
  a.tag !== b.tag ? a.tag < b.tag : a.end !== b.end ? a.end < b.end : a.order < b.order;

function siftUp<T extends Tagged>(heap: T[], entry: T): void {
  let place = heap.push(entry) - 1;
  while (place > 0) {
    const above = (place - 1) >> 1;
    if (!isBefore(entry, heap[above]!)) break;
    heap[place] = heap[above]!;
    place = above;
  }
  heap[place] = entry;
}

function removeFirst<T extends Tagged>(heap: T[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  let place = 0;
  for (;;) {
    const left = 2 * place + 1;
    if (left >= heap.length) break;
    const right = left + 1;
    const child = right < heap.length && isBefore(heap[right]!, heap[left]!) ? right : left;
    if (!isBefore(heap[child]!, last)) break;
    heap[place] = heap[child]!;
    place = child;
  }
  heap[place] = last;
}
