import assert from "node:assert/strict";
import { drawScenario, type Scenario } from "./scenario.ts";
import { shrinkScenario } from "./shrink_scenario.ts";

const drawn: Scenario = {
  ...drawScenario(3, { devices: 4, hours: 2 }),
  ...{ workers: 3, ingests: 2, partitions: 3 },
  incidents: [
    ...drawScenario(3, { devices: 4, hours: 2 }).incidents,
    { kind: "wifi_down", atMs: 50 * 60_000, board: 2, forMs: 1_000 },
    { kind: "power_cut", atMs: 10 * 60_000, board: 2, forMs: 1_000 },
  ],
  rules: [{ atMs: 0, text: '{"rules":[]}' }, { atMs: 1_000, text: '{"rules":[]}' }],
};

Deno.test("a failing scenario becomes the fewest incidents, rules, boards, workers and minutes that still fail", async () => {
  const needs = ({ boards, incidents, workers }: Scenario) =>
    workers >= 2 && boards.some(({ device }) => device === "board-3") &&
    incidents.some(({ kind, board }) => kind === "power_cut" && boards[board!]?.device === "board-3");
  assert.ok(needs(drawn));
  let steps = 0;
  const smallest = await shrinkScenario(drawn, (scenario) => Promise.resolve(needs(scenario)), () => steps++);
  assert.deepEqual(smallest.incidents.map(({ kind, board }) => [kind, board]), [["power_cut", 0]]);
  assert.deepEqual(smallest.boards.map(({ device }) => device), ["board-3"]);
  assert.deepEqual([smallest.workers, smallest.ingests, smallest.partitions], [2, 1, 1]);
  assert.equal(smallest.rules, undefined);
  assert.ok(smallest.faultsMs < drawn.faultsMs && smallest.faultsMs > smallest.incidents[0]!.atMs);
  assert.ok(steps > 5);
});

Deno.test("rules that a failure needs stay, one version of the file if that is enough", async () => {
  const smallest = await shrinkScenario(
    drawn,
    ({ rules = [] }) => Promise.resolve(rules.some(({ atMs }) => atMs === 1_000)),
  );
  assert.deepEqual(smallest.rules, [drawn.rules![1]]);
  assert.deepEqual([smallest.incidents.length, smallest.boards.length], [0, 1]);
});
