/**
 * A world whose server is the production ingest on a simulated log. What reached the log then goes through the production
 * aggregator into real DuckDB files, at the virtual time at which the board was switched off. It isn't read earlier: rows
 * are a function of the log, not of when it is read, and an hour's readings cost one transaction instead of hundreds.
 */
import { defaultConfig } from "../../../core/config.ts";
import { noMetrics } from "../../../core/ports/metrics.ts";
import { silentTrace } from "../../../core/ports/trace.ts";
import { createIngest } from "../../../ingest/mod.ts";
import { AggregatorProcess } from "../../aggregator_process.ts";
import { HttpNetwork } from "../../board/mod.ts";
import { virtualClock } from "../../clock.ts";
import { duckdbDisk } from "../../disk.ts";
import { SimLog } from "../../log.ts";
import { seededRandom } from "../../random.ts";
import { Scheduler } from "../../scheduler.ts";
import { Gate } from "../../turn.ts";
import type { World } from "../world.ts";

/** Reading a log that nobody appends to takes virtual milliseconds; this long means that the aggregator hangs. */
const READ_MS_MAX = 600_000;

export class PipelineWorld implements World {
  readonly scheduler: Scheduler;
  readonly network: HttpNetwork;
  readonly #log: SimLog;
  readonly #clock: ReturnType<typeof virtualClock>;
  readonly #gate = new Gate();

  /** `startMs` is virtual Unix time. The same seed and the same requests give the same log, byte for byte. */
  constructor({ seed, startMs }: { readonly seed: number; readonly startMs: number }) {
    this.scheduler = new Scheduler({ startMs });
    this.#clock = virtualClock(this.scheduler);
    this.#log = new SimLog({ partitions: 1, clock: this.#clock, random: seededRandom(seed, "log") });
    const ingest = createIngest({
      log: this.#log.open().writer,
      clock: this.#clock,
      random: seededRandom(seed, "ingest"),
      trace: silentTrace,
      metrics: noMetrics,
    });
    this.network = new HttpNetwork({
      scheduler: this.scheduler,
      handler: ingest.handler,
      takesTime: true,
    });
  }

  async step(): Promise<boolean> {
    const ran = await this.scheduler.step();
    if (this.network.underWay > 0) await this.#gate.settle();
    return ran;
  }

  /** Records in the log so far. */
  get recordCount(): number {
    return this.#log.range(0).next;
  }

  /**
   * Everything in the log through the aggregator, published in `directory` (which need not exist). To be called once,
   * when no board runs any more. Rejects with the aggregator's sentence if it can't go on.
   */
  async publish(directory: string): Promise<void> {
    let failure: string | null = null;
    const aggregator = new AggregatorProcess(
      {
        scheduler: this.scheduler,
        clock: this.#clock,
        gate: this.#gate,
        log: this.#log,
        trace: silentTrace,
        judge: defaultConfig,
        publishEveryMs: READ_MS_MAX,
        readWaitMs: 500,
        recordsPerCommitMax: 20_000,
        onExit: (_worker, sentence) => failure = sentence,
        onCommit: () => {},
      },
      0,
      duckdbDisk(directory, defaultConfig.retentionMs),
    );
    const endMs = this.scheduler.nowMs + READ_MS_MAX;
    const advance = async (isDone: () => boolean) => {
      for (;;) {
        await this.#gate.settle();
        if (failure !== null) throw new Error(failure);
        if (isDone()) return;
        const { nextMs } = this.scheduler;
        if (nextMs === null || nextMs > endMs) throw new Error("the aggregator does not come to an end");
        await this.scheduler.step();
      }
    };
    aggregator.start();
    await advance(() => aggregator.status().some((status) => status.nextOffset >= this.recordCount));
    let stopped = false;
    const stopping = aggregator.stop().then((sentence) => {
      failure ??= sentence;
      stopped = true;
    });
    await advance(() => stopped);
    await stopping;
  }

  /** Lets go of what holds the process. */
  close(): void {
    this.#gate.close();
  }
}
