/**
 * Why a window of a device has no reading. The view `windows_filled` tells the same in SQL.
 */
import type { JudgeConfig } from "./config.ts";
import type { DeviceRow } from "./rows.ts";
import type { Window } from "./windows.ts";

export const absences = [
  "unknown_device",
  "before_first",
  "retired",
  "not_due_yet",
  "offline",
  "lost",
  "never_heard",
] as const;
export type Absence = typeof absences[number];

export interface AbsenceFacts {
  /** Null if the device was never heard of. */
  readonly device: DeviceRow | null;
  /** Earliest event time known of the device, and its first append time if that is earlier. */
  readonly firstMs: number;
  /** The log's time. */
  readonly appendHighMs: number;
  /** Slots of this time were given up by the device. */
  readonly hasLostSlots: boolean;
}

/** The cause for a window in which nothing arrived. */
export function absenceOf(window: Window, facts: AbsenceFacts, config: JudgeConfig): Absence {
  const { device, firstMs, appendHighMs, hasLostSlots } = facts;
  if (device === null) return "unknown_device";
  if (window.endMs <= firstMs) return "before_first";
  const isAfterLast = window.startMs > (device.highestEventMs ?? device.lastAppendMs);
  if (device.retired && isAfterLast) return "retired";
  if (mayStillCome(window, device, appendHighMs, config)) return "not_due_yet";
  if (isAfterLast) return "offline";
  return hasLostSlots ? "lost" : "never_heard";
}

/** The device itself says that older readings wait, or neither its watermark nor silence has closed the window. */
function mayStillCome(window: Window, device: DeviceRow, appendHighMs: number, config: JudgeConfig): boolean {
  const { watermarkMs, pendingSinceMs, lastAppendMs } = device;
  if (watermarkMs !== null && window.endMs <= watermarkMs) return false;
  const isPending = pendingSinceMs !== null && pendingSinceMs < window.endMs &&
    appendHighMs < lastAppendMs + config.pendingMs;
  return isPending || appendHighMs < Math.max(window.endMs, lastAppendMs) + config.idleMs;
}

/** What it means, as the rest of a sentence. */
export const absenceMeanings: Readonly<Record<Absence, string>> = {
  unknown_device: "no record in the log names this device",
  before_first: "the device was not known yet",
  retired: "the device had been retired",
  not_due_yet: "readings may still come: neither the device's own time nor silence has passed its end",
  offline: "the device has not been heard since",
  lost: "the device had to give these slots up before they could be sent",
  never_heard: "the device was heard later, but nothing of this time ever came",
};
