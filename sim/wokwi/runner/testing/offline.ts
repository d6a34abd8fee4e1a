/** Scenarios on the offline simulator, from a test. */
import assert from "node:assert/strict";
import { machineClock } from "../../../../platform/clock.ts";
import { loadMicroPythonRuntime } from "../../../board/mod.ts";
import type { Expectation } from "../expectations.ts";
import { type OfflineJob, type OfflineResult, runOffline } from "../offline.ts";
import { readProject } from "../../project.ts";
import type { Scenario } from "../scenario.ts";
import { readScenario } from "../scenario_file.ts";

const runtime = loadMicroPythonRuntime();
/** The firmware, as a Wokwi project. */
export const firmwareFolder = new URL("../../../../firmware", import.meta.url).pathname;

export function scenarioOf(text: string): Scenario {
  const read = readScenario(text, "scenario");
  assert.ok(read.kind === "scenario", read.kind === "problems" ? read.problems.join("\n") : "");
  return read.scenario;
}

/** A scenario of these steps, for at most ten simulated minutes. */
export const steps = (...lines: readonly string[]): Scenario =>
  scenarioOf(
    `name: test\nversion: 1\ntimeout: 600s\nsteps:\n${lines.map((line) => `  - ${line}\n`).join("")}`,
  );

/** Runs the project's firmware; what is left of the rows is thrown away. */
export async function offline(
  scenario: Scenario,
  given: Partial<OfflineJob> & { readonly expectations?: readonly Expectation[] } = {},
): Promise<OfflineResult> {
  const folder = await Deno.makeTempDir();
  try {
    return await runOffline({
      project: await readProject(firmwareFolder),
      scenario,
      expectations: [],
      seed: 1,
      timeoutNanos: 30e9,
      weather: [],
      files: { read: () => Promise.reject(new Error("no pictures")), write: () => Promise.resolve() },
      dataFolder: `${folder}/data`,
      ...given,
    }, { clock: machineClock, runtime });
  } finally {
    await Deno.remove(folder, { recursive: true });
    // V8 frees the stacks that a power cut has rejected only after a macrotask.
    await machineClock.sleep(0);
  }
}
