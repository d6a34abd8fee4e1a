import { equal, match, ok } from "node:assert/strict";
import { createIngest } from "../ingest/mod.ts";
import { noMetrics } from "../core/ports/metrics.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { decodeBatch } from "../core/schema.ts";
import { machineClock } from "../platform/clock.ts";
import { machineRandom } from "../platform/random.ts";
import { serveHttp } from "../platform/service_http.ts";
import { openSqliteLog } from "../platform/sqlite_log.ts";
import { startProcess } from "../platform/testing/process.ts";
import { fleetCsv } from "./testing/fleet.ts";

const columns = [
  "--device",
  "ID_SENSOR",
  "--ts",
  "TIMESTAMP",
  "--temperature",
  "TEMPERATURE",
  "--humidity",
  "HUMIDITY",
];

/** Real ingest over a real embedded log in `folder`. */
async function startIngest(folder: string) {
  const ports = { clock: machineClock, random: machineRandom, trace: silentTrace, metrics: noMetrics };
  const log = await openSqliteLog({ path: `${folder}/log.sqlite`, partitions: 2, ...ports });
  const ignored = () => Promise.resolve();
  await log.reader.join({ assigned: ignored, revoked: ignored });
  const ingest = createIngest({ log: log.writer, ...ports });
  const server = await serveHttp({ handler: ingest.handler, port: 0, ...ports });
  const readings = async () => {
    let count = 0;
    for (const partition of [0, 1]) {
      const limits = { recordsMax: 100_000, bytesMax: 1e9, waitMs: 0 };
      const outcome = await log.reader.read(partition, 0, limits);
      if (outcome.kind !== "records") continue;
      for (const { value } of outcome.records) {
        const decoded = decodeBatch(value ?? new Uint8Array());
        count += decoded.kind === "batch" ? decoded.batch.readings.length : 0;
      }
    }
    return count;
  };
  const stop = async () => {
    await server.close(1_000);
    await ingest.stop();
    await log.reader.close();
    await log.writer.close();
  };
  return { url: server.url, readings, stop };
}

Deno.test("deno task import sends a real file to real ingest, and its exit status tells how it went", async () => {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-import-" });
  const ingest = await startIngest(folder);
  try {
    const fleet = fleetCsv({ devices: 8, rowsPerDevice: 300, stepBackAtRow: 1_200, faultEvery: 82 });
    const file = `${folder}/fleet.csv`;
    await Deno.writeTextFile(file, fleet.text);
    {
      await using run = startProcess(["task", "import", file, "--url", ingest.url, ...columns]);
      equal((await run.end()).code, 0, run.text);
      match(
        run.text,
        /2,400 rows read\n2,400 readings sent in \d+ requests, .*\n2,400 accepted: stored in the log\n/,
      );
      match(run.text, new RegExp(`\\n +${fleet.faults} of them flagged out_of_range, first at line 2\\n`));
      equal(await ingest.readings(), 2_400);
    }
    await Deno.writeTextFile(
      file,
      "ID_SENSOR;TIMESTAMP;TEMPERATURE;HUMIDITY\n9;1606510591;x;1\n9;1606510592;1;1\n",
    );
    {
      await using run = startProcess(["task", "import", file, "--url", ingest.url, ...columns]);
      equal((await run.end()).code, 1, run.text);
      match(run.text, /line 2, column TEMPERATURE: "x" is no decimal number/);
      equal(await ingest.readings(), 2_401);
    }
    {
      await using run = startProcess([
        "task",
        "import",
        `${folder}/none.csv`,
        "--url",
        ingest.url,
        ...columns,
      ]);
      equal((await run.end()).code, 1);
      match(run.text, /there is no file .*none\.csv/);
    }
    await using run = startProcess(["task", "import", file, "--url", ingest.url]);
    equal((await run.end()).code, 2);
    match(run.text, /--device is missing: name the column/);
    ok(!/rejected/.test(run.text));
  } finally {
    await ingest.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
