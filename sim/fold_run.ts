/** A whole log through the production fold, a partition at a time, without anything that takes time. */
import type { JudgeConfig } from "../core/config.ts";
import { Partition } from "../core/partition.ts";
import type { LogRecord } from "../core/ports/log.ts";
import { recordBlock } from "../core/testing/builders.ts";
import { MemoryRows } from "./memory_rows.ts";

export interface FoldOptions {
  /** Records that are prepared and applied together. */
  readonly batchRecords: number;
  /** Batches that are committed together; one if nothing is said. */
  readonly batchesPerCommit?: number;
  /** Give the records as blocks, as a fast reader does. */
  readonly asBlocks?: boolean;
  /** Throw the fold away after each commit and rebuild it from the rows. */
  readonly rebuild?: boolean;
  /** Closed windows that stay in memory; the fold's own number if nothing is said. */
  readonly cachedMax?: number;
  /** Called after each commit. */
  readonly onCommit?: (fold: Partition, rows: MemoryRows) => void;
}

export interface Folded {
  readonly partition: number;
  readonly rows: MemoryRows;
  readonly fold: Partition;
}

/** Folds what belongs to `partition`. */
export function foldPartition(
  records: readonly LogRecord[],
  config: JudgeConfig,
  partition: number,
  partitions: number,
  { batchRecords, batchesPerCommit = 1, asBlocks = false, rebuild = false, cachedMax, onCommit }: FoldOptions,
): Folded {
  const rows = new MemoryRows();
  let fold = new Partition(config, partition, partitions, cachedMax);
  const ours = records.filter((record) => record.partition === partition);
  let held = 0;
  for (let from = 0; from < ours.length; from += batchRecords) {
    const batch = ours.slice(from, from + batchRecords);
    const prepared = fold.prepare(asBlocks ? recordBlock(batch) : batch);
    fold.apply(prepared, rows.lookup(prepared.needs));
    const isLast = prepared.stop !== null || from + batchRecords >= ours.length;
    if (++held < batchesPerCommit && !isLast) continue;
    held = 0;
    rows.commit(fold.takeChanges(null, ""));
    if (rebuild) {
      const stored = rows.load(Partition.openFrom(config));
      fold = Partition.restore(config, partition, partitions, stored, cachedMax);
    }
    onCommit?.(fold, rows);
    if (prepared.stop !== null) break;
  }
  return { partition, rows, fold };
}

/** Folds every partition of a log. */
export const foldLog = (
  log: { readonly records: readonly LogRecord[]; readonly config: JudgeConfig; readonly partitions: number },
  options: FoldOptions,
): Folded[] =>
  Array.from(
    { length: log.partitions },
    (_, partition) => foldPartition(log.records, log.config, partition, log.partitions, options),
  );
