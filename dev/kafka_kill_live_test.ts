import { startKafka } from "../platform/testing/kafka_broker.ts";
import { killThroughLog } from "./testing/log_kill.ts";

Deno.test({
  name:
    "with aggregator, ingest and broker killed again and again, the rows are what the sensors measured, and an undisturbed aggregator's",
  // kafkajs's retries outlive a connection that was cut, for a few seconds.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const broker = await startKafka();
    const server = { ...broker, logAddress: `kafka://${broker.address}/readings` };
    await killThroughLog({
      devices: 200,
      slotsPerDevice: 1_000,
      partitions: 4,
      aggregatorKills: 10,
      ingestKills: 5,
      serverKills: 2,
      seed: 1,
      oracle: true,
      say: console.log,
    }, server);
  },
});
