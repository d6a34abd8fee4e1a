import assert from "node:assert/strict";
import { virtualClock } from "../sim/clock.ts";
import { Scheduler } from "../sim/scheduler.ts";
import { machineClock } from "./clock.ts";
import { replaceFile, watchFiles } from "./watched_file.ts";

Deno.test("a changed file is read again, a missing one leaves the last text and is told once", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/keys.json`;
  const scheduler = new Scheduler();
  const seen: string[] = [];
  const failures: string[] = [];
  const look = async () => {
    await scheduler.runUntil(scheduler.nowMs + 1_000);
    await machineClock.sleep(30); // the file system's answers
  };
  await assert.rejects(watchFiles([path], machineClock, () => {}, () => {}));
  await replaceFile(path, "one");
  const watched = await watchFiles(
    [path],
    virtualClock(scheduler),
    (texts) => seen.push(...texts),
    (error) => failures.push(error.name),
  );
  assert.deepEqual(watched.texts, ["one"]);
  await look();
  assert.deepEqual(seen, []);
  await replaceFile(path, "two");
  await look();
  assert.deepEqual(seen, ["two"]);
  await Deno.remove(path);
  await look();
  await look();
  assert.deepEqual(failures, ["NotFound"]);
  await replaceFile(path, "three");
  await look();
  assert.deepEqual(seen, ["two", "three"]);
  assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  watched.stop();
  await scheduler.runUntil(scheduler.nowMs + 5_000);
  await Deno.remove(folder, { recursive: true });
});
