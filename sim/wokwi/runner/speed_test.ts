/** How long scenarios take in real time. Prints figures; its bounds only catch what has gone wrong altogether. */
import assert from "node:assert/strict";
import process from "node:process";
import { machineClock } from "../../../platform/clock.ts";
import { readExpectations } from "./expectations.ts";
import { offline, steps } from "./testing/offline.ts";

const rows = readExpectations("SELECT count(*) > 0 AS some FROM readings;\n--> some\n--> true\n");

async function measured(what: string, seconds: string, expectRows: boolean): Promise<number> {
  const [fromMs, fromCpu] = [machineClock.monotonicMs(), process.cpuUsage()];
  const expectations = expectRows && rows.kind === "expectations" ? rows.expectations : [];
  const scenario = { ...steps(`delay: ${seconds}`), timeoutNanos: null };
  const { verdict, expectations: looked } = await offline(scenario, { timeoutNanos: 0, expectations });
  const wallMs = machineClock.monotonicMs() - fromMs;
  const { user, system } = process.cpuUsage(fromCpu);
  assert.equal(verdict.kind, "passed");
  assert.deepEqual(looked.filter(({ mismatch }) => mismatch !== null), []);
  const figures = `${(wallMs / 1_000).toFixed(2)} s wall, ${((user + system) / 1e6).toFixed(2)} s CPU`;
  console.log(`${what}${expectRows ? ", with its rows in DuckDB" : ""}: ${figures}`);
  return wallMs;
}

Deno.test("seconds of simulated time take a moment, an hour not much longer", async () => {
  await measured("start-up and 3 simulated seconds", "3s", true);
  for (const expectRows of [false, true]) {
    const shortMs = await measured("6.5 simulated seconds", "6.5s", expectRows);
    const hourMs = await measured("a simulated hour", "3600s", expectRows);
    assert.ok(shortMs < 30_000 && hourMs < 60_000, `${shortMs} ms, ${hourMs} ms`);
  }
});
