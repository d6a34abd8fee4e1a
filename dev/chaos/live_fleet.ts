/** Model boards in real time: the simulation's own, on a scheduler that follows the machine's clock, over real sockets. */
import { below } from "../../core/ports/random.ts";
import type { Clock } from "../../core/ports/clock.ts";
import { weatherOf } from "../../sim/board/mod.ts";
import { ModelBoard, type PostOutcome } from "../../sim/model_board.ts";
import type { WorldSample } from "../../sim/oracle_world.ts";
import { seededRandom } from "../../sim/random.ts";
import { Scheduler } from "../../sim/scheduler.ts";

/** The scheduler looks at the clock so often. */
const STEP_MS = 10;
/** So long a request may take; a board gives up sooner. */
const REQUEST_MS_MAX = 20_000;

export class LiveFleet {
  readonly boards: readonly ModelBoard[];
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #url: string;
  readonly #end = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  #running: Promise<void> | null = null;
  requests = 0;
  failures = 0;

  constructor(seed: number, count: number, url: string, clock: Clock) {
    this.#clock = clock;
    this.#url = url;
    const scheduler = this.#scheduler = new Scheduler({ startMs: clock.nowMs() });
    this.boards = Array.from({ length: count }, (_, i) => {
      const device = `chaos-${i + 1}`;
      const random = seededRandom(seed, "chaos", device);
      const weather = weatherOf(seed, device);
      return new ModelBoard({
        device,
        everyMs: 250 + 50 * below(random, 10),
        flashReadingsMax: 100_000,
        flushReadings: 1 + below(random, 3),
        sendEveryMs: 500 + below(random, 1_000),
        batchReadingsMax: 200,
        latencyMs: 0,
        clock: { kind: "good", driftPpm: below(random, 201) - 100 },
      }, {
        scheduler,
        random: () => random,
        climate: (nowMs) => weather.at(Math.floor(nowMs)),
        sensorFault: () => below(random, 60) === 0 ? "checksum" : null,
        post: (body, done) => void this.#track(this.#post(body, done)),
        askTime: (done) => void scheduler.after(1, () => done(Math.floor(clock.nowMs()))),
      });
    });
  }

  get samples(): WorldSample[] {
    return this.boards.flatMap((board) => board.samples);
  }

  get unsentCount(): number {
    return this.boards.reduce((sum, board) => sum + board.unsentCount, 0);
  }

  start(): void {
    for (const board of this.boards) board.powerOn();
    this.#running = (async () => {
      while (!this.#end.signal.aborted) {
        await this.#scheduler.runUntil(Math.floor(this.#clock.nowMs()));
        await this.#clock.sleep(STEP_MS, this.#end.signal);
      }
    })();
  }

  /** A board loses its power for a while. */
  cutPower(number: number, forMs: number): void {
    const board = this.boards[number % this.boards.length];
    board?.powerCut();
    this.#scheduler.after(forMs, () => board?.powerOn());
  }

  /** No more slots; what is there is still sent. */
  comeToRest(): void {
    for (const board of this.boards) {
      board.powerOn();
      board.stopSampling();
    }
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#running;
    await Promise.all(this.#underWay);
  }

  #track(task: Promise<void>): void {
    this.#underWay.add(task);
    void task.finally(() => this.#underWay.delete(task));
  }

  /** What comes back is an event like any other. */
  async #post(body: string, done: (outcome: PostOutcome) => void): Promise<void> {
    this.requests++;
    const outcome = await this.#ask(body);
    if (outcome.kind === "failed") this.failures++;
    this.#scheduler.after(0, () => done(outcome));
  }

  async #ask(body: string): Promise<PostOutcome> {
    const giveUp = new AbortController();
    const cancel = this.#clock.after(REQUEST_MS_MAX, () => giveUp.abort());
    this.#end.signal.addEventListener("abort", () => giveUp.abort(), { once: true });
    try {
      const response = await fetch(`${this.#url}/v1/readings`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
        signal: giveUp.signal,
      });
      const text = await response.text();
      return {
        kind: "answer",
        status: response.status,
        retryAfterMs: 1_000 * Number(response.headers.get("retry-after") ?? 0),
        credit: response.status === 202 ? Number((JSON.parse(text) as { credit: number }).credit) : 1,
      };
    } catch {
      return { kind: "failed" };
    } finally {
      cancel();
    }
  }
}
