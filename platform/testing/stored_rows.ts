/** A data folder that looks as if it had been published for long: millions of rows without committing each. */
import { DuckDBInstance } from "@duckdb/node-api";
import { positionRow, startMs } from "../../core/testing/builders.ts";
import type { PositionRow } from "../../core/rows.ts";
import { lanesText, noLanes } from "../duckdb/digest.ts";
import { dataPaths, quoted, writeRecord } from "../duckdb/published.ts";
import type { Segment } from "../duckdb/segments.ts";
import { deviceTable, readingTable, selectList, type TableShape, windowTable } from "../duckdb/tables.ts";
import { sha256OfFile } from "../durable_files.ts";

const MINUTE_MS = 60_000;

export interface StoredRows {
  readonly devices: number;
  /** Minutes before `startMs`, each with a window a device. */
  readonly minutes: number;
  /** Readings of each device in a minute. */
  readonly readingsPerMinute: number;
  /** Segments of each table that the rows are in, newest times last; four and more would be merged. */
  readonly segments: number;
  /** 1 of so many windows was revised once; 0 for none. */
  readonly revisedOneIn: number;
  /** What the position says besides, for a worker that is to go on from there. */
  readonly position?: Partial<PositionRow>;
}

/** Writes the rows of `minutes` minutes up to `startMs` as published by version 1, …, `segments`. */
export async function writeStoredRows(directory: string, rows: StoredRows): Promise<void> {
  const paths = dataPaths(directory, 0);
  for (const folder of [paths.segments, paths.records]) await Deno.mkdir(folder, { recursive: true });
  const instance = await DuckDBInstance.create(":memory:", { threads: "2" });
  const connection = await instance.connect();
  const segments: Segment[] = [];
  const write = async (table: TableShape, version: number, sql: string, minMs: number, maxMs: number) => {
    const path = `segments/0/${table.name}-stored-${version}.parquet`;
    const full = `${paths.published}/${path}`;
    const result = await connection.runAndReadAll(
      `COPY (SELECT version, ${selectList(table)} FROM (${sql})) TO ${quoted(full)}
       (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 61440)`,
    );
    segments.push({
      path,
      table: table.name,
      rows: Number(result.getRows()[0]![0]),
      bytes: (await Deno.stat(full)).size,
      sha256: await sha256OfFile(full),
      firstVersion: version,
      lastVersion: version,
      minMs,
      maxMs,
      maxAppendMs: table === readingTable ? maxMs + 500 : null,
    });
  };
  const minutesEach = rows.minutes / rows.segments;
  for (let segment = 0; segment < rows.segments; segment++) {
    const toMs = startMs - (rows.segments - 1 - segment) * minutesEach * MINUTE_MS;
    const fromMs = toMs - minutesEach * MINUTE_MS;
    const span = { fromMs, minutes: minutesEach, devices: rows.devices, version: segment + 1 };
    await write(windowTable, segment + 1, windowsSql(span, rows.revisedOneIn), fromMs, toMs - MINUTE_MS);
    if (rows.readingsPerMinute > 0) {
      await write(readingTable, segment + 1, readingsSql(span, rows.readingsPerMinute), fromMs, toMs - 1);
    }
  }
  await write(deviceTable, rows.segments, devicesSql(rows.devices, rows.segments), startMs, startMs);
  connection.closeSync();
  instance.closeSync();
  await writeRecord(paths, {
    isotherm: 1,
    generation: rows.segments,
    publishedMs: startMs,
    version: rows.segments,
    position: positionRow({
      nextOffset: rows.minutes * rows.devices,
      appendHighMs: startMs,
      ...rows.position,
    }),
    rowDigest: lanesText(noLanes),
    segments,
    retired: [],
  });
}

interface Span {
  readonly fromMs: number;
  readonly minutes: number;
  readonly devices: number;
  readonly version: number;
}

function windowsSql({ fromMs, minutes, devices, version }: Span, revisedOneIn: number): string {
  const value = "20000 + (device_number * 37 + minute_number * 11) % 3000";
  const channel = (name: string) =>
    `6 AS ${name}_count, 6 * (${value}) AS ${name}_sum, (6 * (${value}) * (${value}) + 10)::DECIMAL(38, 0) AS ${name}_sum_squares,
     (${value} - 1)::INTEGER AS ${name}_min, (${value} + 1)::INTEGER AS ${name}_max, (${value})::INTEGER AS ${name}_first,
     (${value})::INTEGER AS ${name}_last, '00000000001|' || minute_number AS ${name}_first_key,
     '00000000002|' || minute_number AS ${name}_last_key, (${value})::INTEGER AS ${name}_p50, (${value})::INTEGER AS ${name}_p95`;
  const revised = revisedOneIn === 0 ? "false" : `(device_number + minute_number) % ${revisedOneIn} = 0`;
  return `WITH numbers AS (
      SELECT i, i // ${devices} AS minute_number, i % ${devices} AS device_number
      FROM (SELECT ${minutes * devices - 1} - i AS i FROM range(${minutes * devices}) t(i)))
    SELECT ${version} AS version, 'device-' || device_number AS device, '1m' AS window_size,
      epoch_ms(${fromMs} + minute_number * ${MINUTE_MS}) AS window_start,
      epoch_ms(${fromMs} + (minute_number + 1) * ${MINUTE_MS}) AS window_end,
      6 AS readings, 0 AS sensor_faults, revision AS late, 0 AS time_uncertain, 10000 AS every_ms,
      epoch_ms(${fromMs} + minute_number * ${MINUTE_MS}) AS oldest_append_time,
      ${channel("temperature")}, ${channel("humidity")}, 'watermark' AS closed_by, revision, replaces,
      epoch_ms(${fromMs} + (minute_number + 1) * ${MINUTE_MS}) AS changed_append_time, i AS changed_offset
    FROM numbers, (VALUES (0, NULL), (1, 0)) versions(revision, replaces) WHERE revision = 0 OR ${revised}`;
}

function readingsSql({ fromMs, minutes, devices, version }: Span, perMinute: number): string {
  const everyMs = MINUTE_MS / perMinute;
  const ts = `epoch_ms((${fromMs} + (i // ${devices}) * ${everyMs})::BIGINT)`;
  return `SELECT ${version} AS version, 'device-' || (i % ${devices}) AS device, 5212873469012345 AS boot,
      i // ${devices} AS seq, ${ts} AS ts, ${ts} + INTERVAL 500 MILLISECOND AS append_time, i AS log_offset,
      0 AS log_index, (20000 + i % 3000)::INTEGER AS temperature_milli_c, 48000 AS humidity_milli_pct, NULL AS fault,
      NULL AS flag, false AS late, false AS time_uncertain, false AS released, 10000 AS every_ms
    FROM (SELECT ${minutes * perMinute * devices - 1} - i AS i FROM range(${
    minutes * perMinute * devices
  }) t(i))`;
}

function devicesSql(devices: number, version: number): string {
  const time = `epoch_ms(${startMs})`;
  return `SELECT ${version} AS version, 'device-' || i AS device, ${time} AS first_append_time,
      ${time} AS last_append_time, i AS last_offset, ${time} AS highest_event_time, NULL AS pending_since,
      ${time} AS watermark, 10000 AS every_ms, 5212873469012345 AS current_boot, NULL AS display_name, false AS retired,
      false AS shared_name, 1 AS counted, 0 AS counted_late, 0 AS sensor_fault, 0 AS quarantined, 0 AS duplicates,
      0 AS released, NULL AS unsequenced_highest, NULL AS unsequenced_expired, '' AS unsequenced_days,
      0 AS quarantine_day, 0 AS quarantined_today
    FROM range(${devices}) t(i)`;
}
