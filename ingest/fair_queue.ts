/**
 * A queue that is fair between its keys: deficit round robin with a short list for newcomers, as in FQ-CoDel
 * (RFC 8290, section 4.1.3). Each key in turn may take `turnSize` of size; a key that was idle goes first, once. So a
 * device with one live reading waits for one item, whatever a thousand others drain; and a device that floods, or sends
 * huge batches, waits for itself.
 *
 * Rejected: one queue (a flood starves all), strict priority for small items (starves backlogs), a token bucket for each
 * device (needs a rate that nobody knows, and wastes an idle server).
 */
interface Flow<T> {
  readonly items: { readonly size: number; readonly item: T }[];
  /** What the key may still take in its turn; negative after an item larger than that. */
  deficit: number;
}

export class FairQueue<T> {
  readonly #turnSize: number;
  /** Keys that were idle before their first item; insertion order is the order of turns. */
  readonly #fresh = new Map<string, Flow<T>>();
  readonly #steady = new Map<string, Flow<T>>();
  #length = 0;

  constructor(turnSize: number) {
    this.#turnSize = turnSize;
  }

  /** Items of all keys. */
  get length(): number {
    return this.#length;
  }

  /** Items of one key. */
  waiting(key: string): number {
    return this.#flow(key)?.items.length ?? 0;
  }

  push(key: string, size: number, item: T): void {
    let flow = this.#flow(key);
    if (flow === undefined) {
      flow = { items: [], deficit: this.#turnSize };
      this.#fresh.set(key, flow);
    }
    flow.items.push({ size, item });
    this.#length++;
  }

  /** The next item in fair order, or undefined when there is none. */
  take(): T | undefined {
    for (;;) {
      const fresh = firstOf(this.#fresh);
      const next = fresh ?? firstOf(this.#steady);
      if (next === undefined) return undefined;
      const [key, flow] = next;
      const list = fresh === undefined ? this.#steady : this.#fresh;
      if (flow.deficit <= 0) {
        flow.deficit += this.#turnSize;
        list.delete(key);
        this.#steady.set(key, flow);
        continue;
      }
      const first = flow.items.shift();
      if (first === undefined) {
        list.delete(key);
        // Once through the steady list before it counts as idle: else send, wait, send would always be first.
        if (fresh !== undefined && this.#steady.size > 0) this.#steady.set(key, flow);
        continue;
      }
      this.#length--;
      flow.deficit -= first.size;
      return first.item;
    }
  }

  #flow(key: string): Flow<T> | undefined {
    return this.#fresh.get(key) ?? this.#steady.get(key);
  }
}

function firstOf<T>(list: ReadonlyMap<string, T>): [string, T] | undefined {
  for (const entry of list) return entry;
  return undefined;
}
