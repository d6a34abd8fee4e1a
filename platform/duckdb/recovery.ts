/**
 * Opening in spite of damage: what is damaged is moved aside, and what can be made anew is.
 *
 * - The live file: its newest good generation is what is published; the log is read again from there.
 * - A segment of device or boot state: written again from the live file by the next publication.
 * - A segment of readings, quarantine, releases or windows: rows follow from the log only. If the log still begins at
 *   offset 0, the partition starts over and makes all its rows anew; if not, the rows are named as lost (in the record,
 *   and in a message) and the rest stays.
 */
import { StoreRefused } from "../../core/ports/store.ts";
import type { Trace } from "../../core/ports/trace.ts";
import { moveAside, segmentsNotWhole, stateTables, StoreDamaged } from "./damage.ts";
import { storeError } from "./errors.ts";
import { hasOpenWindows } from "./open_windows.ts";
import {
  type DataPaths,
  type LostRows,
  newestRecord,
  type PartitionRecord,
  recordName,
  writeRecord,
} from "./published.ts";
import type { Segment } from "./segments.ts";

/** What opening has to know besides the files. */
export interface Recovery {
  readonly paths: DataPaths;
  readonly partition: number;
  /** Only records of this configuration are looked at; null: of any. */
  readonly configHash: string | null;
  /** First offset that the log still has; asked only when something is damaged. Null: it isn't known. */
  readonly earliestOffset: (() => Promise<number>) | null;
  readonly trace: Trace;
}

/** Damage in one opening that is not an accident any more. */
const ATTEMPTS_MAX = 4;

/** Opens with `open`, given the record to go by, again after each damage that could be dealt with. */
export async function openDespiteDamage<T>(
  recovery: Recovery,
  open: (record: PartitionRecord | null) => Promise<T>,
): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await open(await soundRecord(recovery));
    } catch (error) {
      const known = storeError("opening the store", error);
      if (!(known instanceof StoreDamaged) || attempt >= ATTEMPTS_MAX) throw known;
      await recoverFrom(recovery, known);
    }
  }
}

/** The state that has to be taken over is damaged itself: only the log can help. */
export class StateDamaged extends StoreDamaged {
  override name = "StateDamaged";
}

async function recoverFrom(recovery: Recovery, error: StoreDamaged): Promise<void> {
  const { paths, partition, trace } = recovery;
  // A damaged segment was moved aside by the check that found it; the next `soundRecord` deals with its absence.
  if ((await segmentsGone(recovery)).length > 0) return;
  if (error instanceof StateDamaged) return await startOver(recovery, error.message);
  const place = await moveLiveAside(paths);
  trace.emit("error", "store.live_file_damaged", { partition, message: error.message, movedTo: place });
}

async function segmentsGone({ paths, partition, configHash }: Recovery): Promise<readonly Segment[]> {
  const record = await newestRecord(paths, partition, configHash);
  return record === null ? [] : await segmentsNotWhole(paths, record);
}

/** The newest record without segments that are missing or cut; null if the partition starts over. */
async function soundRecord(recovery: Recovery): Promise<PartitionRecord | null> {
  const { paths, partition, configHash, trace } = recovery;
  const record = await newestRecord(paths, partition, configHash);
  if (record === null) return null;
  const damaged = await segmentsNotWhole(paths, record);
  if (damaged.length === 0) return record;
  for (const segment of damaged) {
    const movedTo = await moveAside(paths, `${paths.published}/${segment.path}`);
    trace.emit("error", "store.segment_damaged", {
      partition,
      path: segment.path,
      rows: segment.rows,
      movedTo,
    });
  }
  const fromLog = damaged.filter(({ table }) => !stateTables.includes(table));
  if (fromLog.length > 0 && await logIsWhole(recovery)) {
    await startOver(recovery, `${fromLog[0]!.path} is damaged`);
    return null;
  }
  const lost = damaged.filter((segment) => !hasOpenWindows(segment))
    .map(({ table, rows, minMs, maxMs }): LostRows => ({ table, rows, minMs, maxMs }));
  for (const { table, rows, minMs, maxMs } of lost) {
    if (!stateTables.includes(table)) {
      trace.emit("error", "store.rows_lost", { partition, table, rows, minMs, maxMs });
    }
  }
  const sound: PartitionRecord = {
    ...record,
    segments: record.segments.filter((segment) => !damaged.includes(segment)),
    lost: [...record.lost ?? [], ...lost],
  };
  await writeRecord(paths, sound);
  return sound;
}

async function logIsWhole({ earliestOffset }: Recovery): Promise<boolean> {
  return earliestOffset !== null && await earliestOffset() === 0;
}

/** Forgets the partition's rows: the log makes them anew. In an order that a crash in between can't spoil. */
async function startOver(recovery: Recovery, because: string): Promise<void> {
  const { paths, partition, trace } = recovery;
  if (!await logIsWhole(recovery)) {
    throw new StoreRefused(
      `${because}, and the log no longer begins at offset 0, so the state can't be made anew: restore the folder ` +
        "`published` from a backup and start again",
    );
  }
  const record = await newestRecord(paths, partition, recovery.configHash);
  const movedTo = await moveLiveAside(paths);
  if (record !== null) await moveAside(paths, `${paths.records}/${recordName(record.position)}`);
  trace.emit("error", "store.starts_over", { partition, because, movedTo });
}

async function moveLiveAside(paths: DataPaths): Promise<string | null> {
  // The log goes first: without its file it is never replayed, while the file without its log is an older state.
  await moveAside(paths, `${paths.live}.wal`);
  return await moveAside(paths, paths.live);
}
