/** Every run that failed once and was kept, again; and that keeping works. */
import assert from "node:assert/strict";
import { loadMicroPythonRuntime } from "./board/mod.ts";
import { Decisions } from "./decisions.ts";
import { below } from "../core/ports/random.ts";
import { runScenario } from "./pipeline.ts";
import { parseRegression, type Regression, regressionText, runRegression } from "./regression.ts";
import { drawScenario } from "./scenario.ts";

const FOLDER = new URL("./regressions/", import.meta.url);
const names = [...Deno.readDirSync(FOLDER)].map(({ name }) => name).filter((name) =>
  name.endsWith(".regression")
).sort();

for (const name of names) {
  const regression = parseRegression(Deno.readTextFileSync(new URL(name, FOLDER)));
  Deno.test(`${name}: ${regression.what}`, async () => {
    const needsRuntime = regression.scenario.firmware === "micropython";
    const micropython = needsRuntime ? await loadMicroPythonRuntime() : undefined;
    assert.equal(await runRegression(regression, micropython), null);
  });
}

Deno.test("regressions are kept", () => {
  assert.ok(names.length >= 3, `${names.length} in ${FOLDER.pathname}`);
});

async function kept(): Promise<Regression> {
  const scenario = drawScenario(7, { devices: 1, hours: 0.1, faults: ["answer_lost", "rebalance"] });
  const { decisions, incidents } = await runScenario(scenario, { directory: null });
  const found = { violation: "none", build: { commit: "unknown", deno: "0" } };
  return { what: "nothing was wrong", found, onFiles: false, happened: incidents, scenario, decisions };
}

Deno.test("a kept run reads as it was written", async () => {
  const regression = await kept();
  assert.deepEqual(parseRegression(regressionText(regression)), regression);
  assert.throws(() => parseRegression('{"isotherm_regression":2}'), /version 2, this build reads 1/);
});

Deno.test("a kept run is the same run under any seed: it takes its decisions from where they were kept", async () => {
  const { scenario, decisions } = await kept();
  const digestOf = async (seed: number, given = {}) => {
    const { digest, events, log } = await runScenario({ ...scenario, seed }, { directory: null, ...given });
    return [digest, events, log.map(({ appendMs, offset }) => [appendMs, offset])];
  };
  const first = await digestOf(7);
  assert.deepEqual(await digestOf(8, { decisions }), await digestOf(8, { decisions }));
  // The weather is the seed's; when things were stored was decided.
  assert.deepEqual((await digestOf(8, { decisions }))[2], first[2]);
  assert.notDeepEqual((await digestOf(8))[2], first[2]);
});

Deno.test("a draw for one purpose moves no other, and given decisions come first", () => {
  const [one, two] = [new Decisions(1), new Decisions(1)];
  below(two.of("log", "slow"), 10);
  assert.equal(one.of("log", "commit").uint32(), two.of("log", "commit").uint32());
  const given = new Decisions(1, { "log/commit": [5, 6] });
  const source = given.of("log", "commit");
  assert.deepEqual([source.uint32(), source.uint32()], [5, 6]);
  assert.equal(source.uint32(), new Decisions(1).of("log", "commit").uint32());
  assert.deepEqual(Object.keys(given.log()), ["log/commit"]);
});

Deno.test("a kept run whose faults no longer happen fails", async () => {
  const regression = await kept();
  const happened = { ...regression.happened, zombie: 1 };
  assert.equal(
    await runRegression({ ...regression, happened }),
    "it tests nothing any more: zombie did not happen",
  );
});
