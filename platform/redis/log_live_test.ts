/** The log's contract on a real redis-server. What is Redis's own: `streams_live_test.ts`. */
import type { Log } from "../../core/ports/log.ts";
import { logContract, type LogUnderTest } from "../../core/testing/log_contract.ts";
import { machineClock } from "../clock.ts";
import { openRedisLog, type RedisLog } from "./log.ts";
import { type RedisServer, startRedis } from "../testing/redis_server.ts";

let redis: RedisServer;
let logCount = 0;

Deno.test.beforeAll(async () => {
  redis = await startRedis();
});
Deno.test.afterAll(async () => {
  await redis.remove();
});

const underTest: LogUnderTest = {
  name: "the Redis log",
  deadlineMs: 3_000,
  recoveryMs: 2_000,
  create({ partitions, queueBytesMax }) {
    const name = `log-${++logCount}`;
    const opened = new Map<Log, RedisLog>();
    return Promise.resolve({
      clock: machineClock,
      async open() {
        const { host, port } = redis;
        const log = await openRedisLog({
          host,
          port,
          name,
          partitions,
          queueBytesMax,
          clock: machineClock,
          sessionMs: 1_500,
        });
        opened.set(log, log);
        return log;
      },
      abandon: (log) => Promise.resolve(opened.get(log)?.kill()),
      async breakDown() {
        redis.freeze();
        await machineClock.sleep(200); // the signal reaches a running thread only when it is next scheduled
      },
      repair: () => Promise.resolve(redis.thaw()),
      async expire(partition, offset) {
        const entries = await redis.command("XRANGE", `${name}:${partition}`, "-", "+") as [
          string,
          string[],
        ][];
        const kept = entries.find(([, fields]) => Number(fields[1]) === offset);
        await redis.command("XTRIM", `${name}:${partition}`, "MINID", kept![0]);
      },
      commits: () => [...opened.values()].reduce((sum, log) => sum + log.commits(), 0),
      remove: () => Promise.resolve(redis.thaw()),
    });
  },
};

logContract(underTest, Deno.test);
