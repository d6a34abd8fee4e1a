/**
 * A tape through the production aggregator, from whatever log holds it. Nothing is appended (`replay`), so the rows are a
 * function of the tape alone, and their digest must be the tape's.
 */
import { createLiveFeed } from "../aggregator/live_feed.ts";
import { createAggregator, defaultAggregatorConfig } from "../aggregator/mod.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Log, LogReader } from "../core/ports/log.ts";
import { noMetrics } from "../core/ports/metrics.ts";
import { silentTrace, type Trace } from "../core/ports/trace.ts";
import type { WindowRow } from "../core/rows.ts";
import { MemoryDisk } from "../core/testing/memory_store.ts";
import { openSqliteLog } from "../platform/sqlite_log.ts";
import { virtualClock } from "./clock.ts";
import { digestLine } from "./oracle.ts";
import { judgeLog } from "./oracle.ts";
import { SimLog } from "./log.ts";
import { seededRandom } from "./random.ts";
import { Scheduler } from "./scheduler.ts";
import { digestOfRows, type Tape } from "./tape.ts";
import { Turns } from "./turn.ts";

export interface ReplayOptions {
  /** Records folded in one transaction at most. */
  readonly batchRecords: number;
  readonly workers: number;
  readonly trace?: Trace;
}

export interface Replayed {
  readonly digest: string;
  readonly rows: readonly WindowRow[];
}

/** Through the simulated log, in virtual time, spread over `workers` members of its group. */
export async function replayThroughSim(tape: Tape, options: ReplayOptions): Promise<Replayed> {
  const scheduler = new Scheduler({ startMs: tape.records[0]?.appendMs ?? 0 });
  const clock = virtualClock(scheduler);
  const log = new SimLog({ partitions: tape.partitions, clock, random: seededRandom("replay") });
  for (let partition = 0; partition < tape.partitions; partition++) {
    log.load(partition, closedUp(tape, partition));
  }
  const turns = new Turns();
  try {
    const ends = Array.from({ length: options.workers }, () => log.open());
    const next = (partition: number) => Promise.resolve(log.range(partition).next);
    return await replay(tape, ends, clock, options, next, async () => {
      await turns.next();
      await scheduler.step();
    });
  } finally {
    turns.close();
  }
}

/**
 * A simulated log has no gaps: what the tape skipped is filled with ticks of no effect. A slice from the middle of a log
 * begins at offset 0, as it does in any scratch log: else its beginning would be taken for expired.
 */
function closedUp(tape: Tape, partition: number): Tape["records"] {
  const own = tape.records.filter((record) => record.partition === partition);
  const firstOffset = own[0]?.offset ?? 0;
  const records = own.map((record) => ({ ...record, offset: record.offset - firstOffset }));
  return records.flatMap((record, i) => {
    const before = records[i - 1];
    const gap = before === undefined ? 0 : record.offset - before.offset - 1;
    const headers = { isotherm: "1", "isotherm-kind": "tick" };
    const fill = Array.from({ length: gap }, (_, k) => ({
      ...{
        partition,
        offset: (before?.offset ?? 0) + 1 + k,
        appendMs: before?.appendMs ?? 0,
        key: null,
        value: null,
        headers,
      },
    }));
    return [...fill, record];
  });
}

/** Through the embedded log, in a file that is made for it. `clock` must not keep time of its own (see `tapeClock`). */
export async function replayThroughEmbedded(
  tape: Tape,
  path: string,
  clock: Clock,
  options: ReplayOptions,
): Promise<Replayed> {
  // The embedded log stamps what it stores: its clock says what the tape says.
  let nowMs = 0;
  const stamping: Clock = { ...clock, nowMs: () => nowMs };
  const log = await openSqliteLog({ path, partitions: tape.partitions, clock: stamping });
  for (const record of tape.records) {
    nowMs = record.appendMs;
    await log.writer.append([record]);
  }
  const next = async (partition: number) => (await log.reader.range(partition)).next;
  return await replay(tape, [log], clock, options, next, () => clock.sleep(1));
}

/** Through logs that hold the tape already (one a worker); closes them. */
export async function replay(
  tape: Tape,
  logs: readonly Log[],
  clock: Clock,
  { batchRecords, trace = silentTrace }: ReplayOptions,
  nextOf: (partition: number, reader: LogReader) => Promise<number>,
  pass: () => Promise<void>,
): Promise<Replayed> {
  const disks = Array.from({ length: tape.partitions }, () => new MemoryDisk());
  const end = new AbortController();
  const ends = await Promise.all(
    Array.from({ length: tape.partitions }, (_, partition) => nextOf(partition, logs[0]!.reader)),
  );
  let failure: unknown = null;
  const running = logs.map(({ reader, writer }, i) =>
    createAggregator({
      ...{ reader, writer, clock, trace, metrics: noMetrics, live: createLiveFeed(trace) },
      openPartition: (partition) =>
        Promise.resolve({ store: disks[partition]!.open(partition), publisher: null }),
    }, {
      ...defaultAggregatorConfig,
      ...{ judge: tape.config, worker: `replay-${i}`, recordsPerCommitMax: batchRecords, replay: true },
    }).run(end.signal).catch((error) => failure ??= error)
  );
  const filled = new Set(tape.records.map((record) => record.partition));
  const isRead = (next: number, partition: number) =>
    !filled.has(partition) || (disks[partition]!.position?.nextOffset ?? 0) >= next;
  while (failure === null && !ends.every(isRead)) await pass();
  end.abort();
  let stopped = false;
  const all = Promise.all(running).then(() => stopped = true);
  while (!stopped) await pass();
  await all;
  if (failure !== null) throw failure;
  for (const log of logs) await log.close();
  const rows = disks.flatMap((disk) => [...disk.windows.values()]);
  return { digest: await digestOfRows(rows), rows };
}

/** The first rows that differ from what the oracle makes of the tape, side by side; empty if none does. */
export function differingRows(
  tape: Tape,
  rows: readonly WindowRow[],
  windowLine: (row: WindowRow) => string,
): string[] {
  const expected = judgeLog(tape.records, tape.config, tape.partitions).flatMap((result) =>
    result.windows.map(digestLine)
  );
  const found = new Set(rows.filter((row) => row.closedBy !== null).map(windowLine));
  const wanted = new Set(expected);
  return [
    ...expected.filter((line) => !found.has(line)).map((line) => `expected ${line}`),
    ...[...found].filter((line) => !wanted.has(line)).map((line) => `found    ${line}`),
  ].sort((a, b) => a.slice(9) < b.slice(9) ? -1 : 1).slice(0, 10);
}
