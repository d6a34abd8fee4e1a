import assert from "node:assert/strict";
import type { LogRecord } from "../core/ports/log.ts";
import { below, chance } from "../core/ports/random.ts";
import { defaultConfig } from "../core/config.ts";
import { Partition } from "../core/partition.ts";
import { isKept } from "../core/retention.ts";
import { describeDifference, difference, oracleLines, storedLines } from "./compare.ts";
import { type Folded, foldLog, foldPartition } from "./fold_run.ts";
import { type GeneratedLog, generateLog } from "./generate.ts";
import { judgePartition } from "./oracle.ts";
import { seededRandom } from "./random.ts";
import { shrink } from "./shrink.ts";

const encoder = new TextEncoder();

/** What a folded partition holds, as lines. */
const linesOf = ({ rows, fold }: Folded): string[] =>
  storedLines({
    readings: rows.readings,
    quarantined: rows.quarantined,
    released: rows.released,
    windows: rows.windows.values(),
    open: fold.openRows(),
    devices: rows.devices.values(),
    boots: rows.boots.values(),
  });

const expectedLines = (log: GeneratedLog, partition: number, records = log.records): string[] =>
  oracleLines(judgePartition(records, log.config, partition, log.partitions));

/** Fails with the fewest records that still show a difference. */
function assertNoDifference(
  log: GeneratedLog,
  partition: number,
  found: (records: readonly LogRecord[]) => ReturnType<typeof difference>,
): void {
  if (found(log.records) === null) return;
  const ours = log.records.filter((record) => record.partition === partition);
  const fewest = shrink(ours, (records) => found(records) !== null);
  const shown = fewest.map((record) => {
    const value = record.value === null ? "" : new TextDecoder().decode(record.value);
    return `${record.offset} ${record.appendMs} ${record.key} ${JSON.stringify(record.headers)} ${value}`;
  });
  const what = found(fewest);
  const windows = JSON.stringify(log.config.windows);
  const rows = what === null ? "" : describeDifference(what);
  assert.fail([`seed ${log.seed}, partition ${partition}, windows ${windows}`, ...shown, rows].join("\n"));
}

Deno.test("the fold gives the oracle's rows for 100 logs in batches of 1, 7 and 5,000 records", () => {
  for (let seed = 0; seed < 100; seed++) {
    const log = generateLog(seed);
    for (let partition = 0; partition < log.partitions; partition++) {
      const expected = expectedLines(log, partition);
      for (const batchRecords of [1, 7, 5_000]) {
        const stored = linesOf(
          foldPartition(log.records, log.config, partition, log.partitions, { batchRecords }),
        );
        if (difference(stored, expected) === null) continue;
        assertNoDifference(log, partition, (records) => {
          const folded = foldPartition(records, log.config, partition, log.partitions, { batchRecords });
          return difference(linesOf(folded), expectedLines(log, partition, records));
        });
      }
    }
  }
});

Deno.test("records side by side in one buffer give the oracle's rows as well, in blocks of 3, 64 and 5,000", () => {
  for (let seed = 100; seed < 140; seed++) {
    const log = generateLog(seed);
    for (let partition = 0; partition < log.partitions; partition++) {
      for (const batchRecords of [3, 64, 5_000]) {
        const options = { batchRecords, asBlocks: true };
        const folded = foldPartition(log.records, log.config, partition, log.partitions, options);
        const found = difference(linesOf(folded), expectedLines(log, partition));
        assert.equal(found, null, found === null ? "" : `seed ${seed}: ${describeDifference(found)}`);
      }
    }
  }
});

Deno.test("several batches in one transaction give the oracle's rows too, and what isn't taken is known", () => {
  for (let seed = 0; seed < 60; seed++) {
    const log = generateLog(seed);
    for (let partition = 0; partition < log.partitions; partition++) {
      const options = {
        batchRecords: 1 + seed % 7,
        batchesPerCommit: 2 + seed % 11,
        asBlocks: seed % 2 === 0,
      };
      const rebuild = seed % 3 === 0;
      const folded = foldPartition(log.records, log.config, partition, log.partitions, {
        ...options,
        rebuild,
      });
      const found = difference(linesOf(folded), expectedLines(log, partition));
      assert.equal(found, null, found === null ? "" : `seed ${seed}: ${describeDifference(found)}`);
    }
  }
});

Deno.test("a fold that is killed and rebuilt at every record has the same state, field by field", () => {
  for (let seed = 1_000; seed < 1_060; seed++) {
    const log = generateLog(seed);
    for (let partition = 0; partition < log.partitions; partition++) {
      const openFrom = Partition.openFrom(log.config);
      foldPartition(log.records, log.config, partition, log.partitions, {
        batchRecords: 1,
        onCommit(fold, rows) {
          const rebuilt = Partition.restore(log.config, partition, log.partitions, rows.load(openFrom));
          assert.deepEqual(
            rebuilt.describe(),
            fold.describe(),
            `seed ${seed} at ${rows.position?.nextOffset}`,
          );
          assert.equal(rebuilt.nextDueMs(), fold.nextDueMs(), `seed ${seed}: when the next window is due`);
        },
      });
    }
  }
});

Deno.test("a fold that lives on from nothing but its kept rows after every commit gives the oracle's rows", () => {
  const isRow = (text: string) => !/^(reading|quarantined) /.test(text);
  for (let seed = 1_000; seed < 1_060; seed++) {
    const log = generateLog(seed);
    for (let partition = 0; partition < log.partitions; partition++) {
      const folded = foldPartition(log.records, log.config, partition, log.partitions, {
        batchRecords: 1 + seed % 5,
        rebuild: true,
        onCommit: (fold, rows) =>
          rows.expire((appendMs) => isKept(appendMs, fold.appendHighMs, log.config.retentionMs)),
      });
      const found = difference(linesOf(folded).filter(isRow), expectedLines(log, partition).filter(isRow));
      assert.equal(found, null, found === null ? "" : `seed ${seed}: ${describeDifference(found)}`);
    }
  }
});

Deno.test("how many closed windows are held in memory changes no row: none, 1, 5 and 30", () => {
  for (let seed = 6_000; seed < 6_100; seed++) {
    const log = generateLog(seed);
    for (let partition = 0; partition < log.partitions; partition++) {
      const options = {
        batchRecords: 1 + seed % 7,
        batchesPerCommit: 1 + seed % 3,
        asBlocks: seed % 2 === 0,
      };
      const expected = expectedLines(log, partition);
      for (const cachedMax of [0, 1, 5, 30]) {
        const folded = foldPartition(log.records, log.config, partition, log.partitions, {
          ...{ ...options, cachedMax },
          rebuild: seed % 5 === 0 && cachedMax === 5,
        });
        const found = difference(linesOf(folded), expected);
        const which = `seed ${seed}, ${cachedMax} held`;
        assert.equal(found, null, found === null ? "" : `${which}: ${describeDifference(found)}`);
      }
    }
  }
});

/** A log of batches of one device, one a second. */
function logOf(batches: readonly (readonly object[])[]): GeneratedLog {
  const startMs = Date.UTC(2025, 10, 24);
  const records = batches.map((readings, offset) => ({
    ...{ partition: 0, offset, appendMs: startMs + offset * 1_000, key: "desk", headers: {} },
    value: encoder.encode(JSON.stringify({ device: "desk", boot: 1, readings })),
  }));
  return { seed: 0, config: defaultConfig, partitions: 1, records };
}

Deno.test("more closed windows than are held in memory are revised as if they were", () => {
  const minutes = (from: number, count: number, seq: number, second: number) =>
    Array.from({ length: count }, (_, i) => ({
      ...{
        seq: seq + i,
        ts: Date.UTC(2025, 9, 1) + (from + i) * 60_000 + second * 1_000,
        temperature_c: i % 50,
      },
    }));
  const log = logOf([
    [{ seq: 100_000, ts: Date.UTC(2025, 10, 23), temperature_c: 1 }],
    minutes(0, 3_000, 0, 0),
    minutes(3_000, 3_000, 3_000, 0),
    minutes(0, 3_000, 6_000, 10),
    minutes(1_000, 3_000, 9_000, 5),
  ]);
  for (const batchRecords of [1, 2, 5_000]) {
    const found = difference(
      linesOf(foldPartition(log.records, log.config, 0, 1, { batchRecords })),
      expectedLines(log, 0),
    );
    assert.equal(found, null, found === null ? "" : describeDifference(found));
  }
});

Deno.test("the ten thousandth span of a device is kept and the next is undecidable", () => {
  const evens = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => ({
      ...{ seq: 2 * (from + i), ts: Date.UTC(2025, 10, 23) + from + i, temperature_c: 20 },
    }));
  const log = logOf([
    evens(0, 4_096),
    evens(4_096, 4_096),
    evens(8_192, 1_808),
    evens(10_000, 1),
    [{ seq: 1, ts: Date.UTC(2025, 10, 23), temperature_c: 1 }], // joins two spans: room for one more
    evens(10_001, 2),
  ]);
  const stored = linesOf(foldPartition(log.records, log.config, 0, 1, { batchRecords: 2 }));
  const found = difference(stored, expectedLines(log, 0));
  assert.equal(found, null, found === null ? "" : describeDifference(found));
  assert.equal(stored.filter((text) => text.includes('"undecidable"')).length, 2);
});

/** The append clock made monotone, and room for a record between any two. */
function spread(log: GeneratedLog): LogRecord[] {
  const highest = new Map<number, number>();
  return log.records.map((record) => {
    const appendMs = Math.max(record.appendMs, highest.get(record.partition) ?? 0);
    highest.set(record.partition, appendMs);
    return { ...record, appendMs, offset: record.offset * 100 };
  });
}

const tick = (partition: number, offset: number, appendMs: number): LogRecord => ({
  ...{ partition, offset, appendMs, key: null, value: null },
  headers: { isotherm: "1", "isotherm-kind": "tick" },
});

/** Lines of one device. */
const linesAbout = (lines: readonly string[], device: string): string[] =>
  lines.filter((text) =>
    text.includes(`"device":${JSON.stringify(device)},`) || text.includes(` ${JSON.stringify(device)}|`)
  );

const deviceOf = (record: LogRecord): string | null => {
  const text = record.value === null ? "" : new TextDecoder().decode(record.value);
  const inValue = /^\{"device":("(?:[^"\\]|\\.)*")/.exec(text);
  return inValue?.[1] === undefined ? record.key : JSON.parse(inValue[1]);
};

Deno.test("ticks and other devices' records, added and removed at random, change no row of a device", () => {
  for (let seed = 2_000; seed < 2_060; seed++) {
    const log = generateLog(seed);
    const random = seededRandom(seed, "meddling");
    const records = spread(log);
    const devices = [...new Set(records.map(deviceOf).filter((device) => device !== null && device !== ""))];
    const device = devices[below(random, devices.length)] as string;
    const lastMs = Math.max(...records.map((record) => record.appendMs));
    const ends = Array.from({ length: log.partitions }, (_, p) => tick(p, 1e9, lastMs + 60_000));
    const meddled = records.flatMap((record) => {
      const kept = deviceOf(record) === device || record.key === device || chance(random, 1, 3)
        ? [record]
        : [];
      const count = chance(random, 1, 3) ? 1 + below(random, 3) : 0;
      const { partition, offset, appendMs } = record;
      return [...kept, ...Array.from({ length: count }, (_, i) => tick(partition, offset + 1 + i, appendMs))];
    });
    const about = (list: readonly LogRecord[]) =>
      foldLog({ ...log, records: [...list, ...ends] }, { batchRecords: 7 })
        .flatMap((folded) => linesAbout(linesOf(folded), device)).sort();
    assert.deepEqual(about(meddled), about(records), `seed ${seed}, device ${device}`);
  }
});

Deno.test("a device with a poisoned clock, floods and garbage changes no other device's row by a bit", () => {
  for (let seed = 3_000; seed < 3_060; seed++) {
    const log = generateLog(seed);
    const random = seededRandom(seed, "poison");
    const records = spread(log);
    const poison = "poison";
    const poisoned = records.flatMap((record) => {
      if (!chance(random, 1, 2)) return [record];
      const { partition, offset, appendMs } = record;
      const ts = appendMs + [365 * 86_400_000, 300_000, 299_999, -7 * 86_400_000, 0][below(random, 5)]!;
      const readings = Array.from({ length: 1 + below(random, 20) }, (_, i) => ({
        ...{ seq: below(random, 1_000_000), ts: ts + i, temperature_c: [-200, 99.9, 20][below(random, 3)] },
      }));
      const body = { device: poison, boot: below(random, 9), pending_since: below(random, 2) * ts, readings };
      const value = encoder.encode(chance(random, 1, 9) ? "garbage" : JSON.stringify(body));
      return [record, {
        ...record,
        key: poison,
        headers: {},
        partition,
        offset: offset + 1,
        appendMs,
        value,
      }];
    });
    const others = (list: readonly LogRecord[]) =>
      foldLog({ ...log, records: list }, { batchRecords: 7 })
        .flatMap((folded) => linesOf(folded))
        .filter((text) => !text.includes(`"device":"${poison}"`) && !text.includes(`"${poison}"|`))
        .filter((text) => !text.includes('"device":""'))
        .sort();
    assert.deepEqual(others(poisoned), others(records), `seed ${seed}`);
  }
});

Deno.test("both balances hold in every state that is stored", () => {
  for (let seed = 4_000; seed < 4_040; seed++) {
    const log = generateLog(seed);
    for (let partition = 0; partition < log.partitions; partition++) {
      const result = judgePartition(log.records, log.config, partition, log.partitions);
      const { rows } = foldPartition(log.records, log.config, partition, log.partitions, {
        batchRecords: 3,
        onCommit(_fold, rows) {
          for (const boot of rows.boots.values()) {
            const known = boot.counted + boot.countedLate + boot.sensorFault + boot.quarantined + boot.lost;
            assert(known <= boot.slots, `seed ${seed}: slots of ${boot.device}, boot ${boot.boot}`);
          }
        },
      });
      for (const { device, inLog } of result.devices) {
        const row = rows.devices.get(device);
        assert(row !== undefined, `seed ${seed}: ${device} is known`);
        const arrivals = row.counted + row.countedLate + row.sensorFault + row.quarantined + row.duplicates +
          row.released;
        assert.equal(arrivals, inLog, `seed ${seed}: arrivals of ${device}`);
      }
    }
  }
});

Deno.test("of a closed row, each commit stores at most one version, and the revision only grows", () => {
  for (let seed = 5_000; seed < 5_040; seed++) {
    const log = generateLog(seed);
    for (let partition = 0; partition < log.partitions; partition++) {
      let stored = 0;
      const revisions = new Map<string, number>();
      foldPartition(log.records, log.config, partition, log.partitions, {
        batchRecords: 4,
        onCommit(_fold, rows) {
          const added = rows.versions.slice(stored);
          stored = rows.versions.length;
          const keys = added.map((row) => `${row.device} ${row.windowSize} ${row.startMs}`);
          assert.equal(new Set(keys).size, keys.length, `seed ${seed}: one version a commit`);
          added.forEach((row, i) => {
            const before = revisions.get(keys[i]!) ?? null;
            assert.notEqual(row.closedBy, null);
            assert.equal(row.replaces, before, `seed ${seed}: it names the version that it replaces`);
            assert(
              before === null || row.revision > before,
              `seed ${seed}: revision ${before} → ${row.revision}`,
            );
            revisions.set(keys[i]!, row.revision);
          });
        },
      });
    }
  }
});
