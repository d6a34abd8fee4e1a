/**
 * The process that a soak under forced garbage collection watches: `deno run --v8-flags=--expose-gc … gc_child.ts DIR`.
 * Everything that holds objects of DuckDB goes on at once (commits, publications, lookups, streamed results of instances
 * that come and go), and a collection is forced after every step of each, so that finalisers run in between all calls.
 * Known risk: denoland/deno#36538. Writes a line of JSON every ten seconds.
 */
import { assert } from "../../core/assert.ts";
import { startMs } from "../../core/testing/builders.ts";
import { machineClock } from "../clock.ts";
import { openPublisher } from "../duckdb/publisher.ts";
import { Catalogue } from "../duckdb/reader.ts";
import { openStore } from "../duckdb/store.ts";
import { assertTruth, truthSql } from "./published_truth.ts";
import { changesAfter, commitsPerPublication, openWindows } from "./publishing.ts";

const { gc } = globalThis as { gc?: () => void };
assert(gc !== undefined, "it runs with --v8-flags=--expose-gc");

const [directory = ""] = Deno.args;
const SAY_EVERY_MS = 10_000;
/** A pause after each step, so that the folder doesn't outgrow the soak. */
const PAUSE_MS = 20;
/** Files of the publication that a reader has opened stay for five minutes; it reads for less. */
const READ_ROWS_MAX = 50_000;

const counts = { collections: 0, commits: 0, publications: 0, lookups: 0, reads: 0, position: 0 };
async function step(): Promise<void> {
  gc!();
  counts.collections++;
  await machineClock.sleep(PAUSE_MS);
}

const store = await openStore({ directory, partition: 0, retentionMs: 30 * 86_400_000 });
const publisher = await openPublisher(store);

async function write(): Promise<never> {
  for (;;) {
    const changes = changesAfter(counts.position);
    await store.commit(changes);
    counts.position = changes.position.nextOffset;
    await step();
    if (++counts.commits % commitsPerPublication !== 0) continue;
    await publisher.publish(openWindows, machineClock.nowMs());
    counts.publications++;
    await step();
  }
}

async function lookUp(): Promise<never> {
  for (;;) {
    const fromMs = startMs + (counts.lookups * 7_919) % Math.max(1, counts.position);
    const { readings } = await store.lookup({
      readings: [{ device: `device-${counts.lookups % 7}`, fromMs, toMs: fromMs + 200 }],
      windows: [{ device: "device-0", windowSize: "1m", startMs }],
    });
    assert(
      readings.every(({ tsMs, temperatureMilliC }) => temperatureMilliC === (tsMs - startMs) % 1_000),
      "values",
    );
    counts.lookups++;
    await step();
  }
}

async function read(): Promise<never> {
  for (;;) {
    if (counts.publications === 0) {
      await step();
      continue;
    }
    const catalogue = await Catalogue.open(directory);
    const { rows } = await catalogue.query(truthSql, 1);
    assertTruth(rows[0]!.map(Number));
    await step();
    await catalogue.query("FROM readings", READ_ROWS_MAX);
    await step();
    // Every second instance is left to the collector.
    if (counts.reads++ % 2 === 0) catalogue.close();
    await step();
  }
}

async function say(): Promise<never> {
  for (;;) {
    await machineClock.sleep(SAY_EVERY_MS);
    const { rss, heapUsed } = Deno.memoryUsage();
    console.log(JSON.stringify({ ...counts, rss, heapUsed }));
  }
}

await Promise.all([write(), lookUp(), read(), say()]);
