/** Whether a reading is known: by its slot, or without one by its event time and channels. */
import type { DeviceState } from "./device.ts";
import type { Verdict } from "./judge.ts";
import type { JudgeConfig } from "./config.ts";
import { type KnownIndex, nothingKnown } from "./known.ts";
import { type BootState, slotStates } from "./ledger.ts";
import type { ReadingBlock } from "./reading_block.ts";
import { isKept } from "./retention.ts";
import type { ReadingRow } from "./rows.ts";
import { RowsByTime } from "./rows_by_time.ts";
import type { Reading } from "./schema.ts";

export type Identity =
  /** `rest`: what of it is new; null for all. */
  | { readonly kind: "accepted"; readonly rest: Reading | null }
  | { readonly kind: "duplicate" }
  | { readonly kind: "refused"; readonly verdict: Verdict };

const AS_IT_IS: Identity = { kind: "accepted", rest: null };
export const CONFLICT: Identity = {
  kind: "refused",
  verdict: {
    reason: "conflict",
    detail: "a reading with this identity and other content is known; the first stands",
  },
};

export class Identifier {
  /** What was looked up for the records that are folded now. */
  known: KnownIndex = nothingKnown;
  readonly #fresh = new Map<DeviceState, { readonly rows: RowsByTime; newest: number }>();

  /** `readings`: those of the transaction to come. */
  constructor(readonly config: JudgeConfig, public readings: ReadingBlock) {}

  /** A new transaction begins. */
  forgetFresh(readings: ReadingBlock): void {
    this.readings = readings;
    if (this.#fresh.size > 0) this.#fresh.clear();
  }

  ofSlot(
    device: DeviceState,
    boot: BootState,
    seq: number,
    reading: Reading,
    tsMs: number,
    appendMs: number,
  ): Identity {
    // Nearly all are the next slot of their boot.
    if (seq >= boot.known || boot.slots.stateOf(seq) !== slotStates.final) return AS_IT_IS;
    if (reading.tsMs === null) return { kind: "duplicate" };
    const twin = this.#keptAt(device, tsMs, appendMs).find((row) =>
      row.boot === boot.boot && row.seq === seq
    );
    if (twin !== undefined) return sameContent(twin, reading) ? { kind: "duplicate" } : CONFLICT;
    const wouldBeKept = isKept(tsMs - this.config.futureMs, appendMs, this.config.retentionMs);
    return wouldBeKept ? CONFLICT : { kind: "duplicate" };
  }

  ofTime(device: DeviceState, reading: Reading, tsMs: number, appendMs: number): Identity {
    if (reading.tsMs === null) return AS_IT_IS;
    if (device.unsequencedExpiredMs !== null && tsMs <= device.unsequencedExpiredMs) {
      const detail =
        "it has no seq, and readings as old as it have expired: whether it is known can't be told";
      return { kind: "refused", verdict: { reason: "undecidable", detail } };
    }
    if (device.unsequencedHighestMs === null || tsMs > device.unsequencedHighestMs) {
      return AS_IT_IS;
    }
    const kept = this.#keptAt(device, tsMs, appendMs).filter((row) => row.boot === null || row.seq === null);
    let [known, unknown] = [0, 0];
    const rest = { ...reading };
    for (const channel of ["temperatureMilliC", "humidityMilliPct", "fault"] as const) {
      if (reading[channel] === null) continue;
      const twin = kept.find((row) => row[channel] !== null);
      if (twin === undefined) unknown++;
      else if (twin[channel] !== reading[channel]) return CONFLICT;
      else {
        known++;
        rest[channel] = null;
      }
    }
    if (known === 0) return AS_IT_IS;
    return unknown === 0 ? { kind: "duplicate" } : { kind: "accepted", rest };
  }

  /** Kept readings of a device with this event time, stored and fresh. */
  #keptAt(device: DeviceState, tsMs: number, appendMs: number): ReadingRow[] {
    const stored = this.known.readings.get(device.device)?.at(tsMs) ?? [];
    return [...stored, ...this.#freshOf(device).at(tsMs)].filter((row) =>
      isKept(row.appendMs, appendMs, this.config.retentionMs)
    );
  }

  /** The device's readings of the transaction to come. Rows are made of those only that were not asked for before. */
  #freshOf(device: DeviceState): RowsByTime {
    let fresh = this.#fresh.get(device);
    if (fresh === undefined) this.#fresh.set(device, fresh = { rows: new RowsByTime(), newest: -1 });
    const added: number[] = [];
    for (let at = device.lastFresh; at > fresh.newest; at = this.readings.before[at]!) added.push(at);
    for (const at of added.reverse()) fresh.rows.push(this.readings.row(at));
    fresh.newest = device.lastFresh;
    return fresh.rows;
  }
}

function sameContent(row: ReadingRow, reading: Reading): boolean {
  return row.temperatureMilliC === reading.temperatureMilliC &&
    row.humidityMilliPct === reading.humidityMilliPct &&
    row.fault === reading.fault;
}

export function noteUnsequenced(device: DeviceState, tsMs: number, appendMs: number): void {
  if (device.unsequencedHighestMs === null || tsMs > device.unsequencedHighestMs) {
    device.unsequencedHighestMs = tsMs;
  }
  const day = Math.floor(appendMs / 86_400_000);
  const highest = device.unsequencedDays.get(day);
  if (highest === undefined || tsMs > highest) device.unsequencedDays.set(day, tsMs);
}

export function expireUnsequenced(device: DeviceState, appendMs: number, retentionMs: number): void {
  for (const [day, tsMs] of device.unsequencedDays) {
    if (isKept(day * 86_400_000, appendMs, retentionMs)) continue;
    device.unsequencedDays.delete(day);
    if (device.unsequencedExpiredMs === null || tsMs > device.unsequencedExpiredMs) {
      device.unsequencedExpiredMs = tsMs;
    }
  }
}
