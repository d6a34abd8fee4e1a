/** Collects what a list of records needs, judged against the state before them. */
import type { JudgeConfig } from "./config.ts";
import { type DeviceState, isPassed } from "./device.ts";
import { eventTimeOf, inspectReading } from "./judge.ts";
import { windowKey } from "./known.ts";
import { type BootState, slotStates } from "./ledger.ts";
import { limits } from "./limits.ts";
import type { Needs } from "./ports/store.ts";
import type { Batch, MalformedReading, Reading, ReleaseRecord } from "./schema.ts";
import { type Window, windowsOf } from "./windows.ts";

export class CollectedNeeds implements Needs {
  readonly readings: { device: string; fromMs: number; toMs: number }[] = [];
  readonly windows: { device: string; windowSize: string; startMs: number }[] = [];
  #seen = new Set<string>();

  constructor(readonly config: JudgeConfig) {}

  addBatch(device: DeviceState, batch: Batch, appendMs: number): void {
    const boot = batch.boot === null ? undefined : device.bootNumbered(batch.boot);
    const isSequenced = batch.boot !== null;
    const length = batch.readings.length;
    for (const reading of batch.readings) {
      this.addReading(device, boot, isSequenced, length, reading, appendMs);
    }
  }

  addRelease(device: DeviceState, release: ReleaseRecord, appendMs: number): void {
    const boot = release.boot === null ? undefined : device.boots.get(release.boot);
    this.addReading(device, boot, release.boot !== null, 1, release.reading, appendMs);
  }

  /** `length`: readings in its batch; `hasBoot`: the batch names a boot, whether `boot` is known of it or not. */
  addReading(
    device: DeviceState,
    boot: BootState | undefined,
    hasBoot: boolean,
    length: number,
    reading: Reading | MalformedReading,
    appendMs: number,
  ): void {
    const tsMs = eventTimeOf(reading, length, appendMs);
    if (tsMs === null) return;
    const mayBeKnown = hasBoot && reading.seq !== null
      ? isLedgerNearlyFull(device) ||
        (boot !== undefined && reading.seq < boot.known &&
          boot.slots.stateOf(reading.seq) === slotStates.final)
      : device.unsequencedHighestMs !== null && tsMs <= device.unsequencedHighestMs;
    const isInvalid = inspectReading(reading, length, appendMs, this.config) !== null;
    if (reading.tsMs !== null && (mayBeKnown || isInvalid)) this.#addSpan(device.device, tsMs, tsMs + 1);
    // A window that holds an event above the watermark ends above it: the ordinary reading leaves here.
    if (isInvalid || device.watermarkMs === null || tsMs >= device.watermarkMs) return;
    for (let i = 0; i < this.config.windows.length; i++) {
      for (const window of windowsOf(this.config.windows[i]!, tsMs)) {
        if (isPassed(device, window.endMs)) this.#addWindow(device, i, window);
      }
    }
  }

  #addWindow(device: DeviceState, spec: number, window: Window): void {
    if (window.endMs > device.forgottenEndMs[spec]!) return; // in memory, or nowhere
    if (device.closed[spec]!.has(window.startMs)) return;
    const { label } = this.config.windows[spec]!;
    const key = windowKey(device.device, label, window.startMs);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.windows.push({ device: device.device, windowSize: label, startMs: window.startMs });
    this.#addSpan(device.device, window.startMs, window.endMs);
  }

  #addSpan(device: string, fromMs: number, toMs: number): void {
    const key = `${fromMs}-${toMs} ${device}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.readings.push({ device, fromMs, toMs });
  }
}

/** Then a reading may have been refused before for want of room. */
export const isLedgerNearlyFull = (device: DeviceState) =>
  device.spanCount > limits.spansPerDeviceMax / 2 || device.boots.size > limits.bootsPerDeviceMax / 2;
