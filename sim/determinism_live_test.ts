/** What the machine does changes no run: garbage collection all the time, a machine under load, real files. */
import assert from "node:assert/strict";
import { Process } from "../platform/testing/process.ts";

interface Ran {
  readonly seed: number;
  readonly digest: string;
  readonly events: number;
  readonly records: number;
  readonly violation: string | null;
}

/** Runs seeds in a process of its own. */
async function run(args: readonly string[], flags: readonly string[] = []): Promise<Ran[]> {
  await using process = new Process({
    args: ["run", "--no-check", "-A", ...flags, "sim/main.ts", ...args, "--json"],
  });
  const { code } = await process.end(240_000);
  assert.equal(code, 0, process.text);
  return process.lines.filter((line) => line.startsWith("{")).map((line) => {
    const { seed, digest, events, records, violation } = JSON.parse(line) as Ran;
    return { seed, digest, events, records, violation };
  });
}

const MODELS = "--seeds 11..14 --devices 3 --hours 0.5".split(" ");
const FIRMWARE = "--seeds 11..12 --devices 2 --hours 0.25 --boards micropython".split(" ");

Deno.test("garbage collection at every moment changes no run, of models and of the firmware", async () => {
  // A collection each so many allocations, and everything that can be moved is moved.
  const flags = ["--v8-flags=--gc-interval=2000,--stress-compaction"];
  for (const args of [MODELS, FIRMWARE]) {
    const quiet = await run(args);
    assert.ok(quiet.every(({ violation }) => violation === null) && quiet.length >= 2);
    assert.deepEqual(await run(args, flags), quiet);
  }
});

Deno.test("a machine under load changes no run, in memory and on real files", async () => {
  const args = "--seeds 11..12 --devices 2 --hours 0.1".split(" ");
  const onFiles = [...args, "--store", "duckdb"];
  const quiet = [await run(args), await run(onFiles)];
  assert.ok(quiet.flat().every(({ violation }) => violation === null));
  const burn = "for (let i = 0n; ; i++) if (i % 1000000n === 0n) await new Promise((r) => setTimeout(r, 0));";
  await using _one = new Process({ args: ["eval", burn] });
  await using _two = new Process({ args: ["eval", burn] });
  await using _three = new Process({ args: ["eval", burn] });
  assert.deepEqual([await run(args), await run(onFiles)], quiet);
});

Deno.test("calls and turns that last longer change no run in which DuckDB and files fail", async () => {
  const args = "--seeds 112..112 --devices 3 --hours 0.5 --store duckdb".split(" ");
  const quiet = await run(args);
  assert.equal(quiet[0]?.violation, null);
  // Collected all the time as well: an instance that was given up is closed whenever the collector finds it.
  assert.deepEqual(await run([...args, "--jitter", "1"], ["--v8-flags=--gc-interval=20000"]), quiet);
});
