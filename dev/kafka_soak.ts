/**
 * `deno task soak:kafka [SEED]`: the long form of `kafka_kill_live_test.ts`, 200 kills while a million readings go through
 * a real broker. Needs Java 17 and Maven, and about a quarter of an hour. The seed is printed; the same one draws the same
 * fleet and the same pauses between kills.
 */
import { startKafka } from "../platform/testing/kafka_broker.ts";
import { killThroughLog } from "./testing/log_kill.ts";

const seed = Number(Deno.args[0] ?? "1");
if (!Number.isInteger(seed)) {
  console.error(`the seed is ${JSON.stringify(Deno.args[0])}: use an integer`);
  Deno.exit(2);
}
const broker = await startKafka();
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
}, { ...broker, logAddress: `kafka://${broker.address}/readings` });
console.log("nothing was lost and nothing is double");
Deno.exit(0);
