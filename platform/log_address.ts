/** The setting that chooses a service's log, and how it is opened; ingest and aggregator share it. */
import type { Clock } from "../core/ports/clock.ts";
import type { Log } from "../core/ports/log.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Random } from "../core/ports/random.ts";
import type { Trace } from "../core/ports/trace.ts";
import { integerSetting, textSetting } from "../core/settings.ts";
import { openSqliteLog } from "./sqlite_log.ts";

const HOST = String.raw`(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}`;
const EMBEDDED = /^embedded:(.+)$/;
const OPTION = String
  .raw`group=[A-Za-z0-9._-]{1,100}|session_ms=\d{3,7}|replicas=\d{1,2}|retention_ms=(?:-1|\d{1,15})`;
const KAFKA = new RegExp(
  `^kafka://(${HOST}(?:,${HOST})*)(?:/([A-Za-z0-9._-]{1,249}))?/?(?:\\?((?:${OPTION})(?:&(?:${OPTION}))*))?$`,
);

const REDIS_OPTION = String.raw`group=[A-Za-z0-9._-]{1,100}|session_ms=\d{3,7}|retention_ms=(?:-1|\d{1,15})`;
const REDIS = new RegExp(
  `^redis://(?:([^:@/\\s]*):([^@/\\s]+)@)?(${HOST})(?:/([A-Za-z0-9._-]{1,100}))?/?` +
    `(?:\\?((?:${REDIS_OPTION})(?:&(?:${REDIS_OPTION}))*))?$`,
);

/** File of an embedded log in its folder. */
export const embeddedLogFile = "log.sqlite";
/** Topic, or name on Redis, where the address names none. */
export const defaultTopic = "readings";

export const logSettings = {
  log: textSetting({
    env: "ISOTHERM_LOG",
    unit: "address",
    range: "embedded:DIR, kafka://host:port[,host:port][/topic] or redis://[user:password@]host:port[/name]",
    pattern: new RegExp(`${EMBEDDED.source}|${KAFKA.source}|${REDIS.source}`),
    fallback: "embedded:data",
    consequence: "Where records are kept; the README's table says what each survives.",
  }),
  partitions: integerSetting({
    env: "ISOTHERM_PARTITIONS",
    unit: "partitions",
    min: 1,
    max: 256,
    fallback: 1,
    consequence:
      "Partitions of a log that is created; as many workers can share the work. A log that exists has to have as many.",
  }),
} as const;

export interface LogPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  readonly metrics: Metrics;
}

/** What an address of Kafka says. */
export interface KafkaAddress {
  readonly brokers: readonly string[];
  readonly topic: string;
  /** `group=NAME`: workers of one group share the partitions (default "isotherm"). */
  readonly group?: string;
  /** `session_ms=N`: a worker that is silent for so long loses its partitions (default 5,000). */
  readonly sessionMs?: number;
  /** `replicas=N` of a topic that is created (default 1). */
  readonly replicas?: number;
  /** `retention_ms=N` of the topic, −1 for ever (default −1). */
  readonly retentionMs?: number;
}

/** Reads `kafka://host:port[,host:port][/topic][?group=NAME&session_ms=N&replicas=N&retention_ms=N]`; null otherwise. */
export function parseKafkaAddress(address: string): KafkaAddress | null {
  const match = KAFKA.exec(address);
  if (match === null) return null;
  const options = new URLSearchParams(match[3] ?? "");
  const number = (name: string, field: string) =>
    options.has(name) ? { [field]: Number(options.get(name)) } : {};
  return {
    brokers: (match[1] ?? "").split(","),
    topic: match[2] ?? defaultTopic,
    ...options.has("group") ? { group: options.get("group")! } : {},
    ...number("session_ms", "sessionMs"),
    ...number("replicas", "replicas"),
    ...number("retention_ms", "retentionMs"),
  };
}

/** What an address of Redis says. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
  readonly name: string;
  /** `group=NAME`: workers of one group share the partitions (default "isotherm"). */
  readonly group?: string;
  /** `session_ms=N`: a worker that is silent for so long loses its partitions (default 5,000). */
  readonly sessionMs?: number;
  /** `retention_ms=N`: older records are removed once their rows are published, −1 never (default −1). */
  readonly retentionMs?: number;
}

/**
 * Reads `redis://[user:password@]host:port[/name][?group=NAME&session_ms=N&retention_ms=N]`, user and password
 * percent-encoded, the user maybe empty; null otherwise.
 */
export function parseRedisAddress(address: string): RedisAddress | null {
  const match = REDIS.exec(address);
  if (match === null) return null;
  const [, username = "", password, place = "", name = defaultTopic, optionText = ""] = match;
  const colon = place.lastIndexOf(":");
  const options = new URLSearchParams(optionText);
  const number = (option: string, field: string) =>
    options.has(option) ? { [field]: Number(options.get(option)) } : {};
  return {
    host: place.slice(0, colon).replace(/^\[|\]$/g, ""),
    port: Number(place.slice(colon + 1)),
    name,
    ...username === "" ? {} : { username: decodeURIComponent(username) },
    ...password === undefined ? {} : { password: decodeURIComponent(password) },
    ...options.has("group") ? { group: options.get("group")! } : {},
    ...number("session_ms", "sessionMs"),
    ...number("retention_ms", "retentionMs"),
  };
}

/** An address as it may be shown: without its password. */
export function shownAddress(address: string): string {
  return address.replace(/^(redis:\/\/[^:@/\s]*):[^@/\s]+@/, "$1:…@");
}

/**
 * Opens the log at an address that {@link logSettings} let through; with `replay`, as a recorded one that nothing is
 * appended to. `member` names a reader of a group, see {@link WorkerName}. Rejects with `LogRefused` or `LogUnavailable`.
 */
export async function openLogAt(
  address: string,
  partitions: number,
  ports: LogPorts,
  { replay = false, member }: { readonly replay?: boolean; readonly member?: string } = {},
): Promise<Log> {
  const embedded = EMBEDDED.exec(address);
  if (embedded !== null) {
    return await openSqliteLog({ path: `${embedded[1]}/${embeddedLogFile}`, partitions, ...ports });
  }
  const redis = parseRedisAddress(address);
  if (redis !== null) {
    const { openRedisLog } = await import("./redis/log.ts");
    return await openRedisLog({
      ...redis,
      partitions,
      replay,
      ...ports,
      ...member === undefined ? {} : { member },
    });
  }
  const kafka = parseKafkaAddress(address);
  if (kafka === null) throw new Error(`${address} is no address of a log: use ${logSettings.log.range}`);
  const { openKafkaLog } = await import("./kafka/log.ts");
  return await openKafkaLog({
    ...kafka,
    partitions,
    replay,
    ...ports,
    ...member === undefined ? {} : { member },
  });
}
