/** A binary heap of things that become due, earliest first. Keys may be lower bounds: the owner checks and puts back. */
export class DueQueue<T> {
  #heap: { dueMs: number; item: T }[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest entry; undefined if there is none. */
  peek(): { readonly dueMs: number; readonly item: T } | undefined {
    return this.#heap[0];
  }

  push(dueMs: number, item: T): void {
    const heap = this.#heap;
    const entry = { dueMs, item };
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent]!.dueMs <= dueMs) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = entry;
  }

  pop(): T | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const entry = heap.pop();
    if (top === undefined || entry === undefined || heap.length === 0) return top?.item;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.dueMs < heap[child]!.dueMs) child++;
      if (heap[child]!.dueMs >= entry.dueMs) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = entry;
    return top.item;
  }
}
