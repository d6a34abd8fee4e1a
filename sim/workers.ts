/** The aggregator's workers of a run: what happens to them, and who looks after them. */
import { AggregatorProcess, type AggregatorWorld } from "./aggregator_process.ts";
import type { Disk } from "./disk.ts";
import type { Published } from "./published.ts";
import type { Incident, IncidentKind } from "./scenario.ts";

export interface WorkersWorld extends Omit<AggregatorWorld, "onExit"> {
  readonly onViolation: (sentence: string) => void;
  readonly onHappened: (kind: IncidentKind) => void;
  readonly count: (what: string) => void;
  /** Runs `task` after `ms`, and before the run ends. */
  readonly later: (ms: number, task: () => void | Promise<void>) => void;
  /** The run can't end before `task` has. */
  readonly hold: (task: Promise<void>) => Promise<void>;
}

const workerKinds = [
  ...["aggregator_crash_before_call", "aggregator_crash_after_call", "aggregator_restart"] as const,
  ...["disk_full", "fsync_error", "disk_read_error", "live_file_truncated", "wal_truncated"] as const,
  ...["duckdb_error", "duckdb_given_up", "file_error", "crash_while_publishing"] as const,
] as const;
/** Incidents that happen to a worker. */
export type WorkerIncidentKind = (typeof workerKinds)[number];

export const isWorkerIncident = (kind: IncidentKind): kind is WorkerIncidentKind =>
  workerKinds.some((each) => each === kind);

const RESTART_MS = 1_000;

export class Workers {
  readonly #world: WorkersWorld;
  readonly #processes: readonly AggregatorProcess[];

  /** One for each disk. */
  constructor(world: WorkersWorld, disks: readonly Disk[]) {
    this.#world = world;
    const onExit = (worker: number, sentence: string) => this.#ended(worker, sentence);
    this.#processes = disks.map((disk, i) => new AggregatorProcess({ ...world, onExit }, i, disk));
  }

  startAll(): void {
    for (const process of this.#processes) this.#start(process);
  }

  async stopAll(): Promise<void> {
    await Promise.all(this.#processes.map(async (process) => await process.stop()));
  }

  async killAll(): Promise<void> {
    for (const process of this.#processes) await process.kill();
  }

  repairDisks(): void {
    for (const process of this.#processes) process.repairDisk();
  }

  /** Somebody reads each data folder: what is wrong, null if nothing is. */
  look(): Promise<string | null>[] {
    return this.#processes.map((process) => process.disk.look(this.#world.log.partitions));
  }

  async inflict(incident: Incident & { readonly kind: WorkerIncidentKind }): Promise<void> {
    const { kind, worker = 0, count = 1, forMs = RESTART_MS } = incident;
    const process = this.#processes[worker % this.#processes.length]!;
    switch (kind) {
      case "aggregator_crash_before_call":
      case "aggregator_crash_after_call":
        return this.#planCrash(process, kind, count, forMs);
      case "aggregator_restart":
        return this.#restart(process, forMs);
      case "live_file_truncated":
      case "wal_truncated":
        return await this.#damage(process, kind, forMs);
      case "duckdb_error":
      case "duckdb_given_up":
      case "file_error":
        return process.disk.planFailure({
          ...{ kind, inSteps: count },
          onFailed: () => this.#world.onHappened(kind),
        });
      case "crash_while_publishing":
        return this.#planCrashWhilePublishing(process, count, forMs);
      case "disk_full":
        process.commitsToRefuse += count;
        break;
      case "fsync_error":
        process.publicationsToRefuse += count;
        break;
      case "disk_read_error":
        process.readsToRefuse += count;
        break;
    }
    this.#world.onHappened(kind);
  }

  /** A person looks after partitions that have stopped with a sentence. */
  async tend(): Promise<void> {
    for (const process of this.#processes) {
      const stopped = process.status().filter((status) => status.state === "stopped");
      if (stopped.length === 0) continue;
      await process.kill();
      if (stopped.some(({ sentence }) => isDamage(sentence ?? ""))) await this.#moveAway(process);
      this.#world.count("a person restarted a stopped worker");
      process.start();
    }
  }

  /** What is wrong with how far they are, null if all is read. */
  notReadToEnd(): string | null {
    const { log } = this.#world;
    const statuses = this.#processes.flatMap((process) => process.status());
    for (let partition = 0; partition < log.partitions; partition++) {
      const { next } = log.range(partition);
      const own = statuses.filter((status) => status.partition === partition);
      const reached = Math.max(0, ...own.map(({ nextOffset }) => nextOffset));
      if (reached === next) continue;
      const told = statuses.map((s) => `${s.partition}: ${s.state} at ${s.nextOffset} ${s.sentence ?? ""}`);
      return `partition ${partition} ends at ${next}, the aggregator is at ${reached} (${told.join("; ")})`;
    }
    return null;
  }

  async newestPublication(partition: number): Promise<Published | null> {
    let newest: Published | null = null;
    for (const { disk } of this.#processes) {
      const found = await this.#world.gate.run("read what is published", () => disk.published(partition));
      if (found !== null && (newest === null || found.position.epoch > newest.position.epoch)) newest = found;
    }
    return newest;
  }

  #start(process: AggregatorProcess): void {
    if (!process.isRunning) process.start();
  }

  #planCrash(process: AggregatorProcess, kind: WorkerIncidentKind, inCalls: number, forMs: number): void {
    const { later, onHappened } = this.#world;
    process.planCrash({
      inCalls,
      when: kind === "aggregator_crash_before_call" ? "before" : "after",
      onCrash: () => {
        onHappened(kind);
        later(1, async () => {
          await process.kill();
          later(forMs, () => this.#start(process));
        });
      },
    });
  }

  #planCrashWhilePublishing(process: AggregatorProcess, inSteps: number, forMs: number): void {
    const { later, onHappened } = this.#world;
    const kind = "crash_while_publishing";
    process.disk.planFailure({
      ...{ kind, inSteps },
      onFailed: () => {
        process.crash();
        onHappened(kind);
        later(1, async () => {
          await process.kill();
          later(forMs, () => this.#start(process));
        });
      },
    });
  }

  /** A process has ended by itself; a supervisor starts it again. A damaged folder is moved away by a person. */
  #ended(worker: number, sentence: string): void {
    const { count, later, onViolation } = this.#world;
    const process = this.#processes[worker]!;
    if (process.bug !== null) {
      return onViolation(`worker ${worker} died of a mistake of ours: ${String(process.bug)}`);
    }
    count("the aggregator ended with a sentence");
    later(RESTART_MS, async () => {
      await process.kill();
      if (isDamage(sentence)) await this.#moveAway(process);
      this.#start(process);
    });
  }

  async #moveAway(process: AggregatorProcess): Promise<void> {
    this.#world.count("a damaged folder was moved away");
    await this.#world.gate.run("move a folder away", () => process.disk.clear());
  }

  #restart(process: AggregatorProcess, forMs: number): void {
    const { count, hold, later, onHappened, onViolation } = this.#world;
    if (!process.isRunning) return;
    onHappened("aggregator_restart");
    // Stopping takes virtual time: it must not hold the event up.
    void hold(
      process.stop().then((sentence) => {
        if (sentence !== null) count("stopped with a sentence");
        later(forMs, () => this.#start(process));
      }, (error) => onViolation(String(error))),
    );
  }

  /** The process dies, and a file of its is cut in the middle. */
  async #damage(process: AggregatorProcess, kind: WorkerIncidentKind, forMs: number): Promise<void> {
    const { gate, log, later, onHappened } = this.#world;
    if (!process.isRunning) return;
    await process.kill();
    const file = kind === "wal_truncated" ? "wal" : "live";
    for (let partition = 0; partition < log.partitions; partition++) {
      if (await gate.run(`cut ${file}`, () => process.disk.cut(partition, file))) onHappened(kind);
    }
    later(forMs, () => this.#start(process));
  }
}

/** What a file that was cut is refused with; other sentences would tell of a bug. */
const isDamage = (sentence: string): boolean =>
  /damaged|truncated|not a valid|corrupt|move .* aside|move .* away/i.test(sentence);
