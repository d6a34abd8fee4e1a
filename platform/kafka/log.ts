/**
 * The log on Apache Kafka, by kafkajs 2.2.4: a topic with append times of the broker's, records appended with the word
 * of all in-sync replicas, read by position. See `linked_writer.ts` and `writer.ts`, `reader.ts`, `topic.ts`.
 */
import type { Clock } from "../../core/ports/clock.ts";
import type { Log } from "../../core/ports/log.ts";
import { type Metrics, noMetrics } from "../../core/ports/metrics.ts";
import { silentTrace, type Trace } from "../../core/ports/trace.ts";
import type { KafkaPlace } from "./client.ts";
import { clientIdOf } from "./group.ts";
import { KafkaReader } from "./reader.ts";
import { kafkaWriterLog } from "./writer.ts";
import { LinkedWriter } from "../linked_writer.ts";

export interface KafkaLogOptions extends KafkaPlace {
  /** A topic that exists has to have as many. */
  readonly partitions: number;
  readonly clock: Clock;
  readonly trace?: Trace;
  readonly metrics?: Metrics;
  /** Replicas of a topic that is created (default 1). With 3, set `min.insync.replicas=2` on the cluster. */
  readonly replicas?: number;
  /** `retention.ms` of the topic; −1 (the default) keeps everything. */
  readonly retentionMs?: number;
  /** Consumer group (default "isotherm"): readers of one group share the partitions. */
  readonly group?: string;
  /** Name of this reader, one that no other living one has: then the group doesn't wait for a dead one of this name. */
  readonly member?: string;
  /** After so long without a word, a reader's partitions go to others (default 5 s, or 6 s if the broker wants that). */
  readonly sessionMs?: number;
  /** Bytes that may wait to be sent (default 32 MiB). */
  readonly queueBytesMax?: number;
  /** Longest from an append to its answer (default 2.5 s). */
  readonly deadlineMs?: number;
  /** A recorded log is read: times may be its own, and nothing is appended. */
  readonly replay?: boolean;
}

/** An open Kafka log. */
export interface KafkaLog extends Log {
  /** Sends that were acknowledged. */
  commits(): number;
  /** Ends as a killed process does, for tests. */
  kill(): void;
}

/**
 * Opens both ends. The topic is created, or compared and refused: rejects with `LogRefused`. While no broker answers, the
 * log opens all the same and is unavailable until one does.
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<KafkaLog> {
  const common = {
    brokers: options.brokers,
    topic: options.topic,
    partitions: options.partitions,
    replicas: options.replicas ?? 1,
    retentionMs: options.retentionMs ?? -1,
    replay: options.replay ?? false,
    clock: options.clock,
    trace: options.trace ?? silentTrace,
  };
  const { deadlineMs = 2_500 } = options;
  const writer = new LinkedWriter(kafkaWriterLog({ ...common, clientId: "isotherm-writer", deadlineMs }), {
    ...common,
    metrics: options.metrics ?? noMetrics,
    queueBytesMax: options.queueBytesMax ?? 32 * 2 ** 20,
    deadlineMs,
  });
  const reader = new KafkaReader({
    ...common,
    clientId: options.member === undefined ? "isotherm-reader" : clientIdOf(options.member),
    isSoleMember: options.member !== undefined,
    groupId: options.group ?? "isotherm",
    sessionMs: options.sessionMs ?? 5_000,
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
