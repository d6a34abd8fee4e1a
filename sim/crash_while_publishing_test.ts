import assert from "node:assert/strict";
import { runScenario } from "./pipeline.ts";
import { drawScenario, type Scenario } from "./scenario.ts";

/** A few minutes of one board and one worker that publishes every 20 s. */
const quiet: Scenario = {
  ...drawScenario(2, { devices: 1, hours: 0.05, faults: [] }),
  ...{ workers: 1, partitions: 1, publishEveryMs: 20_000, readWaitMs: 10_000 },
};

Deno.test("a worker that dies at a step of a publication, before or after it, changes no row and tears no file", async () => {
  const { digest } = await runScenario(quiet, { directory: null });
  let died = 0;
  // Its steps: segments, the record, the catalogue, the manifest; even ones are not made any more, odd ones are.
  for (const count of [1, 4, 9, 14, 17, 20]) {
    const incidents = [{
      kind: "crash_while_publishing",
      atMs: 60_000,
      worker: 0,
      count,
      forMs: 2_000,
    }] as const;
    const directory = await Deno.makeTempDir({ prefix: "isotherm-crash-" });
    try {
      const outcome = await runScenario({ ...quiet, incidents }, { directory });
      assert.equal(outcome.violation, null, `step ${count}`);
      assert.equal(outcome.digest, digest, `step ${count}`);
      died += outcome.incidents.crash_while_publishing ?? 0;
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  }
  assert.ok(died >= 5, `died ${died} times`);
});
