/**
 * Everything goes wrong on real processes: model boards in real time send through a bad network to an ingest service, a
 * real Kafka broker stores, two aggregators share the partitions. What goes wrong when is drawn from a seed. Then it
 * stops, all has to come to rest, and the rows are held against what the boards measured, against the oracle's
 * recomputation of the topic, and against both balances: by the simulation's own oracles.
 */
import { equal, ok } from "node:assert/strict";
import { defaultConfig, type JudgeConfig } from "../../core/config.ts";
import type { LogRecord } from "../../core/ports/log.ts";
import { joinAll, readLimits } from "../../core/testing/log_contract.ts";
import { parseWindows } from "../../core/windows_config.ts";
import { machineClock } from "../../platform/clock.ts";
import { openKafkaLog } from "../../platform/kafka/log.ts";
import { type KafkaBroker, startKafka } from "../../platform/testing/kafka_broker.ts";
import { freePort, Process, taskArgs, until } from "../../platform/testing/process.ts";
import { readManifest } from "../../platform/testing/published.ts";
import { judgePartition, type OracleResult } from "../../sim/oracle.ts";
import { type Published, readPublished } from "../../sim/published.ts";
import { arrivalsDiffer, differsFromOracle, differsFromWorld, outcomesOf } from "../../sim/verdict.ts";
import { LiveFleet } from "./live_fleet.ts";
import type { ChaosOptions } from "./options.ts";
import { type ChaosIncident, type ChaosKind, drawChaos } from "./plan.ts";
import { mountSmallDisk, type SmallDisk } from "./small_disk.ts";
import { type SlowProxy, startSlowProxy } from "./slow_proxy.ts";

const TOPIC = "readings";
const PARTITIONS = 3;
const AGGREGATORS = 2;
/** So long the group waits for a worker that was killed or hangs. */
const SESSION_MS = 3_000;
const WINDOWS = "10s,1m";
const OUT_OF_ORDER_MS = 5_000;
/** Small enough to be filled in no time, large enough for a minute's rows and what DuckDB takes on the way. */
const DISK_MB = 192;
const UNSENT_MS_MAX = 180_000;
const REST_MS_MAX = 180_000;

export interface ChaosReport {
  /** What really happened, by kind. */
  readonly incidents: Readonly<Record<string, number>>;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly requests: number;
  readonly records: number;
  readonly violation: string | null;
}

/** Runs it; `say` is told what a person may want to know. Rejects if the machinery itself fails. */
export async function runChaos(options: ChaosOptions, say: (line: string) => void): Promise<ChaosReport> {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-chaos-" });
  const disk = await mountSmallDisk(`${folder}/small`, DISK_MB);
  if (disk === null) say("no disk is filled: this system lets us mount none");
  const broker = await startKafka();
  const chaos = new Chaos(options, folder, disk, broker, say);
  try {
    return await chaos.run();
  } finally {
    await chaos.close();
    await broker.remove();
    await disk?.remove();
    await Deno.remove(folder, { recursive: true });
  }
}

/** A place of one service: whoever sits in it may die or hang and is replaced. */
class Seat {
  process: Process | null = null;
  readonly #start: () => Promise<Process>;
  constructor(start: () => Promise<Process>) {
    this.#start = start;
  }

  async fill(): Promise<void> {
    if (this.process?.isRunning !== true) this.process = await this.#start();
  }

  signal(name: Deno.Signal): void {
    const { process } = this;
    if (process?.isRunning === true) Deno.kill(process.pid, name);
  }

  async kill(): Promise<void> {
    await this.process?.stop("SIGKILL");
    this.process = null;
  }
}

class Chaos {
  readonly #options: ChaosOptions;
  readonly #folder: string;
  readonly #disk: SmallDisk | null;
  readonly #broker: KafkaBroker;
  readonly #say: (line: string) => void;
  readonly #ingest: Seat;
  readonly #aggregators: readonly Seat[];
  readonly #proxy: SlowProxy;
  readonly #fleet: LiveFleet;
  readonly #happened = new Map<string, number>();
  readonly #judge: JudgeConfig;
  /** One thing at a time happens to a service: its faults wait for each other. */
  readonly #busy = new Map<string, Promise<void>>();
  #violation: string | null = null;

  constructor(
    options: ChaosOptions,
    folder: string,
    disk: SmallDisk | null,
    broker: KafkaBroker,
    say: (line: string) => void,
  ) {
    this.#options = options;
    this.#folder = folder;
    this.#disk = disk;
    this.#broker = broker;
    this.#say = say;
    const windows = parseWindows(WINDOWS);
    ok(windows.kind === "ok");
    this.#judge = { ...defaultConfig, windows: windows.windows, outOfOrderMs: OUT_OF_ORDER_MS };
    const port = freePort();
    this.#proxy = startSlowProxy(port, machineClock);
    this.#ingest = new Seat(() => this.#startService("start:ingest", { ISOTHERM_PORT: `${port}` }));
    this.#aggregators = Array.from(
      { length: AGGREGATORS },
      (_, i) => new Seat(() => this.#startService("start:aggregator", { ISOTHERM_DATA: this.#dataOf(i) })),
    );
    this.#fleet = new LiveFleet(
      options.seed,
      options.boards,
      `http://127.0.0.1:${this.#proxy.port}`,
      machineClock,
    );
  }

  /** The last aggregator's disk is the small one. */
  #dataOf(i: number): string {
    return i === AGGREGATORS - 1 && this.#disk !== null
      ? `${this.#disk.folder}/data`
      : `${this.#folder}/data-${i}`;
  }

  async #startService(task: string, env: Record<string, string>): Promise<Process> {
    const log = `kafka://${this.#broker.address}/${TOPIC}?group=isotherm&session_ms=${SESSION_MS}`;
    return new Process({
      args: await taskArgs(task),
      env: {
        ...{ ISOTHERM_LOG: log, ISOTHERM_PARTITIONS: `${PARTITIONS}`, ISOTHERM_TRACE: "warn" },
        ...{ ISOTHERM_AGGREGATOR_PORT: "0", ISOTHERM_WINDOWS: WINDOWS },
        ...{ ISOTHERM_OUT_OF_ORDER_MS: `${OUT_OF_ORDER_MS}`, ISOTHERM_PUBLISH_EVERY_MS: "1000" },
        ...env,
      },
    });
  }

  async run(): Promise<ChaosReport> {
    const faultsMs = Math.round(this.#options.minutes * 60_000);
    const plan = drawChaos(this.#options.seed, faultsMs);
    this.#say(
      `seed ${this.#options.seed}: ${plan.length} incidents in ${
        faultsMs / 1_000
      } s, ${this.#options.boards} boards`,
    );
    await this.#ingest.fill();
    for (const seat of this.#aggregators) await seat.fill();
    this.#fleet.start();
    await this.#underFire(plan, faultsMs);
    await this.#becomeQuiet();
    await this.#comeToRest();
    return await this.#holdAgainst();
  }

  async close(): Promise<void> {
    await this.#fleet.stop();
    for (const seat of [this.#ingest, ...this.#aggregators]) await seat.kill();
    await this.#proxy[Symbol.asyncDispose]();
  }

  // --- under fire ------------------------------------------------------------------------------------------------------

  async #underFire(plan: readonly ChaosIncident[], faultsMs: number): Promise<void> {
    const startMs = machineClock.monotonicMs();
    const sleepUntil = (ms: number) =>
      machineClock.sleep(Math.max(0, startMs + ms - machineClock.monotonicMs()));
    const watching = new AbortController();
    const watch = this.#watch(watching.signal);
    for (const incident of plan) {
      await sleepUntil(incident.atMs);
      this.#inflict(incident);
    }
    await sleepUntil(faultsMs);
    await Promise.all(this.#busy.values());
    watching.abort();
    await watch;
  }

  /** What ends by itself is started again, as a supervisor does. */
  async #watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const [name, seat] of this.#seats()) {
        if (seat.process === null || seat.process.isRunning || this.#busy.has(name)) continue;
        this.#notice(name, seat.process);
        await seat.fill();
      }
      await machineClock.sleep(200, signal);
    }
  }

  #seats(): [string, Seat][] {
    return [
      ["ingest", this.#ingest],
      ...this.#aggregators.map((seat, i): [string, Seat] => [`aggregator ${i}`, seat]),
    ];
  }

  /** A service that ends with a sentence wants a person; one that ends by a mistake of ours is a finding. */
  #notice(name: string, process: Process): void {
    this.#count(`${name.split(" ")[0]} ended by itself`);
    if (/AssertionFailed|TypeError|RangeError/.test(process.text)) {
      this.#violation ??= `${name} ended by a mistake of ours: ${process.text.slice(-2_000)}`;
    }
  }

  #count(what: string): void {
    this.#happened.set(what, (this.#happened.get(what) ?? 0) + 1);
  }

  /** Starts it; what lasts goes on beside the others. */
  #inflict(incident: ChaosIncident): void {
    const { kind, number } = incident;
    const i = kind === "disk_full" ? AGGREGATORS - 1 : number % AGGREGATORS;
    const target = targetOf(kind, i);
    const before = this.#busy.get(target) ?? Promise.resolve();
    const task = before.then(() => this.#do(incident, i)).catch((error) => {
      this.#violation ??= `${kind} went wrong itself: ${String(error)}`;
    }).finally(() => {
      if (this.#busy.get(target) === task) this.#busy.delete(target);
    });
    this.#busy.set(target, task);
  }

  async #do({ kind, forMs, number }: ChaosIncident, i: number): Promise<void> {
    const aggregator = this.#aggregators[i]!;
    const wait = () => machineClock.sleep(forMs);
    switch (kind) {
      case "ingest_killed":
      case "aggregator_killed": {
        const seat = kind === "ingest_killed" ? this.#ingest : aggregator;
        await seat.kill();
        await wait();
        await seat.fill();
        break;
      }
      case "ingest_frozen":
      case "aggregator_frozen": {
        const seat = kind === "ingest_frozen" ? this.#ingest : aggregator;
        seat.signal("SIGSTOP");
        await wait();
        seat.signal("SIGCONT");
        break;
      }
      case "broker_killed":
      case "broker_restarted":
        await this.#broker.stop(kind === "broker_killed" ? "SIGKILL" : "SIGTERM");
        await wait();
        await this.#broker.start();
        break;
      case "broker_frozen":
        this.#broker.freeze();
        await wait();
        this.#broker.thaw();
        break;
      case "disk_full":
        if (this.#disk === null) return;
        await this.#disk.fill();
        await wait();
        await this.#disk.free();
        break;
      case "network_slow":
        this.#proxy.setDelayMs(20 + forMs / 4);
        await wait();
        this.#proxy.setDelayMs(0);
        break;
      case "network_cut":
        this.#proxy.cut();
        break;
      case "network_gone":
        this.#proxy.setReachable(false);
        this.#proxy.cut();
        await wait();
        this.#proxy.setReachable(true);
        break;
      case "power_cut":
        this.#fleet.cutPower(number, forMs);
        break;
    }
    this.#count(kind);
  }

  // --- then quiet ------------------------------------------------------------------------------------------------------

  async #becomeQuiet(): Promise<void> {
    this.#say(`quiet: ${[...this.#happened].map(([kind, count]) => `${kind} ${count}`).join(", ")}`);
    for (const [, seat] of this.#seats()) await seat.fill();
    this.#fleet.comeToRest();
    await until("everything is sent", () => {
      this.#fleet.comeToRest();
      return Promise.resolve(this.#fleet.unsentCount === 0);
    }, UNSENT_MS_MAX).catch((error) => {
      this.#violation ??= `${
        (error as Error).message
      }: ${this.#fleet.unsentCount} readings are still on boards\n${
        this.#ingest.process?.text.slice(-2_000)
      }`;
    });
  }

  /** One aggregator is left, then none; what it has published then is all that the topic holds. */
  async #comeToRest(): Promise<void> {
    const [last, ...others] = this.#aggregators;
    for (const seat of others) {
      const { process } = seat;
      if (process?.isRunning === true) equal((await process.stop("SIGTERM", 60_000)).code, 0, process.text);
      seat.process = null;
    }
    await last!.fill();
    await until("everything is published", async () => {
      if (last!.process?.isRunning !== true) {
        this.#notice("aggregator 0", last!.process!);
        await last!.fill();
      }
      return await this.#isPublished();
    }, REST_MS_MAX).catch((error) => {
      this.#violation ??= `${(error as Error).message}\n${last!.process?.text.slice(-2_000)}`;
    });
    const ingest = this.#ingest.process;
    if (ingest?.isRunning === true) equal((await ingest.stop("SIGTERM", 30_000)).code, 0, ingest.text);
    const process = last!.process;
    if (process?.isRunning === true) equal((await process.stop("SIGTERM", 60_000)).code, 0, process.text);
  }

  async #isPublished(): Promise<boolean> {
    const published = (await readManifest(this.#dataOf(0)))?.partitions ?? [];
    const ends = (await this.#readLog("ends", false)).ends;
    return ends.every((end, at) => published.find(({ partition }) => partition === at)?.nextOffset === end);
  }

  async #readLog(group: string, withRecords: boolean): Promise<{ ends: number[]; records: LogRecord[] }> {
    const log = await openKafkaLog({
      brokers: [this.#broker.address],
      topic: TOPIC,
      partitions: PARTITIONS,
      group: `chaos-${group}`,
      replay: true,
      clock: machineClock,
    });
    try {
      await joinAll(log.reader);
      const ends: number[] = [];
      const records: LogRecord[] = [];
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const { next } = await log.reader.range(partition);
        ends.push(next);
        for (let offset = 0; withRecords && offset < next;) {
          const outcome = await log.reader.read(
            partition,
            offset,
            readLimits({ recordsMax: 5_000, waitMs: 1_000 }),
          );
          if (outcome.kind !== "records") throw new Error(`the topic can't be read: ${outcome.kind}`);
          records.push(...outcome.records);
          offset = (outcome.records.at(-1)?.offset ?? offset - 1) + 1;
        }
      }
      return { ends, records };
    } finally {
      await log.close();
    }
  }

  // --- the verdict -----------------------------------------------------------------------------------------------------

  async #newest(partition: number): Promise<Published | null> {
    let newest: Published | null = null;
    for (let i = 0; i < AGGREGATORS; i++) {
      const found = await readPublished(this.#dataOf(i), partition);
      if (found !== null && (newest === null || found.position.epoch > newest.position.epoch)) newest = found;
    }
    return newest;
  }

  async #holdAgainst(): Promise<ChaosReport> {
    const { ends, records } = await this.#readLog("oracle", true);
    const judged: OracleResult[] = [];
    for (const [partition, end] of ends.entries()) {
      const published = await this.#newest(partition);
      const next = published?.position.nextOffset ?? 0;
      const ofPartition = records.filter((record) => record.partition === partition);
      const read = ofPartition.filter(({ offset }) => offset < next);
      const result = judgePartition(read, this.#judge, partition, PARTITIONS);
      judged.push(result);
      // The tick that a worker has appended on its way out may stand there unread; nothing else may.
      const isRead = ofPartition.slice(read.length).every(({ value }) => value === null);
      this.#violation ??= published === null
        ? `partition ${partition} was never published`
        : !isRead
        ? `partition ${partition} is published up to ${next} of ${end}`
        : differsFromOracle(published, result, next) ?? arrivalsDiffer(result);
    }
    const { samples } = this.#fleet;
    this.#violation ??= differsFromWorld(judged, samples, this.#judge);
    const entries = (map: ReadonlyMap<string, number>) => Object.fromEntries([...map].sort());
    return {
      incidents: entries(this.#happened),
      outcomes: entries(outcomesOf(judged, samples)),
      requests: this.#fleet.requests,
      records: records.length,
      violation: this.#violation,
    };
  }
}

/** What a fault holds while it lasts. */
function targetOf(kind: ChaosKind, aggregator: number): string {
  const [what] = kind.split("_");
  if (what === "aggregator") return `aggregator ${aggregator}`;
  return kind === "network_slow" || kind === "network_cut" || kind === "power_cut" ? kind : what ?? kind;
}
