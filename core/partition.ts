/**
 * The fold: records of one partition in, rows out; pure and synchronous (docs/judging.md has the rules).
 *
 * ```
 * const prepared = partition.prepare(records);             // decodes, and says what has to be looked up
 * partition.apply(prepared, await store.lookup(prepared.needs));      // once or several times
 * await store.commit(partition.takeChanges(hashOfLastRecord, configHash));
 * ```
 * One after the other: what is looked up has to include everything taken before; what isn't taken the fold knows itself. State is what `restore` rebuilds from
 * the store; beside it there is a cache of closed windows that changes no outcome.
 *
 * Silence is applied lazily to a device when its own next record comes, and eagerly, through a queue of due times, so
 * that others see the row soon. Both give the same row, because nothing of a device changes between its own records.
 *
 * Batches that the scanner can read stay in its columns (`ScannedBatches`); every other record is decoded to an object.
 */
import { AlertFold } from "./alert_fold.ts";
import type { AlertRule } from "./alert_rules.ts";
import { assert } from "./assert.ts";
import { BatchFold } from "./batch_fold.ts";
import type { JudgeConfig } from "./config.ts";
import type { DecodedRecord } from "./decoded_record.ts";
import { bootRow, deviceRow, type DeviceState } from "./device.ts";
import { type DeviceView, Unshown, viewOf } from "./device_view.ts";
import { closedCachedMax, DeviceWindows } from "./device_windows.ts";
import { Devices } from "./devices.ts";
import { expireUnsequenced, Identifier } from "./identity.ts";
import { indexKnown, type KnownIndex, nothingKnown } from "./known.ts";
import { limits } from "./limits.ts";
import { partitionOf } from "./murmur2.ts";
import type { LogRecord } from "./ports/log.ts";
import type { OpenWindows } from "./ports/publisher.ts";
import { type Changes, type Known, reusedReadingsMin, type StoredState } from "./ports/store.ts";
import { Prepared, prepareRecords } from "./prepared.ts";
import { cutRaw, Quarantine } from "./quarantine.ts";
import { ReadingBlock } from "./reading_block.ts";
import { noteNewest, type Origin, ReadingFold } from "./reading_fold.ts";
import type { Records } from "./records.ts";
import { isKept } from "./retention.ts";
import type { GapRow, PositionRow, QuarantineReason, ReleaseRow, WindowRow } from "./rows.ts";
import type { Batch, DeviceRecord, ReleaseRecord } from "./schema.ts";
import { ScannedBatches } from "./scanned_batches.ts";
import { newTally, type Tally } from "./tally.ts";
import { lowestStart, type Window } from "./windows.ts";

export type { DeviceView } from "./device_view.ts";
export type { Prepared } from "./prepared.ts";
export type { Tally } from "./tally.ts";

/** The nameless device that stands for records which name none, or lie in the wrong partition. */
const NAMELESS = "";
/** Shorter runs are folded record by record. */
const RUN_MIN = 32;
const utf8 = new TextDecoder();

export class Partition {
  #nextOffset = 0;
  #appendHighMs = 0;
  #epoch = -1;
  #lastOffset: number | null = null;
  // What the next transaction appends.
  #readings = new ReadingBlock();
  /** Columns of the records applied last, for the next ones. */
  #scanned: ScannedBatches | null = null;
  /** A block that nobody uses any more, see {@link reuse}. */
  #spare: ReadingBlock | null = null;
  #released: ReleaseRow[] = [];
  #gaps: GapRow[] = [];
  readonly #unshown = new Unshown();
  #startedMs = 0;
  #alerts: AlertFold;
  readonly tally: Tally = newTally();
  readonly #devices: Devices;
  readonly #windows: DeviceWindows;
  readonly #identifier: Identifier;
  readonly #quarantine: Quarantine;
  readonly #fold: ReadingFold;
  readonly #batches: BatchFold;

  constructor(
    readonly config: JudgeConfig,
    readonly partition: number,
    readonly partitions: number,
    /** Closed windows that stay in memory: changes what is looked up, and no row. */
    cachedMax: number = closedCachedMax,
  ) {
    this.#devices = new Devices(config.windows.length, this.#readings);
    this.#alerts = new AlertFold(config.windows, partition);
    this.#windows = new DeviceWindows(config, this.#alerts, cachedMax);
    this.#identifier = new Identifier(config, this.#readings);
    this.#quarantine = new Quarantine(config, this.tally);
    this.#fold = new ReadingFold(
      config,
      this.#windows,
      this.#identifier,
      this.#quarantine,
      this.tally,
      this.#readings,
    );
    this.#batches = new BatchFold(config, this.#devices, this.#windows, this.#fold);
  }

  /** Rebuilds the state that a store holds. */
  static restore(
    config: JudgeConfig,
    partition: number,
    partitions: number,
    stored: StoredState,
    cachedMax?: number,
  ): Partition {
    const fold = new Partition(config, partition, partitions, cachedMax);
    if (stored.position !== null) {
      fold.#nextOffset = stored.position.nextOffset;
      fold.#appendHighMs = stored.position.appendHighMs;
      fold.#epoch = stored.position.epoch;
      fold.#lastOffset = stored.position.lastOffset;
      fold.#startedMs = stored.position.appendHighMs;
    }
    fold.#devices.restore(stored.devices, stored.boots);
    for (const row of stored.closedAhead) {
      const device = fold.#devices.byName.get(row.device);
      if (device !== undefined) fold.#windows.restoreAhead(device, row);
    }
    for (const row of stored.openReadings) {
      const device = fold.#devices.byName.get(row.device);
      if (device === undefined) continue;
      noteNewest(device, row);
      fold.#windows.restoreReading(device, row);
    }
    for (const device of fold.#devices.byName.values()) {
      fold.#windows.schedule(device);
      fold.#windows.standing.note(device);
    }
    fold.#alerts = AlertFold.restore(config.windows, partition, stored.alerts, fold.#devices.byName.values());
    fold.#windows.alerts = fold.#alerts;
    return fold;
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
    return this.#devices.byName.size;
  }
  /** How many windows are open, as of the last `takeChanges`. */
  get openWindowCount(): number {
    return this.#windows.standing.openWindows;
  }
  /** Goes on at `offset` although records before it were never folded: they have expired in the log. */
  skipTo(offset: number): void {
    assert(offset > this.#nextOffset, "a gap lies ahead");
    const [fromOffset, toOffset, appendMs] = [this.#nextOffset, offset - 1, this.#appendHighMs];
    this.#gaps.push({ partition: this.partition, fromOffset, toOffset, appendMs });
    this.#nextOffset = offset;
  }
  /** Readings, quarantined ones and windows among the rows that `takeChanges` would give. */
  get untakenRows(): number {
    return this.#readings.length + this.#quarantine.freshCount + this.#windows.changedCount;
  }

  /** Lowest start of any window that can still hold readings above `watermarkMs`: what `Store.load` asks for. */
  static openFrom(config: JudgeConfig): (watermarkMs: number | null) => number {
    return (watermarkMs) => lowestStart(config.windows, watermarkMs);
  }

  // --- in ----------------------------------------------------------------------------------------------------------

  /** Decodes records (offsets from `nextOffset` on, in order) and collects what folding them has to know. */
  prepare(records: Records): Prepared {
    const scanned = this.#scanned ?? new ScannedBatches();
    this.#scanned = null;
    return prepareRecords(records, {
      scanned,
      config: this.config,
      appendHighMs: this.#appendHighMs,
      devices: this.#devices.byName,
      isOurs: (device) =>
        this.#devices.byName.has(device) || partitionOf(device, this.partitions) === this.partition,
    });
  }

  /** Folds prepared records, once. `known` answers `prepared.needs` as of everything taken before. */
  apply(prepared: Prepared, known: Known): void {
    this.#setKnown(indexKnown(known));
    for (let i = 0; i < prepared.length;) {
      const end = this.#runEnd(prepared, i);
      if (end - i >= RUN_MIN) this.#foldRun(prepared, i, end);
      else for (let at = i; at < Math.max(end, i + 1); at++) this.#foldRecord(prepared, at);
      i = Math.max(end, i + 1);
    }
    this.#setKnown(nothingKnown);
    this.#scanned = prepared.scanned;
    this.#scanned.clear();
  }

  /**
   * Where a run that begins with record `from` ends: of records about one device each, during which no silence of any
   * device falls due. Their devices have nothing to do with each other then.
   */
  #runEnd(prepared: Prepared, from: number): number {
    // What they open themselves can't be due before the idle bound is over, nor their silence before a rule's.
    const untilMs = Math.min(
      ...[this.#windows.nextCloseMs(), this.#alerts.nextDueMs()],
      prepared.appendMs[from]! + Math.min(this.config.idleMs, this.#alerts.shortestSilenceMs),
    );
    let end = from;
    while (end < prepared.length && prepared.deviceOf[end]! >= 0 && prepared.appendMs[end]! < untilMs) end++;
    return end;
  }

  /** Folds a run device by device, so that each one's state is in the processor's cache for all of its records. */
  #foldRun(prepared: Prepared, from: number, to: number): void {
    for (let i = from; i < to; i++) this.#advance(prepared, i);
    const watches = this.#alerts.isActive;
    for (const i of prepared.byDevice(from, to)) {
      if (watches) this.#alerts.begin(prepared.appendMs[i]!, prepared.offsets[i]!);
      this.#foldAt(prepared, i);
      if (watches) this.#alerts.end();
    }
    if (watches) this.#alerts.endRun();
  }

  #foldRecord(prepared: Prepared, at: number): void {
    this.#advance(prepared, at);
    const offset = prepared.offsets[at]!;
    const appendMs = prepared.appendMs[at]!;
    if (this.#alerts.isActive) this.#alerts.begin(appendMs, offset);
    this.#foldAt(prepared, at);
    this.#windows.closeDue(appendMs, offset);
    if (this.#alerts.isActive) this.#alerts.end();
  }

  #advance(prepared: Prepared, at: number): void {
    const offset = prepared.offsets[at]!;
    assert(offset >= this.#nextOffset, "records come in offset order, each once");
    this.#nextOffset = offset + 1;
    this.#lastOffset = offset;
    this.#appendHighMs = prepared.appendMs[at]!;
  }

  #foldAt(prepared: Prepared, at: number): void {
    const batch = prepared.batchOf[at]!;
    if (batch < 0) this.#foldDecoded(prepared.decodedAt(at), prepared.appendMs[at]!);
    else this.#batches.scanned(prepared, at, batch);
  }

  #setKnown(known: KnownIndex): void {
    this.#windows.known = this.#identifier.known = this.#quarantine.known = known;
  }

  #foldDecoded(decoded: DecodedRecord, appendMs: number): void {
    const { record } = decoded;
    if (decoded.kind === "batch") this.#batches.decoded(decoded.batch, record, appendMs);
    else if (decoded.kind === "owner") this.#epoch = record.offset;
    else if (decoded.kind === "misplaced") this.#foldMisplaced(decoded.batch, record, appendMs);
    else if (decoded.kind === "device") this.#foldDevice(decoded.device, decoded.control, record, appendMs);
    else if (decoded.kind === "release") this.#foldRelease(decoded.release, record, appendMs);
    else if (decoded.kind === "rules") this.#foldRules(decoded.rules, record, appendMs);
    else if (decoded.kind === "undecodable") this.#foldUndecodable(decoded.detail, record, appendMs);
  }

  // --- other records -----------------------------------------------------------------------------------------------

  #foldMisplaced(batch: Batch, record: LogRecord, appendMs: number): void {
    const nameless = this.#touchNameless(record, appendMs);
    const detail = `its device belongs to partition ${partitionOf(batch.device, this.partitions)}, not ` +
      `${this.partition}: the sender partitions differently from Kafka's own clients`;
    batch.readings.forEach((reading, index) => {
      const { seq, tsMs } = reading;
      const raw = cutRaw(batch.rawReading(index));
      const reason: QuarantineReason = "wrong_partition";
      const place = { appendMs, offset: record.offset, index };
      this.#quarantine.keep(nameless, {
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
    const raw = cutRaw(
      utf8.decode((record.value ?? new Uint8Array()).subarray(0, 4 * limits.quarantinedRawLengthMax)),
    );
    const place = { appendMs, offset: record.offset, index: 0 };
    const nothing = { device: null, boot: null, seq: null, tsMs: null };
    this.#quarantine.keep(nameless, { ...nothing, ...place, reason: "malformed", detail, raw });
  }

  #touchNameless(record: LogRecord, appendMs: number): DeviceState {
    const nameless = this.#devices.named(NAMELESS, appendMs);
    nameless.lastAppendMs = appendMs;
    nameless.lastOffset = record.offset;
    return nameless;
  }

  #foldDevice(name: string, control: DeviceRecord, record: LogRecord, appendMs: number): void {
    const device = this.#devices.named(name, appendMs);
    if (this.#alerts.isActive) this.#alerts.met(device);
    device.lastOffset = record.offset;
    if (control.action !== "retire") device.displayName = control.name;
    else {
      device.retired = true;
      if (this.#alerts.isActive) this.#alerts.retired(device);
    }
  }

  #foldRules(rules: readonly AlertRule[], record: LogRecord, appendMs: number): void {
    this.#windows.closeDue(appendMs, record.offset); // still under the rules before
    this.#alerts.setRules(rules, this.#devices.byName.values(), appendMs, record.offset);
  }

  #foldRelease(release: ReleaseRecord, record: LogRecord, appendMs: number): void {
    const device = this.#devices.named(release.device, appendMs);
    if (this.#alerts.isActive) this.#alerts.met(device);
    this.#windows.closeSilent(device, appendMs, record.offset);
    device.lastOffset = record.offset;
    expireUnsequenced(device, appendMs, this.config.retentionMs);
    const boot = release.boot === null ? null : this.#devices.bootOf(device, release.boot, appendMs);
    const batch = { boot: release.boot, rawReading: () => release.raw };
    const at: Origin = { record, appendMs, batch, length: 1, boot, timeUncertain: false, released: true };
    const before = device.released;
    this.#fold.judge(device, at, release.reading, 0);
    if (device.released > before) {
      const { offset, index } = release;
      this.#released.push({ device: release.device, offset, index, byOffset: record.offset });
    }
    this.#windows.closePassed(device, appendMs, record.offset);
    this.#windows.schedule(device);
  }

  /** When silence will next close a window or fire an alert, in append time; Infinity if it won't. What ticks are for. */
  nextDueMs(): number {
    return Math.min(this.#windows.nextCloseMs(), this.#alerts.nextDueMs());
  }

  // --- out ---------------------------------------------------------------------------------------------------------

  /** Everything that changed since the last call, as rows for one transaction. `lastHash`: of the last folded record. */
  takeChanges(lastHash: string | null, configHash: string): Changes {
    // As large as the last: transactions are alike.
    const next = this.#spare ?? new ReadingBlock(this.#readings.length + 1);
    this.#spare = null;
    const { devices, boots, changed } = this.#devices.take(next);
    const changes: Changes = {
      position: this.#position(lastHash, configHash),
      readings: this.#readings,
      quarantined: this.#quarantine.take(),
      released: this.#released,
      gaps: this.#gaps,
      windows: this.#windows.take(),
      devices,
      boots,
      alerts: this.#alerts.takeChanges(),
    };
    for (const device of changed) {
      this.#unshown.add(device);
      this.#windows.undrawn.add(device);
      this.#windows.standing.note(device);
    }
    this.#readings = this.#fold.readings = next;
    this.#identifier.forgetFresh(next);
    [this.#released, this.#gaps] = [[], []];
    return changes;
  }

  /** Says that these changes are committed. Columns of many readings are used again: they would be megabytes of garbage. */
  reuse({ readings }: Changes): void {
    if (!(readings instanceof ReadingBlock) || readings.length < reusedReadingsMin) return;
    readings.clear();
    this.#spare = readings;
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
    return [...this.#devices.byName.values()].flatMap((device) => this.#windows.openRows(device, () => true));
  }

  /** The same for a publication; what has changed is what was taken. Good until the fold goes on. */
  openWindows(): OpenWindows {
    const { undrawn } = this.#windows;
    return {
      count: this.openWindowCount,
      changedCount: undrawn.changedCount,
      draw: (which) => undrawn.draw(which === "all" ? this.#devices.byName.values() : null),
      rows: () => this.openRows(),
    };
  }

  // --- for those who watch -----------------------------------------------------------------------------------------

  /** Whether {@link takeUnshown} has anything to give. */
  get hasUnshown(): boolean {
    return this.#unshown.size > 0;
  }

  /** Nobody watches: whoever comes is shown everything first. */
  forgetUnshown(): void {
    this.#unshown.forget();
  }

  /** At most `max` devices that changed since they were taken last, with those open windows that got something. */
  takeUnshown(max: number): DeviceView[] {
    return this.#unshown.take(max, this.#windows, this.#startedMs);
  }

  /** Every device (or those named) with all its open windows, each as it stands when it is drawn. */
  *views(names: readonly string[] | null): Generator<DeviceView> {
    const devices = names === null
      ? this.#devices.byName.values()
      : names.map((name) => this.#devices.byName.get(name));
    for (const device of devices) {
      if (device !== undefined) {
        yield viewOf(
          device,
          this.#windows.openRows(device, () => true),
          this.#startedMs,
        );
      }
    }
  }

  /** Whether the device gave up slots of this time, in any of its boots. */
  hasLostIn(name: string, window: Window): boolean {
    const device = this.#devices.byName.get(name);
    return device !== undefined &&
      [...device.boots.values()].some((boot) => boot.hasLostIn(window, device.everyMs));
  }

  /**
   * Lowest watermark among the devices that have open windows, as of the last `takeChanges`: below it everything is
   * closed. Null if none has.
   */
  get lowestWatermarkMs(): number | null {
    return this.#windows.standing.lowestWatermarkMs;
  }

  /** All state as comparable text, a line a fact, for tests that rebuild it. Caches are left out. */
  describe(): string[] {
    const lines = [
      `partition ${this.#nextOffset} ${this.#appendHighMs} ${this.#epoch} ${this.#lastOffset}`,
    ];
    for (const device of this.#devices.byName.values()) {
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
