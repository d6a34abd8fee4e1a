import assert from "node:assert/strict";
import { generateLog, troubleNames } from "./generate.ts";
import { judgeLog } from "./oracle.ts";
import { shrink } from "./shrink.ts";

Deno.test("the same seed gives the same log, another seed another", () => {
  assert.deepEqual(generateLog(7), generateLog(7));
  assert.notDeepEqual(generateLog(7).records, generateLog(8).records);
});

Deno.test("each trouble alone makes a log that can be judged", () => {
  for (const trouble of troubleNames()) {
    const log = generateLog(1, { troubles: [trouble], records: 30 });
    const results = judgeLog(log.records, log.config, log.partitions);
    assert(results.every((result) => result.stoppedAt === null), trouble);
  }
});

Deno.test("the generated logs reach every outcome and every reason", () => {
  const reached = new Set<string>();
  for (let seed = 0; seed < 60; seed++) {
    const log = generateLog(seed);
    for (const result of judgeLog(log.records, log.config, log.partitions)) {
      for (const row of result.quarantined) reached.add(row.reason);
      for (const row of result.windows) {
        reached.add(`closed by ${row.closedBy}`);
        if (row.revision > 1) reached.add("revised twice");
        if (row.revision > 0 && row.readings > 0 && (row.temperature.p50 ?? row.humidity.p50) === null) {
          reached.add("percentiles expired");
        }
      }
      for (const device of result.devices) {
        if (device.sharedName) reached.add("shared name");
        for (const [outcome, count] of Object.entries(device.arrivals)) if (count > 0) reached.add(outcome);
      }
    }
  }
  assert.deepEqual([...reached].sort(), [
    "closed by silence",
    "closed by watermark",
    "conflict",
    "counted",
    "counted_late",
    "duplicates",
    "future",
    "malformed",
    "no_time",
    "out_of_range",
    "percentiles expired",
    "quarantined",
    "released",
    "revised twice",
    "sensor_fault",
    "shared name",
    "undecidable",
    "wrong_partition",
  ]);
});

Deno.test("shrinking leaves only what is needed to fail", () => {
  const items = Array.from({ length: 100 }, (_, i) => i);
  assert.deepEqual(shrink(items, (list) => list.includes(17) && list.includes(83)), [17, 83]);
});
