/**
 * The production aggregator as a process that can die: at any await, with its files left as they were at that moment.
 *
 * Every call through a port is counted. A planned crash makes one of them the last: before it is made, or after it has
 * done its work and before anybody hears of it. From then on nothing answers, and what still runs of the dead process
 * waits for ever. The files are copied before DuckDB closes them (closing tidies up, dying doesn't) and put back.
 */
import {
  type Aggregator,
  type AlertDesk,
  createAggregator,
  createAlertDesk,
  defaultAggregatorConfig,
} from "../aggregator/mod.ts";
import { createLiveFeed } from "../aggregator/live_feed.ts";
import { assert } from "../core/assert.ts";
import type { JudgeConfig } from "../core/config.ts";
import type { Clock } from "../core/ports/clock.ts";
import { noMetrics } from "../core/ports/metrics.ts";
import type { Publisher } from "../core/ports/publisher.ts";
import { type Changes, type Store, StoreUnavailable } from "../core/ports/store.ts";
import type { Trace } from "../core/ports/trace.ts";
import type { Disk } from "./disk.ts";
import type { SimLog, SimLogEnds } from "./log.ts";
import type { RulesWorld } from "./rules.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Gate } from "./turn.ts";

export interface AggregatorWorld {
  readonly scheduler: Scheduler;
  readonly clock: Clock;
  readonly gate: Gate;
  readonly log: SimLog;
  readonly trace: Trace;
  readonly judge: JudgeConfig;
  readonly publishEveryMs: number;
  readonly readWaitMs: number;
  readonly recordsPerCommitMax: number;
  /** Rules of alerts; by default there is no file of them. */
  readonly rules?: RulesWorld | null;
  /** A process has ended by itself, with this sentence: a supervisor or a person has to act. */
  readonly onExit: (worker: number, sentence: string) => void;
  /** Told of each transaction that was kept. */
  readonly onCommit: (worker: number, life: number, changes: Changes) => void;
}

export interface PlannedCrash {
  /** The crash comes at the so-manieth call from now (1: the next). */
  readonly inCalls: number;
  readonly when: "before" | "after";
  readonly onCrash: () => void;
}

type Handle = { close(): Promise<void> };

/** One worker: it is started, dies or stops, and is started again over the same files. */
/** Few, so that what is caught up with takes several reads a transaction. */
const READ_RECORDS_MAX = 50;

export class AggregatorProcess {
  readonly worker: number;
  readonly disk: Disk;
  /** Starts so far. */
  life = 0;
  /** Commits that are refused from now on: the disk is full. */
  commitsToRefuse = 0;
  /** Publications that fail from now on: every second one after it has become visible, as a late fsync does. */
  publicationsToRefuse = 0;
  /** Reads of stored rows that fail from now on. */
  readsToRefuse = 0;
  readonly #world: AggregatorWorld;
  #process: Life | null = null;

  constructor(world: AggregatorWorld, worker: number, disk: Disk) {
    this.#world = world;
    this.worker = worker;
    this.disk = disk;
  }

  get isRunning(): boolean {
    return this.#process !== null;
  }

  /** The mistake of ours that has ended it, null if none has. */
  get bug(): unknown {
    return this.#process?.bug ?? null;
  }

  status(): ReturnType<Aggregator["status"]> {
    return this.#process?.aggregator.status() ?? [];
  }

  start(): void {
    assert(this.#process === null, "a process is started once");
    this.life++;
    this.#process = new Life(this.#world, this);
  }

  /** The disk does what it should again. */
  repairDisk(): void {
    this.commitsToRefuse = this.publicationsToRefuse = this.readsToRefuse = 0;
    this.disk.repair();
  }

  planCrash(crash: PlannedCrash): void {
    this.#process?.planCrash(crash);
  }

  /** Dies in the middle of a call; {@link kill} follows. */
  crash(): void {
    this.#process?.crash();
  }

  /** Dies now. Resolves when its files lie there as it left them. */
  async kill(): Promise<void> {
    const process = this.#process;
    this.#process = null;
    await process?.kill();
  }

  /** Stops in good order. Resolves with what stopped it before, if anything. */
  async stop(): Promise<string | null> {
    const process = this.#process;
    const sentence = await process?.stop() ?? null;
    if (this.#process === process) this.#process = null;
    return sentence;
  }
}

const never = <T>(): Promise<T> => new Promise<T>(() => {});

/** One life of a process. */
class Life {
  readonly aggregator: Aggregator;
  readonly #world: AggregatorWorld;
  readonly #owner: AggregatorProcess;
  readonly #life: number;
  readonly #ends: SimLogEnds;
  readonly #end = new AbortController();
  /** The desk goes on until the workers have ended, as in the service. */
  readonly #endDesk = new AbortController();
  readonly #handles = new Set<Handle>();
  readonly #done: Promise<void>;
  #failure: unknown = null;
  readonly #death = Promise.withResolvers<void>();
  #isDead = false;
  #crash: { inCalls: number; readonly when: "before" | "after"; readonly onCrash: () => void } | null = null;

  constructor(world: AggregatorWorld, owner: AggregatorProcess) {
    this.#world = world;
    this.#owner = owner;
    this.#life = owner.life;
    this.#ends = world.log.open();
    const { reader, writer } = this.#ends;
    const clock: Clock = {
      nowMs: () => world.clock.nowMs(),
      monotonicMs: () => world.clock.monotonicMs(),
      sleep: async (ms, signal) => {
        await world.clock.sleep(ms, signal);
        if (this.#isDead) await never();
      },
      after: (ms, task) => world.clock.after(ms, () => this.#isDead ? undefined : task()),
    };
    const alerts = this.#openDesk(clock);
    this.aggregator = createAggregator({
      reader: {
        partitions: reader.partitions,
        // A group does not wait for the dead.
        join: ({ assigned, revoked }) =>
          reader.join({
            assigned: (partitions) => Promise.race([assigned(partitions), this.#death.promise]),
            revoked: (partitions) => Promise.race([revoked(partitions), this.#death.promise]),
          }),
        range: (partition) => this.#call(() => reader.range(partition)),
        read: (partition, offset, limits) => this.#call(() => reader.read(partition, offset, limits)),
        hint: (partition, nextOffset) => reader.hint(partition, nextOffset),
        settled: (partition, nextOffset) => reader.settled(partition, nextOffset),
        close: () => reader.close(),
      },
      writer: {
        partitions: writer.partitions,
        append: (records) => this.#call(() => writer.append(records)),
        available: () => writer.available(),
        pendingBytes: () => writer.pendingBytes(),
        close: () => writer.close(),
      },
      clock,
      ...alerts === null ? {} : { alerts },
      trace: world.trace,
      metrics: noMetrics,
      live: createLiveFeed(world.trace),
      openPartition: (partition) => this.#open(partition),
    }, {
      ...defaultAggregatorConfig,
      judge: world.judge,
      worker: `worker-${owner.worker}-${owner.life}`,
      publishEveryMs: world.publishEveryMs,
      readWaitMs: world.readWaitMs,
      recordsPerReadMax: READ_RECORDS_MAX,
      recordsPerCommitMax: world.recordsPerCommitMax,
    });
    this.#done = this.aggregator.run(this.#end.signal).catch((error) => {
      this.#failure = error;
    }).then(() => {
      this.#endDesk.abort();
      if (this.#isDead || this.#end.signal.aborted) return;
      this.#ends.kill();
      world.onExit(
        owner.worker,
        this.#failure instanceof Error ? this.#failure.message : String(this.#failure),
      );
    });
  }

  /** As the service has one, if there are rules. */
  #openDesk(clock: Clock): AlertDesk | null {
    const { rules = null, trace, judge } = this.#world;
    if (rules === null) return null;
    const files = rules.files((call) => this.#call(call));
    const desk = createAlertDesk({ files, clock, metrics: noMetrics, trace }, {
      windowSizes: judge.windows.map(({ label }) => label),
      replay: false,
    });
    void desk.run(this.#endDesk.signal);
    return desk;
  }

  planCrash(crash: PlannedCrash): void {
    this.#crash = { ...crash };
  }

  /** Nothing of it goes on from here. */
  crash(): void {
    this.#die();
  }

  async kill(): Promise<void> {
    this.#die();
    const close = async () => {
      for (const handle of this.#handles) await handle.close().catch(() => {});
    };
    await this.#gate("die", () => this.#owner.disk.die(close));
  }

  /** What ended it, if it was a mistake of ours and not the world. */
  get bug(): unknown {
    const isRefusal = this.#failure instanceof Error && this.#failure.name === "Error";
    return this.#failure === null || isRefusal ? null : this.#failure;
  }

  async stop(): Promise<string | null> {
    this.#end.abort();
    await Promise.race([this.#done, this.#death.promise]);
    this.#ends.kill();
    if (this.bug !== null) throw this.bug;
    return this.#failure === null ? null : (this.#failure as Error).message;
  }

  #die(): void {
    this.#isDead = true;
    this.#endDesk.abort();
    this.#ends.kill();
    this.#death.resolve();
  }

  /** A call through a port: the places where the process can die. */
  async #call<T>(call: () => Promise<T>): Promise<T> {
    if (this.#isDead) return await never();
    const crash = this.#crash;
    const isLast = crash !== null && --crash.inCalls <= 0;
    // Of several calls under way, one is the last.
    if (isLast) this.#crash = null;
    if (isLast && crash.when === "before") return await this.#crashNow(crash);
    try {
      const result = await call();
      if (isLast && crash.when === "after") return await this.#crashNow(crash);
      if (this.#isDead) return await never();
      return result;
    } catch (error) {
      if (this.#isDead) return await never();
      throw error;
    }
  }

  #crashNow(crash: { readonly onCrash: () => void }): Promise<never> {
    this.#die();
    crash.onCrash();
    return never();
  }

  #gate<T>(what: string, call: () => Promise<T>): Promise<T> {
    return this.#world.gate.run(`worker ${this.#owner.worker} ${what}`, call);
  }

  /** A call that has waited for its turn is not made by the dead. */
  #alive<T>(call: () => Promise<T>): Promise<T> {
    return this.#isDead ? Promise.reject(new Error("the process is dead")) : call();
  }

  async #read<T>(read: () => Promise<T>): Promise<T> {
    if (this.#owner.readsToRefuse > 0) {
      this.#owner.readsToRefuse--;
      throw new StoreUnavailable("the simulated disk can't be read");
    }
    return await read();
  }

  async #publish<T>(publish: () => Promise<T>): Promise<T> {
    const left = this.#owner.publicationsToRefuse;
    if (left === 0) return await publish();
    this.#owner.publicationsToRefuse--;
    // Whether readers see it already or not: the caller hears of a failure.
    if (left % 2 === 0) await publish();
    throw new StoreUnavailable("the simulated disk did not keep what was published (fsync)");
  }

  async #open(partition: number): Promise<{ store: Store; publisher: Publisher | null }> {
    const { onCommit } = this.#world;
    const { disk, worker } = this.#owner;
    return await this.#call(() =>
      this.#gate(`open ${partition}`, async () => {
        const { store, publisher } = await disk.open(partition);
        this.#handles.add(publisher).add(store);
        return {
          store: {
            partition: store.partition,
            load: (openFrom) =>
              this.#call(() =>
                this.#gate("load", () => this.#alive(() => this.#read(() => store.load(openFrom))))
              ),
            lookup: (needs) =>
              this.#call(() =>
                this.#gate("look up", () => this.#alive(() => this.#read(() => store.lookup(needs))))
              ),
            commit: (changes) =>
              this.#call(() =>
                this.#gate("commit", () =>
                  this.#alive(async () => {
                    if (this.#owner.commitsToRefuse > 0) {
                      this.#owner.commitsToRefuse--;
                      throw new StoreUnavailable("the simulated disk is full");
                    }
                    await store.commit(changes);
                    onCommit(worker, this.#life, changes);
                  }))
              ),
            close: () =>
              this.#call(() =>
                this.#gate("close store", () => {
                  this.#handles.delete(store);
                  return store.close();
                })
              ),
          },
          publisher: {
            publish: (open, publishedMs) =>
              this.#call(() =>
                this.#gate("publish", () =>
                  this.#alive(() => this.#publish(() => publisher.publish(open, publishedMs))))
              ),
            close: () =>
              this.#call(() =>
                this.#gate("close publisher", () => {
                  this.#handles.delete(publisher);
                  return publisher.close();
                })
              ),
          },
        };
      })
    );
  }
}
