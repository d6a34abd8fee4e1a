/**
 * The readings that every contender gets: 1,000 devices, one reading a second each, 2 % up to 20 s out of order, 0.1 %
 * late by one to three minutes. Same parameters, same bytes, on any machine.
 */
import { seededRandom } from "../sim/random.ts";
import { below, chance } from "../core/ports/random.ts";

export interface Workload {
  readonly readings: number;
  readonly devices: number;
  /** Readings of one device in one record. */
  readonly perRecord: number;
}

export const standard: Workload = { readings: 2_000_000, devices: 1_000, perRecord: 1 };

/** 2026-01-01T00:00:00Z. */
export const startMs = 1_767_225_600_000;
const OUT_OF_ORDER_MS_MAX = 20_000;
const [LATE_MS_MIN, LATE_MS_MAX] = [60_000, 180_000];

export interface WorkloadRecord {
  readonly key: string;
  readonly value: string;
  /** When it is sent, on the readings' own time scale. */
  readonly sentMs: number;
}

export const deviceName = (index: number) => `device-${String(index).padStart(5, "0")}`;
const bootOf = (index: number) => 5_000_000_000_000_000 + index;

/** Records in the order in which they are sent. */
export function* workload({ readings, devices, perRecord }: Workload): Generator<WorkloadRecord> {
  const random = seededRandom(1);
  const slots = Math.floor(readings / devices);
  /** By second: what was held back until then. */
  const heldBack = new Map<number, WorkloadRecord[]>();
  for (let slot = 0; slot < slots; slot += perRecord) {
    const lastMs = startMs + (slot + perRecord - 1) * 1_000;
    for (let device = 0; device < devices; device++) {
      const texts: string[] = [];
      for (let seq = slot; seq < slot + perRecord; seq++) texts.push(readingText(seq, device));
      const head = `{"device":"${deviceName(device)}","boot":${bootOf(device)},`;
      const value = perRecord === 1
        ? head + texts[0]!.slice(1)
        : `${head}"every_ms":1000,"readings":[${texts.join(",")}]}`;
      const record = { key: deviceName(device), value, sentMs: lastMs + device };
      const delayMs = chance(random, 1, 1_000)
        ? LATE_MS_MIN + below(random, LATE_MS_MAX - LATE_MS_MIN)
        : chance(random, 2, 100)
        ? 1 + below(random, OUT_OF_ORDER_MS_MAX)
        : 0;
      if (delayMs === 0) yield record;
      else {
        const sentMs = record.sentMs + delayMs;
        const second = Math.floor((sentMs - startMs) / 1_000);
        const list = heldBack.get(second) ?? [];
        heldBack.set(second, list);
        list.push({ ...record, sentMs });
      }
    }
    for (let second = slot; second < slot + perRecord; second++) {
      yield* heldBack.get(second) ?? [];
      heldBack.delete(second);
    }
  }
  for (const second of [...heldBack.keys()].sort((a, b) => a - b)) yield* heldBack.get(second)!;
}

/** Tenths that wander by day and device; a second's worth of a formula, not of weather. */
function readingText(seq: number, device: number): string {
  const temperature = 150 + (device % 100) + ((seq + device) % 60);
  const humidity = 400 + (device % 150) + ((seq * 7 + device) % 90);
  const decimal = (tenths: number) => `${Math.floor(tenths / 10)}.${tenths % 10}`;
  const [t, h] = [decimal(temperature), decimal(humidity)];
  return `{"seq":${seq},"ts":${startMs + seq * 1_000},"temperature_c":${t},"humidity_pct":${h}}`;
}
