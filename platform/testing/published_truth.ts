/** What has to hold in every publication of `publishing.ts`, however and whenever it is read. */
import assert from "node:assert/strict";

/** One query, so that one moment is seen: everything that could be torn, missing or double. */
export const truthSql = `SELECT
  (SELECT next_offset FROM log_position) AS next_offset,
  (SELECT count(*) FROM readings) AS readings,
  (SELECT count(DISTINCT log_offset) FROM readings) AS different_readings,
  (SELECT max(log_offset) FROM readings) AS last_reading,
  (SELECT sum(round(temperature_c * 1000) - log_offset % 1000) FROM readings) AS wrong_values,
  (SELECT count(*) FROM windows) AS windows,
  (SELECT count(DISTINCT window_start) FROM windows) AS different_windows,
  (SELECT count(*) FROM windows WHERE revision = 0) AS unrevised_windows,
  (SELECT count(*) FROM windows WHERE temperature_milli_c_sum <> readings * (20000 + date_diff('minute', TIMESTAMP '2026-01-01', window_start) % 1000)) AS wrong_windows,
  (SELECT count(*) FROM windows_live WHERE closed_by IS NULL) AS open_windows,
  (SELECT count(*) FROM devices) AS devices`;

/** Checks one row of {@link truthSql}, its cells as numbers; returns the position. */
export function assertTruth(cells: readonly number[]): number {
  const [next, ...rest] = cells;
  assert.ok(next !== undefined && next % 40 === 0);
  assert.deepEqual(rest, [next, next, next - 1, 0, next, next, 40, 0, 1, 7]);
  return next;
}
