/** One batch: what comes before its readings, the readings, and what comes after (docs/judging.md numbers the steps). */
import type { JudgeConfig } from "./config.ts";
import type { DeviceState } from "./device.ts";
import type { DeviceWindows } from "./device_windows.ts";
import type { Devices } from "./devices.ts";
import { expireUnsequenced } from "./identity.ts";
import type { BootState } from "./ledger.ts";
import { limits } from "./limits.ts";
import type { LogRecord } from "./ports/log.ts";
import type { Prepared } from "./prepared.ts";
import { noteSharedName, type Origin, type ReadingFold } from "./reading_fold.ts";
import { NONE, orNull } from "./scanned_batches.ts";
import type { Batch } from "./schema.ts";
import { watermarkAfter } from "./watermark.ts";

export class BatchFold {
  constructor(
    readonly config: JudgeConfig,
    readonly devices: Devices,
    readonly windows: DeviceWindows,
    readonly readings: ReadingFold,
  ) {}

  /** A batch that was decoded to objects. */
  decoded(batch: Batch, record: LogRecord, appendMs: number): void {
    const device = this.devices.named(batch.device, appendMs);
    this.#begin(device, appendMs, record.offset, batch.everyMs); // (1)
    const boot = batch.boot === null ? null : this.#heardBoot(device, batch.boot, appendMs);
    if (boot !== null && (batch.lost.length > 0 || batch.previous !== null)) {
      this.#noteLost(device, boot, batch.lost, batch.previous, appendMs);
    }
    const firstEventMs = boot === null ? null : boot.firstEventMs;
    const lastEventMs = boot === null ? null : boot.lastEventMs;
    const length = batch.readings.length;
    const timeUncertain = !batch.synced;
    const at: Origin = { record, appendMs, batch, length, boot, timeUncertain, released: false };
    for (let i = 0; i < length; i++) this.readings.judge(device, at, batch.readings[i]!, i); // (2)
    this.#end(
      device,
      boot,
      firstEventMs,
      lastEventMs,
      appendMs,
      record.offset,
      batch.pendingSinceMs,
      batch.synced,
    );
  }

  /** The same from columns: batch `at` of the scanned ones, record `place` of the list. */
  scanned(prepared: Prepared, place: number, at: number): void {
    const { scanned } = prepared;
    const offset = prepared.offsets[place]!;
    const appendMs = prepared.appendMs[place]!;
    const known = prepared.devices[prepared.deviceOf[place]!];
    const device = known === undefined
      ? this.devices.named(scanned.device[at]!, appendMs)
      : this.devices.touched(known);
    this.#begin(device, appendMs, offset, orNull(scanned.everyMs[at]!)); // (1)
    const number = scanned.boot[at]!;
    const boot = number === NONE ? null : this.#heardBoot(device, number, appendMs);
    const previous = scanned.previousOf(at);
    if (boot !== null && previous !== null) this.#noteLost(device, boot, [], previous, appendMs);
    const firstEventMs = boot === null ? null : boot.firstEventMs;
    const lastEventMs = boot === null ? null : boot.lastEventMs;
    const isSynced = scanned.synced[at] === 1;
    const first = scanned.first[at]!;
    const end = scanned.endOf(at);
    let origin: Origin | null = null;
    for (let i = first; i < end; i++) { // (2)
      const index = i - first;
      if (
        boot !== null && isSynced &&
        this.readings.ordinary(device, boot, scanned, i, index, appendMs, offset)
      ) continue;
      origin ??= prepared.originOf(place, at, boot);
      this.readings.judge(device, origin, scanned.readingAt(i), index);
    }
    const pendingSinceMs = orNull(scanned.pendingSinceMs[at]!);
    this.#end(device, boot, firstEventMs, lastEventMs, appendMs, offset, pendingSinceMs, isSynced);
  }

  /** What comes before the readings of a batch. */
  #begin(device: DeviceState, appendMs: number, offset: number, everyMs: number | null): void {
    this.windows.closeSilent(device, appendMs, offset);
    device.lastAppendMs = appendMs;
    device.lastOffset = offset;
    device.retired = false;
    if (this.windows.alerts.isActive) this.windows.alerts.heard(device);
    if (everyMs !== null) device.everyMs = everyMs;
    if (device.unsequencedDays.size > 0) expireUnsequenced(device, appendMs, this.config.retentionMs);
  }

  /** What comes after them: the watermark, and what it closes. */
  #end(
    device: DeviceState,
    boot: BootState | null,
    firstEventMs: number | null,
    lastEventMs: number | null,
    appendMs: number,
    offset: number,
    pendingSinceMs: number | null,
    isSynced: boolean,
  ): void {
    device.pendingSinceMs = pendingSinceMs;
    device.watermarkMs = watermarkAfter(device, appendMs, isSynced, this.config); // (3)
    if (
      boot !== null && device.boots.size > 1 &&
      (boot.firstEventMs !== firstEventMs || boot.lastEventMs !== lastEventMs)
    ) {
      noteSharedName(device, boot, this.config.outOfOrderMs);
    }
    this.windows.closePassed(device, appendMs, offset); // (4)
    this.windows.schedule(device);
  }

  #heardBoot(device: DeviceState, number: number, appendMs: number): BootState | null {
    const boot = this.devices.bootOf(device, number, appendMs);
    if (boot === null) return null;
    boot.heard = true;
    device.currentBoot = boot.boot;
    return boot;
  }

  #noteLost(
    device: DeviceState,
    boot: BootState,
    lost: Batch["lost"],
    told: Batch["previous"],
    appendMs: number,
  ): void {
    for (const span of lost) {
      boot.known = Math.max(boot.known, span.to + 1);
      const spans = boot.slots.spanCount;
      boot.slots.lose(span.from, span.to, limits.spansPerDeviceMax - device.spanCount + spans);
      device.spanCount += boot.slots.spanCount - spans;
    }
    if (told !== null && told.slots > 0) {
      const previous = this.devices.bootOf(device, told.boot, appendMs);
      if (previous !== null) previous.known = Math.max(previous.known, told.slots);
    }
  }
}
