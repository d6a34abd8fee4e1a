import assert from "node:assert/strict";
import { positionRow } from "../../core/testing/builders.ts";
import type { PartitionRecord } from "./published.ts";
import { shownWith } from "./shown.ts";

function record(partition: number, configHash: string, epoch: number, nextOffset: number): PartitionRecord {
  const position = positionRow({ partition, configHash, epoch, nextOffset });
  return {
    ...{ isotherm: 1, generation: 1, publishedMs: 0, version: 1, position, rowDigest: "" },
    segments: [],
    retired: [],
  };
}

/** `partition hash@epoch` of each shown record, null if the catalogue stays. */
const names = (records: ReadonlyMap<number, PartitionRecord> | null) =>
  records && [...records.values()].map(nameOf).sort();
const nameOf = ({ position: { partition, configHash, epoch } }: PartitionRecord) =>
  `${partition} ${configHash}@${epoch}`;

Deno.test("of one configuration the newest record of each partition is shown, and older ones of the same end", () => {
  const { records, obsolete } = shownWith(
    record(0, "a", 9, 50),
    [record(0, "a", 3, 40), record(1, "a", 4, 40), record(1, "a", 7, 45)],
    "a",
  );
  assert.deepEqual(names(records), ["0 a@9", "1 a@7"]);
  assert.deepEqual(obsolete.map(nameOf), ["0 a@3"]);
});

Deno.test("another configuration is shown once it has come as far in every partition, and not before", () => {
  const old = [record(0, "a", 1, 40), record(1, "a", 2, 30)];
  const other = (next: number) => [...old, record(1, "b", 50, next)];
  assert.equal(shownWith(record(0, "b", 60, 40), old, "a").records, null, "a partition has none yet");
  assert.equal(shownWith(record(0, "b", 60, 40), other(29), "a").records, null);
  assert.equal(shownWith(record(0, "b", 60, 39), other(30), "a").records, null);
  const swap = shownWith(record(0, "b", 60, 40), other(30), "a");
  assert.deepEqual(names(swap.records), ["0 b@60", "1 b@50"]);
  assert.deepEqual(swap.obsolete, [], "the old ones outlive the swap");
  const after = shownWith(record(0, "b", 60, 41), [...other(30), record(0, "b", 60, 40)], "b");
  assert.deepEqual(names(after.records), ["0 b@60", "1 b@50"]);
  assert.deepEqual(after.obsolete.map(nameOf), ["0 a@1"]);
});

Deno.test("a rebuild that was given up for a third configuration ends, and what is shown stays", () => {
  const { records, obsolete } = shownWith(
    record(0, "c", 70, 5),
    [record(0, "a", 1, 40), record(0, "b", 60, 20)],
    "a",
  );
  assert.equal(records, null);
  assert.deepEqual(obsolete.map(nameOf), ["0 b@60"]);
});
