/**
 * Where the simulated world meets what takes real time: DuckDB's threads, files, the runtime's own queues.
 *
 * Virtual time may only go on when everything that was started has come to rest. `nextTurn` lets every microtask that
 * can run do so; a {@link Gate} counts the calls that are under way outside of JavaScript and lets one of them run at a
 * time, so that they end in the order in which they were made.
 */
const channel = new MessageChannel();
const waiting: (() => void)[] = [];
channel.port2.onmessage = () => waiting.shift()?.();
let users = 0;

/** Resolves when all microtasks that are queued now, and those that they queue, have run. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    channel.port1.postMessage(null);
  });
}

/** Keeps `nextTurn` usable while `task` runs, and lets the process end afterwards. */
export async function withTurns<T>(task: () => Promise<T>): Promise<T> {
  if (users++ === 0) channel.port2.start();
  try {
    return await task();
  } finally {
    if (--users === 0) unref();
  }
}

function unref(): void {
  // Node's and Deno's message ports hold the process only while they are referenced.
  (channel.port2 as MessagePort & { unref?: () => void }).unref?.();
}

/** Calls into the real world, one at a time and counted. */
export class Gate {
  #tail: Promise<unknown> = Promise.resolve();
  #underWay = 0;
  #whenIdle: (() => void)[] = [];
  /** Calls so far. */
  count = 0;

  run<T>(call: () => Promise<T>): Promise<T> {
    this.#underWay++;
    this.count++;
    const result = this.#tail.then(call);
    this.#tail = result.then(() => this.#end(), () => this.#end());
    return result;
  }

  #end(): void {
    if (--this.#underWay > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** Resolves when nothing is under way and nothing more can run without virtual time going on. */
  async settle(): Promise<void> {
    for (;;) {
      await nextTurn();
      if (this.#underWay === 0) return;
      await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    }
  }
}
