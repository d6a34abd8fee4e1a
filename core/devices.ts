/** The devices of a partition, and which of them and of their boots the next transaction has to store. */
import { assert } from "./assert.ts";
import { bootOfRow, bootRow, deviceOfRow, deviceRow, DeviceState } from "./device.ts";
import { BootState } from "./ledger.ts";
import { limits } from "./limits.ts";
import type { ReadingBlock } from "./reading_block.ts";
import type { BootRow, DeviceRow } from "./rows.ts";

export class Devices {
  readonly byName = new Map<string, DeviceState>();
  #changed: DeviceState[] = [];
  #changedBoots: [DeviceState, BootState][] = [];

  /** `specs`: how many kinds of windows there are; `readings`: of the transaction to come, which numbers its devices. */
  constructor(readonly specs: number, public readings: ReadingBlock) {}

  /** Takes what a store holds. */
  restore(devices: readonly DeviceRow[], boots: readonly BootRow[]): void {
    for (const row of devices) this.byName.set(row.device, deviceOfRow(row, this.specs));
    for (const row of boots) {
      const device = this.byName.get(row.device);
      assert(device !== undefined, "a stored boot has its device");
      const boot = bootOfRow(row);
      device.boots.set(row.boot, boot);
      device.spanCount += boot.slots.spanCount;
    }
  }

  /** The device of that name, which is stored with the next transaction; made if there is none. */
  named(name: string, appendMs: number): DeviceState {
    let device = this.byName.get(name);
    if (device === undefined) {
      device = new DeviceState(name, appendMs, this.specs);
      this.byName.set(name, device);
    }
    return this.touched(device);
  }

  touched(device: DeviceState): DeviceState {
    if (!device.dirty) {
      device.dirty = true;
      device.freshNumber = this.readings.devices.push(device.device) - 1;
      this.#changed.push(device);
    }
    return device;
  }

  /** The boot of that number, made if there is none. Null if the device's ledger can't take another boot. */
  bootOf(device: DeviceState, number: number, appendMs: number): BootState | null {
    let boot = device.bootNumbered(number);
    if (boot === undefined) {
      if (device.boots.size >= limits.bootsPerDeviceMax) return null;
      boot = new BootState(number, appendMs);
      device.boots.set(number, boot);
    }
    device.lastBoot = boot;
    if (!boot.dirty) {
      boot.dirty = true;
      this.#changedBoots.push([device, boot]);
    }
    return boot;
  }

  /** Rows of what has changed, and the devices themselves. `next`: readings of the transaction after this one. */
  take(next: ReadingBlock): {
    readonly devices: DeviceRow[];
    readonly boots: BootRow[];
    readonly changed: readonly DeviceState[];
  } {
    const changed = this.#changed;
    const devices = changed.map(deviceRow);
    const boots = this.#changedBoots.map(([device, boot]) => bootRow(device.device, boot));
    for (const [, boot] of this.#changedBoots) boot.dirty = false;
    for (const device of changed) {
      device.dirty = false;
      device.freshNumber = device.lastFresh = -1;
      if (device.freshQuarantined.length > 0) device.freshQuarantined = [];
    }
    [this.#changed, this.#changedBoots, this.readings] = [[], [], next];
    return { devices, boots, changed };
  }
}
