import assert from "node:assert/strict";
import { DuckDBInstance } from "@duckdb/node-api";
import { changes, readingRow, startMs, windowRow } from "../../core/testing/builders.ts";
import { StoreRefused } from "../../core/ports/store.ts";
import { exportParquet, type ExportProgress } from "./export.ts";
import { openPublisher } from "./publisher.ts";
import { openStore } from "./store.ts";

const HOUR_MS = 3_600_000;

async function parquetRows(sql: string): Promise<unknown[]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const reader = await connection.runAndReadAll(sql);
  const rows = reader.getRowsJson();
  connection.closeSync();
  instance.closeSync();
  return rows;
}

Deno.test("an export has a file for each day with exactly its rows, and can be repeated", async () => {
  const directory = await Deno.makeTempDir({ prefix: "isotherm-export-" });
  const target = `${directory}/out`;
  const options = {
    data: directory,
    target,
    views: ["windows", "readings"] as const,
    fromDay: null,
    toDay: null,
  };
  const store = await openStore({ directory, partition: 0, retentionMs: 30 * 24 * HOUR_MS });
  const publisher = await openPublisher(store, { mergeInline: true });
  try {
    await assert.rejects(exportParquet(options, () => {}), StoreRefused);
    const hours = Array.from({ length: 60 }, (_, hour) => startMs + hour * HOUR_MS);
    await store.commit(changes({
      readings: hours.map((tsMs, offset) => readingRow({ tsMs, offset, temperatureMilliC: 20_000 + offset })),
      windows: hours.map((start) => windowRow({ startMs: start })),
    }));
    await store.commit(changes({ windows: [windowRow({ revision: 1, replaces: 0, readings: 2 })] }));
    await publisher.publish([], startMs);
    const seen: ExportProgress[] = [];
    const end = { rows: 120, rowsTotal: 120, files: 6, filesTotal: 6 };
    assert.deepEqual(await exportParquet(options, (progress) => seen.push(progress)), end);
    assert.deepEqual(seen.map(({ rows }) => rows), [0, 24, 48, 60, 84, 108, 120]);
    assert.deepEqual(
      await exportParquet({ ...options, fromDay: "2026-01-02", toDay: "2026-01-02" }, () => {}),
      {
        rows: 48,
        rowsTotal: 48,
        files: 2,
        filesTotal: 2,
      },
    );
    const source = (view: string) =>
      `read_parquet('${target}/${view}/*/*.parquet', hive_partitioning = true)`;
    assert.deepEqual(
      await parquetRows(
        `SELECT day::VARCHAR, count(*), min(window_start)::VARCHAR, sum(readings) FROM ${
          source("windows")
        } GROUP BY 1 ORDER BY 1`,
      ),
      [
        ["2026-01-01", "24", "2026-01-01 00:00:00", "25"],
        ["2026-01-02", "24", "2026-01-02 00:00:00", "24"],
        ["2026-01-03", "12", "2026-01-03 00:00:00", "12"],
      ],
    );
    assert.deepEqual(
      await parquetRows(
        `SELECT count(*), sum(temperature_c) FROM ${source("readings")} WHERE day = '2026-01-03'`,
      ),
      [["12", 12 * 20 + (48 + 59) * 12 / 2 / 1_000]],
    );
    const stopped = AbortSignal.abort();
    await assert.rejects(exportParquet(options, () => {}, stopped));
  } finally {
    await publisher.close();
    await store.close();
    await Deno.remove(directory, { recursive: true });
  }
});
