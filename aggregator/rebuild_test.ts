/**
 * A changed configuration on existing rows: made anew from the log beside the old ones, and swapped at once, with real
 * processes that are killed in between.
 */
import assert from "node:assert/strict";
import { parseManifest } from "../core/manifest.ts";
import { partitionOf } from "../core/murmur2.ts";
import { noMetrics } from "../core/ports/metrics.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { machineClock } from "../platform/clock.ts";
import { Catalogue } from "../platform/duckdb/reader.ts";
import { openLogAt } from "../platform/log_address.ts";
import { machineRandom } from "../platform/random.ts";
import { Process, taskArgs, until } from "../platform/testing/process.ts";

const PARTITIONS = 2;
const START_MS = 1_767_225_600_000;
const RECORDS = 6_000;
const READINGS = 20;

/** Batches of 20 readings of 24 devices, one reading in ten seconds, in an embedded log. */
async function fillLog(folder: string): Promise<void> {
  const ports = { clock: machineClock, random: machineRandom, trace: silentTrace, metrics: noMetrics };
  const log = await openLogAt(`embedded:${folder}`, PARTITIONS, ports);
  const records = Array.from({ length: RECORDS }, (_, at) => {
    const device = `device-${at % 24}`;
    const first = Math.floor(at / 24) * READINGS;
    const readings = Array.from({ length: READINGS }, (_, i) => ({
      seq: first + i,
      ts: START_MS + 10_000 * (first + i),
      temperature_c: (first + i * at) % 40,
    }));
    const value = new TextEncoder().encode(JSON.stringify({ device, boot: 1, readings }));
    return { partition: partitionOf(device, PARTITIONS), key: device, value, headers: {} };
  });
  for (let from = 0; from < RECORDS; from += 500) await log.writer.append(records.slice(from, from + 500));
  await log.close();
}

/** An aggregator that publishes often. */
async function aggregator(log: string, data: string, windows: string): Promise<Process> {
  return new Process({
    args: await taskArgs("start:aggregator"),
    env: {
      ISOTHERM_LOG: `embedded:${log}`,
      ISOTHERM_PARTITIONS: String(PARTITIONS),
      ISOTHERM_DATA: data,
      ISOTHERM_WINDOWS: windows,
      ISOTHERM_AGGREGATOR_PORT: "0",
      ISOTHERM_PUBLISH_EVERY_MS: "100",
      ISOTHERM_TRACE: "warn",
    },
  });
}

const manifestOf = async (data: string) =>
  await Deno.readTextFile(`${data}/published/manifest.json`).then(parseManifest, () => null);

/** Names of the partitions' records, of all configurations. A kill may leave a file beside them that was to become one. */
const recordsOf = (data: string) =>
  [...Deno.readDirSync(`${data}/published/partitions`)].map(({ name }) => name).filter((name) =>
    name.endsWith(".json")
  );

/** Runs until everything in the log is published with this list of windows, and stops; gives digest and rows. */
async function drained(log: string, data: string, windows: string) {
  await using process = await aggregator(log, data, windows);
  await until("everything is published", async () => {
    assert.ok(process.isRunning, process.text);
    const manifest = await manifestOf(data);
    if (manifest?.config?.windows.join(",") !== windows) return false;
    const read = manifest.partitions.reduce((sum, { nextOffset }) => sum + nextOffset, 0);
    return manifest.partitions.length === PARTITIONS && read >= RECORDS;
  }, 60_000);
  await process.stop("SIGTERM");
  return await seen(data);
}

/** What a reader finds: all of it, in one query. */
async function seen(data: string): Promise<string> {
  const catalogue = await Catalogue.open(data);
  try {
    const { rows } = await catalogue.query(
      `SELECT window_size, count(*), sum(readings), sum(temperature_milli_c_sum),
         bit_xor(hash(device, window_start, readings, temperature_c_p95, closed_by, revision)),
         any_value((SELECT windows FROM configuration))
       FROM windows GROUP BY 1 ORDER BY 1`,
      100,
    );
    return JSON.stringify(rows.map((row) => row.map(String)));
  } finally {
    catalogue.close();
  }
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-rebuild-" });
  try {
    await fillLog(folder);
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const [OLD, NEW] = ["1m,1h", "2m/1m,1d@Europe/Berlin"];

Deno.test("rows of another configuration are made anew beside the old ones, through kills, and swapped at once", async () => {
  await withFolder(async (folder) => {
    const data = `${folder}/data`;
    const old = await drained(folder, data, OLD);
    const fresh = await drained(folder, `${folder}/fresh`, NEW);
    assert.notEqual(old, fresh);
    const early = await Catalogue.open(data);

    const found = new Set<string>();
    let isRebuilding = false;
    const looking = (async () => {
      while (!isRebuilding) {
        found.add(await seen(data));
        await machineClock.sleep(20);
      }
    })();
    const newHash = (await manifestOf(`${folder}/fresh`))!.configHash;
    const filesOf = (hash: string) => recordsOf(data).filter((name) => name.includes(hash.slice(0, 8)));
    for (const kills of [1, 2]) {
      await using process = await aggregator(folder, data, NEW);
      await until(`rows are made anew (${kills})`, () => {
        assert.ok(process.isRunning, process.text);
        return Promise.resolve(filesOf(newHash).length > 0);
      });
      await process.stop("SIGKILL");
      assert.equal((await manifestOf(data))!.config!.windows.join(","), OLD, "it was killed in the middle");
    }
    assert.equal(await drained(folder, data, NEW), fresh);
    isRebuilding = true;
    await looking;
    found.delete(fresh);
    assert.deepEqual([...found], [old], "a reader finds the old rows or the new ones, nothing else");

    // Who had opened the old rows can still read them.
    const { rows } = await early.query(
      "SELECT count(*), sum(readings) FROM windows WHERE window_size = '1h'",
      1,
    );
    assert.equal(Number(rows[0]![1]) > 0, true);
    early.close();

    // The next publication forgets the old ones.
    await using process = await aggregator(folder, data, NEW);
    await until("the old records are gone", () => Promise.resolve(recordsOf(data).length === PARTITIONS));
    assert.equal(filesOf(newHash).length, PARTITIONS);
    await process.stop("SIGTERM");
    assert.equal(await seen(data), fresh);
  });
});

Deno.test("the way back in the middle of it finds the old rows as they were", async () => {
  await withFolder(async (folder) => {
    const data = `${folder}/data`;
    const old = await drained(folder, data, OLD);
    {
      await using process = await aggregator(folder, data, NEW);
      await until("rows are made anew", () => Promise.resolve(recordsOf(data).length > PARTITIONS));
      await process.stop("SIGKILL");
    }
    assert.equal(await drained(folder, data, OLD), old);
  });
});
