/**
 * The short form of the nightly range, for every change: 100 seeds of 5 model boards for 2 h and 12 seeds of 3 boards with
 * the firmware for 1 h, with every fault; and a handful of planted bugs, others every day. The long form is
 * `deno task soak:sim`.
 */
import assert from "node:assert/strict";
import { machineClock } from "../platform/clock.ts";
import { Process, taskArgs } from "../platform/testing/process.ts";
import { loadMicroPythonRuntime } from "./board/mod.ts";
import { Coverage } from "./coverage.ts";
import { type Outcome, runScenario } from "./pipeline.ts";
import { type DrawOptions, drawScenario } from "./scenario.ts";

const TWICE_EVERY = 5;
const DAY_MS = 86_400_000;

/** Runs seeds 1 to `seeds`, every fifth twice. */
async function runSeeds(seeds: number, options: DrawOptions): Promise<Outcome[]> {
  const micropython = options.boards === "micropython" ? { micropython: await loadMicroPythonRuntime() } : {};
  const startedMs = machineClock.monotonicMs();
  const outcomes: Outcome[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    const scenario = drawScenario(seed, options);
    const outcome = await runScenario(scenario, { directory: null, ...micropython });
    assert.equal(outcome.violation, null, `seed ${seed}: deno task sim --seed ${seed} repeats it`);
    outcomes.push(outcome);
    if (seed % TWICE_EVERY !== 0) continue;
    const again = await runScenario(scenario, { directory: null, ...micropython });
    assert.deepEqual([again.digest, again.events], [outcome.digest, outcome.events], `seed ${seed}, twice`);
  }
  const seconds = (machineClock.monotonicMs() - startedMs) / 1_000;
  const virtualHours = outcomes.reduce((sum, { virtualMs }) => sum + virtualMs, 0) / 3_600_000;
  console.log(`${seeds} seeds, ${virtualHours.toFixed(0)} h in ${seconds.toFixed(0)} s`);
  return outcomes;
}

Deno.test("100 seeds of 5 model boards for 2 h, with every fault", async () => {
  const coverage = new Coverage();
  for (const outcome of await runSeeds(100, { devices: 5, hours: 2 })) coverage.add(outcome);
  // What needs real files is nightly's.
  const unreached = coverage.unreached(["answer_lost", "power_cut", "rebalance", "zombie", "disk_full"]);
  assert.deepEqual(unreached, []);
});

Deno.test("12 seeds of 3 boards with the firmware for 1 h, with every fault", async () => {
  await runSeeds(12, { devices: 3, hours: 1, boards: "micropython" });
});

Deno.test("a handful of planted bugs is seen, others every day", async () => {
  const day = Math.floor(machineClock.nowMs() / DAY_MS);
  await using process = new Process({
    args: [...await taskArgs("sim:mutants"), "--handful", "4", "--of", String(day)],
  });
  const { code } = await process.end(900_000);
  console.log(process.text);
  assert.equal(code, 0, process.text);
  assert.match(process.text, /4 planted, 4 seen, 0 missed/);
});
