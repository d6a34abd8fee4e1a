/** A recorded log played into a scratch log of Redis, to be read with `--replay`: its times are a field of each entry. */
import type { LogRecord } from "../../core/ports/log.ts";
import { LogRefused } from "../../core/ports/log.ts";
import type { Random } from "../../core/ports/random.ts";
import { nameOf, RedisConnection, redisFailure, type RedisPlace } from "./client.ts";
import { appendScript } from "./scripts.ts";
import { appendArgs, drawIdentity } from "./writer.ts";

const SEND_RECORDS_MAX = 500;
const SEND_BYTES_MAX = 1_000_000;

export interface RedisTapeOptions extends RedisPlace {
  readonly partitions: number;
  readonly random: Random;
}

/** Makes the log, which must not exist, and writes `records` into it in their order; their offsets begin at 0. */
export async function writeRedisTape(options: RedisTapeOptions, records: Iterable<LogRecord>): Promise<void> {
  const connection = new RedisConnection(options);
  const { name, partitions } = options;
  try {
    await connection.connect();
    const identity = drawIdentity(options.random);
    if (await connection.text(["HSETNX", name, "kind", "tape"]) !== 1) {
      throw new LogRefused(
        `${nameOf(options)} exists already: a tape goes into a log of its own, name another one`,
      );
    }
    await connection.text(
      ["HSET", name, "format", "1", "identity", identity, "partitions", String(partitions)],
    );
    let part: LogRecord[] = [];
    let bytes = 0;
    const send = async () => {
      if (part.length === 0) return;
      const timed = part.map((record) => ({ ...record, time: record.appendMs }));
      await connection.bytes(["EVAL", appendScript, ...appendArgs(name, identity, timed)]);
      part = [];
      bytes = 0;
    };
    for (const record of records) {
      part.push(record);
      bytes += record.value?.length ?? 0;
      if (part.length === SEND_RECORDS_MAX || bytes >= SEND_BYTES_MAX) await send();
    }
    await send();
  } catch (error) {
    throw redisFailure(error, "write a tape to", options);
  } finally {
    connection.cut();
  }
}
