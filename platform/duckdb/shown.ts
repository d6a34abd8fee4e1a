/**
 * Which records a catalogue shows: those of one configuration, see `published.ts`. Pure; the publisher asks before
 * it writes, under the lock of the published folder.
 */
import { newestOfEach, type PartitionRecord } from "./published.ts";

export interface Shown {
  /** Records that the catalogue has to name, by partition; null: the catalogue that is in place stays. */
  readonly records: ReadonlyMap<number, PartitionRecord> | null;
  /** Records of the publication's partition that nobody needs any more. */
  readonly obsolete: readonly PartitionRecord[];
}

/**
 * What is shown once `mine` is written. `all` are the records that lie there; `shownHash` is the configuration of the
 * manifest in place, null before the first.
 *
 * A rebuild is complete when it has come as far as the old rows in each of their partitions. The old records outlive the
 * swap by one publication, so that a crash in its middle finds them.
 */
export function shownWith(
  mine: PartitionRecord,
  all: readonly PartitionRecord[],
  shownHash: string | null,
): Shown {
  const { partition, configHash } = mine.position;
  const own = newestOfEach(all, configHash).set(partition, mine);
  const others = all.filter(({ position }) =>
    position.partition === partition &&
    (position.configHash !== configHash || position.epoch !== mine.position.epoch)
  );
  if (shownHash === null || shownHash === configHash) return { records: own, obsolete: others };
  const old = newestOfEach(all, shownHash);
  const isComplete = [...old].every(([at, { position }]) =>
    (own.get(at)?.position.nextOffset ?? 0) >= position.nextOffset
  );
  const obsolete = others.filter((record) => record !== old.get(partition));
  return { records: isComplete ? own : null, obsolete };
}
