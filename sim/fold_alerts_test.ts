/** Rules of alerts in logs with everything that can go wrong in them: nothing depends on how the log is read. */
import assert from "node:assert/strict";
import { Partition } from "../core/partition.ts";
import type { LogRecord } from "../core/ports/log.ts";
import { below } from "../core/ports/random.ts";
import { type Folded, foldPartition } from "./fold_run.ts";
import { type GeneratedLog, generateLog } from "./generate.ts";
import { seededRandom } from "./random.ts";

const encoder = new TextEncoder();
const rulesOf = (size: string) => [
  { name: "warm", window_size: size, above: 21, clear: 20.5 },
  { name: "cold", window_size: size, below: 20, statistic: "min" },
  { name: "rising", window_size: size, changes_per_hour: 5 },
  { name: "few", window_size: size, complete_below: 0.7, clear: 0.9 },
  { name: "silent", silent_for_s: 60 },
  { name: "long silent", silent_for_s: 900 },
];

/** The log with room between its records, and rules that come, change and go in each partition. */
function withRules(log: GeneratedLog, seed: number): readonly LogRecord[] {
  const random = seededRandom(seed, "rules");
  const rules = rulesOf(log.config.windows[0]!.label);
  const given = new Map<number, number>();
  return log.records.flatMap((record) => {
    const spread = { ...record, offset: record.offset * 10 };
    const count = given.get(record.partition) ?? 0;
    if (count > 0 && below(random, 40) > 0) return [spread];
    given.set(record.partition, count + 1);
    const chosen = rules.filter((_, index) => count === 0 || below(random, 3) > 0 || index === count % 6);
    const value = encoder.encode(JSON.stringify({ rules: chosen }));
    const headers = { isotherm: "1", "isotherm-kind": "rules" };
    return [spread, { ...spread, offset: spread.offset + 1, key: null, value, headers }];
  });
}

/** Every window, as far as anything but the place of its last change goes. */
const windowsOf = ({ rows }: Folded) =>
  [...rows.windows.values()]
    .map(({ changedOffset: _, changedAppendMs: __, ...row }) =>
      JSON.stringify(row, (_key, value) => typeof value === "bigint" ? String(value) : value)
        .replaceAll(/("(?:first|last)Key":"[^"]*?)\.\d+\.\d+"/g, '$1"')
    ).sort();

Deno.test("alerts are the same in batches of 1, 7 and 5,000 records, and over a restart after each", () => {
  let found = 0;
  const names = new Set<string>();
  for (let seed = 0; seed < 25; seed++) {
    const log = generateLog(seed);
    const records = withRules(log, seed);
    for (let partition = 0; partition < log.partitions; partition++) {
      const fold = (batchRecords: number, rebuild: boolean) =>
        foldPartition(records, log.config, partition, log.partitions, { batchRecords, rebuild }).rows.alerts;
      const once = fold(1, false);
      found += once.length;
      for (const { rule } of once) names.add(rule);
      for (const [batch, rebuild] of [[7, false], [5_000, false], [1, true], [7, true]] as const) {
        assert.deepEqual(
          fold(batch, rebuild),
          once,
          `seed ${seed}, partition ${partition}, ${batch}, ${rebuild}`,
        );
      }
    }
  }
  assert(found > 500 && names.size === 6, `${found} alerts of ${[...names]}`);
});

Deno.test("a fold with rules that is rebuilt at every record has the same state; rules change no row", () => {
  for (let seed = 100; seed < 120; seed++) {
    const log = generateLog(seed);
    const records = withRules(log, seed);
    for (let partition = 0; partition < log.partitions; partition++) {
      const with_ = foldPartition(records, log.config, partition, log.partitions, {
        batchRecords: 1,
        onCommit(fold, rows) {
          const stored = rows.load(Partition.openFrom(log.config));
          const rebuilt = Partition.restore(log.config, partition, log.partitions, stored);
          assert.deepEqual(
            rebuilt.describe(),
            fold.describe(),
            `seed ${seed} at ${rows.position?.nextOffset}`,
          );
          assert.equal(rebuilt.nextDueMs(), fold.nextDueMs(), `seed ${seed}: when the next silence is due`);
        },
      });
      const without = foldPartition(log.records, log.config, partition, log.partitions, { batchRecords: 1 });
      assert.deepEqual(windowsOf(with_), windowsOf(without), `seed ${seed}`);
    }
  }
});
