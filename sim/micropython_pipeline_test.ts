/** The project's firmware in the simulated pipeline: sensor, MicroPython, ingest, log, aggregator, rows. */
import assert from "node:assert/strict";
import { loadMicroPythonRuntime } from "./board/mod.ts";
import { type Outcome, runScenario } from "./pipeline.ts";
import { drawScenario, type Incident, type Scenario } from "./scenario.ts";

const runtime = loadMicroPythonRuntime();
const run = async (scenario: Scenario): Promise<Outcome> =>
  await runScenario(scenario, { directory: null, micropython: await runtime });

const MINUTE = 60_000;
/** One board that samples every 10 s for 10 min, and one worker, with good clocks and nothing else. */
function quiet(incidents: readonly Incident[], more: Partial<Scenario> = {}): Scenario {
  const drawn = drawScenario(3, { devices: 1, hours: 1 / 6, faults: [], boards: "micropython" });
  const boards = drawn.boards.map((board) => ({
    ...board,
    everyMs: 10_000,
    latencyMs: 30,
    clock: { kind: "good" as const, driftPpm: 0 },
  }));
  return { ...drawn, boards, partitions: 1, workers: 1, ingests: 1, incidents, ...more };
}

Deno.test("what the sensor measured goes through the firmware to the rows, and twice the same", async () => {
  const [first, second] = [await run(quiet([])), await run(quiet([]))];
  assert.equal(first.violation, null);
  // 10 min on a grid of 10 s, and up to the moment when all is sent and the board is switched off.
  const counted = (first.outcomes["counted"] ?? 0) + (first.outcomes["counted_late"] ?? 0);
  assert.ok(counted >= 60 && counted <= 152, `${counted} counted`);
  assert.equal(first.outcomes["on the board: acknowledged"], counted);
  assert.deepEqual([second.digest, second.events], [first.digest, first.events]);
});

Deno.test("faults of network, power, flash and sensor happen to the firmware, and the rows bear them", async () => {
  const incidents: Incident[] = [
    { kind: "request_lost", atMs: MINUTE, board: 0, count: 2 },
    { kind: "answer_lost", atMs: 2 * MINUTE, board: 0, count: 2 },
    { kind: "half_open", atMs: 3 * MINUTE, board: 0, count: 1 },
    { kind: "request_doubled", atMs: 4 * MINUTE, board: 0, count: 1, forMs: 900 },
    { kind: "request_delayed", atMs: 4.5 * MINUTE, board: 0, count: 1, forMs: 900 },
    { kind: "wifi_down", atMs: 5 * MINUTE, board: 0, forMs: 30_000 },
    { kind: "sensor_silent", atMs: 6 * MINUTE, board: 0, forMs: 25_000 },
    { kind: "sensor_checksum", atMs: 6.5 * MINUTE, board: 0, forMs: 25_000 },
    { kind: "sensor_out_of_range", atMs: 7 * MINUTE, board: 0, forMs: 25_000 },
    { kind: "power_cut", atMs: 7.5 * MINUTE, board: 0, forMs: 5_000 },
    { kind: "torn_flash_write", atMs: 8 * MINUTE, board: 0 },
    { kind: "ingest_crash", atMs: 8.5 * MINUTE, ingest: 0, forMs: 15_000 },
    { kind: "dns_down", atMs: 9 * MINUTE, forMs: 15_000 },
    { kind: "flash_erased", atMs: 9.5 * MINUTE, board: 0 },
  ];
  const { violation, outcomes, incidents: happened } = await run(quiet(incidents));
  assert.equal(violation, null);
  for (const { kind } of incidents) assert.ok((happened[kind] ?? 0) > 0, `${kind} happened`);
  assert.ok((outcomes["duplicates"] ?? 0) >= 2, "a lost answer and a doubled request are duplicates");
  assert.ok((outcomes["sensor_fault"] ?? 0) >= 6, "three faults of 25 s each");
});

Deno.test("a board whose time server is a year ahead is quarantined, and counted once the server is right", async () => {
  const ahead = quiet([]);
  const boards = ahead.boards.map((board) => ({ ...board, clock: { kind: "ahead" as const, driftPpm: 0 } }));
  const { violation, outcomes } = await run({ ...ahead, boards });
  assert.equal(violation, null);
  assert.ok((outcomes["quarantined future"] ?? 0) > 0);
});

Deno.test("a board that no time server answers learns the time from ingest", async () => {
  const never = quiet([]);
  const boards = never.boards.map((board) => ({ ...board, clock: { kind: "never" as const, driftPpm: 0 } }));
  const { violation, outcomes } = await run({ ...never, boards });
  assert.equal(violation, null);
  assert.ok((outcomes["counted"] ?? 0) >= 50);
});

Deno.test("3 boards with the firmware and every fault, three seeds", async () => {
  for (const seed of [1, 2, 3]) {
    const outcome = await run(drawScenario(seed, { devices: 3, hours: 0.3, boards: "micropython" }));
    assert.equal(outcome.violation, null, `seed ${seed}`);
  }
});
