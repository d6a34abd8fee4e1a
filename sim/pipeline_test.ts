import assert from "node:assert/strict";
import { Coverage } from "./coverage.ts";
import { type Outcome, runScenario } from "./pipeline.ts";
import { drawScenario, type Scenario } from "./scenario.ts";

/** With real DuckDB files. */
async function runOnFiles(scenario: Scenario): Promise<Outcome> {
  const directory = await Deno.makeTempDir({ prefix: "isotherm-sim-test-" });
  try {
    return await runScenario(scenario, { directory });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const runInMemory = (scenario: Scenario) => runScenario(scenario, { directory: null });

Deno.test("from the sensor to published files: what was measured is what the rows say, and twice the same", async () => {
  const scenario = drawScenario(2, { devices: 2, hours: 0.2, faults: [] });
  const first = await runOnFiles(scenario);
  assert.equal(first.violation, null);
  assert.deepEqual(first.outcomes["answered 202"], 8);
  const second = await runOnFiles(scenario);
  assert.deepEqual([second.digest, second.events, second.records], [
    first.digest,
    first.events,
    first.records,
  ]);
});

Deno.test("rows in memory and rows in DuckDB are the same rows", async () => {
  const scenario = drawScenario(12, { devices: 2, hours: 0.15 });
  const [files, memory] = [await runOnFiles(scenario), await runInMemory(scenario)];
  assert.equal(files.violation, null);
  assert.equal(files.digest, memory.digest);
});

Deno.test("a worker that dies in the middle of its calls on real files leaves rows that go on rightly", async () => {
  const quiet = drawScenario(2, { devices: 1, hours: 0.05, faults: [] });
  const digests = new Set<string>();
  for (
    const [kind, count] of [["aggregator_crash_before_call", 9], ["aggregator_crash_after_call", 14]] as const
  ) {
    const incidents = [{ kind, atMs: 60_000, worker: 0, count, forMs: 2_000 }];
    const outcome = await runOnFiles({ ...quiet, incidents });
    assert.equal(outcome.violation, null);
    assert.equal(outcome.incidents[kind], 1);
    digests.add(outcome.digest);
  }
  assert.equal(digests.size, 1);
});

Deno.test("a worker that dies at any of its first 25 calls, before or after it is made, changes no row", async () => {
  const quiet = drawScenario(2, { devices: 1, hours: 0.05, faults: [] });
  const undisturbed = await runInMemory({ ...quiet, workers: 1 });
  for (const kind of ["aggregator_crash_before_call", "aggregator_crash_after_call"] as const) {
    for (let count = 1; count <= 25; count++) {
      const incidents = [{ kind, atMs: 1_000, worker: 0, count, forMs: 1_000 }];
      const outcome = await runInMemory({ ...quiet, workers: 1, incidents });
      assert.equal(outcome.violation, null, `${kind} ${count}`);
      assert.equal(outcome.digest, undisturbed.digest, `${kind} ${count}`);
    }
  }
});

Deno.test("12 seeds of a fleet with every fault: no invariant is violated, and both oracles agree", async () => {
  const coverage = new Coverage();
  for (let seed = 100; seed < 112; seed++) {
    const outcome = await runInMemory(drawScenario(seed, { devices: 3, hours: 0.5 }));
    assert.equal(outcome.violation, null, `seed ${seed}`);
    coverage.add(outcome);
  }
  assert(coverage.runs("answer_lost", "duplicates") > 0, "a lost answer makes a duplicate");
});

Deno.test("the scenario of a seed is the same everywhere, and one board more changes no other board", () => {
  assert.deepEqual(drawScenario(7), drawScenario(7));
  const [five, six] = [drawScenario(7, { devices: 5 }), drawScenario(7, { devices: 6 })];
  assert.deepEqual(six.boards.slice(0, 5), five.boards);
});
