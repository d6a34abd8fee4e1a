import assert from "node:assert/strict";
import { machineClock } from "../../platform/clock.ts";
import { runGuarded } from "./guard.ts";

Deno.test("a firmware that spins for ever is ended from outside, and the run says when it hung", async () => {
  const main = "import time\nprint('before')\ntime.sleep(7)\nprint('spinning')\nwhile True: pass\n";
  const outcome = await runGuarded(
    { files: { "/main.py": main }, seed: 1, runMs: 60_000 },
    1_500,
    machineClock,
  );
  assert.equal(outcome.kind, "hung");
  if (outcome.kind !== "hung") return;
  assert.equal(outcome.atMs, 7_000);
  assert.match(outcome.serial, /^before/);
});

Deno.test("a run that ends is told apart from one that fails", async () => {
  const guarded = (main: string) =>
    runGuarded({ files: { "/main.py": main }, seed: 1, runMs: 10_000 }, 10_000, machineClock);
  const good = await guarded("import time\nwhile True: time.sleep(1)\n");
  assert.deepEqual(good, { kind: "ended", serial: "", failure: null });
  const bad = await guarded("print(1 / 0)\n");
  assert.equal(bad.kind, "ended");
  assert.match(bad.kind === "ended" ? String(bad.failure) : "", /ZeroDivisionError/);
});
