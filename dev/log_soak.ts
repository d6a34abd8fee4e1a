/**
 * `deno task soak:kafka [SEED]`, `deno task soak:redis [SEED]`: the long form of `kafka_kill_live_test.ts` and
 * `redis_kill_live_test.ts`, 200 kills while a million readings go through a real server. Kafka needs Java 17 and Maven,
 * Redis redis-server; about a quarter of an hour. The seed is printed; the same one draws the same fleet and the same
 * pauses between kills.
 */
import { startKafka } from "../platform/testing/kafka_broker.ts";
import { startRedis } from "../platform/testing/redis_server.ts";
import { killThroughLog, type LogServer } from "./testing/log_kill.ts";

const [kind = "", seedText = "1"] = Deno.args;
const seed = Number(seedText);
if (!Number.isInteger(seed) || (kind !== "kafka" && kind !== "redis")) {
  console.error(`${JSON.stringify(Deno.args)}: use kafka or redis, and an integer as seed`);
  Deno.exit(2);
}
await killThroughLog({
  devices: 200,
  slotsPerDevice: 5_000,
  partitions: 4,
  aggregatorKills: 140,
  ingestKills: 48,
  serverKills: 12,
  seed,
  oracle: true,
  say: console.log,
}, await start());
console.log("nothing was lost and nothing is double");
Deno.exit(0);

async function start(): Promise<LogServer> {
  if (kind === "kafka") {
    const broker = await startKafka();
    return { ...broker, logAddress: `kafka://${broker.address}/readings` };
  }
  const redis = await startRedis();
  return { ...redis, logAddress: `redis://${redis.address}/readings` };
}
