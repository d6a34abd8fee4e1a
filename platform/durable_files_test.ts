import assert from "node:assert/strict";
import { withFileLock } from "./durable_files.ts";

Deno.test("a file lock is had by one at a time, and one that stands still too long loses it and can know", async () => {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-lock-" });
  const path = `${folder}/.lock`;
  try {
    const events: string[] = [];
    const [had, short] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const first = withFileLock(path, async (isOurs) => {
      events.push("first");
      had.resolve();
      await short.promise;
      events.push(`first ends, ${isOurs()}`);
    });
    await had.promise;
    const second = withFileLock(path, () => Promise.resolve(void events.push("second")));
    short.resolve();
    await Promise.all([first, second]);
    assert.deepEqual(events, ["first", "first ends, true", "second"]);

    const [taking, frozen] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const zombie = withFileLock(path, async (isOurs) => {
      taking.resolve();
      await frozen.promise;
      return isOurs();
    });
    await taking.promise;
    const taken = await withFileLock(path, (isOurs) => Promise.resolve(isOurs()), 100);
    frozen.resolve();
    assert.deepEqual([taken, await zombie], [true, false]);
    assert.equal(await withFileLock(path, (isOurs) => Promise.resolve(isOurs())), true);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
