/**
 * What a server has to be for a log, asked before anything is appended and every second after: durable by its settings,
 * never evicting, a primary. And the log in it: made, or compared and refused.
 *
 * Redis acknowledges before it has called fsync, unless `appendfsync` is `always`; since 7.2, `WAITAOF` waits for it.
 */
import { LogRefused, LogUnavailable } from "../../core/ports/log.ts";
import { RETRY_AFTER_MS } from "../deadline.ts";
import { nameOf, type RedisConnection, type RedisPlace } from "./client.ts";
import { settleScript } from "./scripts.ts";

/** What an acknowledged append survives. */
export interface Durability {
  /** `disk`: also a power cut; `process`: a killed Redis, not a power cut of its machine. */
  readonly kind: "disk" | "process";
  /** Each append waits with `WAITAOF` for the disk. */
  readonly waits: boolean;
  /** The same for a person. */
  readonly sentence: string;
}

export interface RedisNeeds extends RedisPlace {
  readonly partitions: number;
  /** A recorded log is read. */
  readonly replay: boolean;
}

/** Rejects with {@link LogRefused} or {@link LogUnavailable} when this server can't hold a log. */
export async function checkServer(connection: RedisConnection, place: RedisPlace): Promise<Durability> {
  const info = fieldsOf(String(await connection.text(["INFO", "server", "replication", "cluster"])));
  const name = nameOf(place);
  const version = info.get("redis_version") ?? "unknown";
  if (!(Number.parseInt(version) >= 7)) {
    throw new LogRefused(`${name} is Redis ${version}: use Redis 7.0 or later, or Valkey`);
  }
  if (info.get("cluster_enabled") === "1") {
    throw new LogRefused(`${name} is a Redis Cluster, whose keys live apart: use a single Redis, or Kafka`);
  }
  if (info.get("role") !== "master") {
    throw new LogUnavailable(
      `${name} is a replica, which takes no appends: name the primary`,
      RETRY_AFTER_MS,
    );
  }
  const answer = await connection.text(
    ["CONFIG", "GET", "appendonly", "appendfsync", "maxmemory-policy"],
  ) as readonly string[];
  const config = new Map<string, string>();
  for (let i = 0; i < answer.length; i += 2) config.set(answer[i]!, answer[i + 1]!);
  return durabilityOf(name, version, config);
}

/** What its settings mean. Throws {@link LogRefused}. */
export function durabilityOf(
  name: string,
  version: string,
  config: ReadonlyMap<string, string>,
): Durability {
  const set = "with CONFIG SET and in its configuration file";
  const policy = config.get("maxmemory-policy") ?? "";
  if (policy.startsWith("allkeys")) {
    throw new LogRefused(
      `${name} has maxmemory-policy=${policy}, so that streams would be evicted: set maxmemory-policy noeviction ${set}`,
    );
  }
  if (config.get("appendonly") !== "yes") {
    throw new LogRefused(
      `${name} has appendonly=${
        config.get("appendonly")
      }, so that what was acknowledged would be lost with its ` +
        `process: set appendonly yes and appendfsync always ${set}`,
    );
  }
  const fsync = config.get("appendfsync") ?? "";
  if (fsync === "always") {
    return {
      kind: "disk",
      waits: false,
      sentence:
        "a 2xx survives a killed Redis and a power cut (appendfsync always), not the loss of the disk",
    };
  }
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (fsync === "everysec" && (major > 7 || (major === 7 && minor >= 2))) {
    return {
      kind: "disk",
      waits: true,
      sentence:
        "a 2xx survives a killed Redis and a power cut, and takes up to a second (appendfsync everysec with WAITAOF): " +
        "appendfsync always answers sooner",
    };
  }
  return {
    kind: "process",
    waits: false,
    sentence:
      `a 2xx survives a killed Redis, but a power cut of its machine loses what was acknowledged in its last seconds ` +
      `(appendfsync ${fsync}, Redis ${version} before WAITAOF): set appendfsync always ${set}`,
  };
}

/** Makes the log, or compares it. Gives its identity. Rejects with {@link LogRefused} when it is something else. */
export async function settleLog(
  connection: RedisConnection,
  needs: RedisNeeds,
  newIdentity: string,
  mustExist: boolean,
): Promise<string> {
  const name = nameOf(needs);
  const mayCreate = mustExist || needs.replay ? "0" : "1";
  if (needs.replay && await connection.text(["EXISTS", needs.name]) === 0) {
    throw new LogRefused(`${name} does not exist: name the log that holds the tape`);
  }
  const [format, identity, partitions, kind] = await connection.text(
    ["EVAL", settleScript, "1", needs.name, String(needs.partitions), newIdentity, "log", mayCreate],
  ) as readonly (string | null)[];
  if (format !== "1") {
    throw new LogRefused(
      format === null
        ? `${name}: the key ${needs.name} is a hash but no Isotherm log: name another one, redis://host:port/NAME`
        : `${name} has format ${format}, this build reads 1: run the Isotherm that wrote it`,
    );
  }
  if (partitions !== String(needs.partitions)) {
    throw new LogRefused(
      `${name} has ${partitions} partitions, ${needs.partitions} are configured, and devices can't move between ` +
        `them: configure ${partitions}, or name a new log`,
    );
  }
  if (kind !== "log" && !needs.replay) {
    throw new LogRefused(
      `${name} holds a tape, whose times are recorded ones: read it with --replay, or name a new log`,
    );
  }
  return identity ?? "";
}

function fieldsOf(info: string): ReadonlyMap<string, string> {
  return new Map(
    info.split("\r\n").filter((line) => line.includes(":")).map((line) => {
      const at = line.indexOf(":");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}
