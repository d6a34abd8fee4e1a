/**
 * A real Kafka broker, a fleet that sends to it, and aggregators as processes of their own: each with private files, all
 * publishing into one folder. For live tests and soaks.
 */
import { parseManifest } from "../../core/manifest.ts";
import { partitionOf } from "../../core/murmur2.ts";
import type { Log, NewRecord } from "../../core/ports/log.ts";
import { noMetrics } from "../../core/ports/metrics.ts";
import { silentTrace } from "../../core/ports/trace.ts";
import { machineClock } from "../../platform/clock.ts";
import { openLogAt } from "../../platform/log_address.ts";
import { machineRandom } from "../../platform/random.ts";
import { type KafkaBroker, startKafka } from "../../platform/testing/kafka_broker.ts";
import { freePort, Process, taskArgs, until } from "../../platform/testing/process.ts";

const START_MS = 1_767_225_600_000;
const EVERY_MS = 10_000;

export interface WorkersPlan {
  readonly partitions: number;
  readonly devices: number;
  /** Options of the log's address, `session_ms=1000` for instance. */
  readonly options?: string;
  /** Settings of the broker besides those of `startKafka`. */
  readonly broker?: Readonly<Record<string, string>>;
}

/** One aggregator process. */
export class Worker {
  constructor(readonly name: string, readonly process: Process, readonly url: string) {}

  /** What it says of each partition that it holds, for the message of a test that failed. */
  async sentences(): Promise<string> {
    if (!this.process.isRunning) return `${this.name} has ended; it wrote:\n${this.process.text}`;
    const tooLate = new AbortController();
    const cancel = machineClock.after(2_000, () => tooLate.abort()); // it may be frozen
    try {
      const response = await fetch(`${this.url}/status`, { signal: tooLate.signal });
      const { partitions } = await response.json() as { partitions: readonly Record<string, unknown>[] };
      const each = partitions.map(({ partition, state, sentence, next_offset, epoch }) =>
        `${partition} ${state} next ${next_offset} epoch ${epoch}${sentence === null ? "" : `: ${sentence}`}`
      );
      return `${this.name} holds ${each.join("; ") || "nothing"}`;
    } catch (error) {
      return `${this.name} doesn't answer (${error})`;
    } finally {
      cancel();
    }
  }

  /** Next offset of each partition that it works on; null while it doesn't answer. */
  async positions(): Promise<ReadonlyMap<number, number> | null> {
    try {
      const response = await fetch(`${this.url}/status`);
      const { partitions } = await response.json() as {
        readonly partitions: readonly { partition: number; state: string; next_offset: number }[];
      };
      const running = partitions.filter(({ state }) => state === "running");
      return new Map(running.map(({ partition, next_offset }) => [partition, next_offset]));
    } catch {
      return null;
    }
  }

  /** Lets it stand still, and go on. */
  freeze(): void {
    Deno.kill(this.process.pid, "SIGSTOP");
  }

  thaw(): void {
    Deno.kill(this.process.pid, "SIGCONT");
  }

  /** Ends it by a signal, frozen or not; resolves when it is gone. */
  async end(signal: Deno.Signal): Promise<void> {
    if (!this.process.isRunning) return;
    this.thaw();
    await this.process.stop(signal, 20_000);
  }
}

/** What is published of a partition. */
export interface Published {
  readonly next: number;
  readonly epoch: number;
  readonly digest: string;
}

export class KafkaWorkers {
  readonly #workers: Worker[] = [];
  readonly #ends = new Map<number, number>();
  #slot = 0;

  private constructor(
    readonly plan: WorkersPlan,
    readonly broker: KafkaBroker,
    readonly log: Log,
    readonly folder: string,
    readonly args: readonly string[],
  ) {}

  /** Starts broker and log, runs `body`, and puts everything away. */
  static async run(plan: WorkersPlan, body: (world: KafkaWorkers) => Promise<void>): Promise<void> {
    const folder = await Deno.makeTempDir({ prefix: "isotherm-workers-" });
    const broker = await startKafka({ folder: `${folder}/kafka`, settings: plan.broker ?? {} });
    const ports = { clock: machineClock, random: machineRandom, trace: silentTrace, metrics: noMetrics };
    const log = await openLogAt(`kafka://${broker.address}/readings`, plan.partitions, ports);
    const world = new KafkaWorkers(plan, broker, log, folder, await taskArgs("start:aggregator"));
    try {
      await body(world);
    } finally {
      for (const worker of world.#workers) await worker.end("SIGKILL").catch(() => {});
      await log.close();
      await broker.remove();
      await Deno.remove(folder, { recursive: true });
    }
  }

  /** The folder that the workers share. */
  get publish(): string {
    return `${this.folder}/shared`;
  }

  /** Starts an aggregator; one of a name that ran before has its private files. */
  worker(name: string, publish = this.publish): Worker {
    const options = this.plan.options === undefined ? "" : `?${this.plan.options}`;
    const port = freePort();
    const process = new Process({
      args: this.args,
      env: {
        ISOTHERM_LOG: `kafka://${this.broker.address}/readings${options}`,
        ISOTHERM_PARTITIONS: String(this.plan.partitions),
        ISOTHERM_DATA: `${this.folder}/private-${name}`,
        ISOTHERM_PUBLISH: publish,
        ISOTHERM_AGGREGATOR_PORT: String(port),
        ISOTHERM_PUBLISH_EVERY_MS: "300",
        ISOTHERM_TRACE: "error",
      },
    });
    const worker = new Worker(name, process, `http://127.0.0.1:${port}`);
    this.#workers.push(worker);
    return worker;
  }

  /** Appends one reading a device for each of so many slots. */
  async send(slots: number): Promise<void> {
    const { devices, partitions } = this.plan;
    for (const until = this.#slot + slots; this.#slot < until; this.#slot++) {
      const records = Array.from({ length: devices }, (_, i): NewRecord => {
        const device = `device-${i}`;
        const ts = START_MS + EVERY_MS * this.#slot;
        const reading = { device, boot: 1, seq: this.#slot, ts, temperature_c: (this.#slot + i) % 30 };
        const value = new TextEncoder().encode(JSON.stringify(reading));
        return { partition: partitionOf(device, partitions), key: device, value, headers: {} };
      });
      for (const { partition, offset } of await this.log.writer.append(records)) {
        this.#ends.set(partition, offset + 1);
      }
    }
  }

  /** Where the log ends, as far as this world has written it. */
  get ends(): ReadonlyMap<number, number> {
    return this.#ends;
  }

  /** Waits until everything that was sent is published. */
  async drained(publish = this.publish, ms = 60_000): Promise<void> {
    try {
      await until("everything is published", async () => {
        const now = await published(publish);
        return [...this.#ends].every(([partition, end]) => (now.get(partition)?.next ?? 0) >= end);
      }, ms);
    } catch (error) {
      const now = [...await published(publish)].map(([partition, { next, epoch }]) =>
        `${partition} next ${next} epoch ${epoch}, the log's end is ${this.#ends.get(partition)}`
      );
      const sentences = await Promise.all(this.#workers.map((worker) => worker.sentences()));
      throw new Error([(error as Error).message, ...now, ...sentences].join("\n"), { cause: error });
    }
  }

  /** Digest of each partition's rows, as they are published. */
  async digests(publish = this.publish): Promise<readonly string[]> {
    const all = [...await published(publish)].sort(([a], [b]) => a - b);
    return all.map(([partition, { digest }]) => `${partition} ${digest}`);
  }

  /** Digests of what so many new workers make of the whole log from the beginning, with nobody else at work. */
  async reference(workers: number): Promise<readonly string[]> {
    const publish = `${this.folder}/by-${workers}`;
    const running = Array.from({ length: workers }, (_, at) => this.worker(`by-${workers}-${at}`, publish));
    await this.drained(publish);
    for (const worker of running) await worker.end("SIGTERM");
    return await this.digests(publish);
  }
}

/** Position and digest of each partition that is published in a folder. */
export async function published(folder: string): Promise<ReadonlyMap<number, Published>> {
  const text = await Deno.readTextFile(`${folder}/published/manifest.json`).catch(() => null);
  if (text === null) return new Map();
  return new Map(
    parseManifest(text).partitions.map(({ partition, nextOffset, epoch, rowDigest }) => [
      partition,
      { next: nextOffset, epoch, digest: rowDigest },
    ]),
  );
}
