/**
 * The whole pipeline in one deterministic run: model boards (or MicroPython) → network → production ingest → simulated
 * log → production aggregator → real DuckDB files, in virtual time, with the incidents of a scenario; then a quiet phase
 * in which everything must drain, and the oracles.
 *
 * One event at a time: after each, everything that it started comes to rest (`turn.ts`) before virtual time goes on.
 */
import { createIngest, type Ingest } from "../ingest/mod.ts";
import { noMetrics } from "../core/ports/metrics.ts";
import { partitionOf } from "../core/murmur2.ts";
import { headerNames } from "../core/schema.ts";
import type { LogRecord } from "../core/ports/log.ts";
import { below } from "../core/ports/random.ts";
import type { Trace } from "../core/ports/trace.ts";
import { AggregatorProcess } from "./aggregator_process.ts";
import { weatherOf } from "./board/weather.ts";
import { virtualClock } from "./clock.ts";
import { describeDifference, difference, oracleLines, storedLines } from "./compare.ts";
import { hostileBodies } from "./hostile.ts";
import { Invariants, Violation } from "./invariants.ts";
import { noLogFaults, SimLog, type SimLogEnds, type SimLogFaultName } from "./log.ts";
import { ModelBoard, type PostOutcome } from "./model_board.ts";
import { digestOf, judgePartition, type OracleResult } from "./oracle.ts";
import { judgeWorld, type WorldSample } from "./oracle_world.ts";
import { type Disk, duckdbDisk, memoryDisk } from "./disk.ts";
import type { Published } from "./published.ts";
import { seededRandom } from "./random.ts";
import { type Incident, type IncidentKind, judgeOf, type Scenario } from "./scenario.ts";
import { Scheduler } from "./scheduler.ts";
import { Gate } from "./turn.ts";

export interface RunOptions {
  /** Where the data folders go, real DuckDB files; null: rows are kept in memory. */
  readonly directory: string | null;
  readonly trace?: Trace;
  /** Told of the virtual time now and then. */
  readonly onProgress?: (nowMs: number) => void;
  /** Invariants are looked at after so many events (default 50). */
  readonly checkEveryEvents?: number;
}

export interface Outcome {
  readonly digest: string;
  /** What went wrong; null if nothing did. */
  readonly violation: string | null;
  /** Incidents that really happened, by kind. */
  readonly incidents: Readonly<Record<string, number>>;
  /** What became of readings, windows and requests. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly events: number;
  readonly records: number;
  readonly virtualMs: number;
  readonly log: readonly LogRecord[];
}

/** Everything must have drained so long after the faults have stopped. */
const DRAIN_MS_MAX = 90 * 60_000;
const RESTART_MS = 1_000;
/** A window is closed so long after silence has made it due, at the latest: the longest wait for records, and some. */
const CLOSE_SLACK_MS = 30_000;
const ANSWER_LOST = null;

/** Runs a scenario to its end. Throws only on mistakes of the harness. */
export function runScenario(scenario: Scenario, options: RunOptions): Promise<Outcome> {
  return new Pipeline(scenario, options).run();
}

interface NetworkFault {
  readonly kind: "request_lost" | "answer_lost" | "request_delayed" | "request_doubled" | "half_open";
  left: number;
  readonly ms: number;
}

interface IngestProcess {
  readonly ingest: Ingest;
  readonly ends: SimLogEnds;
  isDead: boolean;
}

class Pipeline {
  readonly scheduler: Scheduler;
  readonly gate = new Gate();
  readonly log: SimLog;
  readonly boards: ModelBoard[];
  readonly workers: AggregatorProcess[];
  readonly invariants: Invariants;
  readonly #scenario: Scenario;
  readonly #options: RunOptions;
  readonly #ingests: (IngestProcess | null)[];
  readonly #clock: ReturnType<typeof virtualClock>;
  readonly #networkFaults: NetworkFault[][];
  readonly #wifiDownUntilMs: number[];
  readonly #sensorFaults: { kind: string; untilMs: number }[][];
  readonly #logFaults: SimLogFaultName[] = [];
  readonly #incidents = new Map<string, number>();
  readonly #outcomes = new Map<string, number>();
  #dnsDownUntilMs = 0;
  #events = 0;
  #requests = 0;
  #violation: string | null = null;
  #isQuiet = false;
  /** Things under way that have to be over before the end: restarts. */
  #pending = 0;

  constructor(scenario: Scenario, options: RunOptions) {
    this.#scenario = scenario;
    this.#options = options;
    const { seed, partitions, boards } = scenario;
    this.scheduler = new Scheduler({ startMs: scenario.startMs });
    this.#clock = virtualClock(this.scheduler);
    const clock = this.#clock;
    this.log = new SimLog({ partitions, clock, random: seededRandom(seed, "log") });
    this.invariants = new Invariants(this.log, (sentence) => this.#violation ??= sentence);
    this.#networkFaults = boards.map(() => []);
    this.#wifiDownUntilMs = boards.map(() => 0);
    this.#sensorFaults = boards.map(() => []);
    this.boards = boards.map((spec, i) => {
      const weather = weatherOf(seed, spec.device);
      return new ModelBoard(spec, {
        scheduler: this.scheduler,
        random: seededRandom(seed, "board", spec.device),
        climate: (nowMs) => this.#climate(i, weather.at(nowMs), nowMs),
        sensorFault: (nowMs) => this.#sensorFault(i, nowMs),
        post: (body, done) => this.#post(i, body, done),
        askTime: (done) => this.#askTime(i, done),
      });
    });
    const world = {
      ...{ scheduler: this.scheduler, clock, gate: this.gate, log: this.log },
      trace: options.trace ?? { emit() {} },
      judge: judgeOf(scenario),
      publishEveryMs: scenario.publishEveryMs,
      readWaitMs: scenario.readWaitMs,
      recordsPerCommitMax: scenario.recordsPerCommitMax,
      onCommit: this.invariants.committed,
      onExit: (worker: number, sentence: string) => this.#workerEnded(worker, sentence),
    };
    this.workers = Array.from(
      { length: scenario.workers },
      (_, i) => new AggregatorProcess(world, i, diskOf(options.directory, i, world.judge.retentionMs)),
    );
    this.#ingests = Array.from({ length: scenario.ingests }, () => null);
  }

  async run(): Promise<Outcome> {
    try {
      this.#start();
      await this.#advance(this.#scenario.startMs + this.#scenario.faultsMs);
      if (this.#violation === null) await this.#becomeQuiet();
      if (this.#violation === null) await this.#drain();
      return await this.#finish();
    } catch (error) {
      if (!(error instanceof Violation) && !isBroken(error)) throw error;
      this.#violation ??= error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      return await this.#outcome([]);
    } finally {
      for (const worker of this.workers) await worker.kill();
      await this.gate.settle();
      this.gate.close();
    }
  }

  #count(what: string, by = 1): void {
    if (by > 0) this.#outcomes.set(what, (this.#outcomes.get(what) ?? 0) + by);
  }

  #happened(kind: IncidentKind): void {
    this.#incidents.set(kind, (this.#incidents.get(kind) ?? 0) + 1);
  }

  // --- time --------------------------------------------------------------------------------------------------------

  #start(): void {
    for (let i = 0; i < this.#ingests.length; i++) this.#startIngest(i);
    for (const worker of this.workers) worker.start();
    this.boards.forEach((board, i) => this.scheduler.after(i * 37, () => board.powerOn()));
    for (const [i, incident] of this.#scenario.incidents.entries()) {
      this.scheduler.at(this.#scenario.startMs + incident.atMs, () => this.#inflict(incident, i));
    }
  }

  async #advance(untilMs: number): Promise<void> {
    const { onProgress, checkEveryEvents = 50 } = this.#options;
    for (;;) {
      await this.gate.settle();
      const { nextMs } = this.scheduler;
      if (nextMs === null || nextMs > untilMs || this.#violation !== null) break;
      await this.scheduler.step();
      if (++this.#events % checkEveryEvents === 0) this.#checkInvariants();
      if (this.#events % 2_000 === 0) onProgress?.(this.scheduler.nowMs);
    }
    if (this.#violation === null && this.scheduler.nowMs < untilMs) await this.scheduler.runUntil(untilMs);
  }

  #checkInvariants(): void {
    this.invariants.check();
    for (const process of this.#ingests) {
      const bytes = process?.ends.writer.pendingBytes() ?? 0;
      if (bytes > 33 * 2 ** 20) this.#violation ??= `ingest has ${bytes} bytes waiting for the log`;
    }
  }

  // --- ingest and network ------------------------------------------------------------------------------------------

  #startIngest(i: number): void {
    const ends = this.log.open();
    const random = seededRandom(this.#scenario.seed, "ingest", i, this.scheduler.nowMs);
    const { trace = { emit() {} } } = this.#options;
    const ingest = createIngest({ log: ends.writer, clock: this.#clock, random, trace, metrics: noMetrics });
    this.#ingests[i] = { ingest, ends, isDead: false };
  }

  #crashIngest(i: number, forMs: number): void {
    const process = this.#ingests[i];
    if (process === null || process === undefined) return;
    process.isDead = true;
    process.ends.kill();
    this.#ingests[i] = null;
    this.#later(forMs, () => this.#startIngest(i));
  }

  /** Something that has to happen before the run can end. */
  #later(ms: number, task: () => void | Promise<void>): void {
    this.#pending++;
    this.scheduler.after(ms, async () => {
      this.#pending--;
      await task();
    });
  }

  #isCutOff(board: number): boolean {
    const nowMs = this.scheduler.nowMs;
    return nowMs < (this.#wifiDownUntilMs[board] ?? 0) || nowMs < this.#dnsDownUntilMs;
  }

  #nextNetworkFault(board: number): NetworkFault | null {
    const faults = this.#networkFaults[board] ?? [];
    const [fault] = faults;
    if (fault === undefined) return null;
    if (--fault.left <= 0) faults.shift();
    this.#happened(fault.kind);
    return fault;
  }

  #post(board: number, body: string, done: (outcome: PostOutcome) => void): void {
    const { latencyMs } = this.boards[board]!.spec;
    const fail = () => done({ kind: "failed" });
    if (this.#isCutOff(board)) return void this.scheduler.after(1, fail);
    const fault = this.#nextNetworkFault(board);
    const answer = (outcome: PostOutcome | typeof ANSWER_LOST) => {
      if (outcome === null || fault?.kind === "answer_lost" || this.#isCutOff(board)) return;
      this.scheduler.after(latencyMs, () => done(outcome));
    };
    if (fault?.kind === "request_lost" || fault?.kind === "half_open") {
      // Half open: the board hears nothing; lost: a reset tells it soon.
      if (fault.kind === "request_lost") this.scheduler.after(3 * latencyMs, fail);
      return;
    }
    const delayMs = latencyMs + (fault?.kind === "request_delayed" ? fault.ms : 0);
    this.scheduler.after(delayMs, () => this.#deliver(body, answer));
    if (fault?.kind === "request_doubled") {
      this.scheduler.after(delayMs + fault.ms, () => this.#deliver(body, () => {}));
    }
  }

  #askTime(board: number, done: (nowMs: number) => void): void {
    if (this.#isCutOff(board)) return;
    const { latencyMs } = this.boards[board]!.spec;
    this.scheduler.after(latencyMs, () => {
      const { nowMs } = this.scheduler;
      this.scheduler.after(latencyMs, () => done(nowMs));
    });
  }

  /** A request arrives at one of the ingests; `answer(null)`: nobody will ever answer. */
  #deliver(body: BodyInit, answer: (outcome: PostOutcome | null) => void, type = "application/json"): void {
    const process = this.#ingests[this.#requests++ % this.#ingests.length];
    if (process === null || process === undefined) {
      this.#count("connection refused");
      return answer({ kind: "failed" });
    }
    const request = new Request("http://ingest.sim/v1/readings", {
      method: "POST",
      headers: { "content-type": type },
      body,
    });
    void (async () => {
      try {
        const response = await process.ingest.handler(request);
        const text = await response.text();
        if (process.isDead) return answer({ kind: "failed" });
        this.#count(`answered ${response.status}`);
        if (response.status === 202) this.invariants.acknowledged(body);
        answer(answerOf(response, text));
      } catch (error) {
        if (!process.isDead) this.#violation ??= `ingest threw: ${String(error)}`;
      }
    })();
  }

  // --- sensors -----------------------------------------------------------------------------------------------------

  #sensorFaultAt(board: number, nowMs: number): string | null {
    return (this.#sensorFaults[board] ?? []).find((fault) => nowMs < fault.untilMs)?.kind ?? null;
  }

  #sensorFault(board: number, nowMs: number): string | null {
    const kind = this.#sensorFaultAt(board, nowMs);
    return kind === "sensor_silent" ? "timeout" : kind === "sensor_checksum" ? "checksum" : null;
  }

  #climate(
    board: number,
    air: { temperatureTenthsC: number; humidityTenthsPct: number },
    nowMs: number,
  ): { temperatureTenthsC: number; humidityTenthsPct: number } {
    const kind = this.#sensorFaultAt(board, nowMs);
    if (kind === "sensor_stuck") return { temperatureTenthsC: 10, humidityTenthsPct: 10 };
    if (kind === "sensor_out_of_range") return { temperatureTenthsC: -2_000, humidityTenthsPct: 2_550 };
    return air;
  }

  // --- incidents ---------------------------------------------------------------------------------------------------

  async #inflict(incident: Incident, number: number): Promise<void> {
    if (this.#isQuiet) return;
    const { kind, forMs = 1_000, count = 1 } = incident;
    const { nowMs } = this.scheduler;
    const boardNumber = (incident.board ?? 0) % Math.max(1, this.boards.length);
    const board = this.boards[boardNumber];
    switch (kind) {
      case "request_lost":
      case "answer_lost":
      case "request_delayed":
      case "request_doubled":
      case "half_open":
        this.#networkFaults[boardNumber]?.push({ kind, left: count, ms: forMs });
        return;
      case "wifi_down":
        this.#wifiDownUntilMs[boardNumber] = nowMs + forMs;
        break;
      case "dns_down":
        this.#dnsDownUntilMs = nowMs + forMs;
        break;
      case "power_cut":
        board?.powerCut();
        this.#later(forMs, () => board?.powerOn());
        break;
      case "brown_out":
        for (let i = 0; i < count; i++) {
          this.#later(i * 400, () => board?.powerCut());
          this.#later(i * 400 + 200, () => board?.powerOn());
        }
        break;
      case "torn_flash_write":
        if (board !== undefined) board.tearsNextFlush = true;
        break;
      case "flash_erased":
        board?.powerCut();
        board?.eraseFlash();
        this.#later(2_000, () => board?.powerOn());
        break;
      case "sensor_silent":
      case "sensor_checksum":
      case "sensor_stuck":
      case "sensor_out_of_range":
        this.#sensorFaults[boardNumber]?.unshift({ kind, untilMs: nowMs + forMs });
        break;
      case "ingest_crash":
        this.#crashIngest((incident.ingest ?? 0) % this.#ingests.length, forMs);
        break;
      case "hostile_sender":
        for (
          const { body, type } of hostileBodies(
            seededRandom(this.#scenario.seed, "hostile", number),
            nowMs,
            count,
          )
        ) {
          this.#deliver(body, () => {}, type);
        }
        break;
      case "log_down":
        this.log.setDown(true);
        this.#later(forMs, () => this.log.setDown(false));
        break;
      case "rebalance":
        for (let i = 0; i < count; i++) this.scheduler.after(i * 300, () => void this.log.rebalance());
        break;
      case "zombie":
        // For this one rebalance: a zombie's end makes another, which would make zombies for ever.
        this.#withLogFault("zombie", 2);
        this.scheduler.after(1, () => void this.log.rebalance());
        return this.#happened(kind);
      case "foreign_records":
        await this.#appendForeign(number, count);
        break;
      case "aggregator_crash_before_call":
      case "aggregator_crash_after_call":
        return this.#planCrash(incident, kind);
      case "aggregator_restart":
        return this.#restart(incident);
      case "disk_full":
        this.workers[(incident.worker ?? 0) % this.workers.length]!.commitsToRefuse += count;
        break;
      case "live_file_truncated":
      case "wal_truncated":
        return await this.#damage(incident, kind);
      default:
        this.#withLogFault(logFaultOf[kind], forMs);
    }
    this.#happened(kind);
  }

  /** For a while, every draw of this fault of the log comes true. */
  #withLogFault(name: SimLogFaultName, forMs: number): void {
    this.#logFaults.push(name);
    this.#setLogFaults();
    this.#later(forMs, () => {
      this.#logFaults.splice(this.#logFaults.indexOf(name), 1);
      this.#setLogFaults();
    });
  }

  #setLogFaults(): void {
    const active = Object.fromEntries(this.#logFaults.map((name) => [name, 1_000]));
    this.log.setFaults({ ...noLogFaults, ...active, slowMsMax: 8_000, clockStepMsMax: 600_000 });
  }

  /** Records that no ingest of ours wrote: other tools' ticks, control records, garbage. */
  async #appendForeign(number: number, count: number): Promise<void> {
    const random = seededRandom(this.#scenario.seed, "foreign", number);
    const ends = this.log.open();
    const device = this.boards[below(random, this.boards.length)]?.spec.device ?? "board-1";
    const mine = partitionOf(device, this.log.partitions);
    const any = below(random, this.log.partitions);
    const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
    const kind = (value: string) => ({ [headerNames.version]: "1", [headerNames.kind]: value });
    const records = Array.from({ length: count }, () =>
      [
        { partition: any, key: null, value: null, headers: kind("tick") },
        { partition: any, key: null, value: null, headers: {} },
        { partition: any, key: "x", value: new Uint8Array([1, 2, 3]), headers: {} },
        {
          partition: mine,
          key: device,
          value: encode({ action: "rename", name: `renamed ${number}` }),
          headers: kind("device"),
        },
        { partition: mine, key: device, value: encode({ action: "retire" }), headers: kind("device") },
        {
          partition: any,
          key: "curl",
          value: encode({ device: "curl", temperature_c: below(random, 40) }),
          headers: {},
        },
      ][below(random, 6)]!);
    void ends.writer.append(records).catch(() => this.#count("foreign append refused"));
    await Promise.resolve();
  }

  #planCrash({ worker = 0, count = 1, forMs = RESTART_MS }: Incident, kind: IncidentKind): void {
    const process = this.workers[worker % this.workers.length]!;
    const when = kind === "aggregator_crash_before_call" ? "before" : "after";
    process.planCrash({
      inCalls: count,
      when,
      onCrash: () => {
        this.#happened(kind);
        this.#later(1, async () => {
          await process.kill();
          this.#later(forMs, () => this.#startWorker(process));
        });
      },
    });
  }

  /** A process has ended by itself; a supervisor starts it again. A damaged folder is moved away by a person. */
  #workerEnded(worker: number, sentence: string): void {
    const process = this.workers[worker]!;
    if (process.bug !== null) {
      this.#violation ??= `worker ${worker} died of a mistake of ours: ${String(process.bug)}`;
      return;
    }
    this.#count("the aggregator ended with a sentence");
    this.#later(RESTART_MS, async () => {
      await process.kill();
      if (isDamage(sentence)) await this.#moveAway(process);
      this.#startWorker(process);
    });
  }

  async #moveAway(process: AggregatorProcess): Promise<void> {
    this.#count("a damaged folder was moved away");
    await this.gate.run(() => process.disk.clear());
  }

  #startWorker(process: AggregatorProcess): void {
    if (!process.isRunning) process.start();
  }

  #restart({ worker = 0, forMs = RESTART_MS }: Incident): void {
    const process = this.workers[worker % this.workers.length]!;
    if (!process.isRunning) return;
    this.#happened("aggregator_restart");
    // Stopping takes virtual time: it must not hold the event up.
    this.#pending++;
    void process.stop().then((sentence) => {
      this.#pending--;
      if (sentence !== null) this.#count("stopped with a sentence");
      this.#later(forMs, () => this.#startWorker(process));
    }, (error) => this.#violation ??= String(error));
  }

  /** The process dies, and a file of its is cut in the middle. */
  async #damage({ worker = 0, forMs = RESTART_MS }: Incident, kind: IncidentKind): Promise<void> {
    const process = this.workers[worker % this.workers.length]!;
    if (!process.isRunning) return;
    await process.kill();
    const file = kind === "wal_truncated" ? "wal" : "live";
    for (let partition = 0; partition < this.log.partitions; partition++) {
      if (await this.gate.run(() => process.disk.cut(partition, file))) this.#happened(kind);
    }
    this.#later(forMs, () => this.#startWorker(process));
  }

  // --- the end -----------------------------------------------------------------------------------------------------

  /** Faults stop; what was broken is brought up again, as a person or a supervisor would. */
  async #becomeQuiet(): Promise<void> {
    this.#isQuiet = true;
    this.#dnsDownUntilMs = 0;
    this.boards.forEach((board, i) => {
      this.#networkFaults[i] = [];
      this.#wifiDownUntilMs[i] = 0;
      board.tearsNextFlush = false;
    });
    // What is planned to come back comes back; then whatever is still down.
    await this.#advance(this.scheduler.nowMs + 15 * 60_000);
    while (this.#pending > 0 && this.#violation === null) await this.#advance(this.scheduler.nowMs + 60_000);
    this.#logFaults.length = 0;
    this.log.setFaults(noLogFaults);
    this.log.setDown(false);
    for (const worker of this.workers) worker.commitsToRefuse = 0;
    for (const board of this.boards) {
      board.powerOn();
      board.stopSampling();
    }
    for (const worker of this.workers) if (!worker.isRunning) worker.start();
  }

  async #drain(): Promise<void> {
    const endMs = this.scheduler.nowMs + DRAIN_MS_MAX;
    for (;;) {
      await this.#advance(this.scheduler.nowMs + 30_000);
      if (this.#violation !== null) return;
      await this.#tendWorkers();
      const unsent = this.boards.reduce((sum, board) => sum + board.unsentCount, 0);
      if (unsent === 0 && this.#pending === 0) break;
      if (this.scheduler.nowMs < endMs) continue;
      this.#violation = `${unsent} readings are still on boards ${
        DRAIN_MS_MAX / 60_000
      } min after the faults stopped`;
      return;
    }
    // The last minutes close by silence; the tick for that is the aggregator's business.
    await this.#advance(this.scheduler.nowMs + 8 * 60_000);
    await this.#tendWorkers();
    await this.#advance(this.scheduler.nowMs + 30_000);
    this.#checkReadToEnd();
  }

  /** A person looks after partitions that have stopped with a sentence. */
  async #tendWorkers(): Promise<void> {
    for (const worker of this.workers) {
      const stopped = worker.status().filter((status) => status.state === "stopped");
      if (stopped.length === 0) continue;
      await worker.kill();
      if (stopped.some(({ sentence }) => isDamage(sentence ?? ""))) await this.#moveAway(worker);
      this.#count("a person restarted a stopped worker");
      worker.start();
    }
  }

  #checkReadToEnd(): void {
    const statuses = this.workers.flatMap((worker) => worker.status());
    for (let partition = 0; partition < this.log.partitions; partition++) {
      const { next } = this.log.range(partition);
      const reached = Math.max(
        0,
        ...statuses.filter((s) => s.partition === partition).map((s) => s.nextOffset),
      );
      if (reached === next) continue;
      const told = statuses.map((s) => `${s.partition}: ${s.state} at ${s.nextOffset} ${s.sentence ?? ""}`)
        .join("; ");
      this.#violation ??= `partition ${partition} ends at ${next}, the aggregator is at ${reached} (${told})`;
    }
  }

  async #finish(): Promise<Outcome> {
    if (this.#violation !== null) return await this.#outcome([]);
    const stoppedMs = this.scheduler.nowMs;
    await this.#stopWorkers();
    const published: Published[] = [];
    const judged: OracleResult[] = [];
    for (let partition = 0; partition < this.log.partitions; partition++) {
      const newest = await this.#newestPublication(partition);
      const expected = judgePartition(
        this.log.records(partition),
        judgeOf(this.#scenario),
        partition,
        this.log.partitions,
      );
      judged.push(expected);
      if (newest === null) {
        if (this.log.range(partition).next > 0) {
          this.#violation ??= `partition ${partition} was never published`;
        }
        continue;
      }
      published.push(newest);
      this.#compare(partition, newest, expected);
    }
    this.#compareWorld(judged);
    for (const result of judged) this.#checkClosed(result, stoppedMs);
    this.#countOutcomes(judged);
    return await this.#outcome(judged);
  }

  async #stopWorkers(): Promise<void> {
    const running = this.workers.map(async (worker) => await worker.stop());
    let isDone = false;
    const all = Promise.all(running).then(() => isDone = true);
    all.catch((error) => this.#violation ??= String(error));
    for (let i = 0; i < 1_000 && !isDone && this.#violation === null; i++) {
      await this.#advance(this.scheduler.nowMs + 1_000);
    }
    if (!isDone) this.#violation ??= "the aggregator did not stop within 1,000 s";
  }

  async #newestPublication(partition: number): Promise<Published | null> {
    let newest: Published | null = null;
    for (const worker of this.workers) {
      const found = await this.gate.run(() => worker.disk.published(partition));
      if (found !== null && (newest === null || found.position.epoch > newest.position.epoch)) newest = found;
    }
    return newest;
  }

  #compare(partition: number, published: Published, expected: OracleResult): void {
    const found = difference(storedLines(published), oracleLines(expected));
    if (found !== null) {
      this.#violation ??= `partition ${partition} differs from the oracle: ${describeDifference(found)}`;
    }
    const { next } = this.log.range(partition);
    const { nextOffset } = published.position;
    if (nextOffset !== next) {
      this.#violation ??= `partition ${partition} is published up to ${nextOffset} of ${next}`;
    }
  }

  /** Silence closes windows by itself: the owner of a partition appends a tick when no record comes. */
  #checkClosed({ open, devices }: OracleResult, nowMs: number): void {
    const { idleMs } = judgeOf(this.#scenario);
    for (const { device, size, startMs, endMs } of open) {
      const lastAppendMs = devices.find((row) => row.device === device)?.lastAppendMs ?? 0;
      const dueMs = Math.max(endMs, lastAppendMs) + idleMs;
      if (dueMs + CLOSE_SLACK_MS >= nowMs) continue;
      this.#violation ??=
        `window ${device} ${size} ${startMs} was due at ${dueMs} and is still open at ${nowMs}`;
    }
  }

  #compareWorld(judged: readonly OracleResult[]): void {
    const problems = judgeWorld(this.#samples(), {
      readings: judged.flatMap((result) => result.readings),
      windows: judged.flatMap((result) => [...result.windows, ...result.open]),
      boots: judged.flatMap((result) => result.boots),
    }, this.#scenario.windows);
    if (problems.length > 0) {
      this.#violation ??= `${problems.length} differences from what was measured: ${
        problems.slice(0, 5).join("; ")
      }`;
    }
  }

  #samples(): WorldSample[] {
    return this.boards.flatMap((board) => board.samples);
  }

  #countOutcomes(judged: readonly OracleResult[]): void {
    for (const result of judged) {
      for (const row of result.quarantined) this.#count(`quarantined ${row.reason}`);
      for (const row of result.windows) {
        this.#count(`closed by ${row.closedBy}`);
        if (row.revision > 0) this.#count("revised");
      }
      for (const device of result.devices) {
        for (const [outcome, count] of Object.entries(device.arrivals)) this.#count(outcome, count);
        if (device.sharedName) this.#count("shared name");
        const sum = Object.values(device.arrivals).reduce((total, count) => total + count, 0);
        if (sum !== device.inLog) {
          this.#violation ??= `arrivals of ${device.device}: ${sum} of ${device.inLog}`;
        }
      }
      for (const { states } of result.boots) {
        this.#count("slots lost", states.lost);
        this.#count("slots missing", states.missing);
      }
    }
    for (const { fate } of this.#samples()) this.#count(`on the board: ${fate}`);
  }

  async #outcome(judged: readonly OracleResult[]): Promise<Outcome> {
    const entries = (map: ReadonlyMap<string, number>) =>
      Object.fromEntries([...map].sort(([a], [b]) => a < b ? -1 : 1));
    const log = Array.from({ length: this.log.partitions }, (_, p) => this.log.records(p)).flat();
    return {
      digest: await digestOf(judged.flatMap((result) => result.windows)),
      violation: this.#violation,
      incidents: entries(this.#incidents),
      outcomes: entries(this.#outcomes),
      events: this.#events,
      records: log.length,
      virtualMs: this.scheduler.nowMs - this.#scenario.startMs,
      log,
    };
  }
}

const logFaultOf = {
  log_refused: "refused",
  log_cut_off: "cutOff",
  log_unanswered: "unanswered",
  log_doubled: "doubled",
  log_slow: "slow",
  log_slow_answer: "slowAnswer",
  log_clock_step: "clockStep",
  log_read_refused: "refusedRead",
  log_short_read: "shortRead",
} as const satisfies Partial<Record<IncidentKind, SimLogFaultName>>;

function answerOf(response: Response, text: string): PostOutcome {
  const retryAfterMs = 1_000 * Number(response.headers.get("retry-after") ?? 0);
  let credit = 1;
  if (response.status === 202) credit = Number((JSON.parse(text) as { credit: number }).credit);
  return { kind: "answer", status: response.status, retryAfterMs, credit };
}

const diskOf = (directory: string | null, worker: number, retentionMs: number): Disk =>
  directory === null ? memoryDisk() : duckdbDisk(`${directory}/worker-${worker}`, retentionMs);

/** What a file that was cut is refused with; other sentences would tell of a bug. */
const isDamage = (sentence: string): boolean =>
  /damaged|truncated|not a valid|corrupt|move .* aside|move .* away/i.test(sentence);

/** An assertion of ours that broke in production code is a finding, not a mistake of the harness. */
const isBroken = (error: unknown): boolean => error instanceof Error && error.name === "AssertionFailed";
