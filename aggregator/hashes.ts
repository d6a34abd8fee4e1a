/** SHA-256 of what a position has to recognise: the record before it, and the configuration of the rows. */
import { createHash } from "node:crypto";
import { configText, type JudgeConfig } from "../core/config.ts";
import type { PublishedConfig } from "../core/manifest.ts";
import type { LogRecord } from "../core/ports/log.ts";

/** Hex; covers everything of a record that no log changes when it is read again. */
export function recordHash(record: LogRecord): string {
  const headers = Object.entries(record.headers).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
  const head = JSON.stringify([record.partition, record.offset, record.appendMs, record.key, headers]);
  return createHash("sha256").update(head).update(record.value === null ? "0" : "1")
    .update(record.value ?? new Uint8Array()).digest("hex");
}

/** Hex. */
export function configHash(config: JudgeConfig, partitions: number): string {
  return createHash("sha256").update(configText(config, partitions)).digest("hex");
}

/** What a publication says of the configuration. */
export function publishedConfig(config: JudgeConfig, partitions: number): PublishedConfig {
  const { windows, outOfOrderMs, idleMs, futureMs, pendingMs, retentionMs } = config;
  return {
    hash: configHash(config, partitions),
    windows: windows.map(({ label }) => label),
    ...{ outOfOrderMs, idleMs, futureMs, pendingMs, retentionMs },
  };
}
