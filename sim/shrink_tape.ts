/** Makes a tape on which production code and the oracle differ smaller while they still do: an incident becomes a test. */
import { difference, oracleLines, storedLines } from "./compare.ts";
import { foldPartition } from "./fold_run.ts";
import { digestOf, judgeLog } from "./oracle.ts";
import { shrink } from "./shrink.ts";
import type { Tape } from "./tape.ts";

type Log = Pick<Tape, "records" | "config" | "partitions">;

const BATCHES = [1, 7, 5_000] as const;

/** The first fact in which the production fold and the oracle differ, however the log is read; null if they agree. */
export function firstDifference({ records, config, partitions }: Log): string | null {
  for (const expected of judgeLog(records, config, partitions)) {
    const lines = oracleLines(expected);
    for (const batchRecords of BATCHES) {
      const options = { batchRecords, rebuild: batchRecords === 1 };
      const { rows, fold } = foldPartition(records, config, expected.partition, partitions, options);
      const stored = storedLines({
        ...{ readings: rows.readings, quarantined: rows.quarantined, released: rows.released },
        ...{ windows: rows.windows.values(), open: fold.openRows() },
        ...{ devices: rows.devices.values(), boots: rows.boots.values() },
      });
      const found = difference(stored, lines);
      if (found !== null) return [...found.missing, ...found.unexpected][0] ?? "";
    }
  }
  return null;
}

/**
 * The fewest records of `tape` for which `fails` holds, with the digest that the oracle gives: the one that must come out
 * once the mistake is mended. Null if it doesn't hold for the tape itself.
 */
export async function shrinkTape(
  tape: Tape,
  fails: (log: Log) => boolean = (log) => firstDifference(log) !== null,
): Promise<Tape | null> {
  if (!fails(tape)) return null;
  const { config, partitions } = tape;
  const records = shrink(tape.records, (fewer) => fails({ records: fewer, config, partitions }));
  const windows = judgeLog(records, config, partitions).flatMap((result) => result.windows);
  return { ...tape, records, digest: await digestOf(windows), closed: windows.length };
}
