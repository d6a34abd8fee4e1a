/**
 * A binary heap of things that become due, earliest first, each at most once. Keys may be lower bounds: the owner checks
 * and puts back. A thing that becomes due earlier has to be told, or its later key would hide it.
 */
export class DueQueue<T> {
  #heap: { dueMs: number; readonly item: T }[] = [];
  #places = new Map<T, number>();

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest entry; undefined if there is none. */
  peek(): { readonly dueMs: number; readonly item: T } | undefined {
    return this.#heap[0];
  }

  /** Puts `item` in, or brings it forward; a later key than it has changes nothing. */
  bring(dueMs: number, item: T): void {
    const known = this.#places.get(item);
    if (known !== undefined && this.#heap[known]!.dueMs <= dueMs) return;
    const heap = this.#heap;
    const entry = { dueMs, item };
    let i = known ?? heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent]!.dueMs <= dueMs) break;
      this.#place(i, heap[parent]!);
      i = parent;
    }
    this.#place(i, entry);
  }

  pop(): T | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const entry = heap.pop();
    if (top === undefined || entry === undefined) return undefined;
    this.#places.delete(top.item);
    if (heap.length === 0) return top.item;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.dueMs < heap[child]!.dueMs) child++;
      if (heap[child]!.dueMs >= entry.dueMs) break;
      this.#place(i, heap[child]!);
      i = child;
    }
    this.#place(i, entry);
    return top.item;
  }

  #place(i: number, entry: { dueMs: number; readonly item: T }): void {
    this.#heap[i] = entry;
    this.#places.set(entry.item, i);
  }
}
