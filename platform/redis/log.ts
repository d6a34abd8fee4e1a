/**
 * The log on Redis Streams, by @redis/client: one stream a partition, appended and read by scripts, its times Redis's
 * own. See `scripts.ts` (what lies in Redis), `server.ts` (what a server has to be), `linked_writer.ts` and
 * `writer.ts`, `reader.ts`, `group.ts`.
 */
import type { Clock } from "../../core/ports/clock.ts";
import type { Log } from "../../core/ports/log.ts";
import { type Metrics, noMetrics } from "../../core/ports/metrics.ts";
import type { Random } from "../../core/ports/random.ts";
import { silentTrace, type Trace } from "../../core/ports/trace.ts";
import { LinkedWriter } from "../linked_writer.ts";
import { machineRandom } from "../random.ts";
import type { RedisPlace } from "./client.ts";
import { RedisReader } from "./reader.ts";
import { drawIdentity, redisWriterLog } from "./writer.ts";

export interface RedisLogOptions extends RedisPlace {
  /** A log that exists has to have as many. */
  readonly partitions: number;
  readonly clock: Clock;
  readonly random?: Random;
  readonly trace?: Trace;
  readonly metrics?: Metrics;
  /** Readers of one group share the partitions (default "isotherm"). */
  readonly group?: string;
  /** Name of this reader, one that no other living one has (default: drawn). A restart under it takes over at once. */
  readonly member?: string;
  /** After so long without a word, a reader's partitions go to others (default 5 s). */
  readonly sessionMs?: number;
  /** Records older than this are removed once their rows are published; −1 (the default) keeps everything. */
  readonly retentionMs?: number;
  /** Bytes that may wait to be sent (default 32 MiB). */
  readonly queueBytesMax?: number;
  /** Longest from an append to its answer (default 2.5 s). */
  readonly deadlineMs?: number;
  /** A recorded log is read, and nothing is appended. */
  readonly replay?: boolean;
}

/** An open log on Redis. */
export interface RedisLog extends Log {
  /** Sends that were acknowledged. */
  commits(): number;
  /** Ends as a killed process does, for tests. */
  kill(): void;
}

/**
 * Opens both ends. The log is made, or compared and refused: rejects with `LogRefused`. While no Redis answers, it opens
 * all the same and is unavailable until one does.
 */
export async function openRedisLog(options: RedisLogOptions): Promise<RedisLog> {
  const { replay = false, random = machineRandom, trace = silentTrace, deadlineMs = 2_500 } = options;
  const { retentionMs = -1, partitions, clock } = options;
  const common = { ...options, replay, random, trace, deadlineMs };
  const writer = new LinkedWriter(redisWriterLog(common), {
    partitions,
    clock,
    trace,
    metrics: options.metrics ?? noMetrics,
    queueBytesMax: options.queueBytesMax ?? 32 * 2 ** 20,
    deadlineMs,
    replay,
  });
  const reader = new RedisReader({
    ...common,
    group: options.group ?? "isotherm",
    member: options.member ?? drawIdentity(random),
    sessionMs: options.sessionMs ?? 5_000,
    retentionMs: retentionMs < 0 ? null : retentionMs,
    newIdentity: drawIdentity(random),
  });
  await writer.start();
  return {
    writer,
    reader,
    commits: () => writer.commits(),
    kill() {
      writer.kill();
      reader.kill();
    },
    async close() {
      await Promise.all([writer.close(), reader.close()]);
    },
  };
}
