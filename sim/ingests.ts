/** The ingest processes of a run: production code, spread over like a load balancer, that crash and come back. */
import { noMetrics } from "../core/ports/metrics.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Trace } from "../core/ports/trace.ts";
import { createIngest, type Ingest } from "../ingest/mod.ts";
import type { SimLog, SimLogEnds } from "./log.ts";
import type { Decisions } from "./decisions.ts";

/** Bound of what one ingest holds for the log, and some for the batch that is being taken. */
const WAITING_BYTES_MAX = 33 * 2 ** 20;

export interface IngestsWorld {
  readonly decisions: Decisions;
  readonly clock: Clock;
  readonly log: SimLog;
  readonly trace: Trace;
  readonly onViolation: (sentence: string) => void;
  /** Told of each 202. */
  readonly onAcknowledged: (body: BodyInit) => void;
}

export type IngestAnswer =
  | { readonly kind: "answer"; readonly response: Response; readonly text: string }
  /** Nobody listens. */
  | { readonly kind: "refused" }
  /** It died over the request. */
  | { readonly kind: "died" };

interface IngestProcess {
  readonly ingest: Ingest;
  readonly ends: SimLogEnds;
  isDead: boolean;
}

export class Ingests {
  readonly #world: IngestsWorld;
  readonly #processes: (IngestProcess | null)[];
  #requests = 0;

  constructor(world: IngestsWorld, count: number) {
    this.#world = world;
    this.#processes = Array.from({ length: count }, () => null);
  }

  get count(): number {
    return this.#processes.length;
  }

  /** Somebody listens. */
  get isServed(): boolean {
    return this.#processes.some((process) => process !== null);
  }

  start(i: number): void {
    const { decisions, clock, log, trace } = this.#world;
    const ends = log.open();
    const random = decisions.of("ingest", i, clock.nowMs());
    const ingest = createIngest({ log: ends.writer, clock, random, trace, metrics: noMetrics });
    this.#processes[i] = { ingest, ends, isDead: false };
  }

  /** False if it is down already. */
  crash(i: number): boolean {
    const process = this.#processes[i] ?? null;
    if (process === null) return false;
    process.isDead = true;
    process.ends.kill();
    this.#processes[i] = null;
    return true;
  }

  /** What is wrong with what they hold, null if nothing is. */
  checkBounds(): string | null {
    for (const process of this.#processes) {
      const bytes = process?.ends.writer.pendingBytes() ?? 0;
      if (bytes > WAITING_BYTES_MAX) return `ingest has ${bytes} bytes waiting for the log`;
    }
    return null;
  }

  /** A request arrives at the next of them. `answer` is called at once if nobody listens; never, if nobody ever answers. */
  deliver(request: Request, body: BodyInit, answer: (outcome: IngestAnswer) => void): void {
    const process = this.#processes[this.#requests++ % this.#processes.length];
    if (process === null || process === undefined) return answer({ kind: "refused" });
    void this.#handle(process, request, body, answer);
  }

  async #handle(
    process: IngestProcess,
    request: Request,
    body: BodyInit,
    answer: (outcome: IngestAnswer) => void,
  ): Promise<void> {
    const { onAcknowledged, onViolation } = this.#world;
    try {
      const response = await process.ingest.handler(request);
      const text = await response.text();
      if (process.isDead) return answer({ kind: "died" });
      if (response.status === 202) {
        onAcknowledged(body);
        const { credit } = JSON.parse(text) as { readonly credit?: unknown };
        if (!Number.isInteger(credit) || Number(credit) < 1) {
          onViolation(`ingest gave credit for ${credit} readings`);
        }
      }
      answer({ kind: "answer", response, text });
    } catch (error) {
      if (!process.isDead) onViolation(`ingest threw: ${String(error)}`);
    }
  }
}
