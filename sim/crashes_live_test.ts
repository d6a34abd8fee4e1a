/** The aggregator dies at each of its calls, before and after: at every await there is. */
import assert from "node:assert/strict";
import { type Outcome, runScenario } from "./pipeline.ts";
import { drawScenario, type IncidentKind, type Scenario } from "./scenario.ts";

const KINDS = ["aggregator_crash_before_call", "aggregator_crash_after_call"] as const;
/** A few minutes of one board and one worker: start, taking the partition, transactions, publications, waits, ticks. */
const quiet: Scenario = {
  ...drawScenario(2, { devices: 1, hours: 0.05, faults: [] }),
  ...{ workers: 1, partitions: 1, publishEveryMs: 20_000, readWaitMs: 10_000 },
};

const crashAt = (kind: IncidentKind, count: number): Scenario => ({
  ...quiet,
  incidents: [{ kind, atMs: 0, worker: 0, count, forMs: 1_000 }],
});

Deno.test("in memory, at each call until there are no more", async () => {
  const undisturbed = await runScenario(quiet, { directory: null });
  for (const kind of KINDS) {
    let count = 1;
    for (;; count++) {
      const outcome = await runScenario(crashAt(kind, count), { directory: null });
      if ((outcome.incidents[kind] ?? 0) === 0) break;
      assert.equal(outcome.violation, null, `${kind} ${count}`);
      assert.equal(outcome.digest, undisturbed.digest, `${kind} ${count}`);
    }
    console.log(`${kind}: died at each of ${count - 1} calls`);
    assert.ok(count > 60, `${count} calls`);
  }
});

Deno.test("on real files, at every fifth call", async () => {
  const onFiles = async (scenario: Scenario): Promise<Outcome> => {
    const directory = await Deno.makeTempDir({ prefix: "isotherm-crash-" });
    try {
      return await runScenario(scenario, { directory });
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  };
  const undisturbed = await runScenario(quiet, { directory: null });
  let died = 0;
  for (const [i, kind] of KINDS.entries()) {
    for (let count = 1 + 2 * i; count <= 60; count += 5) {
      const outcome = await onFiles(crashAt(kind, count));
      assert.equal(outcome.violation, null, `${kind} ${count}`);
      assert.equal(outcome.digest, undisturbed.digest, `${kind} ${count}`);
      died += outcome.incidents[kind] ?? 0;
    }
  }
  assert.ok(died >= 20, `died ${died} times`);
});
