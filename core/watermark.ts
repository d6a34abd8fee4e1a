/** Up to when a device's readings are complete: its own word and its own clock, never another's. */
import type { JudgeConfig } from "./config.ts";

interface Progress {
  readonly watermarkMs: number | null;
  readonly highestEventMs: number | null;
  readonly pendingSinceMs: number | null;
}

/**
 * The watermark after a batch appended at `appendMs`; never lower than before. A `pending_since` counts as at most
 * `pendingMs` old, and a clock that is never set (`synced` false) holds windows open no longer than that either.
 */
export function watermarkAfter(
  device: Progress,
  appendMs: number,
  synced: boolean,
  config: Pick<JudgeConfig, "pendingMs" | "outOfOrderMs">,
): number | null {
  const oldestMs = appendMs - config.pendingMs;
  let watermarkMs = device.watermarkMs;
  if (device.highestEventMs !== null) {
    const pendingMs = device.pendingSinceMs === null ? Infinity : Math.max(device.pendingSinceMs, oldestMs);
    watermarkMs = higher(watermarkMs, Math.min(device.highestEventMs, pendingMs) - config.outOfOrderMs);
  }
  return synced ? watermarkMs : higher(watermarkMs, oldestMs - config.outOfOrderMs);
}

const higher = (watermarkMs: number | null, toMs: number) =>
  watermarkMs === null || toMs > watermarkMs ? toMs : watermarkMs;
