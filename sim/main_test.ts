import assert from "node:assert/strict";
import { planOf } from "./main.ts";
import { parseSimOptions, type SimOptions } from "./options.ts";

function optionsOf(command: string): SimOptions {
  const parsed = parseSimOptions(command.split(" ").slice(3));
  assert.equal(parsed.kind, "options", command);
  return (parsed as { readonly options: SimOptions }).options;
}

Deno.test("the command that is printed for a seed runs the same scenario on the same store", async () => {
  const many = optionsOf("deno task sim --seeds 1..40 --devices 5 --hours 2 --files-every 16");
  const planned = await Promise.all([15, 16, 17, 32].map((seed) => planOf(many, seed, null)));
  assert.deepEqual(planned.map(({ onFiles }) => onFiles), [false, true, false, true]);
  for (const { scenario, onFiles, repeat } of planned) {
    const again = await planOf(optionsOf(repeat), scenario.seed, null);
    assert.deepEqual([again.scenario, again.onFiles], [scenario, onFiles], repeat);
  }
});

Deno.test("runs whose turn it is on real files are small; those that are asked for are as they were asked for", async () => {
  const shapeOf = async (command: string) => {
    const { scenario: { boards, faultsMs } } = await planOf(optionsOf(command), 16, null);
    return [boards.length, faultsMs / 60_000];
  };
  assert.deepEqual(await shapeOf("deno task sim --seed 16 --files-every 16"), [3, 30]);
  assert.deepEqual(await shapeOf("deno task sim --seed 16 --files-every 16 --devices 2 --hours 0.1"), [2, 6]);
  assert.deepEqual(await shapeOf("deno task sim --seed 16 --files-every 16 --store duckdb"), [5, 120]);
});
