/** Devices as they stand, for those who watch. */
import { deviceRow, type DeviceState, type DuplicateNote, type LastReading } from "./device.ts";
import type { DeviceWindows } from "./device_windows.ts";
import type { DeviceRow, WindowRow } from "./rows.ts";

export interface DeviceView {
  readonly row: DeviceRow;
  /** Null if none is known any more. */
  readonly last: LastReading | null;
  /** Places of the newest duplicates, and since when (append time) they have been noted. */
  readonly duplicates: readonly DuplicateNote[];
  readonly duplicatesSinceMs: number;
  /** Earliest event time known of it, or its first append time if that is earlier. */
  readonly firstMs: number;
  readonly open: readonly WindowRow[];
}

export function viewOf(
  device: DeviceState,
  open: readonly WindowRow[],
  duplicatesSinceMs: number,
): DeviceView {
  return {
    row: deviceRow(device),
    last: device.newest,
    duplicates: device.duplicatesNoted,
    duplicatesSinceMs,
    firstMs: firstOf(device),
    open,
  };
}

function firstOf(device: DeviceState): number {
  let firstMs = device.firstAppendMs;
  for (const { firstEventMs } of device.boots.values()) {
    if (firstEventMs !== null && firstEventMs < firstMs) firstMs = firstEventMs;
  }
  return firstMs;
}

/** Devices that changed since watchers were shown them; at most all of them. */
export class Unshown {
  #devices: DeviceState[] = [];

  get size(): number {
    return this.#devices.length;
  }

  add(device: DeviceState): void {
    if (device.unshown) return;
    device.unshown = true;
    this.#devices.push(device);
  }

  forget(): void {
    for (const device of this.#devices) device.unshown = false;
    this.#devices = [];
  }

  /** At most `max` of them, with those open windows that got something since they were shown. */
  take(max: number, windows: DeviceWindows, duplicatesSinceMs: number): DeviceView[] {
    return this.#devices.splice(0, max).map((device) => {
      device.unshown = false;
      const open = windows.openRows(device, (window) => {
        const arrivals = window.readings + window.sensorFaults;
        if (arrivals === window.shownArrivals) return false;
        window.shownArrivals = arrivals;
        return true;
      });
      return viewOf(device, open, duplicatesSinceMs);
    });
  }
}
