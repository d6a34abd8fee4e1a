/**
 * A partition's rows in memory, with the promises of the store port kept to the letter: `lookup` gives what was asked for
 * and nothing else, so that a fold which forgets to ask is found out.
 */
import type { Changes, Known, Needs, StoredState } from "../core/ports/store.ts";
import { limits } from "../core/limits.ts";
import type {
  AlertRow,
  AlertRuleRow,
  AlertStateRow,
  BootRow,
  DeviceRow,
  PositionRow,
  QuarantineRow,
  ReadingRow,
  ReleaseRow,
  WindowRow,
} from "../core/rows.ts";

export const windowKey = (row: Pick<WindowRow, "device" | "windowSize" | "startMs">): string =>
  JSON.stringify([row.device, row.windowSize, row.startMs]);

export class MemoryRows {
  position: PositionRow | null = null;
  readonly readings: ReadingRow[] = [];
  readonly quarantined: QuarantineRow[] = [];
  readonly released: ReleaseRow[] = [];
  /** Every version ever committed, oldest first. */
  readonly versions: WindowRow[] = [];
  /** Newest versions. */
  readonly windows = new Map<string, WindowRow>();
  readonly devices = new Map<string, DeviceRow>();
  readonly boots = new Map<string, BootRow>();
  readonly alerts: AlertRow[] = [];
  readonly alertRules = new Map<string, AlertRuleRow>();
  readonly alertStates = new Map<string, AlertStateRow>();

  commit(changes: Changes): void {
    this.position = changes.position;
    this.readings.push(...changes.readings);
    this.quarantined.push(...changes.quarantined);
    this.released.push(...changes.released);
    this.versions.push(...changes.windows);
    for (const row of changes.windows) this.windows.set(windowKey(row), row);
    for (const row of changes.devices) this.devices.set(row.device, row);
    for (const row of changes.boots) this.boots.set(JSON.stringify([row.device, row.boot]), row);
    this.alerts.push(...changes.alerts.alerts);
    for (const row of changes.alerts.rules) this.alertRules.set(row.name, row);
    for (const row of changes.alerts.states) this.alertStates.set(row.device, row);
  }

  /** Drops the readings and quarantined ones that need no longer be kept. */
  expire(isKept: (appendMs: number) => boolean): void {
    for (const rows of [this.readings, this.quarantined]) {
      const kept = rows.filter((row) => isKept(row.appendMs));
      rows.splice(0, rows.length, ...kept as never[]);
    }
  }

  lookup(needs: Needs): Known {
    const asked = Map.groupBy(needs.readings, (span) => span.device);
    const isAsked = (device: string | null, tsMs: number | null) =>
      device !== null && tsMs !== null &&
      (asked.get(device) ?? []).some((span) => span.fromMs <= tsMs && tsMs < span.toMs);
    return {
      readings: this.readings.filter((row) => isAsked(row.device, row.tsMs)),
      quarantined: this.quarantined.filter((row) => isAsked(row.device, row.tsMs)),
      windows: needs.windows.map((need) => this.windows.get(windowKey(need))).filter((row) =>
        row !== undefined
      ),
    };
  }

  load(openFrom: (watermarkMs: number | null) => number): StoredState {
    const watermarkOf = (device: string) => this.devices.get(device)?.watermarkMs ?? null;
    const froms = new Map<string, number>();
    for (const device of this.devices.keys()) froms.set(device, openFrom(watermarkOf(device)));
    return {
      position: this.position,
      devices: [...this.devices.values()],
      boots: [...this.boots.values()],
      closedAhead: [...this.windows.values()].filter((row) => {
        const watermarkMs = watermarkOf(row.device);
        return watermarkMs === null || row.endMs > watermarkMs;
      }),
      openReadings: this.readings.filter((row) => row.tsMs >= (froms.get(row.device) ?? Infinity)),
      alerts: {
        rules: [...this.alertRules.values()],
        states: [...this.alertStates.values()],
        newest: this.alerts.slice(-limits.alertsRememberedMax),
      },
    };
  }
}
