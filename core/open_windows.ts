/**
 * Which open windows a publication has to write. All of them, or those that got something since they were drawn last
 * together with those that have closed since: the publisher says which, by what is in place already. A window's row
 * changes with what arrives in it and with nothing else, so the number of its arrivals tells.
 */
import { assert } from "./assert.ts";
import type { DeviceState } from "./device.ts";
import { OpenWindowBlock } from "./open_window_block.ts";
import type { OpenWindows } from "./ports/publisher.ts";
import type { WindowRow } from "./rows.ts";
import type { WindowState } from "./accumulator.ts";

/** Closed windows that are remembered until the next drawing; beyond, all open ones are drawn, which needs none. */
const CLOSED_MAX = 16_384;

/** A window that was drawn while it was open. */
interface ClosedWindow {
  readonly device: string;
  readonly spec: number;
  readonly startMs: number;
  readonly endMs: number;
}

export class UndrawnWindows {
  #devices: DeviceState[] = [];
  #closed: ClosedWindow[] = [];
  /** More has closed than is remembered. */
  #hasForgotten = false;
  readonly #block = new OpenWindowBlock();

  constructor(readonly labels: readonly string[]) {}

  /** A device of which something was stored. */
  add(device: DeviceState): void {
    if (device.undrawn) return;
    device.undrawn = true;
    this.#devices.push(device);
  }

  /** A window that is stored as closed. */
  closed(device: DeviceState, window: WindowState): void {
    if (window.drawnArrivals === 0) return;
    window.drawnArrivals = 0;
    if (this.#closed.length >= CLOSED_MAX) [this.#closed, this.#hasForgotten] = [[], true];
    if (this.#hasForgotten) return;
    const { spec, startMs, endMs } = window;
    this.#closed.push({ device: device.device, spec, startMs, endMs });
  }

  /** How many windows have changed; Infinity if that is no longer known. */
  get changedCount(): number {
    if (this.#hasForgotten) return Infinity;
    let count = this.#closed.length;
    for (const { open } of this.#devices) {
      for (const windows of open) for (const window of windows.values()) if (isChanged(window)) count++;
    }
    return count;
  }

  /** Draws the changed ones, or with `all` those of all devices; the block is good until the next one is asked for. */
  *draw(all: Iterable<DeviceState> | null): Generator<OpenWindowBlock> {
    assert(all !== null || !this.#hasForgotten, "what has changed is known");
    const closed = all === null ? this.#closed : [];
    const devices = all ?? this.#devices;
    const changed = this.#devices;
    [this.#devices, this.#closed, this.#hasForgotten] = [[], [], false];
    for (const device of changed) device.undrawn = false;
    const block = this.#block;
    block.clear();
    for (const { device, spec, startMs, endMs } of closed) {
      block.pushClosed(device, this.labels[spec]!, startMs, endMs);
      if (block.isFull) yield* full(block);
    }
    for (const device of devices) {
      for (const windows of device.open) {
        for (const window of windows.values()) {
          if (all === null && !isChanged(window)) continue;
          window.drawnArrivals = arrivalsOf(window);
          block.push(device.device, this.labels[window.spec]!, window);
          if (block.isFull) yield* full(block);
        }
      }
    }
    if (block.length > 0) yield* full(block);
  }
}

function* full(block: OpenWindowBlock): Generator<OpenWindowBlock> {
  yield block;
  block.clear();
}

const arrivalsOf = (window: WindowState) => window.readings + window.sensorFaults;
const isChanged = (window: WindowState) => window.drawnArrivals !== arrivalsOf(window);

/** Open windows that are given as rows: always drawn whole. */
export function openWindowsOf(rows: readonly WindowRow[]): OpenWindows {
  return {
    count: rows.length,
    changedCount: Infinity,
    *draw() {
      const block = new OpenWindowBlock();
      for (const row of rows) {
        block.pushRow(row);
        if (block.isFull) yield* full(block);
      }
      if (block.length > 0) yield block;
    },
    rows: () => rows,
  };
}
