/**
 * One reading: valid or not, known or not, counted or not, and into which windows.
 *
 * There are two ways for it, with one outcome. `ordinary` takes the next slot of a boot that belongs into open windows,
 * straight from the scanner's columns and without an object; that is nearly every reading. It says no, with nothing
 * changed, to any other, and `judge` takes that one step by step.
 */
import { assert } from "./assert.ts";
import type { JudgeConfig } from "./config.ts";
import type { DeviceState } from "./device.ts";
import type { DeviceWindows } from "./device_windows.ts";
import { CONFLICT, type Identifier, noteUnsequenced } from "./identity.ts";
import {
  eventTimeOf,
  inspectReading,
  isFuture,
  isHumidityOut,
  isTemperatureOut,
  isUnset,
  type Verdict,
} from "./judge.ts";
import { type BootState, slotStates } from "./ledger.ts";
import { limits } from "./limits.ts";
import type { LogRecord } from "./ports/log.ts";
import { cutRaw, type Quarantine } from "./quarantine.ts";
import type { ReadingBlock } from "./reading_block.ts";
import type { ReadingRow } from "./rows.ts";
import { NO_VALUE, NONE, type ScannedBatches } from "./scanned_batches.ts";
import type { Batch, MalformedReading, Reading } from "./schema.ts";
import type { Tally } from "./tally.ts";
import { windowOf } from "./windows.ts";

/** Where a reading came from. */
export interface Origin {
  readonly record: Pick<LogRecord, "offset">;
  readonly appendMs: number;
  readonly batch: Pick<Batch, "boot" | "rawReading">;
  /** Readings in the batch. */
  readonly length: number;
  readonly boot: BootState | null;
  readonly timeUncertain: boolean;
  readonly released: boolean;
}

export class ReadingFold {
  constructor(
    readonly config: JudgeConfig,
    readonly windows: DeviceWindows,
    readonly identifier: Identifier,
    readonly quarantine: Quarantine,
    readonly tally: Tally,
    /** What the next transaction appends. */
    public readings: ReadingBlock,
  ) {}

  /** Counts reading `at` of `scanned` if there is nothing to think about; false if {@link judge} has to. */
  ordinary(
    device: DeviceState,
    boot: BootState,
    scanned: ScannedBatches,
    at: number,
    index: number,
    appendMs: number,
    offset: number,
  ): boolean {
    const seq = scanned.seq[at]!;
    const tsMs = scanned.tsMs[at]!;
    const temperature = scanned.temperatureMilliC[at]!;
    const humidity = scanned.humidityMilliPct[at]!;
    if (!isOrdinary(seq, tsMs, temperature, humidity, appendMs, this.config)) return false;
    const { current } = device;
    for (let i = 0; i < current.length; i++) {
      const window = current[i]!;
      if (window === null || window.closedBy !== null || tsMs < window.startMs || tsMs >= window.endMs) {
        return false;
      }
    }
    if (!boot.slots.extend(seq)) return false;
    boot.noteKnown(seq);
    const { everyMs } = device;
    device.lastFresh = this.readings.push(
      device.freshNumber,
      boot.boot,
      seq,
      tsMs,
      appendMs,
      offset,
      index,
      temperature,
      humidity,
      everyMs === null ? NONE : everyMs,
      0,
      device.lastFresh,
    );
    device.noteNewest(tsMs, temperature, humidity, null, null);
    device.counted++;
    this.tally.counted++;
    boot.counted++;
    device.noteEvent(tsMs);
    boot.noteEvent(tsMs);
    for (let i = 0; i < current.length; i++) {
      current[i]!.addValues(
        temperature,
        humidity,
        tsMs,
        boot.boot,
        seq,
        offset,
        index,
        appendMs,
        everyMs,
      );
    }
    return true;
  }

  /** Counts a reading, or quarantines it, or notes that it is known. */
  judge(device: DeviceState, at: Origin, reading: Reading | MalformedReading, index: number): void {
    const { appendMs, batch } = at;
    const verdict = inspectReading(reading, at.length, appendMs, this.config);
    if (verdict !== null || reading.kind === "malformed") {
      assert(verdict !== null, "a malformed reading has its verdict");
      this.#quarantine(device, at, reading, index, verdict);
      return;
    }
    if (at.boot === null && batch.boot !== null) {
      const detail = `its device's ledger is full (${limits.bootsPerDeviceMax} boots)`;
      return this.#quarantine(device, at, reading, index, { reason: "undecidable", detail });
    }
    const tsMs = eventTimeOf(reading, at.length, appendMs)!;
    const identity = at.boot !== null && reading.seq !== null
      ? this.identifier.ofSlot(device, at.boot, reading.seq, reading, tsMs, appendMs)
      : this.identifier.ofTime(device, reading, tsMs, appendMs);
    if (identity.kind === "duplicate" || (at.released && identity === CONFLICT)) {
      this.#noteDuplicate(device, at, reading.seq, tsMs, index);
    } else if (identity.kind === "refused") this.#quarantine(device, at, reading, index, identity.verdict);
    else this.#accept(device, at, identity.rest ?? reading, tsMs, index);
  }

  #accept(device: DeviceState, at: Origin, reading: Reading, tsMs: number, index: number): void {
    const sequenced = at.boot !== null && reading.seq !== null;
    const late = device.currentWindow(0, tsMs) === null &&
      this.windows.isClosed(device, 0, windowOf(this.config.windows[0]!, tsMs));
    if (sequenced && !this.#noteSlot(device, at.boot!, reading.seq!, slotStates.final)) {
      const detail = `its device's ledger is full (${limits.spansPerDeviceMax} spans)`;
      this.#quarantine(device, at, reading, index, { reason: "undecidable", detail });
      return;
    }
    const row: ReadingRow = {
      device: device.device,
      boot: at.boot?.boot ?? null,
      seq: reading.seq,
      tsMs,
      appendMs: at.appendMs,
      offset: at.record.offset,
      index,
      temperatureMilliC: reading.temperatureMilliC,
      humidityMilliPct: reading.humidityMilliPct,
      fault: reading.fault,
      flag: reading.flag,
      late,
      timeUncertain: at.timeUncertain,
      released: at.released,
      everyMs: at.released ? null : device.everyMs,
    };
    device.lastFresh = this.readings.pushRow(row, device.freshNumber, device.lastFresh);
    noteNewest(device, row);
    this.#countAccepted(device, sequenced ? at.boot : null, at, row);
    this.windows.add(device, row);
  }

  #noteDuplicate(device: DeviceState, at: Origin, seq: number | null, tsMs: number, index: number): void {
    const { appendMs, record } = at;
    this.tally.duplicates++;
    device.noteDuplicate({ tsMs, boot: at.boot?.boot ?? null, seq, appendMs, offset: record.offset, index });
  }

  #countAccepted(device: DeviceState, boot: BootState | null, at: Origin, row: ReadingRow): void {
    const outcome = at.released
      ? "released"
      : row.fault !== null
      ? "sensorFault"
      : row.late
      ? "countedLate"
      : "counted";
    device[outcome]++;
    this.tally[outcome]++;
    if (row.boot === null || row.seq === null) noteUnsequenced(device, row.tsMs, at.appendMs);
    if (boot !== null) {
      if (row.fault !== null) boot.sensorFault++;
      else if (row.late) boot.countedLate++;
      else boot.counted++;
    }
    if (at.released || row.timeUncertain) return;
    device.noteEvent(row.tsMs);
    at.boot?.noteEvent(row.tsMs);
  }

  #noteSlot(device: DeviceState, boot: BootState, seq: number, state: 2 | 3): boolean {
    const spans = boot.slots.spanCount;
    if (!boot.slots.raise(seq, state, limits.spansPerDeviceMax - device.spanCount + spans)) return false;
    device.spanCount += boot.slots.spanCount - spans;
    boot.noteKnown(seq);
    return true;
  }

  #quarantine(
    device: DeviceState,
    at: Origin,
    reading: Reading | MalformedReading,
    index: number,
    verdict: Verdict,
  ): void {
    const { seq, tsMs } = reading;
    const raw = cutRaw(at.batch.rawReading(index));
    const boot = at.boot?.boot ?? null;
    if (
      tsMs !== null &&
      this.quarantine.has(device, { boot, seq, tsMs, reason: verdict.reason, raw }, at.appendMs)
    ) {
      this.#noteDuplicate(device, at, seq, tsMs, index);
      return;
    }
    if (at.boot !== null && seq !== null && verdict.reason !== "undecidable") {
      if (at.boot.slots.stateOf(seq) < slotStates.quarantined) {
        this.#noteSlot(device, at.boot, seq, slotStates.quarantined);
      }
    }
    this.quarantine.keep(device, {
      device: device.device,
      boot,
      seq,
      tsMs,
      appendMs: at.appendMs,
      offset: at.record.offset,
      index,
      reason: verdict.reason,
      detail: verdict.detail,
      raw,
    });
  }
}

/** Whether a scanned reading is valid by itself and has both seq and event time. */
export function isOrdinary(
  seq: number,
  tsMs: number,
  temperature: number,
  humidity: number,
  appendMs: number,
  config: JudgeConfig,
): boolean {
  return seq !== NONE && tsMs !== NONE && !isUnset(tsMs) && !isFuture(tsMs, appendMs, config) &&
    (temperature === NO_VALUE || !isTemperatureOut(temperature)) &&
    (humidity === NO_VALUE || !isHumidityOut(humidity));
}

export function noteNewest(device: DeviceState, row: ReadingRow): void {
  const { tsMs, temperatureMilliC, humidityMilliPct, fault, flag } = row;
  device.noteNewest(tsMs, temperatureMilliC ?? NO_VALUE, humidityMilliPct ?? NO_VALUE, fault, flag);
}

/** Flags a device two of whose boots overlap in time by more than the out-of-order bound: two boards of one name. */
export function noteSharedName(device: DeviceState, boot: BootState, outOfOrderMs: number): void {
  if (device.sharedName || boot.firstEventMs === null || boot.lastEventMs === null) return;
  for (const other of device.boots.values()) {
    if (other === boot || other.firstEventMs === null || other.lastEventMs === null) continue;
    const overlapMs = Math.min(boot.lastEventMs, other.lastEventMs) -
      Math.max(boot.firstEventMs, other.firstEventMs);
    if (overlapMs > outOfOrderMs) device.sharedName = true;
  }
}
