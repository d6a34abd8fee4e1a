/** The first half of the fold: records decoded, with what folding them has to know. */
import { assert } from "./assert.ts";
import type { JudgeConfig } from "./config.ts";
import { type DecodedRecord, decodeRecord } from "./decoded_record.ts";
import type { DeviceState } from "./device.ts";
import { slotStates } from "./ledger.ts";
import { CollectedNeeds, isLedgerNearlyFull } from "./needs.ts";
import type { LogRecord } from "./ports/log.ts";
import type { Needs } from "./ports/store.ts";
import { isOrdinary, type Origin } from "./reading_fold.ts";
import { isBlock, recordAt, type Records } from "./records.ts";
import { scanInto } from "./scan.ts";
import { NONE, type ScannedBatches } from "./scanned_batches.ts";
import { classify, decodeBatchClosely } from "./schema.ts";

/** What the fold is before the records. */
export interface PreparedFor {
  readonly config: JudgeConfig;
  readonly appendHighMs: number;
  readonly devices: ReadonlyMap<string, DeviceState>;
  readonly isOurs: (device: string) => boolean;
  /** Columns that nobody uses, which are empty. */
  readonly scanned: ScannedBatches;
}

/** Decoded records, and what folding them has to know. */
export class Prepared {
  /** Records that can be folded. */
  length = 0;
  /** Set when the record after the last must not be folded; the sentence says why. */
  stop: string | null = null;
  /** Running maximum of the append times. */
  readonly appendMs: Float64Array;
  readonly offsets: Float64Array;
  /** Batches as the scanner has read them, in order. */
  readonly scanned: ScannedBatches;
  /** Number of a record's batch among the scanned; −1 if it isn't one. */
  readonly batchOf: Int32Array;
  /** Number of the device that a record is about, in the order of their first records; −1 if it is about more than one. */
  readonly deviceOf: Int32Array;
  /** By number; undefined if it wasn't known before. */
  readonly devices: (DeviceState | undefined)[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #decoded = new Map<number, DecodedRecord>();
  readonly #records: Records;
  readonly #needs: CollectedNeeds;

  constructor(records: Records, config: JudgeConfig, scanned: ScannedBatches) {
    this.#records = records;
    this.scanned = scanned;
    this.appendMs = new Float64Array(records.length);
    this.batchOf = new Int32Array(records.length).fill(-1);
    this.deviceOf = new Int32Array(records.length).fill(-1);
    this.offsets = isBlock(records) ? records.offsets : new Float64Array(records.length);
    this.#needs = new CollectedNeeds(config);
  }

  get needs(): Needs {
    return this.#needs;
  }

  /** The last record that can be folded; null if there is none. */
  get last(): LogRecord | null {
    return this.length === 0 ? null : recordAt(this.#records, this.length - 1);
  }

  /** What record `index`, which is no scanned batch, was decoded to. */
  decodedAt(index: number): DecodedRecord {
    const decoded = this.#decoded.get(index);
    assert(decoded !== undefined, "a record is scanned or decoded");
    return decoded;
  }

  /** Records [from, to) that are about one device each, by device in order of its first, and each device's in order. */
  *byDevice(from: number, to: number): Generator<number> {
    const [first, last] = [new Int32Array(this.devices.length).fill(-1), new Int32Array(this.devices.length)];
    const next = new Int32Array(to - from).fill(-1);
    const numbers: number[] = [];
    for (let i = from; i < to; i++) {
      const number = this.deviceOf[i]!;
      if (number < 0) continue;
      if (first[number] === -1) {
        first[number] = i;
        numbers.push(number);
      } else next[last[number]! - from] = i;
      last[number] = i;
    }
    for (const number of numbers) for (let i = first[number]!; i !== -1; i = next[i - from]!) yield i;
  }

  #numberOf(name: string, fold: PreparedFor): number {
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.devices.push(fold.devices.get(name)) - 1;
      this.#numbers.set(name, number);
    }
    return number;
  }

  /** Where the readings of scanned batch `at` come from, record `index` of the list. */
  originOf(index: number, at: number, boot: Origin["boot"]): Origin {
    const { scanned } = this;
    const record = recordAt(this.#records, index);
    const number = scanned.boot[at]!;
    return {
      record,
      appendMs: this.appendMs[index]!,
      batch: { boot: number === NONE ? null : number, rawReading: rawReadingOf(record.value!) },
      length: scanned.endOf(at) - scanned.first[at]!,
      boot,
      timeUncertain: scanned.synced[at] === 0,
      released: false,
    };
  }

  /** Takes a record that isn't a scanned batch. */
  addDecoded(index: number, decoded: DecodedRecord, fold: PreparedFor): void {
    this.#decoded.set(index, decoded);
    if (decoded.kind === "batch") this.deviceOf[index] = this.#numberOf(decoded.batch.device, fold);
    else if (decoded.kind === "release") {
      const device = fold.devices.get(decoded.release.device);
      if (device !== undefined) this.#needs.addRelease(device, decoded.release, decoded.appendMs);
    }
  }

  /** Tries to take a batch by the scanner. */
  scan(index: number, bytes: Uint8Array, start: number, end: number, fold: PreparedFor): boolean {
    const { scanned } = this;
    if (!scanInto(scanned, bytes, start, end)) return false;
    const at = scanned.length - 1;
    const name = scanned.device[at]!;
    const number = this.#numberOf(name, fold);
    if (this.devices[number] === undefined && !fold.isOurs(name)) {
      scanned.takeBack(scanned.first[at]!);
      return false;
    }
    this.batchOf[index] = at;
    this.deviceOf[index] = number;
    return true;
  }

  /** Collects the needs of all batches, device by device: of a device that isn't known nothing can be stored. */
  addNeeds(config: JudgeConfig): void {
    for (const index of this.byDevice(0, this.length)) {
      const device = this.devices[this.deviceOf[index]!];
      if (device === undefined) continue;
      const at = this.batchOf[index]!;
      const appendMs = this.appendMs[index]!;
      if (at >= 0) this.#addNeeds(device, at, appendMs, config);
      else {
        const decoded = this.decodedAt(index);
        if (decoded.kind === "batch") this.#needs.addBatch(device, decoded.batch, appendMs);
      }
    }
  }

  #addNeeds(device: DeviceState, at: number, appendMs: number, config: JudgeConfig): void {
    const { scanned } = this;
    const number = scanned.boot[at]!;
    const boot = number === NONE ? undefined : device.bootNumbered(number);
    const first = scanned.first[at]!;
    const end = scanned.endOf(at);
    const isNearlyFull = isLedgerNearlyFull(device);
    for (let i = first; i < end; i++) {
      const seq = scanned.seq[i]!;
      const tsMs = scanned.tsMs[i]!;
      // The ordinary reading needs nothing: valid, surely new, and for windows that are open.
      if (
        number !== NONE && !isNearlyFull &&
        (boot === undefined || seq >= boot.known || boot.slots.stateOf(seq) !== slotStates.final) &&
        (device.watermarkMs === null || tsMs >= device.watermarkMs) &&
        isOrdinary(seq, tsMs, scanned.temperatureMilliC[i]!, scanned.humidityMilliPct[i]!, appendMs, config)
      ) continue;
      this.#needs.addReading(device, boot, number !== NONE, end - first, scanned.readingAt(i), appendMs);
    }
  }
}

/** JSON of a record's reading; the record is looked at again when the first is asked for. */
function rawReadingOf(value: Uint8Array): (index: number) => string {
  let raw: ((index: number) => string) | null = null;
  return (index) => {
    if (raw === null) {
      const decoded = decodeBatchClosely(value);
      raw = decoded.kind === "batch" ? (at) => decoded.batch.rawReading(at) : () => "";
    }
    return raw(index);
  };
}

/** Decodes records, and collects what folding them has to know. */
export function prepareRecords(records: Records, fold: PreparedFor): Prepared {
  const prepared = new Prepared(records, fold.config, fold.scanned);
  let appendMs = fold.appendHighMs;
  for (let i = 0; i < records.length; i++) {
    if (isBlock(records)) {
      appendMs = Math.max(appendMs, records.appendMs[i]!);
      prepared.appendMs[i] = appendMs;
      if (
        records.plain[i] === 1 &&
        prepared.scan(i, records.bytes, records.starts[i]!, records.ends[i]!, fold)
      ) {
        prepared.length++;
        continue;
      }
    }
    const record = recordAt(records, i);
    const classified = classify(record);
    if (classified.kind === "unknown") {
      prepared.stop = classified.sentence;
      break;
    }
    appendMs = Math.max(appendMs, record.appendMs);
    prepared.appendMs[i] = appendMs;
    prepared.offsets[i] = record.offset;
    const { value } = record;
    const isScanned = !isBlock(records) && classified.kind === "batch" && value !== null &&
      prepared.scan(i, value, 0, value.length, fold);
    if (!isScanned) {
      prepared.addDecoded(i, decodeRecord(record, appendMs, classified.kind, fold.isOurs), fold);
    }
    prepared.length++;
  }
  prepared.addNeeds(fold.config);
  return prepared;
}
