import { killThroughKafka } from "./testing/kafka_kill.ts";

Deno.test({
  name:
    "with aggregator, ingest and broker killed again and again, the rows are what the sensors measured, and an undisturbed aggregator's",
  // kafkajs's retries outlive a connection that was cut, for a few seconds.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () =>
    killThroughKafka({
      devices: 200,
      slotsPerDevice: 1_000,
      partitions: 4,
      aggregatorKills: 10,
      ingestKills: 5,
      brokerKills: 2,
      seed: 1,
      oracle: true,
      say: console.log,
    }),
});
