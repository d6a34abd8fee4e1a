import assert from "node:assert/strict";
import { alertId, alertShape } from "../aggregator/shapes.ts";
import { alertRow } from "../core/testing/builders.ts";
import { virtualClock } from "./clock.ts";
import { runScenario } from "./pipeline.ts";
import { type RulesFile, RulesWorld } from "./rules.ts";
import { drawScenario, type Incident, type Scenario } from "./scenario.ts";
import { Scheduler } from "./scheduler.ts";

const MINUTE = 60_000;
const warm = { name: "warm", window_size: "1m", above: 15, clear: 14 };
const silent = { name: "silent", silent_for_s: 60 };
const fileOf = (atMs: number, rules: readonly object[]): RulesFile => ({
  atMs,
  text: JSON.stringify({ webhook: "http://receiver/hook", rules }),
});
/** A board that falls silent for three minutes, two workers, and rules that change in the middle. */
const quiet: Scenario = {
  ...drawScenario(2, { devices: 1, hours: 0.2, faults: [] }),
  ...{ workers: 2, partitions: 1, publishEveryMs: 20_000, readWaitMs: 2_000 },
  windows: [{ kind: "fixed", label: "1m", sizeMs: MINUTE, hopMs: MINUTE }],
  rules: [fileOf(0, [warm, silent]), fileOf(6 * MINUTE, [{ ...warm, above: 16 }, silent])],
  incidents: [{ kind: "wifi_down", atMs: 2 * MINUTE, board: 0, forMs: 3 * MINUTE }],
};
const run = (incidents: readonly Incident[], rules = quiet.rules!) =>
  runScenario({ ...quiet, rules, incidents: [...quiet.incidents, ...incidents] }, { directory: null });

Deno.test("rules of a file fire in a run, and the run is judged by what fired", async () => {
  const outcome = await run([]);
  assert.equal(outcome.violation, null);
  assert.ok(outcome.outcomes.alerts! >= 3, `${outcome.outcomes.alerts} alerts`);
  const recorded = outcome.log.filter(({ headers }) => headers["isotherm-kind"] === "rules");
  assert.ok(recorded.length >= 2, "both versions of the file are in the log");
});

Deno.test("a worker that dies at any of its calls, and a receiver that is away, lose no alert", async () => {
  const away: Incident = { kind: "webhook_down", atMs: MINUTE, forMs: 6 * MINUTE };
  const undisturbed = await run([]);
  for (const kind of ["aggregator_crash_before_call", "aggregator_crash_after_call"] as const) {
    for (let count = 1; count <= 60; count += 12) {
      const crash: Incident = { kind, atMs: 4 * MINUTE, worker: 0, count, forMs: 1_000 };
      const outcome = await run([crash, away]);
      assert.equal(outcome.violation, null, `${kind} ${count}`);
      assert.equal(outcome.incidents.webhook_down, 1);
      assert.equal(outcome.digest, undisturbed.digest);
    }
  }
});

Deno.test("alerts that are missing, or told although they are none, or not told, are found", async () => {
  const clock = virtualClock(new Scheduler({ startMs: 0 }));
  const world = new RulesWorld([], 0, clock);
  const files = world.files((call) => call());
  const row = alertRow({ partition: 0, offset: 5, index: 0 });
  const keep = (deliveries: object) => files.keep(0, JSON.stringify({ sinceMs: 0, deliveries }));
  const kept = (state: string) => keep({ [alertId(row)]: { state } });
  assert.equal(world.problem(0, [row], [row]), null);
  assert.match(world.problem(0, [], [row])!, /alert 0 of partition 0 \(0 of 1 are stored\)/);
  assert.match(world.problem(0, [row, row], [row])!, /alert 1 of partition 0 \(2 of 1/);
  await kept("waiting");
  assert.match(world.problem(0, [row], [row])!, /still waits/);
  await kept("delivered");
  assert.match(world.problem(0, [row], [row])!, /is delivered, and the receiver knows nothing/);
  await keep({});
  assert.match(world.problem(0, [row], [row])!, /is unknown, and the receiver knows nothing/);
  await files.post("", JSON.stringify(alertShape(row)));
  assert.equal(world.problem(0, [row], [row]), null);
  assert.match(world.problem(0, [], [])!, /none of the alerts/);
  world.away();
  assert.equal(await files.post("", "{}"), 503);
  world.back();
});
