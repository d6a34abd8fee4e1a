import assert from "node:assert/strict";
import { parseSimOptions, type SimOptions } from "./options.ts";
import { differing, planOf, runSeed } from "./seed_run.ts";
import { Trail } from "./trail.ts";

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

Deno.test("two runs that differ say what became of the second, and where they part", () => {
  const trails = [new Trail(), new Trail()] as const;
  trails[0].add("event 1");
  trails[1].add("event 1");
  const first = { digest: "aa", events: 2, violation: null };
  assert.equal(differing(first, first, trails), null);
  trails[0].add("commit: ended");
  trails[1].add("commit: Error: gone");
  assert.equal(
    differing(first, { digest: "bb", events: 1, violation: "a reader was turned away" }, trails),
    [
      "two runs differ: aa, 2 events, and bb, 1 events",
      "the second one's violation: a reader was turned away",
      "the first 1 steps are the same, and then:",
      "  both    event 1",
      "  first   commit: ended",
      "  second  commit: Error: gone",
    ].join("\n"),
  );
});

Deno.test("a violation of the second run alone is one", () => {
  const trails = [new Trail(), new Trail()] as const;
  const first = { digest: "aa", events: 2 };
  assert.match(
    differing(first, { ...first, violation: "late" }, trails) ?? "",
    /second one's violation: late/,
  );
});

Deno.test("real time that passes between and in calls changes no run, on files and in memory", async () => {
  for (const store of ["duckdb", "memory"]) {
    const run = async (jitter: string) => {
      const command = `deno task sim --seed 13 --devices 2 --hours 0.05 --store ${store}${jitter}`;
      const options = optionsOf(command);
      return await runSeed(options, await planOf(options, 13, null), 13);
    };
    const { pauses, repeat: _, ...quiet } = await run("");
    assert.deepEqual([quiet.violation, pauses], [null, 0]);
    const { pauses: more, repeat: _command, ...disturbed } = await run(" --jitter 1");
    assert.ok(more > 10, `${more} pauses`);
    assert.deepEqual(disturbed, quiet);
  }
});
