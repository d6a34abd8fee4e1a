import assert from "node:assert/strict";
import { runScenario } from "./pipeline.ts";
import { drawScenario } from "./scenario.ts";
import { parting, Trail } from "./trail.ts";

function trailOf(lines: readonly string[], linesMax?: number): Trail {
  const trail = new Trail(linesMax);
  for (const line of lines) trail.add(line);
  return trail;
}

Deno.test("two trails part at their first differing step, shown with the three before", () => {
  const first = trailOf(["a", "b", "c", "d", "e", "f"]);
  assert.deepEqual(parting(first, trailOf(["a", "b", "c", "d", "x", "f"])), [
    "the first 4 steps are the same, and then:",
    "  both    b",
    "  both    c",
    "  both    d",
    "  first   e",
    "  second  x",
  ]);
  assert.deepEqual(parting(first, trailOf(["a"])).slice(-2), ["  first   b", "  second  ended"]);
  assert.deepEqual(parting(first, trailOf(["a", "b", "c", "d", "e", "f"])), [
    "both runs have the same 6 steps",
  ]);
});

Deno.test("a trail keeps its first steps and counts the others", () => {
  const trail = trailOf(["a", "b", "c"], 2);
  assert.deepEqual([trail.lines, trail.left], [["a", "b"], 1]);
  assert.deepEqual(parting(trail, trailOf(["a", "b", "c", "d"], 2)), [
    "both runs have the same 2 steps, then 1 and 2 more that are not kept",
  ]);
});

Deno.test("the folder's name, which is another in each run, is no difference", () => {
  const trail = trailOf(["open: IO Error: /tmp/isotherm-sim-01ab/worker-0/x is gone"]);
  assert.deepEqual(trail.lines, ["open: IO Error: DIR/worker-0/x is gone"]);
});

Deno.test("a run's trail has its events and its calls, and is the same again", async () => {
  const scenario = {
    ...drawScenario(2, { devices: 1, hours: 0.05, faults: [] }),
    incidents: [{ kind: "disk_full", atMs: 60_000, worker: 0, count: 1 }] as const,
  };
  const run = async () => {
    const trail = new Trail();
    const { events } = await runScenario(scenario, { directory: null, trail });
    return { trail, events };
  };
  const { trail, events } = await run();
  assert.equal(trail.lines.filter((line) => line.startsWith("event ")).length, events);
  assert.ok(trail.lines.includes("worker 0 commit: ended"));
  assert.ok(trail.lines.includes("worker 0 commit: StoreUnavailable: the simulated disk is full"));
  assert.deepEqual((await run()).trail.lines, trail.lines);
});
