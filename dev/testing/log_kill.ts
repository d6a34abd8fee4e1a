/**
 * Nothing lost and nothing double when things die, on real processes: a fleet sends its readings over HTTP to an ingest
 * service, a real log server stores them, an aggregator turns them into rows; all three are killed with SIGKILL at
 * random moments. Afterwards the rows are held against what the sensors measured, against the oracle's recomputation of
 * the log, and, digest for digest, against those of an aggregator that reads the same log undisturbed.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { createHash } from "node:crypto";
import { defaultConfig } from "../../core/config.ts";
import type { Log, LogRecord } from "../../core/ports/log.ts";
import { noMetrics } from "../../core/ports/metrics.ts";
import { below, type Random } from "../../core/ports/random.ts";
import { silentTrace } from "../../core/ports/trace.ts";
import { joinAll, readLimits } from "../../core/testing/log_contract.ts";
import { machineClock } from "../../platform/clock.ts";
import { addLanes, lanesOf, lanesText, noLanes } from "../../platform/duckdb/digest.ts";
import { openLogAt } from "../../platform/log_address.ts";
import { machineRandom } from "../../platform/random.ts";
import { freePort, Process, taskArgs, until } from "../../platform/testing/process.ts";
import { askNumber, askPublished, readManifest } from "../../platform/testing/published.ts";
import { digestLine, judgePartition } from "../../sim/oracle.ts";
import { seededRandom } from "../../sim/random.ts";
import { drawFleet, type Fleet } from "./fleet.ts";

/** A server of a log that may be killed and started again on its data. */
export interface LogServer {
  /** Of a log in it, without options: `kafka://host:port/readings`. */
  readonly logAddress: string;
  stop(signal: "SIGKILL"): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
}

export interface KillPlan {
  readonly devices: number;
  readonly slotsPerDevice: number;
  readonly partitions: number;
  readonly aggregatorKills: number;
  readonly ingestKills: number;
  readonly serverKills: number;
  readonly seed: number;
  /** Compares with the oracle too, which keeps everything in memory and searches through it. */
  readonly oracle: boolean;
  /** Progress for a person. */
  readonly say: (line: string) => void;
}

/** So long the group waits for a worker that was killed. */
const SESSION_MS = 1_500;
const SENDERS = 24;

/** Runs the plan on the server, and removes it; throws when a promise is broken. */
export async function killThroughLog(plan: KillPlan, server: LogServer): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-kill-" });
  try {
    const fleet = drawFleet({ ...plan, startMs: machineClock.nowMs() - 2 * plan.slotsPerDevice * 10_000 });
    plan.say(
      `${fleet.readings} readings (${fleet.truth.slots} slots) of ${plan.devices} devices, seed ${plan.seed}`,
    );
    const run = new Run(plan, server, folder);
    await run.underFire(fleet);
    await run.holdAgainstSensors(fleet);
    await run.holdAgainstUndisturbed();
    if (plan.oracle) await run.holdAgainstOracle();
  } finally {
    await server.remove();
    await Deno.remove(folder, { recursive: true });
  }
}

/** A seat of one service: whoever sits in it may die and be replaced. */
class Seat {
  process: Process | null = null;
  starts = 0;
  constructor(readonly start: () => Promise<Process>) {}

  async fill(): Promise<Process> {
    this.starts++;
    return this.process = await this.start();
  }

  async kill(): Promise<void> {
    const { process } = this;
    if (process === null) return;
    ok(process.isRunning, `it ended by itself:\n${process.text}`);
    await process.stop("SIGKILL");
    this.process = null;
  }
}

class Run {
  readonly #plan: KillPlan;
  readonly #server: LogServer;
  readonly #folder: string;
  readonly #url: string;
  readonly #ingest: Seat;
  readonly #aggregator: Seat;
  #sent = 0;
  #killed = 0;

  constructor(plan: KillPlan, server: LogServer, folder: string) {
    this.#plan = plan;
    this.#server = server;
    this.#folder = folder;
    const port = freePort();
    this.#url = `http://127.0.0.1:${port}`;
    this.#ingest = new Seat(async () =>
      new Process({
        args: await taskArgs("start:ingest"),
        env: { ...this.#env("isotherm"), ISOTHERM_PORT: `${port}` },
      })
    );
    this.#aggregator = new Seat(() => this.#startAggregator("isotherm", `${folder}/data`));
  }

  #addressOf(group: string): string {
    return `${this.#server.logAddress}?group=${group}&session_ms=${SESSION_MS}`;
  }

  #env(group: string): Record<string, string> {
    return {
      ISOTHERM_LOG: this.#addressOf(group),
      ISOTHERM_PARTITIONS: String(this.#plan.partitions),
      ISOTHERM_AGGREGATOR_PORT: "0",
      ISOTHERM_TRACE: "warn",
    };
  }

  async #startAggregator(group: string, data: string, env: Record<string, string> = {}): Promise<Process> {
    const args = await taskArgs("start:aggregator");
    return new Process({ args, env: { ...this.#env(group), ISOTHERM_DATA: data, ...env } });
  }

  get #kills(): number {
    const { aggregatorKills, ingestKills, serverKills } = this.#plan;
    return aggregatorKills + ingestKills + serverKills;
  }

  /** Sends everything while everything dies, then lets it come to rest. */
  async underFire(fleet: Fleet): Promise<void> {
    const { aggregatorKills, ingestKills, serverKills, seed, say } = this.#plan;
    await this.#ingest.fill();
    await this.#aggregator.fill();
    const bodies = fleet.deliveries.reduce((sum, { bodies }) => sum + bodies.length, 0);
    const queue = [...fleet.deliveries];
    const startMs = machineClock.monotonicMs();
    const killing = Promise.all([
      this.#killAgain(this.#aggregator, aggregatorKills, 4_000, seededRandom(seed, "kill", "aggregator")),
      this.#killAgain(this.#ingest, ingestKills, 6_000, seededRandom(seed, "kill", "ingest")),
      this.#killServer(serverKills, seededRandom(seed, "kill", "broker")),
    ]);
    const sending = Promise.all(Array.from({ length: SENDERS }, async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        for (const body of next.bodies) {
          // The load lasts as long as the killing.
          while (this.#sent / bodies > (this.#killed + 1) / (this.#kills + 1)) await machineClock.sleep(20);
          await this.#deliver(body);
          this.#sent++;
        }
      }
    }));
    await Promise.all([killing, sending]);
    const seconds = ((machineClock.monotonicMs() - startMs) / 1_000).toFixed(1);
    say(`${bodies} requests acknowledged and ${this.#killed} kills in ${seconds} s`);
    await this.#comeToRest(`${this.#folder}/data`, this.#aggregator);
    equal((await this.#ingest.process!.stop("SIGTERM")).code, 0, this.#ingest.process!.text);
    equal((await this.#aggregator.process!.stop("SIGTERM")).code, 0, this.#aggregator.process!.text);
    await this.#readLastTicks(`${this.#folder}/data`);
  }

  /** Sends a body until it is acknowledged. */
  async #deliver(body: string): Promise<void> {
    for (const deadlineMs = machineClock.monotonicMs() + 120_000;;) {
      try {
        const response = await fetch(`${this.#url}/v1/readings`, { method: "POST", body });
        const answer = await response.text();
        if (response.status === 202) return;
        ok(response.status === 503 || response.status === 429, `${response.status} ${answer}`);
      } catch (error) {
        // Killed, or not there again.
        if (!(error instanceof TypeError)) throw error;
      }
      ok(
        machineClock.monotonicMs() < deadlineMs,
        `not acknowledged for 120 s: ${this.#ingest.process?.text}`,
      );
      await machineClock.sleep(150);
    }
  }

  /** Between its first instruction and some seconds later, again and again. */
  async #killAgain(seat: Seat, kills: number, lifeMsMax: number, random: Random): Promise<void> {
    for (let kill = 0; kill < kills; kill++) {
      await machineClock.sleep(100 + below(random, lifeMsMax));
      await seat.kill();
      this.#killed++;
      await seat.fill();
    }
  }

  async #killServer(kills: number, random: Random): Promise<void> {
    for (let kill = 0; kill < kills; kill++) {
      await machineClock.sleep(3_000 + below(random, 8_000));
      await this.#server.stop("SIGKILL");
      this.#killed++;
      await machineClock.sleep(below(random, 1_000));
      await this.#server.start();
    }
  }

  /** Where the partitions end now. */
  #ends(): Promise<readonly number[]> {
    return this.#withLog("ends", async (log) => {
      await joinAll(log.reader);
      return Promise.all(
        this.#partitions().map(async (partition) => (await log.reader.range(partition)).next),
      );
    });
  }

  /** A worker's last tick may stand in the topic unread: reads it, and appends nothing more. */
  async #readLastTicks(data: string): Promise<void> {
    const published = (await readManifest(data))?.partitions ?? [];
    const ends = await this.#ends();
    if (published.every(({ partition, nextOffset }) => nextOffset === ends[partition])) return;
    await using reader = await this.#startAggregator("isotherm", data, { ISOTHERM_REPLAY: "1" });
    await this.#comeToRest(data, { process: reader });
    equal((await reader.stop("SIGTERM")).code, 0, reader.text);
  }

  /** Waits until everything in the topic is published. */
  async #comeToRest(data: string, seat: { readonly process: Process | null }): Promise<void> {
    const ends = await this.#ends();
    const startMs = machineClock.monotonicMs();
    await until("everything is published", async () => {
      ok(seat.process!.isRunning, seat.process!.text);
      const partitions = (await readManifest(data))?.partitions ?? [];
      return ends.every((end, at) =>
        (partitions.find(({ partition }) => partition === at)?.nextOffset ?? 0) >= end
      );
    }, this.#restMsMax()).catch(async (error: Error) => {
      const manifest = (await readManifest(data))?.partitions.map((
        { partition, nextOffset },
      ) => [partition, nextOffset]);
      throw new Error(
        `${error.message}: ${JSON.stringify(manifest)} of ${JSON.stringify(ends)}\n${seat.process!.text}`,
      );
    });
    this.#plan.say(`at rest ${((machineClock.monotonicMs() - startMs) / 1_000).toFixed(1)} s later`);
  }

  /** A thousand slots a second is slow even for a busy machine. */
  #restMsMax(): number {
    return 90_000 + this.#plan.devices * this.#plan.slotsPerDevice;
  }

  #partitions(): readonly number[] {
    return Array.from({ length: this.#plan.partitions }, (_, partition) => partition);
  }

  async #withLog<T>(
    group: string,
    body: (log: Log) => Promise<T>,
  ): Promise<T> {
    const ports = { clock: machineClock, random: machineRandom, trace: silentTrace, metrics: noMetrics };
    const log = await openLogAt(this.#addressOf(group), this.#plan.partitions, ports, { replay: true });
    try {
      return await body(log);
    } finally {
      await log.close();
    }
  }

  /** What SQL shows is what the sensors measured. */
  async holdAgainstSensors({ truth }: Fleet): Promise<void> {
    const data = `${this.#folder}/data`;
    const number = (sql: string) => askNumber(data, sql);
    const states = await askPublished(
      data,
      "SELECT sum(slots)::BIGINT, sum(counted + counted_late)::BIGINT, sum(sensor_fault)::BIGINT, " +
        "sum(quarantined)::BIGINT, sum(lost)::BIGINT, sum(missing)::BIGINT FROM ledger_slots",
    );
    const { slots, counted, sensorFaults, quarantined, lost } = truth;
    deepEqual(states[0]?.map(Number), [slots, counted, sensorFaults, quarantined, lost, 0]);
    equal(await number("SELECT count(*) FROM readings WHERE fault IS NULL"), counted);
    equal(await number("SELECT count(DISTINCT (device, boot, seq)) FROM readings"), counted + sensorFaults);
    equal(
      Math.round(await number("SELECT sum(temperature_c) FROM readings") * 1_000),
      truth.temperatureMilliC,
    );
    equal(await number("SELECT sum(readings) FROM windows_live WHERE window_size = '1m'"), counted);
    equal(
      await number(
        "SELECT sum(arrivals - counted - counted_late - sensor_fault - quarantined - duplicates - released) FROM ledger_arrivals",
      ),
      0,
    );
    this.#plan.say(
      `SQL shows ${counted} counted, ${sensorFaults} faults, ${quarantined} quarantined, ${lost} lost, 0 missing`,
    );
  }

  async #digests(data: string): Promise<readonly string[]> {
    const partitions = (await readManifest(data))?.partitions ?? [];
    return this.#partitions().map((at) => {
      const found = partitions.find(({ partition }) => partition === at);
      return `${at} ${found?.nextOffset} ${found?.rowDigest}`;
    });
  }

  /** A fresh aggregator on the same topic publishes the same digests. */
  async holdAgainstUndisturbed(): Promise<void> {
    const data = `${this.#folder}/undisturbed`;
    const startMs = machineClock.monotonicMs();
    await using fresh = await this.#startAggregator("undisturbed", data, { ISOTHERM_REPLAY: "1" });
    await this.#comeToRest(data, { process: fresh });
    equal((await fresh.stop("SIGTERM")).code, 0, fresh.text);
    deepEqual(await this.#digests(data), await this.#digests(`${this.#folder}/data`));
    const seconds = ((machineClock.monotonicMs() - startMs) / 1_000).toFixed(1);
    this.#plan.say(`an undisturbed aggregator publishes the same digests, in ${seconds} s`);
  }

  /** The oracle finds the same rows in the topic. */
  async holdAgainstOracle(): Promise<void> {
    const startMs = machineClock.monotonicMs();
    const records = await this.#withLog("oracle", async (log) => {
      await joinAll(log.reader);
      const all: LogRecord[] = [];
      for (const partition of this.#partitions()) {
        const { next } = await log.reader.range(partition);
        for (let offset = 0; offset < next;) {
          const outcome = await log.reader.read(
            partition,
            offset,
            readLimits({ recordsMax: 5_000, waitMs: 1_000 }),
          );
          if (outcome.kind !== "records") throw new Error(outcome.kind);
          all.push(...outcome.records);
          offset = (outcome.records.at(-1)?.offset ?? offset - 1) + 1;
        }
      }
      return all;
    });
    const found = await this.#digests(`${this.#folder}/data`);
    for (const partition of this.#partitions()) {
      const { windows } = judgePartition(records, defaultConfig, partition, this.#plan.partitions);
      let lanes = noLanes;
      for (const window of windows) {
        lanes = addLanes(lanes, lanesOf(createHash("sha256").update(digestLine(window)).digest("hex")));
      }
      ok(
        found[partition]?.endsWith(` ${lanesText(lanes)}`),
        `partition ${partition}: ${found[partition]}, ${lanesText(lanes)}`,
      );
    }
    const seconds = ((machineClock.monotonicMs() - startMs) / 1_000).toFixed(1);
    this.#plan.say(`the oracle finds the same rows in ${records.length} records, in ${seconds} s`);
  }
}
