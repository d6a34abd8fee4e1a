import assert from "node:assert/strict";
import { Process, procText, taskArgs, until } from "../platform/testing/process.ts";
import { inOrder, type SeedRunner, SeedsNotRun } from "./seed_processes.ts";
import type { SeedResult } from "./seed_run.ts";

const resultOf = (seed: number): SeedResult => ({
  ...{ seed, digest: `d${seed}`, events: seed, records: 0, virtualMs: 1, violation: null },
  ...{ incidents: {}, outcomes: {}, pauses: 0, repeat: "" },
});

/** Runners that do what they are told, and what they were asked. */
function runners() {
  const asked = new Map<number, PromiseWithResolvers<SeedResult>>();
  let opened = 0;
  let closed = 0;
  const open = (): SeedRunner => {
    opened++;
    return {
      run(seed) {
        const answer = Promise.withResolvers<SeedResult>();
        asked.set(seed, answer);
        return answer.promise;
      },
      close() {
        closed++;
        for (const { reject } of asked.values()) reject(new Error("closed"));
        return Promise.resolve();
      },
    };
  };
  return {
    asked,
    open,
    counts: () => [opened, closed],
    end: (seed: number) => asked.get(seed)!.resolve(resultOf(seed)),
    die: (seed: number, why: string) => asked.get(seed)!.reject(new Error(why)),
  };
}

const repeatOf = (seed: number) => `run ${seed}`;

/** All that is under way in microtasks. */
async function rest(): Promise<void> {
  for (let i = 0; i < 50; i++) await undefined;
}

Deno.test("each takes the next seed when it is done, and results come in the order of the seeds", async () => {
  const { asked, open, end, counts } = runners();
  const results = inOrder({ fromSeed: 3, toSeed: 6 }, 2, open, repeatOf);
  const first = results.next();
  await rest();
  assert.deepEqual([...asked.keys()], [3, 4]);
  end(4);
  await rest();
  assert.deepEqual([...asked.keys()], [3, 4, 5]);
  end(5);
  await rest();
  end(3);
  assert.equal((await first).value?.seed, 3);
  assert.equal((await results.next()).value?.seed, 4);
  assert.equal((await results.next()).value?.seed, 5);
  end(6);
  assert.equal((await results.next()).value?.digest, "d6");
  assert.equal((await results.next()).done, true);
  assert.deepEqual(counts(), [2, 2]);
});

Deno.test("a runner that ends is a violation of its seed, with the command that repeats it, and another goes on", async () => {
  const { open, end, die, counts } = runners();
  const results = inOrder({ fromSeed: 1, toSeed: 2 }, 1, open, repeatOf);
  const first = results.next();
  await rest();
  die(1, "the process that ran it ended by SIGKILL");
  const { value } = await first;
  assert.deepEqual([value?.seed, value?.violation, value?.repeat], [
    1,
    "the process that ran it ended by SIGKILL",
    "run 1",
  ]);
  const second = results.next();
  await rest();
  end(2);
  assert.equal((await second).value?.violation, null);
  assert.equal((await results.next()).done, true);
  assert.deepEqual(counts(), [2, 2]);
});

Deno.test("when three end one after the other, the seeds that are left are named", async () => {
  const cannot = () => {
    throw new Error("no such program");
  };
  const seeds: number[] = [];
  const all = (async () => {
    for await (const { seed, violation } of inOrder({ fromSeed: 1, toSeed: 9 }, 1, cannot, repeatOf)) {
      assert.equal(violation, "no such program");
      seeds.push(seed);
    }
  })();
  await assert.rejects(all, (error) => error instanceof SeedsNotRun && error.seeds === 6);
  assert.deepEqual(seeds, [1, 2, 3]);
});

Deno.test("one slow seed holds the others up after a hundred: what waits is bounded", async () => {
  const { asked, open, end } = runners();
  const results = inOrder({ fromSeed: 1, toSeed: 500 }, 2, open, repeatOf);
  const first = results.next();
  await rest();
  for (let seed = 2; asked.has(seed); seed++) {
    end(seed);
    await rest();
  }
  assert.deepEqual([asked.has(100), asked.has(101)], [true, false]);
  end(1);
  await first;
  await rest();
  assert.equal(asked.has(101), true);
  await results.return(undefined);
});

const SMALL =
  "--seeds 9..14 --devices 2 --hours 0.2 --files-every 13 --faults request_lost,power_cut,disk_full"
    .split(" ");

Deno.test("two processes print what one does: runs, the table, and which pairs no seed reached", async () => {
  const run = async (...args: readonly string[]) => {
    await using process = new Process({ args: [...await taskArgs("sim"), ...SMALL, ...args] });
    const { code } = await process.end(240_000);
    const lines = process.lines.filter((line) => !line.endsWith("× real time"));
    // What is told on standard error has no place among the others.
    const isUnreached = (line: string) => line.startsWith("no seed reached");
    return {
      code,
      lines: lines.filter((line) => !isUnreached(line)),
      unreached: lines.filter(isUnreached),
    };
  };
  const one = await run("--fail-unreached");
  assert.equal(one.lines.filter((line) => /^seed \d+: ok/.test(line)).length, 6);
  assert.match(one.lines.at(-1) ?? "", /^6 runs, 0 failed, \d+ pairs unreached$/);
  assert.equal(one.code, 1);
  assert.ok(one.unreached.length > 0);
  assert.deepEqual(await run("--fail-unreached", "--processes", "2"), one);
  const [oneAsJson, twoAsJson] = [await run("--json"), await run("--json", "--processes", "2")];
  assert.deepEqual([oneAsJson.code, oneAsJson.lines.length], [0, 6]);
  assert.deepEqual(twoAsJson, oneAsJson);
});

Deno.test("when no process can run its seed, what it said is told, and the seeds that are left", async () => {
  const broken = "--scenario sim/no_such_scenario.json --seeds 1..9 --processes 2".split(" ");
  await using process = new Process({ args: [...await taskArgs("sim"), ...broken] });
  const { code } = await process.end(60_000);
  assert.equal(code, 1);
  assert.match(process.text, /the process that ran it ended with status 1: [^]*no_such_scenario\.json/);
  assert.match(
    process.text,
    /^seeds \d to 9 were not run: 3 processes ended one after the other, see above$/m,
  );
  assert.match(process.text, /^9 runs, 9 failed/m);
});

/** Processes that `pid` has started. */
const childrenOf = (pid: number): number[] =>
  procText(`${pid}/task/${pid}/children`).trim().split(" ").filter((text) => text !== "").map(Number);

function isGone(pid: number): boolean {
  try {
    return /^State:\s+Z/m.test(procText(`${pid}/status`));
  } catch {
    return true;
  }
}

const LONG = "--seeds 1..5 --devices 2 --hours 3 --processes 2".split(" ");
const onLinux = { ignore: Deno.build.os !== "linux" };

Deno.test(
  "seeds of a process that is killed are told, the others are run, and the run has failed",
  onLinux,
  async () => {
    await using process = new Process({ args: [...await taskArgs("sim"), ...LONG] });
    const [, victim] = await until("two children", () => {
      const children = childrenOf(process.pid);
      return Promise.resolve(children.length === 2 ? children : null);
    });
    Deno.kill(victim!, "SIGKILL");
    const { code } = await process.end(240_000);
    assert.equal(code, 1, process.text);
    const told = process.lines.filter((line) => line.startsWith("seed "));
    assert.deepEqual(told.map((line) => Number(/^seed (\d+)/.exec(line)?.[1])), [1, 2, 3, 4, 5]);
    assert.equal(told.filter((line) => line.includes("VIOLATION")).length, 1);
    assert.match(process.text, /the process that ran it ended by SIGKILL/);
    assert.match(process.text, /5 runs, 1 failed/);
  },
);

for (const signal of ["SIGINT", "SIGKILL"] as const) {
  Deno.test(`what has been started ends with the run: ${signal}`, onLinux, async () => {
    await using process = new Process({ args: [...await taskArgs("sim"), ...LONG] });
    const children = await until("two children", () => {
      const found = childrenOf(process.pid);
      return Promise.resolve(found.length === 2 ? found : null);
    });
    await process.stop(signal);
    await until("the children's end", () => Promise.resolve(children.every(isGone)));
  });
}
