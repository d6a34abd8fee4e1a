/**
 * A run is a function of its scenario: the same digests on every machine, for ever. Whoever changes what rows are, or what
 * the simulated world does, changes them, and writes down the new ones with the change.
 */
import assert from "node:assert/strict";
import { runScenario } from "./pipeline.ts";
import { drawScenario } from "./scenario.ts";

const digests: Readonly<Record<number, readonly [digest: string, records: number]>> = {
  1: ["1d65c9081bf1a9e9ef5d5b4de5ab32da81095e5ae0c10f51acd8602f84c2f7f1", 396],
  2: ["4e73506bcd311294b8b981fb67080f0f85c33dc68d07fe9b3cb7fc4c215955cb", 118],
  3: ["540ce71bc7b192016c2614a5f98eb99803a47a0c5d09c7c7a7e7f6e5831ae97f", 164],
  4: ["6a1c054014d9fbe2b87577cac6e6de32d3d12b67288906bfed462add496a778e", 331],
  5: ["0b61fc214500803a05ed1f4965acfab5cbdfcaa3db86b5f75873a8050a58b5d2", 368],
};

for (const [seed, expected] of Object.entries(digests)) {
  Deno.test(`seed ${seed} with every fault gives its committed digest`, async () => {
    const { violation, digest, log } = await runScenario(
      drawScenario(Number(seed), { devices: 3, hours: 0.5 }),
      {
        directory: null,
      },
    );
    assert.deepEqual([violation, digest, log.length], [null, ...expected]);
  });
}
