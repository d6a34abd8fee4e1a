import { deepEqual, equal } from "node:assert/strict";
import { startKafka } from "../platform/testing/kafka_broker.ts";
import { startProcess, taskArgs, until } from "../platform/testing/process.ts";
import { askNumber, askPublished, readManifest } from "../platform/testing/published.ts";

Deno.test("dev --log kafka:// goes from the sensor through a real broker to SQL, and goes on after a stop", async () => {
  const broker = await startKafka();
  const folder = await Deno.makeTempDir({ prefix: "isotherm-dev-kafka-" });
  try {
    const args = [
      ...await taskArgs("dev"),
      "--log",
      `kafka://${broker.address}`,
      "--data",
      folder,
      "--port",
      "0",
    ];
    for (const boots of [1, 2]) {
      await using dev = startProcess(args);
      await dev.line(new RegExp(`^ {2}log {9}kafka://${broker.address}$`));
      await dev.line(/^reading {2}/);
      await until(`${boots} boots are published`, async () =>
        await readManifest(folder) !== null &&
        await askNumber(folder, "SELECT count(*) FROM ledger_slots WHERE heard AND counted > 0") >= boots);
      const ended = await dev.stop("SIGINT");
      equal(ended.code, 0, dev.text);
      equal(ended.tookMs < 2_000, true, `${ended.tookMs} ms`);
    }
    deepEqual(
      await askPublished(folder, "SELECT sum(missing + lost + quarantined)::INTEGER FROM ledger_slots"),
      [[0]],
    );
    await Deno.stat(`${folder}/log.sqlite`).then(
      () => Promise.reject(new Error("an embedded log was made")),
      () => {},
    );
  } finally {
    await broker.remove();
    await Deno.remove(folder, { recursive: true });
  }
});
