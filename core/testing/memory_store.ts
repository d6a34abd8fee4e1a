/** A store in memory, for tests of what uses one: it keeps its promises, survives `close`, and can be told to fail. */
import { assert } from "../assert.ts";
import type { Changes, Known, Needs, Store, StoredState } from "../ports/store.ts";
import { StoreUnavailable } from "../ports/store.ts";
import { limits } from "../limits.ts";
import type {
  AlertRow,
  AlertRuleRow,
  AlertStateRow,
  BootRow,
  DeviceRow,
  GapRow,
  PositionRow,
  QuarantineRow,
  ReadingRow,
  ReleaseRow,
  WindowRow,
} from "../rows.ts";

/** What outlives the process: open any number of stores on it, one after the other. */
export class MemoryDisk {
  position: PositionRow | null = null;
  readings: ReadingRow[] = [];
  quarantined: QuarantineRow[] = [];
  released: ReleaseRow[] = [];
  gaps: GapRow[] = [];
  /** Newest version by device, size and start. */
  windows = new Map<string, WindowRow>();
  /** Every version, in order of their transactions. */
  versions: WindowRow[] = [];
  devices = new Map<string, DeviceRow>();
  boots = new Map<string, BootRow>();
  alerts: AlertRow[] = [];
  alertRules = new Map<string, AlertRuleRow>();
  alertStates = new Map<string, AlertStateRow>();
  readonly readingsByDevice = new ByDevice<ReadingRow>();
  readonly quarantinedByDevice = new ByDevice<QuarantineRow>();
  commits = 0;
  /** The next so many commits are refused. */
  commitsToRefuse = 0;

  open(partition: number): Store {
    return new MemoryStore(partition, this);
  }
}

interface DeviceTime {
  readonly device: string | null;
  readonly tsMs: number | null;
  readonly offset: number;
  readonly index: number;
}

/** Finds rows of a list that only grows; a list that has become shorter is looked at anew. */
class ByDevice<Row extends DeviceTime> {
  #rows = new Map<string | null, Row[]>();
  #count = 0;

  /** Rows with event time in one of the half-open spans, each once, in log order. */
  find(all: readonly Row[], spans: Needs["readings"]): Row[] {
    if (all.length < this.#count) {
      this.#rows.clear();
      this.#count = 0;
    }
    for (; this.#count < all.length; this.#count++) {
      const row = all[this.#count]!;
      const same = this.#rows.get(row.device);
      if (same === undefined) this.#rows.set(row.device, [row]);
      else same.push(row);
    }
    const found = new Set<Row>();
    for (const { device, fromMs, toMs } of spans) {
      for (const row of this.#rows.get(device) ?? []) {
        if (row.tsMs !== null && row.tsMs >= fromMs && row.tsMs < toMs) found.add(row);
      }
    }
    return [...found].sort((a, b) => a.offset - b.offset || a.index - b.index);
  }
}

const windowKey = (row: { device: string; windowSize: string; startMs: number }) =>
  JSON.stringify([row.device, row.windowSize, row.startMs]);

class MemoryStore implements Store {
  #isOpen = true;

  constructor(readonly partition: number, readonly disk: MemoryDisk) {}

  load(openFrom: (watermarkMs: number | null) => number): Promise<StoredState> {
    assert(this.#isOpen, "a store is open while it is used");
    const { position, devices, boots, readings, windows } = this.disk;
    const watermarkOf = (device: string) => devices.get(device)?.watermarkMs ?? null;
    return Promise.resolve({
      position,
      devices: [...devices.values()],
      boots: [...boots.values()],
      closedAhead: [...windows.values()].filter(({ device, endMs }) =>
        endMs > (watermarkOf(device) ?? -Infinity)
      ),
      openReadings: readings.filter(({ device, tsMs }) => tsMs >= openFrom(watermarkOf(device))),
      alerts: {
        rules: [...this.disk.alertRules.values()],
        states: [...this.disk.alertStates.values()],
        newest: this.disk.alerts.slice(-limits.alertsRememberedMax),
      },
    });
  }

  lookup(needs: Needs): Promise<Known> {
    assert(this.#isOpen, "a store is open while it is used");
    return Promise.resolve({
      readings: this.disk.readingsByDevice.find(this.disk.readings, needs.readings),
      quarantined: this.disk.quarantinedByDevice.find(this.disk.quarantined, needs.readings),
      windows: needs.allVersions === true
        ? this.disk.versions.filter((row) => needs.windows.some((need) => windowKey(need) === windowKey(row)))
        : needs.windows.flatMap((need) => this.disk.windows.get(windowKey(need)) ?? []),
    });
  }

  commit(changes: Changes): Promise<void> {
    assert(this.#isOpen, "a store is open while it is used");
    const { disk } = this;
    if (disk.commitsToRefuse > 0) {
      disk.commitsToRefuse--;
      return Promise.reject(new StoreUnavailable("the disk is full: make room"));
    }
    disk.commits++;
    disk.position = changes.position;
    disk.readings.push(...changes.readings);
    disk.quarantined.push(...changes.quarantined);
    disk.released.push(...changes.released);
    disk.gaps.push(...changes.gaps);
    for (const row of changes.windows) {
      const before = disk.windows.get(windowKey(row));
      assert((before?.revision ?? null) === row.replaces, "a version replaces the newest one");
      disk.windows.set(windowKey(row), row);
      disk.versions.push(row);
    }
    for (const row of changes.devices) disk.devices.set(row.device, row);
    disk.alerts.push(...changes.alerts.alerts);
    for (const row of changes.alerts.rules) disk.alertRules.set(row.name, row);
    for (const row of changes.alerts.states) disk.alertStates.set(row.device, row);
    for (const row of changes.boots) disk.boots.set(JSON.stringify([row.device, row.boot]), row);
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#isOpen = false;
    return Promise.resolve();
  }
}
