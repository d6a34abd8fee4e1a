/** Readings that are not counted: kept with their reason within bounds, each only once. */
import type { DeviceState } from "./device.ts";
import type { JudgeConfig } from "./config.ts";
import { type KnownIndex, nothingKnown } from "./known.ts";
import { limits } from "./limits.ts";
import { isKept } from "./retention.ts";
import type { QuarantineRow } from "./rows.ts";
import type { Tally } from "./tally.ts";

/** What makes two quarantined arrivals the same. */
type Alike = Pick<QuarantineRow, "boot" | "seq" | "tsMs" | "reason" | "raw">;

export class Quarantine {
  /** What was looked up for the records that are folded now. */
  known: KnownIndex = nothingKnown;
  #rows: QuarantineRow[] = [];

  constructor(readonly config: JudgeConfig, readonly tally: Tally) {}

  has(device: DeviceState, like: Alike, appendMs: number): boolean {
    const isTwin = (row: QuarantineRow) =>
      row.tsMs === like.tsMs && row.boot === like.boot && row.seq === like.seq &&
      row.reason === like.reason &&
      row.raw === like.raw && isKept(row.appendMs, appendMs, this.config.retentionMs);
    const name = device.device;
    return (this.known.quarantined.get(name)?.some(isTwin) ?? false) || device.freshQuarantined.some(isTwin);
  }

  /** Counts a quarantined arrival of `device`, and keeps the row while the day's bound allows. */
  keep(device: DeviceState, row: QuarantineRow): void {
    device.quarantined++;
    this.tally.quarantined[row.reason]++;
    const day = Math.floor(row.appendMs / 86_400_000);
    if (day !== device.quarantineDay) [device.quarantineDay, device.quarantinedToday] = [day, 0];
    if (device.quarantinedToday >= limits.quarantinedPerDayMax) return;
    device.quarantinedToday++;
    this.#rows.push(row);
    device.freshQuarantined.push(row);
  }

  /** How many rows {@link take} would give. */
  get freshCount(): number {
    return this.#rows.length;
  }

  /** What the next transaction appends. */
  take(): QuarantineRow[] {
    const rows = this.#rows;
    this.#rows = [];
    return rows;
  }
}

/** Raw text as it is kept. */
export const cutRaw = (text: string) => text.slice(0, limits.quarantinedRawLengthMax);
