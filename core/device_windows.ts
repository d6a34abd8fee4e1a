/**
 * Windows of devices while they live: opened by readings, closed by silence or by the watermark, revised by what comes
 * late. What changed is stored with the next transaction; a cache of closed windows changes no outcome.
 */
import type { WindowState } from "./accumulator.ts";
import type { AlertFold } from "./alert_fold.ts";
import type { JudgeConfig } from "./config.ts";
import { type DeviceState, isPassed } from "./device.ts";
import { DueQueue } from "./due_queue.ts";
import { type KnownIndex, nothingKnown, windowKey } from "./known.ts";
import { isKept } from "./retention.ts";
import { UndrawnWindows } from "./open_windows.ts";
import type { ReadingRow, WindowRow } from "./rows.ts";
import { WindowPool } from "./window_pool.ts";
import { Standing } from "./standing.ts";
import { isTumbling, type Window, windowOf, windowsOf } from "./windows.ts";

/** Recently closed windows that stay in memory, so that a late reading seldom needs the store. */
export const closedCachedMax = 4_096;

export class DeviceWindows {
  /** What was looked up for the records that are folded now. */
  known: KnownIndex = nothingKnown;
  #due = new DueQueue<DeviceState>();
  #changed: [DeviceState, WindowState][] = [];
  #closedCached: [DeviceState, WindowState][] = [];
  /** Open windows since they were drawn into a publication. */
  readonly undrawn: UndrawnWindows;
  /** As of the last {@link take}. */
  readonly standing = new Standing();
  readonly #pool: WindowPool;

  constructor(
    readonly config: JudgeConfig,
    public alerts: AlertFold,
    private readonly cachedMax: number = closedCachedMax,
  ) {
    this.#pool = new WindowPool(config.windows.length);
    this.undrawn = new UndrawnWindows(config.windows.map(({ label }) => label));
  }

  /** Puts a stored reading back into the windows that are still open. */
  restoreReading(device: DeviceState, row: ReadingRow): void {
    this.config.windows.forEach((spec, i) => {
      for (const { startMs, endMs } of windowsOf(spec, row.tsMs)) {
        if (isPassed(device, endMs)) continue;
        const ahead = device.ahead[i]!.get(startMs);
        if (ahead !== undefined) {
          ahead.remember(row);
          continue;
        }
        device.openWindow(i, startMs, endMs, this.#pool).addOpen(row);
      }
    });
  }

  /** Puts back a window that silence had closed ahead of its device's watermark. */
  restoreAhead(device: DeviceState, row: WindowRow): void {
    const spec = this.config.windows.findIndex((each) => each.label === row.windowSize);
    if (spec < 0 || isPassed(device, row.endMs)) return;
    const window = this.#pool.take(spec, row.startMs, row.endMs);
    window.setRow(row);
    device.ahead[spec]!.set(row.startMs, window);
  }

  /** Whether the window that holds an accepted reading had closed before it. */
  isClosed(device: DeviceState, spec: number, window: Window): boolean {
    return isPassed(device, window.endMs) || device.ahead[spec]!.has(window.startMs);
  }

  /** Adds an accepted reading to all of its windows. */
  add(device: DeviceState, row: ReadingRow): void {
    const specs = this.config.windows;
    for (let i = 0; i < specs.length; i++) {
      const spec = specs[i]!;
      const current = device.currentWindow(i, row.tsMs);
      if (current !== null) current.addOpen(row);
      else if (isTumbling(spec)) this.#addTo(device, i, windowOf(spec, row.tsMs), row);
      else for (const window of windowsOf(spec, row.tsMs)) this.#addTo(device, i, window, row);
    }
  }

  #addTo(device: DeviceState, spec: number, { startMs, endMs }: Window, row: ReadingRow): void {
    const closed = device.ahead[spec]!.get(startMs) ??
      (isPassed(device, endMs) ? this.#closedWindow(device, spec, startMs, endMs, row.appendMs) : undefined);
    if (closed === undefined) {
      const window = device.openWindow(spec, startMs, endMs, this.#pool);
      window.addOpen(row);
      if (isTumbling(this.config.windows[spec]!)) device.current[spec] = window;
      return;
    }
    if (
      closed.readings + closed.sensorFaults > 0 &&
      !isKept(closed.oldestAppendMs, row.appendMs, this.config.retentionMs)
    ) {
      closed.hasAllValues = false;
    }
    closed.add(row);
    closed.late++;
    if (!row.released) closed.everyMs = device.everyMs;
    if (closed.revision === 0 || closed.changedOffset !== row.offset) closed.revision++;
    closed.changedBy(row.appendMs, row.offset);
    this.#mark(device, closed);
  }

  /** A window that the watermark has passed: from the cache, from the store, or new. */
  #closedWindow(
    device: DeviceState,
    spec: number,
    startMs: number,
    endMs: number,
    appendMs: number,
  ): WindowState {
    const cached = device.closed[spec]!.get(startMs);
    if (cached !== undefined) return cached;
    const row = this.known.windows.get(windowKey(device.device, this.config.windows[spec]!.label, startMs));
    const window = this.#pool.take(spec, startMs, endMs);
    if (row !== undefined) window.setRow(row);
    if (row === undefined) window.closedBy = "watermark";
    else this.#rememberValues(device, window, appendMs);
    this.#cacheClosed(device, window);
    return window;
  }

  #rememberValues(device: DeviceState, window: WindowState, appendMs: number): void {
    if (!isKept(window.oldestAppendMs, appendMs, this.config.retentionMs)) {
      window.hasAllValues = false;
      return;
    }
    for (const row of this.known.readings.get(device.device)?.rows ?? []) {
      if (row.tsMs >= window.startMs && row.tsMs < window.endMs) window.remember(row);
    }
  }

  #cacheClosed(device: DeviceState, window: WindowState): void {
    device.closed[window.spec]!.set(window.startMs, window);
    this.#closedCached.push([device, window]);
  }

  #mark(device: DeviceState, window: WindowState): void {
    if (window.dirty) return;
    window.dirty = true;
    this.#changed.push([device, window]);
  }

  /** Step 1: closes the device's open windows that have been silent for long enough at `appendMs`. */
  closeSilent(device: DeviceState, appendMs: number, offset: number): void {
    const silentMs = appendMs - this.config.idleMs;
    if (device.lastAppendMs > silentMs) return;
    for (const open of device.open) {
      for (const window of open.values()) {
        if (window.endMs > silentMs) continue;
        open.delete(window.startMs);
        window.closedBy = "silence";
        window.changedBy(appendMs, offset);
        device.ahead[window.spec]!.set(window.startMs, window);
        this.#mark(device, window);
        if (this.alerts.isActive) this.alerts.closing(window);
      }
    }
    if (this.alerts.isActive) this.alerts.judge(device);
  }

  /** Step 4: closes what the watermark has passed, and lets go of what silence had closed before. */
  closePassed(device: DeviceState, appendMs: number, offset: number): void {
    const watermarkMs = device.watermarkMs;
    if (watermarkMs === null || watermarkMs < device.nextEndMs) return;
    let nextEndMs = Infinity;
    for (const windows of [device.open, device.ahead]) {
      for (const each of windows) {
        for (const window of each.values()) {
          if (window.endMs > watermarkMs) {
            nextEndMs = Math.min(nextEndMs, window.endMs);
            continue;
          }
          each.delete(window.startMs);
          if (window.closedBy === null) {
            window.closedBy = "watermark";
            window.changedBy(appendMs, offset);
            this.#mark(device, window);
            if (this.alerts.isActive) this.alerts.closing(window);
          }
          this.#cacheClosed(device, window);
        }
      }
    }
    device.nextEndMs = nextEndMs;
    if (this.alerts.isActive) this.alerts.judge(device);
  }

  /** Sees to it that the device is looked at as soon as silence can close a window that it has opened. */
  schedule(device: DeviceState): void {
    if (device.openedEndMs === Infinity) return;
    // Only a new window can make it due earlier: of those it had, none has become due sooner by a record of the device.
    this.#due.bring(Math.max(device.openedEndMs, device.lastAppendMs) + this.config.idleMs, device);
    device.openedEndMs = Infinity;
  }

  #scheduleAgain(device: DeviceState): void {
    const dueMs = device.silenceDueMs(this.config.idleMs);
    if (dueMs !== Infinity) this.#due.bring(dueMs, device);
  }

  /** Closes what silence has closed by `appendMs`, of any device. */
  closeDue(appendMs: number, offset: number): void {
    for (let top = this.#due.peek(); top !== undefined && top.dueMs <= appendMs; top = this.#due.peek()) {
      const device = this.#due.pop()!;
      this.closeSilent(device, appendMs, offset);
      this.#scheduleAgain(device);
    }
  }

  /** When silence will next close a window, in append time; Infinity if none is open. */
  nextCloseMs(): number {
    for (let top = this.#due.peek(); top !== undefined; top = this.#due.peek()) {
      const dueMs = top.item.silenceDueMs(this.config.idleMs);
      if (dueMs <= top.dueMs) return dueMs;
      const device = this.#due.pop()!;
      this.#scheduleAgain(device);
    }
    return Infinity;
  }

  /** How many rows {@link take} would give. */
  get changedCount(): number {
    return this.#changed.length;
  }

  /** New versions of closed windows, for the next transaction. */
  take(): WindowRow[] {
    const rows = this.#changed.map(([device, window]) =>
      window.row(device.device, this.config.windows[window.spec]!.label)
    );
    for (const [device, window] of this.#changed) {
      this.undrawn.closed(device, window);
      this.standing.note(device);
      window.dirty = false;
      window.storedRevision = window.revision;
    }
    this.#changed = [];
    this.#forgetClosed();
    return rows;
  }

  #forgetClosed(): void {
    const excess = this.#closedCached.length - this.cachedMax;
    if (excess <= 0) return;
    for (const [device, window] of this.#closedCached.splice(0, excess)) {
      const { spec, endMs } = window;
      device.closed[spec]!.delete(window.startMs);
      if (endMs > device.forgottenEndMs[spec]!) device.forgottenEndMs[spec] = endMs;
      if (device.current[spec] === window) device.current[spec] = null;
      this.#pool.give(window);
    }
  }

  /** Open windows of a device as they stand. */
  openRows(device: DeviceState, isWanted: (window: WindowState) => boolean): WindowRow[] {
    const rows: WindowRow[] = [];
    for (const open of device.open) {
      for (const window of open.values()) {
        if (isWanted(window)) rows.push(window.row(device.device, this.config.windows[window.spec]!.label));
      }
    }
    return rows;
  }
}
