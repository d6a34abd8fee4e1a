import { deepEqual, equal, match, ok } from "node:assert/strict";
import { Process, startProcess, taskArgs, until } from "../platform/testing/process.ts";
import { askNumber, askPublished, readManifest } from "../platform/testing/published.ts";
import { startRedis } from "../platform/testing/redis_server.ts";

Deno.test("dev --log redis:// goes from the sensor through a real Redis to SQL, goes on after a stop, keeps no more than it has to, and refuses a flushed one", async () => {
  const redis = await startRedis({ requirepass: "secret" });
  const folder = await Deno.makeTempDir({ prefix: "isotherm-dev-redis-" });
  try {
    const log = ["--log", `redis://:secret@${redis.address}/house?retention_ms=1000`];
    const args = [...await taskArgs("dev"), ...log, "--data", folder, "--port", "0"];
    for (const boots of [1, 2]) {
      await using dev = startProcess(args);
      await dev.line(new RegExp(`^ {2}log {9}redis://:…@${redis.address}/house\\?retention_ms=1000$`));
      await dev.line(/^reading {2}/);
      await until(`${boots} boots are published`, async () =>
        await readManifest(folder) !== null &&
        await askNumber(folder, "SELECT count(*) FROM ledger_slots WHERE heard AND counted > 0") >= boots);
      equal((await dev.stop("SIGINT")).code, 0, dev.text);
      equal(dev.text.includes("secret"), false, dev.text);
    }
    const sums = await askPublished(
      folder,
      "SELECT sum(missing + lost + quarantined)::INTEGER FROM ledger_slots",
    );
    deepEqual(sums, [[0]]);
    // What is old and published has left Redis, the last record of it has not.
    const [[, fields]] = await redis.command("XRANGE", "house:0", "-", "+", "COUNT", "1") as [
      [string, string[]],
    ];
    const published = (await readManifest(folder))?.partitions[0]?.nextOffset ?? 0;
    const earliest = Number(fields[1]);
    ok(earliest > 0 && earliest < published, `${earliest} of ${published}`);
    await redis.command("FLUSHALL");
    await using aggregator = new Process({
      args: await taskArgs("start:aggregator"),
      env: {
        ISOTHERM_LOG: `redis://:secret@${redis.address}/house`,
        ISOTHERM_DATA: folder,
        ISOTHERM_AGGREGATOR_PORT: "0",
      },
    });
    equal((await aggregator.end()).code, 1, aggregator.text);
    match(
      aggregator.text,
      /partition 0 of the log ends at 0, but rows up to \d+ are stored: it was truncated or re-created\. Bring the old log back/,
    );
  } finally {
    await redis.remove();
    await Deno.remove(folder, { recursive: true });
  }
});
