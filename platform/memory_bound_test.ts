import assert from "node:assert/strict";
import type { Clock } from "../core/ports/clock.ts";
import { MEMORY_LOOK_MS, watchMemory } from "./memory_bound.ts";
import { Process, taskArgs } from "./testing/process.ts";

/** A watch whose next look is made by `look`; false when there is none. */
function watched(mib: number, residentMib: readonly number[]) {
  let next: (() => void) | null = null;
  let looks = 0;
  const told: string[] = [];
  const after: Clock["after"] = (ms, task) => {
    assert.equal(ms, MEMORY_LOOK_MS);
    next = task;
    return () => next = null;
  };
  const clock = { after } as Clock;
  const residentBytes = () => residentMib[looks++]! * 1_048_576;
  const stop = watchMemory({ clock, mib, residentBytes, exceeded: ({ message }) => told.push(message) });
  const look = () => {
    const task = next;
    next = null;
    task?.();
    return task !== null;
  };
  return { look, told, stop };
}

Deno.test("memory beyond its bound is told once, with the setting; up to it nothing is", () => {
  const { look, told } = watched(100, [60, 100, 100.5, 200]);
  for (let turn = 0; turn < 2; turn++) assert.ok(look());
  assert.deepEqual(told, []);
  assert.ok(look());
  assert.equal(told.length, 1);
  assert.match(told[0]!, /has 101 MiB of memory, ISOTHERM_MEMORY_MIB allows 100/);
  assert.ok(!look(), "nobody looks any more");
});

Deno.test("without a bound, and after its end, nobody looks", () => {
  assert.ok(!watched(0, []).look());
  const { look, stop } = watched(100, [200]);
  stop();
  assert.ok(!look());
});

Deno.test("a service beyond its bound ends in order, with exit code 1 and the sentence", async () => {
  const data = await Deno.makeTempDir({ prefix: "isotherm-memory-" });
  try {
    await using process = new Process({
      args: await taskArgs("start:aggregator"),
      env: {
        ISOTHERM_LOG: `embedded:${data}/log`,
        ISOTHERM_DATA: data,
        ISOTHERM_AGGREGATOR_PORT: "0",
        ISOTHERM_MEMORY_MIB: "1",
      },
    });
    assert.equal((await process.end(60_000)).code, 1);
    assert.match(process.text, /ISOTHERM_MEMORY_MIB allows 1: it ends in order/);
    assert.match(process.text, /"service\.stopped".*"cut":false/);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});
