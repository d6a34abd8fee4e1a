/**
 * The fold: records of one partition in, rows out; pure and synchronous (docs/judging.md has the rules).
 *
 * ```
 * const prepared = partition.prepare(records);             // decodes, and says what has to be looked up
 * partition.apply(prepared, await store.lookup(prepared.needs));
 * await store.commit(partition.takeChanges(hashOfLastRecord, configHash));
 * ```
 * One after the other: what is looked up has to include everything taken before. State is what `restore` rebuilds from
 * the store; beside it there is a cache of closed windows that changes no outcome.
 *
 * Silence is applied lazily to a device when its own next record comes, and eagerly, through a queue of due times, so
 * that others see the row soon. Both give the same row, because nothing of a device changes between its own records.
 */
import { WindowState } from "./accumulator.ts";
import { AlertFold } from "./alert_fold.ts";
import { type AlertRule, decodeRules } from "./alert_rules.ts";
import { assert, unreachable } from "./assert.ts";
import type { JudgeConfig } from "./config.ts";
import { BootState, slotStates } from "./ledger.ts";
import {
  bootOfRow,
  bootRow,
  deviceOfRow,
  deviceRow,
  DeviceState,
  type DuplicateNote,
  type LastReading,
} from "./device.ts";
import { DueQueue } from "./due_queue.ts";
import { eventTimeOf, inspectReading, type Verdict } from "./judge.ts";
import { limits } from "./limits.ts";
import { partitionOf } from "./murmur2.ts";
import type { LogRecord } from "./ports/log.ts";
import type { Changes, Known, Needs, StoredState } from "./ports/store.ts";
import { isKept } from "./retention.ts";
import type {
  DeviceRow,
  GapRow,
  PositionRow,
  QuarantineReason,
  QuarantineRow,
  ReadingRow,
  ReleaseRow,
  WindowRow,
} from "./rows.ts";
import { RowsByTime } from "./rows_by_time.ts";
import {
  type Batch,
  classify,
  decodeBatch,
  decodeDeviceRecord,
  decodeOwner,
  decodeRelease,
  type DeviceRecord,
  type MalformedReading,
  type Reading,
  type RecordKind,
  type ReleaseRecord,
} from "./schema.ts";
import { watermarkAfter } from "./watermark.ts";
import { isTumbling, lowestStart, type Window, windowOf, windowsOf } from "./windows.ts";

/** A record with what it was decoded to. */
type Item =
  & { readonly record: LogRecord; readonly appendMs: number }
  & (
    | { readonly kind: "tick" }
    | { readonly kind: "owner" }
    /** `device` as it was known when the batch was decoded. */
    | { readonly kind: "batch"; readonly batch: Batch; readonly device: DeviceState | undefined }
    | { readonly kind: "misplaced"; readonly batch: Batch }
    | { readonly kind: "device"; readonly device: string; readonly control: DeviceRecord }
    | { readonly kind: "release"; readonly release: ReleaseRecord }
    | { readonly kind: "rules"; readonly rules: readonly AlertRule[] }
    | { readonly kind: "undecodable"; readonly detail: string }
  );

/** Decoded records, and what folding them has to know. */
export interface Prepared {
  readonly items: readonly Item[];
  readonly needs: Needs;
  /** Set when the record after the last item must not be folded; the sentence says why. */
  readonly stop: string | null;
}

/** Readings by what became of them since the fold was made; for metrics, the rows are the account. */
export interface Tally {
  counted: number;
  countedLate: number;
  sensorFault: number;
  duplicates: number;
  released: number;
  readonly quarantined: Record<QuarantineReason, number>;
}

/** A device as it stands, for those who watch. */
export interface DeviceView {
  readonly row: DeviceRow;
  /** Null if none is known any more. */
  readonly last: LastReading | null;
  /** Places of the newest duplicates, and since when (append time) they have been noted. */
  readonly duplicates: readonly DuplicateNote[];
  readonly duplicatesSinceMs: number;
  /** Earliest event time known of it, or its first append time if that is earlier. */
  readonly firstMs: number;
  readonly open: readonly WindowRow[];
}

/** Recently closed windows that stay in memory, so that a late reading seldom needs the store. */
const CLOSED_CACHED_MAX = 4_096;
/** The nameless device that stands for records which name none, or lie in the wrong partition. */
const NAMELESS = "";
const utf8 = new TextDecoder();
const NOTHING_KNOWN: KnownIndex = { readings: new Map(), quarantined: new Map(), windows: new Map() };

interface KnownIndex {
  readonly readings: ReadonlyMap<string, RowsByTime>;
  readonly quarantined: ReadonlyMap<string, readonly QuarantineRow[]>;
  readonly windows: ReadonlyMap<string, WindowRow>;
}

const windowKey = (device: string, windowSize: string, startMs: number) =>
  `${startMs} ${windowSize} ${device}`;

function indexKnown(known: Known): KnownIndex {
  const readings = new Map<string, RowsByTime>();
  const quarantined = new Map<string, QuarantineRow[]>();
  const windows = new Map<string, WindowRow>();
  for (const row of known.readings) {
    let rows = readings.get(row.device);
    if (rows === undefined) readings.set(row.device, rows = new RowsByTime());
    rows.push(row);
  }
  for (const row of known.quarantined) if (row.device !== null) listOf(quarantined, row.device).push(row);
  for (const row of known.windows) windows.set(windowKey(row.device, row.windowSize, row.startMs), row);
  return { readings, quarantined, windows };
}

function listOf<K, V>(map: Map<K, V[]>, key: K): V[] {
  let list = map.get(key);
  if (list === undefined) map.set(key, list = []);
  return list;
}

export class Partition {
  #devices = new Map<string, DeviceState>();
  #due = new DueQueue<DeviceState>();
  #nextOffset = 0;
  #appendHighMs = 0;
  #epoch = -1;
  #lastOffset: number | null = null;
  // What the next transaction appends.
  #readings: ReadingRow[] = [];
  #quarantined: QuarantineRow[] = [];
  #released: ReleaseRow[] = [];
  #gaps: GapRow[] = [];
  #dirtyDevices: DeviceState[] = [];
  #dirtyBoots: [DeviceState, BootState][] = [];
  #dirtyWindows: [DeviceState, WindowState][] = [];
  #closedCached: [DeviceState, WindowState][] = [];
  #known: KnownIndex = NOTHING_KNOWN;
  /** Devices that changed since watchers were shown them. */
  #unshown: DeviceState[] = [];
  #startedMs = 0;
  #alerts: AlertFold;
  readonly tally: Tally = {
    counted: 0,
    countedLate: 0,
    sensorFault: 0,
    duplicates: 0,
    released: 0,
    quarantined: {
      future: 0,
      out_of_range: 0,
      no_time: 0,
      conflict: 0,
      undecidable: 0,
      wrong_partition: 0,
      malformed: 0,
    },
  };

  constructor(
    readonly config: JudgeConfig,
    readonly partition: number,
    readonly partitions: number,
  ) {
    this.#alerts = new AlertFold(config.windows, partition);
  }

  /** Rebuilds the state that a store holds. */
  static restore(config: JudgeConfig, partition: number, partitions: number, stored: StoredState): Partition {
    const fold = new Partition(config, partition, partitions);
    if (stored.position !== null) {
      fold.#nextOffset = stored.position.nextOffset;
      fold.#appendHighMs = stored.position.appendHighMs;
      fold.#epoch = stored.position.epoch;
      fold.#lastOffset = stored.position.lastOffset;
      fold.#lastTaken = fold.#nextOffset;
      fold.#startedMs = stored.position.appendHighMs;
    }
    for (const row of stored.devices) fold.#devices.set(row.device, deviceOfRow(row, config.windows.length));
    for (const row of stored.boots) {
      const device = fold.#devices.get(row.device);
      assert(device !== undefined, "a stored boot has its device");
      device.boots.set(row.boot, bootOfRow(row));
      device.spanCount += device.boots.get(row.boot)!.slots.spanCount;
    }
    for (const row of stored.closedAhead) fold.#restoreAhead(row);
    for (const row of stored.openReadings) fold.#restoreReading(row);
    for (const device of fold.#devices.values()) fold.#schedule(device);
    fold.#alerts = AlertFold.restore(config.windows, partition, stored.alerts, fold.#devices.values());
    return fold;
  }

  #restoreAhead(row: WindowRow): void {
    const spec = this.config.windows.findIndex((each) => each.label === row.windowSize);
    const device = this.#devices.get(row.device);
    if (spec < 0 || device === undefined || isPassed(device, row.endMs)) return;
    device.ahead[spec]!.set(row.startMs, WindowState.ofRow(row, spec));
  }

  #restoreReading(row: ReadingRow): void {
    const device = this.#devices.get(row.device);
    if (device === undefined) return;
    device.noteNewest(row);
    this.config.windows.forEach((spec, i) => {
      for (const { startMs, endMs } of windowsOf(spec, row.tsMs)) {
        if (isPassed(device, endMs)) continue;
        const ahead = device.ahead[i]!.get(startMs);
        if (ahead !== undefined) {
          ahead.remember(row);
          continue;
        }
        device.openWindow(i, startMs, endMs).addOpen(row);
      }
    });
  }

  /** Offset of the record to fold next. */
  get nextOffset(): number {
    return this.#nextOffset;
  }
  get appendHighMs(): number {
    return this.#appendHighMs;
  }
  get epoch(): number {
    return this.#epoch;
  }
  /** What rules say: part of the fold, told by it. */
  get alerts(): Pick<AlertFold, "rules" | "text" | "firing"> {
    return this.#alerts;
  }
  get deviceCount(): number {
    return this.#devices.size;
  }
  /** How many windows are open. */
  get openWindowCount(): number {
    let count = 0;
    for (const device of this.#devices.values()) for (const open of device.open) count += open.size;
    return count;
  }
  /** Goes on at `offset` although records before it were never folded: they have expired in the log. */
  skipTo(offset: number): void {
    assert(offset > this.#nextOffset, "a gap lies ahead");
    const [fromOffset, toOffset, appendMs] = [this.#nextOffset, offset - 1, this.#appendHighMs];
    this.#gaps.push({ partition: this.partition, fromOffset, toOffset, appendMs });
    this.#nextOffset = offset;
  }
  /** Whether `takeChanges` has anything to store. */
  get hasChanges(): boolean {
    return this.#lastTaken !== this.#nextOffset;
  }
  #lastTaken = 0;

  /** Lowest start of any window that can still hold readings above `watermarkMs`: what `Store.load` asks for. */
  static openFrom(config: JudgeConfig): (watermarkMs: number | null) => number {
    return (watermarkMs) => lowestStart(config.windows, watermarkMs);
  }

  // --- prepare -----------------------------------------------------------------------------------------------------

  /** Decodes records (offsets from `nextOffset` on, in order) and collects what folding them has to know. */
  prepare(records: readonly LogRecord[]): Prepared {
    const items: Item[] = [];
    const needs = new NeedsOf(this.config);
    let appendMs = this.#appendHighMs;
    for (const record of records) {
      const classified = classify(record);
      if (classified.kind === "unknown") return { items, needs, stop: classified.sentence };
      appendMs = Math.max(appendMs, record.appendMs);
      const item = this.#decode(record, appendMs, classified.kind);
      // Of a device that isn't known nothing can be stored.
      if (item.kind === "batch") {
        if (item.device !== undefined) needs.addBatch(item.device, item.batch, appendMs);
      } else if (item.kind === "release") {
        const device = this.#devices.get(item.release.device);
        if (device !== undefined) needs.addRelease(device, item.release, appendMs);
      }
      items.push(item);
    }
    return { items, needs, stop: null };
  }

  #decode(
    record: LogRecord,
    appendMs: number,
    kind: RecordKind,
  ): Item {
    const base = { record, appendMs };
    switch (kind) {
      case "tick":
        return { ...base, kind };
      case "owner": {
        const owner = decodeOwner(record.value);
        return owner.kind === "ok"
          ? { ...base, kind }
          : { ...base, kind: "undecodable", detail: owner.detail };
      }
      case "device": {
        const control = decodeDeviceRecord(record.value);
        const device = record.key ?? "";
        if (control.kind === "bad") return { ...base, kind: "undecodable", detail: control.detail };
        if (device === "" || !this.#isOurs(device)) {
          return {
            ...base,
            kind: "undecodable",
            detail: `${JSON.stringify(device)} is no device of this partition`,
          };
        }
        return { ...base, kind, device, control: control.value };
      }
      case "release": {
        const release = decodeRelease(record.value);
        if (release.kind === "bad") return { ...base, kind: "undecodable", detail: release.detail };
        if (!this.#isOurs(release.value.device)) {
          return { ...base, kind: "undecodable", detail: "the released device is not of this partition" };
        }
        return { ...base, kind, release: release.value };
      }
      case "rules": {
        const decoded = decodeRules(record.value);
        return decoded.kind === "ok"
          ? { ...base, kind, rules: decoded.value }
          : { ...base, kind: "undecodable", detail: decoded.detail };
      }
      case "batch": {
        const decoded = decodeBatch(record.value ?? new Uint8Array());
        if (decoded.kind === "problems") {
          const detail = decoded.problems.map(({ path, message }) => `${path} ${message}`.trim()).join("; ");
          return { ...base, kind: "undecodable", detail };
        }
        const { batch } = decoded;
        const device = this.#devices.get(batch.device);
        return device !== undefined || this.#isOurs(batch.device)
          ? { record, appendMs, kind, batch, device }
          : { record, appendMs, kind: "misplaced", batch };
      }
      default:
        return unreachable(kind);
    }
  }

  #isOurs(device: string): boolean {
    return this.#devices.has(device) || partitionOf(device, this.partitions) === this.partition;
  }

  // --- apply -------------------------------------------------------------------------------------------------------

  /** Folds prepared records. `known` answers `prepared.needs` as of everything taken before. */
  apply(prepared: Prepared, known: Known): void {
    this.#known = indexKnown(known);
    for (const item of prepared.items) this.#fold(item);
    this.#known = NOTHING_KNOWN;
  }

  #fold(item: Item): void {
    const { record } = item;
    assert(record.offset >= this.#nextOffset, "records come in offset order, each once");
    this.#nextOffset = record.offset + 1;
    this.#lastOffset = record.offset;
    this.#appendHighMs = item.appendMs;
    if (this.#alerts.isActive) this.#alerts.begin(item.appendMs, record.offset);
    if (item.kind === "batch") this.#foldBatch(item.device, item.batch, record, item.appendMs);
    else if (item.kind === "owner") this.#epoch = record.offset;
    else if (item.kind === "misplaced") this.#foldMisplaced(item.batch, record, item.appendMs);
    else if (item.kind === "device") this.#foldDevice(item.device, item.control, record, item.appendMs);
    else if (item.kind === "release") this.#foldRelease(item.release, record, item.appendMs);
    else if (item.kind === "rules") this.#foldRules(item.rules, record, item.appendMs);
    else if (item.kind === "undecodable") this.#foldUndecodable(item.detail, record, item.appendMs);
    this.#closeDue(item.appendMs, record.offset);
    if (this.#alerts.isActive) this.#alerts.end();
  }

  #foldBatch(known: DeviceState | undefined, batch: Batch, record: LogRecord, appendMs: number): void {
    const device = known === undefined ? this.#deviceOf(batch.device, appendMs) : this.#touched(known);
    this.#closeSilent(device, appendMs, record.offset); // (1)
    device.lastAppendMs = appendMs;
    device.lastOffset = record.offset;
    device.retired = false;
    if (this.#alerts.isActive) this.#alerts.heard(device);
    if (batch.everyMs !== null) device.everyMs = batch.everyMs;
    if (device.unsequencedDays.size > 0) expireUnsequenced(device, appendMs, this.config.retentionMs);
    const boot = batch.boot === null ? null : this.#bootOf(device, batch.boot, appendMs);
    if (boot !== null) {
      boot.heard = true;
      device.currentBoot = boot.boot;
      if (batch.lost.length > 0 || batch.previous !== null) this.#noteLost(device, boot, batch, appendMs);
    }
    const firstEventMs = boot?.firstEventMs;
    const lastEventMs = boot?.lastEventMs;
    const length = batch.readings.length;
    const at: Origin = { record, appendMs, batch, boot, timeUncertain: !batch.synced, released: false };
    for (let index = 0; index < length; index++) this.#judge(device, at, batch.readings[index]!, index); // (2)
    device.pendingSinceMs = batch.pendingSinceMs;
    device.watermarkMs = watermarkAfter(device, appendMs, batch.synced, this.config); // (3)
    if (
      boot !== null && device.boots.size > 1 &&
      (boot.firstEventMs !== firstEventMs || boot.lastEventMs !== lastEventMs)
    ) {
      noteSharedName(device, boot, this.config.outOfOrderMs);
    }
    this.#closePassed(device, appendMs, record.offset); // (4)
    this.#schedule(device);
  }

  #noteLost(device: DeviceState, boot: BootState, batch: Batch, appendMs: number): void {
    for (const span of batch.lost) {
      boot.known = Math.max(boot.known, span.to + 1);
      const spans = boot.slots.spanCount;
      boot.slots.lose(span.from, span.to, limits.spansPerDeviceMax - device.spanCount + spans);
      device.spanCount += boot.slots.spanCount - spans;
    }
    if (batch.previous !== null && batch.previous.slots > 0) {
      const previous = this.#bootOf(device, batch.previous.boot, appendMs);
      if (previous !== null) previous.known = Math.max(previous.known, batch.previous.slots);
    }
  }

  #judge(device: DeviceState, at: Origin, reading: Reading | MalformedReading, index: number): void {
    const { appendMs, batch } = at;
    const verdict = inspectReading(reading, batch.readings.length, appendMs, this.config);
    if (verdict !== null || reading.kind === "malformed") {
      assert(verdict !== null, "a malformed reading has its verdict");
      this.#quarantine(device, at, reading, index, verdict);
      return;
    }
    if (at.boot === null && batch.boot !== null) {
      const detail = `its device's ledger is full (${limits.bootsPerDeviceMax} boots)`;
      return this.#quarantine(device, at, reading, index, { reason: "undecidable", detail });
    }
    const tsMs = eventTimeOf(reading, batch.readings.length, appendMs)!;
    const identity = at.boot !== null && reading.seq !== null
      ? this.#identifySlot(device, at.boot, reading.seq, reading, tsMs, appendMs)
      : this.#identifyTime(device, reading, tsMs, appendMs);
    if (identity.kind === "duplicate" || (at.released && identity === CONFLICT)) {
      this.#noteDuplicate(device, at, reading.seq, tsMs, index);
    } else if (identity.kind === "refused") this.#quarantine(device, at, reading, index, identity.verdict);
    else this.#accept(device, at, identity.rest ?? reading, tsMs, index);
  }

  #accept(device: DeviceState, at: Origin, reading: Reading, tsMs: number, index: number): void {
    const sequenced = at.boot !== null && reading.seq !== null;
    const finest = device.currentWindow(0, tsMs);
    const late = finest === null && this.#isClosed(device, 0, windowOf(this.config.windows[0]!, tsMs));
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
    this.#readings.push(row);
    device.fresh.push(row);
    device.noteNewest(row);
    this.#countAccepted(device, sequenced ? at.boot : null, at, row);
    const specs = this.config.windows;
    for (let i = 0; i < specs.length; i++) {
      const spec = specs[i]!;
      const current = i === 0 ? finest : device.currentWindow(i, tsMs);
      if (current !== null) current.addOpen(row);
      else if (isTumbling(spec)) {
        this.#addTo(device, i, windowOf(spec, tsMs), row);
      } else for (const window of windowsOf(spec, tsMs)) this.#addTo(device, i, window, row);
    }
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
    if (device.highestEventMs === null || row.tsMs > device.highestEventMs) device.highestEventMs = row.tsMs;
    if (at.boot !== null) {
      const { firstEventMs, lastEventMs } = at.boot;
      if (firstEventMs === null || row.tsMs < firstEventMs) at.boot.firstEventMs = row.tsMs;
      if (lastEventMs === null || row.tsMs > lastEventMs) at.boot.lastEventMs = row.tsMs;
    }
  }

  #noteSlot(device: DeviceState, boot: BootState, seq: number, state: 2 | 3): boolean {
    const spans = boot.slots.spanCount;
    if (!boot.slots.raise(seq, state, limits.spansPerDeviceMax - device.spanCount + spans)) return false;
    device.spanCount += boot.slots.spanCount - spans;
    if (seq >= boot.known) boot.known = seq + 1;
    return true;
  }

  // --- identity ----------------------------------------------------------------------------------------------------

  #identifySlot(
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

  #identifyTime(device: DeviceState, reading: Reading, tsMs: number, appendMs: number): Identity {
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
    const stored = this.#known.readings.get(device.device)?.at(tsMs) ?? [];
    return [...stored, ...device.fresh.at(tsMs)].filter((row) =>
      isKept(row.appendMs, appendMs, this.config.retentionMs)
    );
  }

  // --- quarantine --------------------------------------------------------------------------------------------------

  #quarantine(
    device: DeviceState,
    at: Origin,
    reading: Reading | MalformedReading,
    index: number,
    verdict: Verdict,
  ): void {
    const { seq, tsMs } = reading;
    const raw = cut(at.batch.rawReading(index));
    const boot = at.boot?.boot ?? null;
    if (
      tsMs !== null &&
      this.#isQuarantined(device, { boot, seq, tsMs, reason: verdict.reason, raw }, at.appendMs)
    ) {
      this.#noteDuplicate(device, at, seq, tsMs, index);
      return;
    }
    if (at.boot !== null && seq !== null && verdict.reason !== "undecidable") {
      if (at.boot.slots.stateOf(seq) < slotStates.quarantined) {
        this.#noteSlot(device, at.boot, seq, slotStates.quarantined);
      }
    }
    this.#keepQuarantined(device, {
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

  #isQuarantined(
    device: DeviceState,
    like: Pick<QuarantineRow, "boot" | "seq" | "tsMs" | "reason" | "raw">,
    appendMs: number,
  ): boolean {
    const isTwin = (row: QuarantineRow) =>
      row.tsMs === like.tsMs && row.boot === like.boot && row.seq === like.seq &&
      row.reason === like.reason &&
      row.raw === like.raw && isKept(row.appendMs, appendMs, this.config.retentionMs);
    const name = device.device;
    return (this.#known.quarantined.get(name)?.some(isTwin) ?? false) || device.freshQuarantined.some(isTwin);
  }

  /** Counts a quarantined arrival of `device`, and keeps the row while the day's bound allows. */
  #keepQuarantined(device: DeviceState, row: QuarantineRow): void {
    device.quarantined++;
    this.tally.quarantined[row.reason]++;
    const day = Math.floor(row.appendMs / 86_400_000);
    if (day !== device.quarantineDay) [device.quarantineDay, device.quarantinedToday] = [day, 0];
    if (device.quarantinedToday >= limits.quarantinedPerDayMax) return;
    device.quarantinedToday++;
    this.#quarantined.push(row);
    device.freshQuarantined.push(row);
  }

  #foldMisplaced(batch: Batch, record: LogRecord, appendMs: number): void {
    const nameless = this.#touchNameless(record, appendMs);
    const detail = `its device belongs to partition ${partitionOf(batch.device, this.partitions)}, not ` +
      `${this.partition}: the sender partitions differently from Kafka's own clients`;
    batch.readings.forEach((reading, index) => {
      const { seq, tsMs } = reading;
      const raw = cut(batch.rawReading(index));
      const reason: QuarantineReason = "wrong_partition";
      const place = { appendMs, offset: record.offset, index };
      this.#keepQuarantined(nameless, {
        device: batch.device,
        boot: batch.boot,
        seq,
        tsMs,
        ...place,
        reason,
        detail,
        raw,
      });
    });
  }

  #foldUndecodable(detail: string, record: LogRecord, appendMs: number): void {
    const nameless = this.#touchNameless(record, appendMs);
    const raw = cut(
      utf8.decode((record.value ?? new Uint8Array()).subarray(0, 4 * limits.quarantinedRawLengthMax)),
    );
    const place = { appendMs, offset: record.offset, index: 0 };
    const nothing = { device: null, boot: null, seq: null, tsMs: null };
    this.#keepQuarantined(nameless, { ...nothing, ...place, reason: "malformed", detail, raw });
  }

  #touchNameless(record: LogRecord, appendMs: number): DeviceState {
    const nameless = this.#deviceOf(NAMELESS, appendMs);
    nameless.lastAppendMs = appendMs;
    nameless.lastOffset = record.offset;
    return nameless;
  }

  // --- control records ---------------------------------------------------------------------------------------------

  #foldDevice(name: string, control: DeviceRecord, record: LogRecord, appendMs: number): void {
    const device = this.#deviceOf(name, appendMs);
    device.lastOffset = record.offset;
    if (control.action !== "retire") device.displayName = control.name;
    else {
      device.retired = true;
      if (this.#alerts.isActive) this.#alerts.retired(device);
    }
  }

  #foldRules(rules: readonly AlertRule[], record: LogRecord, appendMs: number): void {
    this.#closeDue(appendMs, record.offset); // still under the rules before
    this.#alerts.setRules(rules, this.#devices.values(), appendMs, record.offset);
  }

  #foldRelease(release: ReleaseRecord, record: LogRecord, appendMs: number): void {
    const device = this.#deviceOf(release.device, appendMs);
    this.#closeSilent(device, appendMs, record.offset);
    device.lastOffset = record.offset;
    expireUnsequenced(device, appendMs, this.config.retentionMs);
    const boot = release.boot === null ? null : this.#bootOf(device, release.boot, appendMs);
    const readings = [release.reading];
    const batch: Batch = {
      device: release.device,
      boot: release.boot,
      everyMs: null,
      synced: true,
      pendingSinceMs: null,
      previous: null,
      lost: [],
      readings,
      rawReading: () => release.raw,
    };
    const at: Origin = { record, appendMs, batch, boot, timeUncertain: false, released: true };
    const before = [device.released, device.quarantined, device.duplicates];
    this.#judge(device, at, release.reading, 0);
    if (device.released > before[0]!) {
      const { offset, index } = release;
      this.#released.push({ device: release.device, offset, index, byOffset: record.offset });
    }
    this.#closePassed(device, appendMs, record.offset);
    this.#schedule(device);
  }

  // --- windows -----------------------------------------------------------------------------------------------------

  #isClosed(device: DeviceState, spec: number, window: Window): boolean {
    return isPassed(device, window.endMs) || device.ahead[spec]!.has(window.startMs);
  }

  #addTo(device: DeviceState, spec: number, { startMs, endMs }: Window, row: ReadingRow): void {
    const closed = device.ahead[spec]!.get(startMs) ??
      (isPassed(device, endMs) ? this.#closedWindow(device, spec, startMs, endMs, row.appendMs) : undefined);
    if (closed === undefined) {
      const window = device.openWindow(spec, startMs, endMs);
      window.addOpen(row);
      if (isTumbling(this.config.windows[spec]!)) device.current[spec] = window;
      return;
    }
    if (
      closed.readings + closed.sensorFaults > 0 &&
      !isKept(closed.oldestAppendMs, row.appendMs, this.config.retentionMs)
    ) {
      closed.hasAllValues = false;
    }
    closed.add(row);
    closed.late++;
    if (!row.released) closed.everyMs = device.everyMs;
    if (closed.revision === 0 || closed.changedOffset !== row.offset) closed.revision++;
    closed.changedBy(row.appendMs, row.offset);
    this.#markWindow(device, closed);
  }

  /** A window that the watermark has passed: from the cache, from the store, or new. */
  #closedWindow(
    device: DeviceState,
    spec: number,
    startMs: number,
    endMs: number,
    appendMs: number,
  ): WindowState {
    const cached = device.closed[spec]!.get(startMs);
    if (cached !== undefined) return cached;
    const row = this.#known.windows.get(windowKey(device.device, this.config.windows[spec]!.label, startMs));
    const window = row === undefined ? new WindowState(spec, startMs, endMs) : WindowState.ofRow(row, spec);
    if (row === undefined) window.closedBy = "watermark";
    else this.#rememberValues(device, window, appendMs);
    this.#cacheClosed(device, window);
    return window;
  }

  #rememberValues(device: DeviceState, window: WindowState, appendMs: number): void {
    if (!isKept(window.oldestAppendMs, appendMs, this.config.retentionMs)) {
      window.hasAllValues = false;
      return;
    }
    for (const row of this.#known.readings.get(device.device)?.rows ?? []) {
      if (row.tsMs >= window.startMs && row.tsMs < window.endMs) window.remember(row);
    }
  }

  #cacheClosed(device: DeviceState, window: WindowState): void {
    device.closed[window.spec]!.set(window.startMs, window);
    this.#closedCached.push([device, window]);
  }

  #markWindow(device: DeviceState, window: WindowState): void {
    if (window.dirty) return;
    window.dirty = true;
    this.#dirtyWindows.push([device, window]);
  }

  /** Step 1: closes the device's open windows that have been silent for long enough at `appendMs`. */
  #closeSilent(device: DeviceState, appendMs: number, offset: number): void {
    const silentMs = appendMs - this.config.idleMs;
    if (device.lastAppendMs > silentMs) return;
    for (const open of device.open) {
      for (const window of open.values()) {
        if (window.endMs > silentMs) continue;
        open.delete(window.startMs);
        window.closedBy = "silence";
        window.changedBy(appendMs, offset);
        device.ahead[window.spec]!.set(window.startMs, window);
        this.#markWindow(device, window);
        if (this.#alerts.isActive) this.#alerts.closing(window);
      }
    }
    if (this.#alerts.isActive) this.#alerts.judge(device);
  }

  /** Step 4: closes what the watermark has passed, and lets go of what silence had closed before. */
  #closePassed(device: DeviceState, appendMs: number, offset: number): void {
    const watermarkMs = device.watermarkMs;
    if (watermarkMs === null || watermarkMs < device.nextEndMs) return;
    let nextEndMs = Infinity;
    for (const windows of [device.open, device.ahead]) {
      for (const each of windows) {
        for (const window of each.values()) {
          if (window.endMs > watermarkMs) {
            nextEndMs = Math.min(nextEndMs, window.endMs);
            continue;
          }
          each.delete(window.startMs);
          if (window.closedBy === null) {
            window.closedBy = "watermark";
            window.changedBy(appendMs, offset);
            this.#markWindow(device, window);
            if (this.#alerts.isActive) this.#alerts.closing(window);
          }
          this.#cacheClosed(device, window);
        }
      }
    }
    device.nextEndMs = nextEndMs;
    if (this.#alerts.isActive) this.#alerts.judge(device);
  }

  /** Sees to it that the device is looked at as soon as silence can close a window that it has opened. */
  #schedule(device: DeviceState): void {
    if (device.openedEndMs === Infinity) return;
    // Only a new window can make it due earlier: of those it had, none has become due sooner by a record of the device.
    this.#due.bring(Math.max(device.openedEndMs, device.lastAppendMs) + this.config.idleMs, device);
    device.openedEndMs = Infinity;
  }

  #scheduleAgain(device: DeviceState): void {
    const dueMs = device.silenceDueMs(this.config.idleMs);
    if (dueMs !== Infinity) this.#due.bring(dueMs, device);
  }

  #closeDue(appendMs: number, offset: number): void {
    for (let top = this.#due.peek(); top !== undefined && top.dueMs <= appendMs; top = this.#due.peek()) {
      const device = this.#due.pop()!;
      this.#closeSilent(device, appendMs, offset);
      this.#scheduleAgain(device);
    }
  }

  /** When silence will next close a window or fire an alert, in append time; Infinity if it won't. What ticks are for. */
  nextDueMs(): number {
    return Math.min(this.#nextCloseMs(), this.#alerts.nextDueMs());
  }

  #nextCloseMs(): number {
    for (let top = this.#due.peek(); top !== undefined; top = this.#due.peek()) {
      const dueMs = top.item.silenceDueMs(this.config.idleMs);
      if (dueMs <= top.dueMs) return dueMs;
      const device = this.#due.pop()!;
      this.#scheduleAgain(device);
    }
    return Infinity;
  }

  // --- devices and boots -------------------------------------------------------------------------------------------

  #deviceOf(name: string, appendMs: number): DeviceState {
    let device = this.#devices.get(name);
    if (device === undefined) {
      device = new DeviceState(name, appendMs, this.config.windows.length);
      this.#devices.set(name, device);
    }
    return this.#touched(device);
  }

  #touched(device: DeviceState): DeviceState {
    if (!device.dirty) {
      device.dirty = true;
      this.#dirtyDevices.push(device);
    }
    return device;
  }

  /** Null if the device's ledger can't take another boot. */
  #bootOf(device: DeviceState, number: number, appendMs: number): BootState | null {
    let boot = device.bootNumbered(number);
    if (boot === undefined) {
      if (device.boots.size >= limits.bootsPerDeviceMax) return null;
      boot = new BootState(number, appendMs);
      device.boots.set(number, boot);
    }
    device.lastBoot = boot;
    if (!boot.dirty) {
      boot.dirty = true;
      this.#dirtyBoots.push([device, boot]);
    }
    return boot;
  }

  // --- out ---------------------------------------------------------------------------------------------------------

  /** Everything that changed since the last call, as rows for one transaction. `lastHash`: of the last folded record. */
  takeChanges(lastHash: string | null, configHash: string): Changes {
    const changes: Changes = {
      position: this.#position(lastHash, configHash),
      readings: this.#readings,
      quarantined: this.#quarantined,
      released: this.#released,
      gaps: this.#gaps,
      windows: this.#dirtyWindows.map(([device, window]) =>
        window.row(device.device, this.config.windows[window.spec]!.label)
      ),
      devices: this.#dirtyDevices.map(deviceRow),
      boots: this.#dirtyBoots.map(([device, boot]) => bootRow(device.device, boot)),
      alerts: this.#alerts.takeChanges(),
    };
    for (const [, window] of this.#dirtyWindows) {
      window.dirty = false;
      window.storedRevision = window.revision;
    }
    for (const [, boot] of this.#dirtyBoots) boot.dirty = false;
    for (const device of this.#dirtyDevices) {
      device.dirty = false;
      device.fresh = new RowsByTime();
      device.freshQuarantined = [];
      if (!device.unshown) {
        device.unshown = true;
        this.#unshown.push(device);
      }
    }
    [this.#readings, this.#quarantined, this.#released, this.#gaps] = [[], [], [], []];
    [this.#dirtyDevices, this.#dirtyBoots, this.#dirtyWindows] = [[], [], []];
    this.#forgetClosed();
    this.#lastTaken = this.#nextOffset;
    return changes;
  }

  #forgetClosed(): void {
    const excess = this.#closedCached.length - CLOSED_CACHED_MAX;
    if (excess <= 0) return;
    for (const [device, window] of this.#closedCached.splice(0, excess)) {
      device.closed[window.spec]!.delete(window.startMs);
    }
  }

  #position(lastHash: string | null, configHash: string): PositionRow {
    return {
      partition: this.partition,
      nextOffset: this.#nextOffset,
      appendHighMs: this.#appendHighMs,
      epoch: this.#epoch,
      lastOffset: this.#lastOffset,
      lastHash,
      configHash,
    };
  }

  /** The open windows as they stand. */
  openRows(): WindowRow[] {
    return [...this.#devices.values()].flatMap((device) => this.#openRowsOf(device, () => true));
  }

  #openRowsOf(device: DeviceState, isWanted: (window: WindowState) => boolean): WindowRow[] {
    const rows: WindowRow[] = [];
    for (const open of device.open) {
      for (const window of open.values()) {
        if (isWanted(window)) rows.push(window.row(device.device, this.config.windows[window.spec]!.label));
      }
    }
    return rows;
  }

  // --- for those who watch -----------------------------------------------------------------------------------------

  /** Whether {@link takeUnshown} has anything to give. */
  get hasUnshown(): boolean {
    return this.#unshown.length > 0;
  }

  /** Nobody watches: whoever comes is shown everything first. */
  forgetUnshown(): void {
    for (const device of this.#unshown) device.unshown = false;
    this.#unshown = [];
  }

  /** At most `max` devices that changed since they were taken last, with those open windows that got something. */
  takeUnshown(max: number): DeviceView[] {
    return this.#unshown.splice(0, max).map((device) => {
      device.unshown = false;
      return this.#viewOf(device, (window) => {
        const arrivals = window.readings + window.sensorFaults;
        if (arrivals === window.shownArrivals) return false;
        window.shownArrivals = arrivals;
        return true;
      });
    });
  }

  /** Every device (or those named) with all its open windows, each as it stands when it is drawn. */
  *views(names: readonly string[] | null): Generator<DeviceView> {
    const devices = names === null ? this.#devices.values() : names.map((name) => this.#devices.get(name));
    for (const device of devices) if (device !== undefined) yield this.#viewOf(device, () => true);
  }

  #viewOf(device: DeviceState, isWanted: (window: WindowState) => boolean): DeviceView {
    return {
      row: deviceRow(device),
      last: device.newest,
      duplicates: device.duplicatesNoted,
      duplicatesSinceMs: this.#startedMs,
      firstMs: firstOf(device),
      open: this.#openRowsOf(device, isWanted),
    };
  }

  /** Whether the device gave up a slot of `boot` between two others. */
  hasLostBetween(name: string, boot: number, seq: number, nextSeq: number): boolean {
    const slots = this.#devices.get(name)?.boots.get(boot)?.slots;
    return slots?.hasLost(seq + 1, nextSeq - 1) ?? false;
  }

  /** Lowest watermark among the devices that have open windows: below it everything is closed. Null if none has. */
  lowestWatermarkMs(): number | null {
    let lowestMs: number | null = null;
    for (const { open, watermarkMs } of this.#devices.values()) {
      if (watermarkMs === null || open.every((windows) => windows.size === 0)) continue;
      if (lowestMs === null || watermarkMs < lowestMs) lowestMs = watermarkMs;
    }
    return lowestMs;
  }

  /** All state as comparable text, a line a fact, for tests that rebuild it. Caches are left out. */
  describe(): string[] {
    const lines = [
      `partition ${this.#nextOffset} ${this.#appendHighMs} ${this.#epoch} ${this.#lastOffset}`,
    ];
    for (const device of this.#devices.values()) {
      const name = JSON.stringify(device.device);
      lines.push(`device ${JSON.stringify(deviceRow(device))}`);
      for (const boot of device.boots.values()) {
        lines.push(`boot ${name} ${JSON.stringify(bootRow(device.device, boot))}`);
      }
      for (const window of device.open.flatMap((each) => [...each.values()])) {
        lines.push(`open ${name} ${window.describe(true)}`);
      }
      for (const window of device.ahead.flatMap((each) => [...each.values()])) {
        lines.push(
          `ahead ${name} ${
            window.describe(isKept(window.oldestAppendMs, this.#appendHighMs, this.config.retentionMs))
          }`,
        );
      }
    }
    return [...lines, ...this.#alerts.describe()].sort();
  }
}

/** Where a reading came from. */
interface Origin {
  readonly record: LogRecord;
  readonly appendMs: number;
  readonly batch: Batch;
  readonly boot: BootState | null;
  readonly timeUncertain: boolean;
  readonly released: boolean;
}

function firstOf(device: DeviceState): number {
  let firstMs = device.firstAppendMs;
  for (const { firstEventMs } of device.boots.values()) {
    if (firstEventMs !== null && firstEventMs < firstMs) firstMs = firstEventMs;
  }
  return firstMs;
}

type Identity =
  /** `rest`: what of it is new; null for all. */
  | { readonly kind: "accepted"; readonly rest: Reading | null }
  | { readonly kind: "duplicate" }
  | { readonly kind: "refused"; readonly verdict: Verdict };

const AS_IT_IS: Identity = { kind: "accepted", rest: null };
const CONFLICT: Identity = {
  kind: "refused",
  verdict: {
    reason: "conflict",
    detail: "a reading with this identity and other content is known; the first stands",
  },
};

const isPassed = (device: DeviceState, endMs: number) =>
  device.watermarkMs !== null && endMs <= device.watermarkMs;
const cut = (text: string) => text.slice(0, limits.quarantinedRawLengthMax);

function sameContent(row: ReadingRow, reading: Reading): boolean {
  return row.temperatureMilliC === reading.temperatureMilliC &&
    row.humidityMilliPct === reading.humidityMilliPct &&
    row.fault === reading.fault;
}

function noteUnsequenced(device: DeviceState, tsMs: number, appendMs: number): void {
  if (device.unsequencedHighestMs === null || tsMs > device.unsequencedHighestMs) {
    device.unsequencedHighestMs = tsMs;
  }
  const day = Math.floor(appendMs / 86_400_000);
  const highest = device.unsequencedDays.get(day);
  if (highest === undefined || tsMs > highest) device.unsequencedDays.set(day, tsMs);
}

function expireUnsequenced(device: DeviceState, appendMs: number, retentionMs: number): void {
  for (const [day, tsMs] of device.unsequencedDays) {
    if (isKept(day * 86_400_000, appendMs, retentionMs)) continue;
    device.unsequencedDays.delete(day);
    if (device.unsequencedExpiredMs === null || tsMs > device.unsequencedExpiredMs) {
      device.unsequencedExpiredMs = tsMs;
    }
  }
}

function noteSharedName(device: DeviceState, boot: BootState, outOfOrderMs: number): void {
  if (device.sharedName || boot.firstEventMs === null || boot.lastEventMs === null) return;
  for (const other of device.boots.values()) {
    if (other === boot || other.firstEventMs === null || other.lastEventMs === null) continue;
    const overlapMs = Math.min(boot.lastEventMs, other.lastEventMs) -
      Math.max(boot.firstEventMs, other.firstEventMs);
    if (overlapMs > outOfOrderMs) device.sharedName = true;
  }
}

/** Collects what a list of records needs, judged against the state before them. */
class NeedsOf implements Needs {
  readonly readings: { device: string; fromMs: number; toMs: number }[] = [];
  readonly windows: { device: string; windowSize: string; startMs: number }[] = [];
  #seen = new Set<string>();

  constructor(readonly config: JudgeConfig) {}

  addBatch(device: DeviceState, batch: Batch, appendMs: number): void {
    const boot = batch.boot === null ? undefined : device.bootNumbered(batch.boot);
    for (const reading of batch.readings) this.#addReading(device, boot, batch, reading, appendMs);
  }

  addRelease(device: DeviceState, release: ReleaseRecord, appendMs: number): void {
    const boot = release.boot === null ? undefined : device.boots.get(release.boot);
    this.#addReading(
      device,
      boot,
      { boot: release.boot, readings: [release.reading] },
      release.reading,
      appendMs,
    );
  }

  #addReading(
    device: DeviceState,
    boot: BootState | undefined,
    batch: Pick<Batch, "boot" | "readings">,
    reading: Reading | MalformedReading,
    appendMs: number,
  ): void {
    const tsMs = eventTimeOf(reading, batch.readings.length, appendMs);
    if (tsMs === null) return;
    const sequenced = batch.boot !== null && reading.seq !== null;
    const mayBeKnown = sequenced
      ? isLedgerNearlyFull(device) ||
        (boot !== undefined && reading.seq! < boot.known &&
          boot.slots.stateOf(reading.seq!) === slotStates.final)
      : device.unsequencedHighestMs !== null && tsMs <= device.unsequencedHighestMs;
    const isInvalid = inspectReading(reading, batch.readings.length, appendMs, this.config) !== null;
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
const isLedgerNearlyFull = (device: DeviceState) =>
  device.spanCount > limits.spansPerDeviceMax / 2 || device.boots.size > limits.bootsPerDeviceMax / 2;
