import assert from "node:assert/strict";
import { Coverage, outcomeColumns } from "./coverage.ts";

Deno.test("a pair counts once a run in which both happened, and others are told as unreached", () => {
  const coverage = new Coverage([]);
  coverage.add({ incidents: { zombie: 3 }, outcomes: { counted: 9, duplicates: 1 } });
  coverage.add({ incidents: { zombie: 1 }, outcomes: { counted: 2 } });
  coverage.add({ incidents: {}, outcomes: { revised: 5 } });
  assert.equal(coverage.runs("zombie", "counted"), 2);
  assert.equal(coverage.runs("zombie", "duplicates"), 1);
  assert.equal(coverage.runs("zombie", "revised"), 0);
  const unreached = coverage.unreached(["zombie"]);
  assert.equal(unreached.length, outcomeColumns.length - 2);
  assert.ok(unreached.includes("zombie × revised"));
  assert.match(coverage.lines()[1] ?? "", /^zombie +4 /);
});

Deno.test("a pair that can't be reached is not asked for, and one that was reached all the same is told with its reason", () => {
  const reason = "memory has no files";
  const coverage = new Coverage([
    { kind: "wal_truncated", outcome: "counted", reason },
    { kind: "wal_truncated", outcome: "revised", reason },
  ]);
  coverage.add({ incidents: { wal_truncated: 1 }, outcomes: { counted: 1 } });
  assert.ok(!coverage.unreached(["wal_truncated"]).includes("wal_truncated × revised"));
  assert.ok(coverage.unreached(["wal_truncated"]).includes("wal_truncated × duplicates"));
  assert.deepEqual(coverage.contrary(), ["wal_truncated × counted (memory has no files)"]);
});
