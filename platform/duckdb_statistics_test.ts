/**
 * A statement that was prepared while its table was small keeps stale statistics in DuckDB 1.5.5 and answers wrongly
 * (duckdb/duckdb#23704, #24182). The store prepares each statement afresh; these tests fail if that stops being so.
 */
import assert from "node:assert/strict";
import {
  changes,
  deviceRow,
  needs,
  positionRow,
  readingRow,
  startMs,
  windowRow,
} from "../core/testing/builders.ts";
import { openPublisher } from "./duckdb_publisher.ts";
import { Catalogue } from "./duckdb_reader.ts";
import { openStore } from "./duckdb_store.ts";

Deno.test("lookups, loading, trimming and publishing see every row of tables that were empty or small when first asked", async () => {
  const directory = await Deno.makeTempDir({ prefix: "isotherm-statistics-" });
  const store = await openStore({ directory, partition: 0, retentionMs: 30 * 86_400_000 });
  const publisher = await openPublisher(store, { mergeInline: true });
  const names = Array.from({ length: 1_000 }, (_, index) => `device-${index}`);
  const lookup = (devices: readonly string[]) =>
    store.lookup(needs({
      readings: devices.map((device) => ({ device, fromMs: startMs, toMs: startMs + 1 })),
      windows: devices.map((device) => ({ device, windowSize: "1m", startMs })),
    }));
  const commit = (devices: readonly string[], nextOffset: number) =>
    store.commit(changes({
      position: positionRow({ nextOffset }),
      readings: devices.map((device, index) => readingRow({ device, offset: nextOffset, index })),
      windows: devices.map((device) => windowRow({ device })),
      devices: devices.map((device) => deviceRow({ device, watermarkMs: startMs, counted: nextOffset })),
    }));
  try {
    // Everything once on empty tables, then on one row, then on a thousand devices.
    await lookup(["device-0"]);
    await commit(["one"], 1);
    assert.equal((await lookup(["one"])).windows.length, 1);
    assert.equal((await store.load(() => startMs)).devices.length, 1);
    await publisher.publish([], startMs);
    await commit(names, 2);
    const known = await lookup(names);
    assert.equal(known.readings.length, 1_000);
    assert.equal(new Set(known.windows.map(({ device }) => device)).size, 1_000);
    const { devices, openReadings } = await store.load(() => startMs);
    assert.equal(devices.length, 1_001);
    assert.equal(openReadings.length, 1_001);
    await publisher.publish([], startMs + 1);
    const catalogue = await Catalogue.open(directory);
    const { rows } = await catalogue.query("SELECT count(DISTINCT device), count(*) FROM windows", 1);
    catalogue.close();
    assert.deepEqual(rows, [[1_001, 1_001]]);
    // More than 10,000 published rows: they are removed from the live file, in a literal DELETE.
    for (let round = 0; round < 6; round++) {
      await commit(names.map((name) => `${name}-${round}`), 3 + round);
      await publisher.publish([], startMs + 2 + round);
    }
    const reader = await store.live.writer.runAndReadAll("SELECT count(*) FROM reading_rows");
    assert.ok(Number(reader.getRows()[0]![0]) < 10_000);
    assert.equal((await store.load(() => startMs)).openReadings.length, 7_001);
  } finally {
    await publisher.close();
    await store.close();
    await Deno.remove(directory, { recursive: true });
  }
});
