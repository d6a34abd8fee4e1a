/**
 * The topic as contract 2 wants it: created when there is none, otherwise compared, and refused with a sentence.
 *
 * `compression.type=uncompressed` makes the broker store every batch in a form that kafkajs can read, whatever codec
 * another program's producer has chosen. A topic may be set to `gzip` instead, which costs half of the throughput here
 * and most of the disk's use; both are taken.
 */
import { type Admin, ConfigResourceTypes } from "kafkajs";
import { limits } from "../../core/limits.ts";
import { LogRefused } from "../../core/ports/log.ts";
import { type KafkaPlace, nameOf } from "./client.ts";

export interface TopicNeeds extends KafkaPlace {
  readonly partitions: number;
  readonly replicas: number;
  /** `retention.ms`; −1 keeps everything. */
  readonly retentionMs: number;
  /** A recorded log is read: its times are its own, and it is nobody's business how long it is kept. */
  readonly replay: boolean;
  /** A topic that is missing was there before: it must not be taken for a new one. */
  readonly mustExist: boolean;
}

/** The largest record with its key, headers and the batch around it. */
const RECORD_BYTES_MAX = limits.batchBytesMax + 20_000;

/** Rejects with {@link LogRefused} when the topic is not what it has to be, and with kafkajs's errors otherwise. */
export async function settleTopic(admin: Admin, needs: TopicNeeds): Promise<void> {
  const name = nameOf(needs);
  let count = await partitionsOf(admin, needs.topic);
  if (count === null) {
    if (needs.mustExist) {
      throw new LogRefused(
        `${name} was deleted while it was in use: bring it back, or start again to begin a new log`,
      );
    }
    if (needs.replay) throw new LogRefused(`${name} does not exist: name the topic that holds the tape`);
    await create(admin, needs);
    count = await partitionsOf(admin, needs.topic);
  }
  if (count === null) throw new Error(`${name} was created but isn't there yet`);
  checkPartitions(needs, count);
  checkSettings(needs, await settingsOf(admin, needs.topic));
}

/** Number of partitions, null when there is no such topic. */
export async function partitionsOf(admin: Admin, topic: string): Promise<number | null> {
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    return topics[0]?.partitions.length ?? null;
  } catch (error) {
    if ((error as { type?: unknown }).type === "UNKNOWN_TOPIC_OR_PARTITION") return null;
    throw error;
  }
}

/** Throws {@link LogRefused} when the topic has another number of partitions than was configured. */
export function checkPartitions(
  needs: Pick<TopicNeeds, "brokers" | "topic" | "partitions">,
  count: number,
): void {
  if (count === needs.partitions) return;
  throw new LogRefused(
    `${
      nameOf(needs)
    } has ${count} partitions, ${needs.partitions} are configured, and devices can't move between ` +
      `them: configure ${count} if it has had so many from the start, or use a new topic`,
  );
}

async function create(admin: Admin, needs: TopicNeeds): Promise<void> {
  const configEntries = Object.entries(wantedSettings(needs)).map(([name, value]) => ({ name, value }));
  await admin.createTopics({
    topics: [{
      topic: needs.topic,
      numPartitions: needs.partitions,
      replicationFactor: needs.replicas,
      configEntries: [...configEntries, { name: "compression.type", value: "uncompressed" }],
    }],
    waitForLeaders: true,
    timeout: 5_000,
  });
}

const wantedSettings = ({ retentionMs }: TopicNeeds) => ({
  "message.timestamp.type": "LogAppendTime",
  "cleanup.policy": "delete",
  "retention.ms": String(retentionMs),
  "retention.bytes": "-1",
});

/** What goes wrong when a setting is another one. */
const consequences: Readonly<Record<string, string>> = {
  "message.timestamp.type": "so that the time of a record would be its sender's word",
  "cleanup.policy": "so that records would be removed by key",
  "retention.ms": "so that records would be removed at another age",
  "retention.bytes": "so that records would be removed by size",
};

function checkSettings(needs: TopicNeeds, found: ReadonlyMap<string, string>): void {
  if (needs.replay) return;
  const name = nameOf(needs);
  for (const [setting, wanted] of Object.entries(wantedSettings(needs))) {
    const value = found.get(setting);
    if (value === wanted) continue;
    const hint = setting === "message.timestamp.type"
      ? "use a new topic, or if nothing is in it yet set it"
      : setting === "retention.ms"
      ? "configure that retention, or set it"
      : "set it";
    throw new LogRefused(
      `${name} has ${setting}=${value}, ${consequences[setting]}: ${hint} with kafka-configs.sh --alter ` +
        `--entity-type topics --entity-name ${needs.topic} --add-config ${setting}=${wanted}` +
        (setting === "message.timestamp.type" ? "; a recorded log is read with --replay" : ""),
    );
  }
  const bytesMax = Number(found.get("max.message.bytes"));
  if (bytesMax < RECORD_BYTES_MAX) {
    throw new LogRefused(
      `${name} takes records of ${bytesMax} bytes, a batch may have ${RECORD_BYTES_MAX}: set it with kafka-configs.sh ` +
        `--alter --entity-type topics --entity-name ${needs.topic} --add-config max.message.bytes=1048588`,
    );
  }
}

async function settingsOf(admin: Admin, topic: string): Promise<ReadonlyMap<string, string>> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
  });
  const entries = resources[0]?.configEntries ?? [];
  return new Map(entries.map(({ configName, configValue }) => [configName, configValue]));
}
