/**
 * Where the simulated world meets what takes real time: DuckDB's threads, files, the runtime's own queues.
 *
 * Virtual time may only go on when everything that was started has come to rest. {@link Turns} let every microtask that
 * can run do so; a {@link Gate} counts the calls that are under way outside of JavaScript and lets one of them run at a
 * time, so that they end in the order in which they were made.
 */

import type { Jitter } from "./jitter.ts";

/** Turns of the runtime's own queue. It holds the process until it is closed. */
export class Turns {
  readonly #channel = new MessageChannel();
  readonly #waiting: (() => void)[] = [];

  constructor() {
    this.#channel.port2.onmessage = () => this.#waiting.shift()?.();
  }

  /** Resolves when all microtasks that are queued now, and those that they queue, have run. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#channel.port1.postMessage(null);
    });
  }

  close(): void {
    this.#channel.port1.close();
    this.#channel.port2.close();
  }
}

/** There are many turns, and most wait for nothing. */
const TURNS_A_PAUSE = 100;

/** Told of each call when it has ended: what it was, and what went wrong (null: nothing). */
export type OnCall = (what: string, error: unknown) => void;

/** Calls into the real world, one at a time and counted. */
export class Gate {
  readonly #onCall: OnCall;
  readonly #jitter: Jitter | null;
  readonly #turns = new Turns();
  #tail: Promise<unknown> = Promise.resolve();
  #underWay = 0;
  #whenIdle: (() => void)[] = [];
  /** Calls so far. */
  count = 0;

  constructor(onCall: OnCall = () => {}, jitter: Jitter | null = null) {
    this.#onCall = onCall;
    this.#jitter = jitter;
  }

  run<T>(what: string, call: () => Promise<T>): Promise<T> {
    this.#underWay++;
    this.count++;
    const jitter = this.#jitter;
    const result = this.#tail.then(jitter === null ? call : () => jitter.around(call));
    const end = (error: unknown) => {
      this.#onCall(what, error);
      this.#end();
    };
    // Whoever waited for it goes on until he can't, before the next one is made: how long a call takes is the machine's.
    this.#tail = result.then(() => end(null), end).then(() => this.#turns.next());
    return result;
  }

  close(): void {
    this.#turns.close();
  }

  #end(): void {
    if (--this.#underWay > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** Resolves when nothing is under way and nothing more can run without virtual time going on. */
  async settle(): Promise<void> {
    for (;;) {
      await this.#turns.next();
      await this.#jitter?.pause(TURNS_A_PAUSE);
      if (this.#underWay === 0) return;
      await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    }
  }
}
