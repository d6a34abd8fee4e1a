/**
 * Real TCP for simulated boards (`deno task dev`). Names and the time are still the simulated world's own; only
 * connections go out.
 *
 * What arrives from the real network waits in an inbox until {@link RealNetwork.deliver} plans it on the scheduler: the
 * board sees it as an event like any other. The caller decides whether virtual time stands still meanwhile.
 */
import { connect as connectTcp } from "node:net";
import type { Clock } from "../../core/ports/clock.ts";
import type { Scheduler } from "../scheduler.ts";
import type { Connection, ConnectionEvents, ConnectionFailure, Network } from "./network.ts";
import { WorldServices } from "./world_services.ts";

export class RealNetwork implements Network {
  readonly #scheduler: Scheduler;
  readonly #services: WorldServices;
  readonly #hostOf: (name: string) => string | null;
  readonly #inbox: (() => void | Promise<void>)[] = [];
  readonly #waiting = new Set<object>();
  #wake: (() => void) | null = null;

  /**
   * `hostOf` tells which real host a name or address means (default: itself); null: connections don't get there. Its name
   * exists all the same, and so does the time that it tells: both are the simulated world's.
   */
  constructor(scheduler: Scheduler, hostOf: (name: string) => string | null = (name) => name) {
    this.#scheduler = scheduler;
    this.#hostOf = hostOf;
    this.#services = new WorldServices(() => scheduler.nowMs);
  }

  /** True while a board waits for a connection or an answer. */
  get busy(): boolean {
    return this.#waiting.size > 0;
  }

  resolve(name: string): string | null {
    return this.#services.resolve(name);
  }

  datagram(
    _device: string,
    _host: string,
    port: number,
    bytes: Uint8Array,
    answer: (bytes: Uint8Array) => void,
  ): void {
    const reply = this.#services.answer(port, bytes);
    if (reply !== null) this.#scheduler.after(1, () => answer(reply));
  }

  connect(_device: string, host: string, port: number, events: ConnectionEvents): Connection {
    const real = this.#hostOf(this.#services.nameOf(host));
    if (real === null) {
      this.#scheduler.after(1, () => events.failed("unreachable"));
      return { send() {}, close() {} };
    }
    const exchange = {};
    this.#waiting.add(exchange);
    const socket = connectTcp({ host: real, port, noDelay: true });
    const arrive = (tell: () => void) => {
      this.#waiting.delete(exchange);
      this.#inbox.push(tell);
      this.#wake?.();
    };
    socket.on("connect", () => arrive(() => events.connected()));
    socket.on("data", (data: Uint8Array) => arrive(() => events.received(new Uint8Array(data))));
    socket.on("end", () => arrive(() => events.ended()));
    socket.on(
      "error",
      (error: Error & { code?: string }) => arrive(() => events.failed(failureOf(error.code))),
    );
    return {
      send: (bytes) => {
        this.#waiting.add(exchange);
        socket.write(bytes);
      },
      close: () => {
        this.#waiting.delete(exchange);
        socket.removeAllListeners("data");
        socket.destroy();
      },
    };
  }

  /** Puts a task from outside the boards' world into it: it runs as an event, after what has arrived before. */
  post(task: () => void | Promise<void>): void {
    this.#inbox.push(task);
    this.#wake?.();
  }

  /** Whoever still waits is no longer {@link RealNetwork.busy}: the server takes too long. */
  giveUp(): void {
    this.#waiting.clear();
  }

  /** Plans what has arrived for now. */
  deliver(): void {
    for (const tell of this.#inbox.splice(0)) this.#scheduler.at(this.#scheduler.nowMs, tell);
  }

  /** Resolves when something arrives, after `ms`, or when `signal` aborts. */
  async arrival(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    if (this.#inbox.length > 0 || signal.aborted) return;
    const done = new AbortController();
    const stop = () => done.abort();
    signal.addEventListener("abort", stop, { once: true });
    this.#wake = stop;
    await clock.sleep(ms, done.signal);
    this.#wake = null;
    signal.removeEventListener("abort", stop);
  }
}

function failureOf(code: string | undefined): ConnectionFailure {
  if (code === "ECONNREFUSED") return "refused";
  return code === "ECONNRESET" || code === "EPIPE" ? "reset" : "unreachable";
}
