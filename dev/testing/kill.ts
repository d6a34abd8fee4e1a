/**
 * The promise that nothing is lost and nothing counts twice, on real processes: `dev` is killed with SIGKILL again and
 * again while `deno task import` sends files to it, and afterwards its rows are held against the file, and against those
 * of an aggregator that reads the same log undisturbed.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { createLiveFeed } from "../../aggregator/live_feed.ts";
import { createAggregator, defaultAggregatorConfig } from "../../aggregator/mod.ts";
import { below, type Random } from "../../core/ports/random.ts";
import { noMetrics } from "../../core/ports/metrics.ts";
import { silentTrace } from "../../core/ports/trace.ts";
import { classify, decodeBatch } from "../../core/schema.ts";
import { type Fleet, fleetCsv } from "../../import/testing/fleet.ts";
import { machineClock } from "../../platform/clock.ts";
import { openPublisher } from "../../platform/duckdb/publisher.ts";
import { openStore } from "../../platform/duckdb/store.ts";
import { openLogAt } from "../../platform/log_address.ts";
import { machineRandom } from "../../platform/random.ts";
import { freePort, type Process, startProcess, taskArgs, until } from "../../platform/testing/process.ts";
import { askNumber, askPublished, readManifest } from "../../platform/testing/published.ts";
import { seededRandom } from "../../sim/random.ts";

export interface KillPlan {
  readonly kills: number;
  /** Rows of the file; a multiple of 8. */
  readonly rows: number;
  /** The most readings that are taken between a start and the next kill. */
  readonly readingsPerLifeMax: number;
  /** Draws the moments of the kills. */
  readonly seed: number;
}

const devices = 8;

/** Runs the plan; throws when a promise is broken. */
export async function killDuringImport(plan: KillPlan): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-kill-" });
  try {
    const sent = await importUnderFire(folder, plan);
    await holdAgainstFiles(folder, sent);
    await holdAgainstUndisturbed(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Rows of all files that got through, and the faulty ones of them. */
interface Sent {
  rows: number;
  faults: number;
}

async function importUnderFire(folder: string, plan: KillPlan): Promise<Sent> {
  const random = seededRandom("kill", plan.seed);
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  const dev = [...await taskArgs("dev"), "--no-board", "--data", `${folder}/data`, "--port", String(port)];
  const columns = "--device ID_SENSOR --ts TIMESTAMP --temperature TEMPERATURE --humidity HUMIDITY";
  const send = [...await taskArgs("import"), `${folder}/fleet.csv`, "--url", url, ...columns.split(" ")];
  const sent: Sent = { rows: 0, faults: 0 };
  const sendNextFile = async () => {
    const fleet = nextFile(plan.rows, sent.rows / plan.rows);
    sent.rows += fleet.rows;
    sent.faults += fleet.faults;
    await Deno.writeTextFile(`${folder}/fleet.csv`, fleet.text);
    return startProcess(send);
  };
  let sender = await sendNextFile();
  try {
    for (let kill = 1; kill <= plan.kills; kill++) {
      await using victim = startProcess(dev);
      await killAtRandom(victim, url, sender, plan.readingsPerLifeMax, random);
      if (sender.isRunning) continue;
      // It got through, so the next kill needs another one.
      equal((await sender.ended).code, 0, sender.text);
      sender = await sendNextFile();
    }
    await using survivor = startProcess(dev);
    equal((await sender.ended).code, 0, sender.text);
    await everythingPublished(folder, survivor);
    await holdAgainstFiles(folder, sent);
    // Whether or not a kill fell between an append and its answer: now readings come a second time.
    await using again = startProcess(send);
    equal((await again.ended).code, 0, again.text);
    await everythingPublished(folder, survivor);
    equal((await survivor.stop()).code, 0, survivor.text);
    return sent;
  } finally {
    await sender[Symbol.asyncDispose]();
  }
}

/** Files don't share a time: a later one must not hide what was lost of an earlier one. */
function nextFile(rows: number, index: number): Fleet {
  const rowsPerDevice = rows / devices;
  const stepBackAtRow = devices * Math.floor(rowsPerDevice / 2);
  const startSeconds = 1_700_000_000 - index * 200 * 86_400;
  return fleetCsv({ devices, rowsPerDevice, stepBackAtRow, faultEvery: 82, startSeconds });
}

async function everythingPublished(folder: string, dev: Process): Promise<void> {
  const log = await openLogAt(`embedded:${folder}/data`, 1, ports);
  const { next } = await log.reader.range(0);
  await log.close();
  await until("everything is published", async () => {
    const manifest = await readManifest(`${folder}/data`);
    ok(dev.isRunning, dev.text);
    return (manifest?.partitions[0]?.nextOffset ?? 0) >= next;
  }, 60_000);
}

/** Kills it at some moment between its first instruction and some thousand readings later. */
async function killAtRandom(
  dev: Process,
  url: string,
  sender: Process,
  readingsMax: number,
  random: Random,
): Promise<void> {
  const readings = below(random, 8) === 0 ? 0 : 1 + below(random, readingsMax);
  if (readings > 0) {
    await until(`${readings} readings are taken`, async () => {
      ok(dev.isRunning, dev.text);
      return !sender.isRunning || await takenBy(url) >= readings;
    });
  }
  await machineClock.sleep(below(random, 100));
  const ended = await dev.stop("SIGKILL");
  equal(ended.signal, "SIGKILL", dev.text);
}

/** Readings that ingest has acknowledged since it started. */
async function takenBy(url: string): Promise<number> {
  try {
    const text = await (await fetch(`${url}/metrics`)).text();
    return Number(/^isotherm_ingest_readings_total (\d+)/m.exec(text)?.[1] ?? 0);
  } catch {
    return 0; // not up yet
  }
}

const ports = { clock: machineClock, random: machineRandom, trace: silentTrace, metrics: noMetrics };

async function holdAgainstFiles(folder: string, { rows, faults }: Sent): Promise<void> {
  const data = `${folder}/data`;
  equal(await askNumber(data, "SELECT count(*) FROM readings"), rows - faults);
  equal(await askNumber(data, "SELECT count(DISTINCT (device, ts)) FROM readings"), rows - faults);
  equal(await askNumber(data, "SELECT count(*) FROM quarantine WHERE reason = 'out_of_range'"), faults);
  equal(await askNumber(data, "SELECT count(*) FROM quarantine"), faults);
  equal(
    await askNumber(data, "SELECT sum(readings) FROM windows_live WHERE window_size = '1m'"),
    rows - faults,
  );
  equal(await askNumber(data, "SELECT sum(arrivals) FROM ledger_arrivals"), await readingsInLog(data));
}

async function readingsInLog(data: string): Promise<number> {
  const log = await openLogAt(`embedded:${data}`, 1, ports);
  try {
    await log.reader.join({ assigned: () => Promise.resolve(), revoked: () => Promise.resolve() });
    const { next } = await log.reader.range(0);
    let count = 0;
    for (let offset = 0; offset < next;) {
      const outcome = await log.reader.read(0, offset, {
        recordsMax: 1_000,
        bytesMax: 10_000_000,
        waitMs: 0,
      });
      if (outcome.kind !== "records") throw new Error(outcome.kind);
      for (const record of outcome.records) {
        offset = record.offset + 1;
        if (classify(record).kind !== "batch") continue;
        const decoded = decodeBatch(record.value ?? new Uint8Array());
        count += decoded.kind === "batch" ? decoded.batch.readings.length : 0;
      }
    }
    return count;
  } finally {
    await log.close();
  }
}

/** Reads the same log into another folder in one go, and compares what anybody can ask. */
async function holdAgainstUndisturbed(folder: string): Promise<void> {
  const [data, other] = [`${folder}/data`, `${folder}/undisturbed`];
  const position = (await readManifest(data))?.partitions[0];
  const log = await openLogAt(`embedded:${data}`, 1, ports);
  const { retentionMs } = defaultAggregatorConfig.judge;
  const aggregator = createAggregator({
    reader: log.reader,
    writer: log.writer,
    ...ports,
    live: createLiveFeed(silentTrace),
    openPartition: async (partition) => {
      const store = await openStore({ directory: other, partition, retentionMs });
      return { store, publisher: await openPublisher(store) };
    },
  }, { ...defaultAggregatorConfig, worker: "undisturbed", replay: true });
  const end = new AbortController();
  const running = aggregator.run(end.signal);
  await until(
    "the log is read",
    () => Promise.resolve((aggregator.status()[0]?.nextOffset ?? 0) >= (position?.nextOffset ?? 0)),
    60_000,
  );
  end.abort();
  await running;
  await log.close();
  const undisturbed = (await readManifest(other))?.partitions[0];
  equal(undisturbed?.nextOffset, position?.nextOffset);
  equal(undisturbed?.rowDigest, position?.rowDigest);
  for (
    const view of ["windows_live", "readings", "quarantine", "devices", "ledger_slots", "ledger_arrivals"]
  ) {
    const rows = async (at: string) =>
      (await askPublished(at, `FROM ${view} ORDER BY ALL`)).map((row) => row.map(String).join("|"));
    deepEqual(await rows(data), await rows(other), view);
  }
}
