/**
 * One partition for as long as the log says that it is ours, and for a moment longer.
 *
 * *Taken anew.* An owner record may be older than that of a worker which the log has replaced meanwhile (an append is
 * slow, a zombie is late): then nobody would be left. So the one to whom the log still assigns the partition takes it
 * again, later each time.
 *
 * *Handed over.* A worker whose partition goes to another works on until it reads the other's owner record, which that
 * one writes when it has loaded what is published: so rows don't stand still while it loads. What both have done is
 * counted once, since the higher epoch is shown.
 */
import type { Clock } from "../core/ports/clock.ts";
import type { AggregatorConfig } from "./config.ts";
import { PartitionWorker, type WorkerPorts } from "./partition_worker.ts";

/**
 * First and longest wait before a partition that another worker took is taken again. One that the log has given us no
 * longer ago than the first of them is taken at once: then it was the other that is late.
 */
const RETAKE_FIRST_MS = 10_000;
const RETAKE_MAX_MS = 600_000;

export class Holding {
  /** Resolves when the partition is held no more, or a person has to act. Never rejects. */
  readonly done: Promise<void>;
  readonly #ports: WorkerPorts;
  readonly #clock: Clock;
  readonly #config: AggregatorConfig;
  #worker: PartitionWorker;
  /** When the log said last that the partition is ours, by the monotonic clock. */
  #givenMs = -Infinity;
  /** Ends the wait for the next taking. */
  #takeNow = new AbortController();
  /** While it is handed over: ends the wait for its next owner. */
  #leaving: AbortController | null = null;
  readonly #end = new AbortController();
  readonly #over = new AbortController();

  /** Begins to work. Ends with `signal`; `ended` hears of it before {@link done} resolves, with a bug of ours if there is one. */
  constructor(
    partition: number,
    ports: WorkerPorts,
    config: AggregatorConfig,
    signal: AbortSignal,
    ended: (bug: unknown) => void,
  ) {
    this.#ports = ports;
    this.#clock = ports.clock;
    this.#config = config;
    this.#worker = new PartitionWorker(partition, ports, config);
    this.done = this.#hold(AbortSignal.any([this.#end.signal, signal]))
      .then(() => ended(null), (bug) => ended(bug))
      .finally(() => this.#over.abort());
  }

  /** Who works on it now. */
  get worker(): PartitionWorker {
    return this.#worker;
  }

  /** The log says anew that the partition is ours. False if this has ended meanwhile and another holding is needed. */
  async keep(): Promise<boolean> {
    if (this.#end.signal.aborted) await this.done;
    if (this.#leaving !== null && this.#isOver()) return false;
    this.#leaving?.abort();
    this.#leaving = null;
    this.#givenMs = this.#clock.monotonicMs();
    this.#takeNow.abort();
    return true;
  }

  /**
   * The partition goes to another worker: works on until that one's owner record, `waitMs` at the most. Resolves with
   * true when everything is closed, with false if the log has given it to us again before.
   */
  async release(waitMs: number): Promise<boolean> {
    const leaving = this.#leaving = new AbortController();
    // One that doesn't work yet, or can't, has nothing to go on with; its owner record must not come after the other's.
    if (this.#worker.status().state === "running") {
      await this.#clock.sleep(waitMs, AbortSignal.any([leaving.signal, this.#over.signal]));
      if (this.#leaving !== leaving) return false;
    }
    this.#end.abort();
    await this.done;
    return true;
  }

  #isOver(): boolean {
    return this.#over.signal.aborted;
  }

  async #hold(signal: AbortSignal): Promise<void> {
    for (let waitMs = 0;;) {
      const takenMs = this.#clock.monotonicMs();
      await this.#worker.run(signal);
      if (this.#worker.status().state !== "superseded" || this.#leaving !== null) break;
      const nowMs = this.#clock.monotonicMs();
      if (nowMs - this.#givenMs > RETAKE_FIRST_MS) {
        // Who held it for longer than it has waited for it has not been fighting for it.
        waitMs = nowMs - takenMs > waitMs ? RETAKE_FIRST_MS : Math.min(2 * waitMs, RETAKE_MAX_MS);
        await this.#clock.sleep(waitMs, AbortSignal.any([signal, this.#takeNow.signal]));
      }
      if (signal.aborted) break;
      this.#givenMs = -Infinity;
      this.#takeNow = new AbortController();
      this.#worker = new PartitionWorker(this.#worker.partition, this.#ports, this.#config);
    }
    this.#over.abort(); // at once: what is given to us from now on takes another holding
  }
}
