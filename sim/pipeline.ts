/**
 * The whole pipeline in one deterministic run: model boards (or MicroPython) → network → production ingest → simulated
 * log → production aggregator → real DuckDB files, in virtual time, with the incidents of a scenario; then a quiet phase
 * in which everything must drain, and the oracles.
 *
 * One event at a time: after each, everything that it started comes to rest (`turn.ts`) before virtual time goes on.
 */
import type { LogRecord } from "../core/ports/log.ts";
import { silentTrace, type Trace } from "../core/ports/trace.ts";
import type { AlertRow } from "../core/rows.ts";
import { publishedGraceMs } from "../platform/duckdb/publisher.ts";
import { loadMicroPythonRuntime, type MicroPythonRuntime } from "./board/mod.ts";
import { virtualClock } from "./clock.ts";
import { duckdbDisk, memoryDisk } from "./disk.ts";
import { Fleet, isBoardIncident, requestOf } from "./fleet.ts";
import { foreignRecords } from "./foreign_records.ts";
import { hostileBodies } from "./hostile.ts";
import { type IngestAnswer, Ingests } from "./ingests.ts";
import { Invariants, Violation } from "./invariants.ts";
import { SimLog } from "./log.ts";
import { noLogFaults, type SimLogFaultName } from "./log_faults.ts";
import type { Jitter } from "./jitter.ts";
import { Looks } from "./looks.ts";
import { digestOf, judgePartition, type OracleResult } from "./oracle.ts";
import { type DecisionLog, Decisions } from "./decisions.ts";
import { type Incident, type IncidentKind, judgeOf, type Scenario } from "./scenario.ts";
import { alertsOf, RulesWorld } from "./rules.ts";
import { Scheduler } from "./scheduler.ts";
import type { RequestStory, Story } from "./story/story.ts";
import { Gate } from "./turn.ts";
import { arrivalsDiffer, closedLate, differsFromOracle, differsFromWorld, outcomesOf } from "./verdict.ts";
import type { Trail } from "./trail.ts";
import { isWorkerIncident, Workers } from "./workers.ts";

export interface RunOptions {
  /** Where the data folders go, real DuckDB files; null: rows are kept in memory. */
  readonly directory: string | null;
  readonly trace?: Trace;
  /** Told of the virtual time now and then. */
  readonly onProgress?: (nowMs: number) => void;
  /** Invariants are looked at after so many events (default 50). */
  readonly checkEveryEvents?: number;
  /** Shared by all runs of boards with the firmware; loaded for this one by default (some 100 ms). */
  readonly micropython?: MicroPythonRuntime;
  /** Decisions of an earlier run, taken instead of the seed's. */
  readonly decisions?: DecisionLog;
  /** Keeps what happened, for {@link Outcome.story}. */
  readonly tells?: boolean;
  /** Keeps each step, to compare with those of another run. */
  readonly trail?: Trail;
  /** Real time that calls and turns take more; it changes no run. */
  readonly jitter?: Jitter;
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
  readonly decisions: DecisionLog;
  /** Null unless asked for. */
  readonly story: Story | null;
}

/** Everything must have drained so long after the faults have stopped. */
const DRAIN_MS_MAX = 90 * 60_000;
/** Files that have readers are read so often. */
const LOOK_EVERY_EVENTS = 500;

/** Runs a scenario to its end. Throws only on mistakes of the harness. */
export async function runScenario(scenario: Scenario, options: RunOptions): Promise<Outcome> {
  const needsRuntime = scenario.firmware === "micropython";
  const runtime = needsRuntime ? options.micropython ?? await loadMicroPythonRuntime() : null;
  return await new Pipeline(scenario, options, runtime).run();
}

class Pipeline {
  readonly scheduler: Scheduler;
  readonly gate: Gate;
  readonly log: SimLog;
  readonly fleet: Fleet;
  readonly ingests: Ingests;
  readonly workers: Workers;
  readonly invariants: Invariants;
  readonly #rules: RulesWorld | null;
  readonly #scenario: Scenario;
  readonly #decisions: Decisions;
  readonly #options: RunOptions;
  readonly #clock: ReturnType<typeof virtualClock>;
  readonly #logFaults: SimLogFaultName[] = [];
  readonly #incidents = new Map<string, number>();
  readonly #outcomes = new Map<string, number>();
  readonly #requests: RequestStory[] = [];
  readonly #looks = new Looks(publishedGraceMs);
  #events = 0;
  #violation: string | null = null;
  #isQuiet = false;
  /** Things under way that have to be over before the end: restarts. */
  #pending = 0;

  constructor(scenario: Scenario, options: RunOptions, runtime: MicroPythonRuntime | null) {
    this.#scenario = scenario;
    this.#options = options;
    const { seed, partitions } = scenario;
    const decisions = this.#decisions = new Decisions(seed, options.decisions);
    const { directory, trace = silentTrace, trail, jitter = null } = options;
    this.gate = new Gate(
      (what, error) => trail?.add(`${what}: ${error === null ? "ended" : said(error)}`),
      jitter,
    );
    const scheduler = this.scheduler = new Scheduler({ startMs: scenario.startMs });
    const clock = this.#clock = virtualClock(scheduler);
    const log = this.log = new SimLog({
      partitions,
      clock,
      random: (purpose) => decisions.of("log", purpose),
    });
    const onViolation = (sentence: string) => void (this.#violation ??= sentence);
    this.invariants = new Invariants(log, onViolation);
    this.ingests = new Ingests({
      ...{ decisions, clock, log, trace, onViolation },
      onAcknowledged: (body) => this.invariants.acknowledged(body),
    }, scenario.ingests);
    this.fleet = new Fleet({
      ...{ scheduler, scenario, decisions, runtime, onViolation },
      deliver: (request, body, answer) => this.#deliver(request, body, answer),
      isServed: () => this.ingests.isServed,
      onHappened: (kind) => this.#happened(kind),
      later: (ms, task) => this.#later(ms, task),
      onRequest: (story) => options.tells === true ? void this.#requests.push(story) : undefined,
    });
    const judge = judgeOf(scenario);
    const rules = this.#rules = scenario.rules === undefined
      ? null
      : new RulesWorld(scenario.rules, scenario.startMs, clock);
    const { publishEveryMs, readWaitMs, recordsPerCommitMax } = scenario;
    this.workers = new Workers(
      {
        ...{ scheduler, clock, gate: this.gate, log, trace, judge, onViolation },
        ...{ publishEveryMs, readWaitMs, recordsPerCommitMax, rules },
        onCommit: this.invariants.committed,
        onHappened: (kind) => this.#happened(kind),
        count: (what) => this.#count(what),
        later: (ms, task) => this.#later(ms, task),
        hold: (task) => this.#hold(task),
      },
      Array.from(
        { length: scenario.workers },
        (_, i) =>
          directory === null
            ? memoryDisk()
            : duckdbDisk(`${directory}/worker-${i}`, judge.retentionMs, jitter),
      ),
    );
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
      this.#violation ??= said(error);
      return await this.#outcome([]);
    } finally {
      this.fleet.close();
      await this.#looks.over();
      await this.workers.killAll();
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
    for (let i = 0; i < this.ingests.count; i++) this.ingests.start(i);
    this.workers.startAll();
    this.fleet.powerOn();
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
      await this.#looks.mayBecome(nextMs);
      this.#events++;
      this.#leaveTrail(nextMs);
      await this.scheduler.step();
      if (this.#events % checkEveryEvents === 0) this.#checkInvariants();
      if (this.#events % 2_000 === 0) onProgress?.(this.scheduler.nowMs);
      if (this.#events % LOOK_EVERY_EVENTS === 0) this.#lookFromOutside();
    }
    if (this.#violation === null && this.scheduler.nowMs < untilMs) await this.scheduler.runUntil(untilMs);
  }

  /** Where everything is at rest, before an event. */
  #leaveTrail(atMs: number): void {
    const { trail } = this.#options;
    if (trail === undefined) return;
    let records = 0;
    for (let partition = 0; partition < this.log.partitions; partition++) {
      records += this.log.range(partition).next;
    }
    trail.add(
      `event ${this.#events} at ${atMs} ms: ${records} records, ${this.gate.count} calls, ${this.#decisions.count} draws`,
    );
  }

  /** Readers come at any moment, and what they do holds nobody up: the run goes on beside them. */
  #lookFromOutside(): void {
    for (const looking of this.workers.look()) {
      this.#looks.add(
        this.scheduler.nowMs,
        looking.then((problem) => {
          this.#violation ??= problem;
        }),
      );
    }
  }

  #checkInvariants(): void {
    this.invariants.check();
    this.#violation ??= this.ingests.checkBounds() ?? this.fleet.failure;
  }

  // --- ingest --------------------------------------------------------------------------------------------------------

  #deliver(request: Request, body: BodyInit, answer: (outcome: IngestAnswer) => void): void {
    this.ingests.deliver(request, body, (outcome) => {
      if (outcome.kind === "refused") this.#count("connection refused");
      if (outcome.kind === "answer") this.#count(`answered ${outcome.response.status}`);
      answer(outcome);
    });
  }

  #crashIngest(i: number, forMs: number): void {
    if (this.ingests.crash(i)) this.#later(forMs, () => this.ingests.start(i));
  }

  /** Something that has to happen before the run can end. */
  #later(ms: number, task: () => void | Promise<void>): void {
    this.#pending++;
    this.scheduler.after(ms, async () => {
      this.#pending--;
      await task();
    });
  }

  /** The run can't end before `task` has. */
  async #hold(task: Promise<void>): Promise<void> {
    this.#pending++;
    await task;
    this.#pending--;
  }

  // --- incidents ---------------------------------------------------------------------------------------------------

  async #inflict(incident: Incident, number: number): Promise<void> {
    if (this.#isQuiet) return;
    const { kind, forMs = 1_000, count = 1 } = incident;
    if (isBoardIncident(kind)) return this.fleet.inflict({ ...incident, kind });
    if (isWorkerIncident(kind)) return await this.workers.inflict({ ...incident, kind });
    switch (kind) {
      case "ingest_crash":
        this.#crashIngest((incident.ingest ?? 0) % this.ingests.count, forMs);
        break;
      case "hostile_sender":
        for (
          const { body, type } of hostileBodies(
            this.#decisions.of("hostile", number),
            this.scheduler.nowMs,
            count,
          )
        ) {
          this.#deliver(requestOf(body, type), body, () => {});
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
      case "webhook_down":
        if (this.#rules === null) return;
        this.#rules.away();
        this.#later(forMs, () => this.#rules?.back());
        break;
      case "foreign_records":
        this.#appendForeign(number, count);
        break;
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

  /** Records that no ingest of ours wrote. */
  #appendForeign(number: number, count: number): void {
    const records = foreignRecords(this.#decisions.of("foreign", number), {
      devices: this.fleet.boards.map(({ device }) => device),
      partitions: this.log.partitions,
      name: `renamed ${number}`,
      count,
    });
    void this.log.open().writer.append(records).catch(() => this.#count("foreign append refused"));
  }

  // --- the end -----------------------------------------------------------------------------------------------------

  /** Faults stop; what was broken is brought up again, as a person or a supervisor would. */
  async #becomeQuiet(): Promise<void> {
    this.#isQuiet = true;
    this.fleet.calm();
    // What is planned to come back comes back; then whatever is still down.
    await this.#advance(this.scheduler.nowMs + 15 * 60_000);
    while (this.#pending > 0 && this.#violation === null) await this.#advance(this.scheduler.nowMs + 60_000);
    this.#logFaults.length = 0;
    this.log.setFaults(noLogFaults);
    this.log.setDown(false);
    this.workers.repairDisks();
    await this.fleet.comeToRest();
    this.workers.startAll();
  }

  async #drain(): Promise<void> {
    const endMs = this.scheduler.nowMs + DRAIN_MS_MAX;
    for (;;) {
      await this.#advance(this.scheduler.nowMs + 30_000);
      if (this.#violation !== null) return;
      await this.workers.tend();
      const unsent = this.fleet.unsentCount;
      if (unsent === 0 && this.#pending === 0) break;
      if (this.scheduler.nowMs < endMs) continue;
      this.#violation = `${unsent} readings are still on boards ${
        DRAIN_MS_MAX / 60_000
      } min after the faults stopped`;
      return;
    }
    // The last minutes close by silence; the tick for that is the aggregator's business.
    await this.#advance(this.scheduler.nowMs + 8 * 60_000);
    await this.workers.tend();
    await this.#advance(this.scheduler.nowMs + 30_000);
    this.#violation ??= this.workers.notReadToEnd();
  }

  async #finish(): Promise<Outcome> {
    if (this.#violation !== null) return await this.#outcome([]);
    const stoppedMs = this.scheduler.nowMs;
    await this.#stopWorkers();
    await this.#looks.over();
    const judged: OracleResult[] = [];
    for (let partition = 0; partition < this.log.partitions; partition++) {
      const newest = await this.workers.newestPublication(partition);
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
      this.#violation ??= differsFromOracle(newest, expected, this.log.range(partition).next) ??
        this.#alertProblem(partition, newest.alerts);
    }
    const config = judgeOf(this.#scenario);
    this.#violation ??= differsFromWorld(judged, this.fleet.samples, config);
    for (const result of judged) {
      this.#violation ??= closedLate(result, config.idleMs, stoppedMs) ?? arrivalsDiffer(result);
    }
    for (const [what, count] of outcomesOf(judged, this.fleet.samples)) this.#count(what, count);
    return await this.#outcome(judged);
  }

  #alertProblem(partition: number, stored: readonly AlertRow[]): string | null {
    if (this.#rules === null) return null;
    const { partitions } = this.log;
    const expected = alertsOf(this.log.records(partition), judgeOf(this.#scenario), partition, partitions);
    this.#count("alerts", expected.length);
    return this.#rules.problem(partition, stored, expected);
  }

  async #stopWorkers(): Promise<void> {
    let isDone = false;
    const all = this.workers.stopAll().then(() => isDone = true);
    all.catch((error) => this.#violation ??= String(error));
    for (let i = 0; i < 1_000 && !isDone && this.#violation === null; i++) {
      await this.#advance(this.scheduler.nowMs + 1_000);
    }
    if (!isDone) this.#violation ??= "the aggregator did not stop within 1,000 s";
  }

  async #outcome(judged: readonly OracleResult[]): Promise<Outcome> {
    const entries = (map: ReadonlyMap<string, number>) =>
      Object.fromEntries([...map].sort(([a], [b]) => a < b ? -1 : 1));
    const log = Array.from({ length: this.log.partitions }, (_, p) => this.log.records(p)).flat();
    const digest = await digestOf(judged.flatMap((result) => result.windows));
    const violation = this.#violation;
    return {
      digest,
      violation,
      incidents: entries(this.#incidents),
      outcomes: entries(this.#outcomes),
      events: this.#events,
      records: log.length,
      virtualMs: this.scheduler.nowMs - this.#scenario.startMs,
      log,
      decisions: this.#decisions.log(),
      story: this.#options.tells !== true ? null : {
        ...{ scenario: this.#scenario, violation, digest, endMs: this.scheduler.nowMs },
        ...{ samples: this.fleet.samples, requests: this.#requests, records: log, judged },
      },
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

const said = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message}` : String(error);

/** An assertion of ours that broke in production code is a finding, not a mistake of the harness. */
const isBroken = (error: unknown): boolean => error instanceof Error && error.name === "AssertionFailed";
