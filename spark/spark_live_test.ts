/** Spark's windows are DuckDB's: `spark/job.py` on a real broker and on published files, by PySpark. */
import { deepEqual, match, ok } from "node:assert/strict";
import { drawTape, endsOfTape, publishLog } from "../dev/testing/tape.ts";
import { machineClock } from "../platform/clock.ts";
import { writeKafkaTape } from "../platform/kafka/tape.ts";
import { startKafka } from "../platform/testing/kafka_broker.ts";
import { askPublished } from "../platform/testing/published.ts";
import { SimLog } from "../sim/log.ts";
import { seededRandom } from "../sim/random.ts";
import { withOddRecords } from "./testing/odd_records.ts";
import { getSpark } from "./testing/spark.ts";

const partitions = 2;
const channels = [["temperature_c", "temperature_milli_c_sum"], [
  "humidity_pct",
  "humidity_milli_pct_sum",
]] as const;

/** A window's row as exact integers, from either side. */
const columns = [
  "device, window_size, epoch_ms(window_start) AS start_ms, epoch_ms(window_end) AS end_ms",
  "readings::BIGINT AS readings, sensor_faults::BIGINT AS sensor_faults, time_uncertain::BIGINT AS time_uncertain",
  ...channels.flatMap(([name, sum]) => [
    `${name}_count::BIGINT AS ${name}_count, ${sum}::BIGINT AS ${sum}, round(${name}_mean, 9) AS ${name}_mean`,
    ...["min", "max", "first", "last", "p50", "p95"].map((each) =>
      `round(${name}_${each} * 1000)::BIGINT AS ${name}_${each}`
    ),
  ]),
].join(", ");

/** Rows that only one of two queries has. */
async function differences(data: string, ours: string, theirs: string) {
  const rows = await askPublished(
    data,
    `SELECT 'DuckDB' AS side, * FROM (${ours} EXCEPT ALL ${theirs}) UNION ALL
     SELECT 'Spark', * FROM (${theirs} EXCEPT ALL ${ours}) ORDER BY ALL LIMIT 10`,
  );
  return rows.map((row) => row.map(String).join(" "));
}

Deno.test({
  name: "Spark's windows, arrivals and quarantine are DuckDB's, from the topic and from the published files",
  // kafkajs's retries outlive a connection that was cut, for a few seconds.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const spark = await getSpark();
    const tape = withOddRecords(
      drawTape({ seed: 5, devices: 4, slotsPerDevice: 250, partitions }),
      partitions,
    );
    const folder = await Deno.makeTempDir({ prefix: "isotherm-spark-" });
    const data = `${folder}/data`;
    const broker = await startKafka();
    try {
      const sim = new SimLog({ partitions, clock: machineClock, random: seededRandom(1) });
      for (const at of [0, 1]) sim.load(at, tape.filter(({ partition }) => partition === at));
      await publishLog(sim.open(), endsOfTape(tape, partitions), data, 100);
      await writeKafkaTape(
        { brokers: [broker.address], topic: "tape", partitions, clock: machineClock },
        tape,
      );

      const published = ["--published", `${data}/published`];
      const topic = ["--brokers", broker.address, "--topic", "tape", "--partitions", "2"];
      const h2 = `jdbc:h2:file:${folder}/h2`;
      await spark.job([...topic, ...published, "--to", `${folder}/topic`, "--jdbc", h2]);
      const parquet = (from: string, name: string) => `read_parquet('${folder}/${from}/${name}/*.parquet')`;

      const ours = `SELECT ${columns} FROM windows_live`;
      deepEqual(await differences(data, ours, `SELECT ${columns} FROM ${parquet("topic", "windows")}`), []);
      // The nameless device has a row in each partition.
      const sums = ["arrivals", "sensor_fault", "quarantined", "duplicates", "released"].map((name) =>
        `sum(${name})::BIGINT AS ${name}`
      );
      deepEqual(
        await differences(
          data,
          `SELECT device, sum(counted + counted_late)::BIGINT AS counted, ${sums} FROM ledger_arrivals
           WHERE arrivals > 0 GROUP BY device`,
          `SELECT device, sum(counted)::BIGINT AS counted, ${sums} FROM ${
            parquet("topic", "arrivals")
          } GROUP BY device`,
        ),
        [],
      );
      const refused = "device, boot, seq, epoch_ms(ts), reason, log_offset, log_index";
      deepEqual(
        await differences(
          data,
          `SELECT ${refused} FROM quarantine`,
          `SELECT ${refused} FROM ${
            parquet("topic", "quarantine")
          } WHERE append_time >= (SELECT min(append_time) FROM quarantine)`,
        ),
        [],
      );
      // The tape holds all that is compared: every reason, late readings, revised rows whose percentiles are unknown.
      const [seen] = await askPublished(
        data,
        `SELECT (SELECT count(*) FROM windows_live), (SELECT count(DISTINCT reason) FROM ${
          parquet("topic", "quarantine")
        }),
         (SELECT sum(duplicates) FROM ledger_arrivals), (SELECT sum(released) FROM ledger_arrivals),
         (SELECT count(*) FROM windows WHERE temperature_c_count > 0 AND temperature_c_p50 IS NULL), (SELECT sum(late) FROM windows)`,
      );
      const [windows, reasons, duplicates, released, unknown, late] = seen!.map(Number);
      console.log(`${windows} windows, ${reasons} reasons, ${duplicates} duplicates, ${late} late`);
      ok(windows! > 150 && duplicates! > 10 && released === 1 && unknown! > 0 && late! > 10, String(seen));
      deepEqual(reasons, 7);

      const types =
        "SELECT data_type FROM information_schema.columns WHERE column_name IN ('WINDOW_START', 'TEMPERATURE_C_MIN', 'window_start', 'temperature_c_min') ORDER BY 1";
      match(await spark.h2(h2, types), /(NUMERIC|DECIMAL)\s+TIMESTAMP/);
      match(
        await spark.h2(h2, "SELECT count(*) FROM windows"),
        new RegExp(`\\b${windows}\\b`),
      );

      // Published readings are kept for 30 days: windows of these.
      await spark.job([...published, "--to", `${folder}/files`]);
      const kept = "WHERE window_start >= (SELECT max(append_time) FROM log_position) - INTERVAL 30 DAY";
      deepEqual(
        await differences(
          data,
          `${ours} ${kept}`,
          `SELECT ${columns} FROM ${parquet("files", "windows")} ${kept}`,
        ),
        [],
      );
      ok(Number((await askPublished(data, `SELECT count(*) FROM windows_live ${kept}`))[0]?.[0]) > 2);
    } finally {
      await broker.remove();
      await Deno.remove(folder, { recursive: true });
    }
  },
});
