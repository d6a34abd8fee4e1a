/**
 * A log that a fleet of any size has written, without being kept anywhere: record `o` is computed when it is read. One
 * partition; every device sends one record of `perRecord` readings every `perRecord` intervals, spread over them, and is
 * never late. Append times are the log's own, so a day is read as fast as the reader can.
 */
import { assert } from "../../core/assert.ts";
import type {
  Appended,
  Assignments,
  LogReader,
  LogRecord,
  LogWriter,
  NewRecord,
  ReadLimits,
} from "../../core/ports/log.ts";

export interface Fleet {
  readonly devices: number;
  /** Sampling interval of each. */
  readonly everyMs: number;
  /** Readings in one record. */
  readonly perRecord: number;
  /** Records in all: the log's end, unless somebody appends. */
  readonly records: number;
}

/** 2026-01-01T00:00:00Z. */
const START_MS = 1_767_225_600_000;
/** From the last reading of a record to its append. */
const WAY_MS = 200;
const headers = { isotherm: "1" };
const encoder = new TextEncoder();

export class FleetLog implements LogReader, LogWriter {
  readonly partitions = 1;
  #assignments: Assignments | null = null;
  /** What the aggregator has appended (owner records), by offset. */
  readonly #appended = new Map<number, NewRecord>();
  readonly #stepMs: number;

  constructor(readonly fleet: Fleet) {
    this.#stepMs = fleet.everyMs * fleet.perRecord / fleet.devices;
  }

  get #next(): number {
    return this.fleet.records + this.#appended.size;
  }

  async join(assignments: Assignments): Promise<void> {
    this.#assignments = assignments;
    await assignments.assigned([0]);
  }

  range(): Promise<{ readonly earliest: number; readonly next: number }> {
    return Promise.resolve({ earliest: 0, next: this.#next });
  }

  async read(
    _partition: number,
    offset: number,
    { recordsMax, bytesMax, waitMs, signal }: ReadLimits,
  ): Promise<{ readonly kind: "records"; readonly records: readonly LogRecord[] }> {
    if (offset >= this.#next && signal?.aborted !== true) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(waitMs, 20)));
    }
    const records: LogRecord[] = [];
    let bytes = 0;
    for (let at = offset; at < this.#next && records.length < recordsMax && bytes < bytesMax; at++) {
      const record = this.recordAt(at);
      records.push(record);
      bytes += record.value?.length ?? 0;
    }
    return { kind: "records", records };
  }

  /** The record at `offset`, the same each time. */
  recordAt(offset: number): LogRecord {
    const appended = this.#appended.get(offset);
    if (appended !== undefined) {
      return { ...appended, offset, appendMs: this.#appendMsAt(this.fleet.records) };
    }
    const { devices, everyMs, perRecord } = this.fleet;
    const [round, index] = [Math.floor(offset / devices), offset % devices];
    const lastMs = START_MS + Math.floor(offset * this.#stepMs);
    const device = `device-${index}`;
    const readings = Array.from({ length: perRecord }, (_, i) => {
      const seq = round * perRecord + i;
      const tsMs = lastMs - (perRecord - 1 - i) * everyMs;
      // Whole numbers walk, so that neighbours in time are near each other as a room's are.
      const [t, h] = [180 + index % 50 + (seq + index) % 20, 400 + index % 100 + (seq * 3 + index) % 40];
      return `{"seq":${seq},"ts":${tsMs},"temperature_c":${t / 10},"humidity_pct":${h / 10}}`;
    });
    const value = encoder.encode(
      `{"device":"${device}","boot":${7_000_000_000 + index},"every_ms":${everyMs},"readings":[${
        readings.join(",")
      }]}`,
    );
    return { partition: 0, offset, appendMs: this.#appendMsAt(offset), key: device, value, headers };
  }

  #appendMsAt(offset: number): number {
    return START_MS + Math.floor(offset * this.#stepMs) + WAY_MS;
  }

  append(records: readonly NewRecord[]): Promise<readonly Appended[]> {
    return Promise.resolve(records.map((record) => {
      const offset = this.#next;
      this.#appended.set(offset, record);
      return { partition: 0, offset, appendMs: this.#appendMsAt(this.fleet.records) };
    }));
  }

  hint(): void {}
  settled(): void {}
  available(): boolean {
    return true;
  }
  pendingBytes(): number {
    return 0;
  }

  async close(): Promise<void> {
    assert(this.#assignments !== null, "a reader was joined before it is closed");
    await this.#assignments.revoked([0]);
  }
}
