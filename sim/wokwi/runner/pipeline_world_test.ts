import assert from "node:assert/strict";
import { Catalogue } from "../../../platform/duckdb/reader.ts";
import { createBoard, loadMicroPythonRuntime } from "../../board/mod.ts";
import { PipelineWorld } from "./pipeline_world.ts";

const startMs = Date.UTC(2026, 5, 1);

Deno.test("what a board has sent lies in DuckDB when it has been switched off", async () => {
  const folder = await Deno.makeTempDir();
  const world = new PipelineWorld({ seed: 1, startMs });
  try {
    const board = createBoard(world.scheduler, {
      device: "board-1",
      seed: 1,
      network: world.network,
      runtime: await loadMicroPythonRuntime(),
    });
    await board.powerOn();
    while ((world.scheduler.nextMs ?? Infinity) <= startMs + 65_000) await world.step();
    board.powerCut();
    await world.publish(`${folder}/data`);
    const catalogue = await Catalogue.open(`${folder}/data`);
    const result = await catalogue.query(
      "SELECT count(*) AS n, count(DISTINCT device) AS devices FROM readings",
      10,
    );
    catalogue.close();
    assert.deepEqual(result.rows, [[7, 1]]);
  } finally {
    world.close();
    await Deno.remove(folder, { recursive: true });
  }
});
