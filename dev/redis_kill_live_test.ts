import { startRedis } from "../platform/testing/redis_server.ts";
import { killThroughLog } from "./testing/log_kill.ts";

Deno.test("with aggregator, ingest and Redis killed again and again, the rows are what the sensors measured, and an undisturbed aggregator's", async () => {
  const redis = await startRedis();
  await killThroughLog({
    devices: 60,
    slotsPerDevice: 500,
    partitions: 4,
    aggregatorKills: 4,
    ingestKills: 2,
    serverKills: 2,
    seed: 2,
    oracle: true,
    say: console.log,
  }, { ...redis, logAddress: `redis://${redis.address}/readings` });
});
