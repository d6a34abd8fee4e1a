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
 *
 * Batches that the scanner can read stay in its columns (`ScannedBatches`); every other record is decoded to an object.
 */
import { AlertFold } from "./alert_fold.ts";
import type { AlertRule } from "./alert_rules.ts";
import { assert } from "./assert.ts";
import type { JudgeConfig } from "./config.ts";
import type { DecodedRecord } from "./decoded_record.ts";
import { bootOfRow, bootRow, deviceOfRow, deviceRow, DeviceState } from "./device.ts";
import { type DeviceView, Unshown, viewOf } from "./device_view.ts";
import { DeviceWindows } from "./device_windows.ts";
import { expireUnsequenced, Identifier } from "./identity.ts";
import { indexKnown, type KnownIndex, nothingKnown } from "./known.ts";
import { BootState } from "./ledger.ts";
import { limits } from "./limits.ts";
import { partitionOf } from "./murmur2.ts";
import type { LogRecord } from "./ports/log.ts";
import type { Changes, Known, StoredState } from "./ports/store.ts";
import { Prepared, prepareRecords } from "./prepared.ts";
import { cutRaw, Quarantine } from "./quarantine.ts";
import { ReadingBlock } from "./reading_block.ts";
import { noteNewest, noteSharedName, type Origin, ReadingFold } from "./reading_fold.ts";
import type { Records } from "./records.ts";
import { isKept } from "./retention.ts";
import type { GapRow, PositionRow, QuarantineReason, ReleaseRow, WindowRow } from "./rows.ts";
import { NONE, orNull } from "./scanned_batches.ts";
import type { Batch, DeviceRecord, ReleaseRecord } from "./schema.ts";
import { newTally, type Tally } from "./tally.ts";
import { watermarkAfter } from "./watermark.ts";
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
  #devices = new Map<string, DeviceState>();
  #nextOffset = 0;
  #appendHighMs = 0;
  #epoch = -1;
  #lastOffset: number | null = null;
  #lastTaken = 0;
  // What the next transaction appends.
  #readings = new ReadingBlock();
  #released: ReleaseRow[] = [];
  #gaps: GapRow[] = [];
  #dirtyDevices: DeviceState[] = [];
  #dirtyBoots: [DeviceState, BootState][] = [];
  #unshown: Unshown;
  #startedMs = 0;
  #alerts: AlertFold;
  readonly tally: Tally = newTally();
  readonly #windows: DeviceWindows;
  readonly #identifier: Identifier;
  readonly #quarantine: Quarantine;
  readonly #fold: ReadingFold;

  constructor(
    readonly config: JudgeConfig,
    readonly partition: number,
    readonly partitions: number,
  ) {
    this.#alerts = new AlertFold(config.windows, partition);
    this.#windows = new DeviceWindows(config, this.#alerts);
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
    this.#unshown = new Unshown();
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
    for (const row of stored.closedAhead) {
      const device = fold.#devices.get(row.device);
      if (device !== undefined) fold.#windows.restoreAhead(device, row);
    }
    for (const row of stored.openReadings) {
      const device = fold.#devices.get(row.device);
      if (device === undefined) continue;
      noteNewest(device, row);
      fold.#windows.restoreReading(device, row);
    }
    for (const device of fold.#devices.values()) fold.#windows.schedule(device);
    fold.#alerts = AlertFold.restore(config.windows, partition, stored.alerts, fold.#devices.values());
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

  /** Lowest start of any window that can still hold readings above `watermarkMs`: what `Store.load` asks for. */
  static openFrom(config: JudgeConfig): (watermarkMs: number | null) => number {
    return (watermarkMs) => lowestStart(config.windows, watermarkMs);
  }

  // --- in ----------------------------------------------------------------------------------------------------------

  /** Decodes records (offsets from `nextOffset` on, in order) and collects what folding them has to know. */
  prepare(records: Records): Prepared {
    return prepareRecords(records, {
      config: this.config,
      appendHighMs: this.#appendHighMs,
      devices: this.#devices,
      isOurs: (device) =>
        this.#devices.has(device) || partitionOf(device, this.partitions) === this.partition,
    });
  }

  /** Folds prepared records. `known` answers `prepared.needs` as of everything taken before. */
  apply(prepared: Prepared, known: Known): void {
    this.#setKnown(indexKnown(known));
    for (let i = 0; i < prepared.length;) {
      const end = this.#runEnd(prepared, i);
      if (end - i >= RUN_MIN) this.#foldRun(prepared, i, end);
      else for (let at = i; at < Math.max(end, i + 1); at++) this.#foldRecord(prepared, at);
      i = Math.max(end, i + 1);
    }
    this.#setKnown(nothingKnown);
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
    else this.#foldScanned(prepared, at, batch);
  }

  #setKnown(known: KnownIndex): void {
    this.#windows.known = this.#identifier.known = this.#quarantine.known = known;
  }

  #foldDecoded(decoded: DecodedRecord, appendMs: number): void {
    const { record } = decoded;
    if (decoded.kind === "batch") this.#foldBatch(decoded.batch, record, appendMs);
    else if (decoded.kind === "owner") this.#epoch = record.offset;
    else if (decoded.kind === "misplaced") this.#foldMisplaced(decoded.batch, record, appendMs);
    else if (decoded.kind === "device") this.#foldDevice(decoded.device, decoded.control, record, appendMs);
    else if (decoded.kind === "release") this.#foldRelease(decoded.release, record, appendMs);
    else if (decoded.kind === "rules") this.#foldRules(decoded.rules, record, appendMs);
    else if (decoded.kind === "undecodable") this.#foldUndecodable(decoded.detail, record, appendMs);
  }

  // --- batches -----------------------------------------------------------------------------------------------------

  #foldBatch(batch: Batch, record: LogRecord, appendMs: number): void {
    const device = this.#deviceOf(batch.device, appendMs);
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
    for (let i = 0; i < length; i++) this.#fold.judge(device, at, batch.readings[i]!, i); // (2)
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
  #foldScanned(prepared: Prepared, place: number, at: number): void {
    const { scanned } = prepared;
    const offset = prepared.offsets[place]!;
    const appendMs = prepared.appendMs[place]!;
    const known = prepared.devices[prepared.deviceOf[place]!];
    const device = known === undefined ? this.#deviceOf(scanned.device[at]!, appendMs) : this.#touched(known);
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
        this.#fold.ordinary(device, boot, scanned, i, index, appendMs, offset)
      ) continue;
      origin ??= prepared.originOf(place, at, boot);
      this.#fold.judge(device, origin, scanned.readingAt(i), index);
    }
    const pendingSinceMs = orNull(scanned.pendingSinceMs[at]!);
    this.#end(device, boot, firstEventMs, lastEventMs, appendMs, offset, pendingSinceMs, isSynced);
  }

  /** What comes before the readings of a batch. */
  #begin(device: DeviceState, appendMs: number, offset: number, everyMs: number | null): void {
    this.#windows.closeSilent(device, appendMs, offset);
    device.lastAppendMs = appendMs;
    device.lastOffset = offset;
    device.retired = false;
    if (this.#alerts.isActive) this.#alerts.heard(device);
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
    this.#windows.closePassed(device, appendMs, offset); // (4)
    this.#windows.schedule(device);
  }

  #heardBoot(device: DeviceState, number: number, appendMs: number): BootState | null {
    const boot = this.#bootOf(device, number, appendMs);
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
      const previous = this.#bootOf(device, told.boot, appendMs);
      if (previous !== null) previous.known = Math.max(previous.known, told.slots);
    }
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
    const nameless = this.#deviceOf(NAMELESS, appendMs);
    nameless.lastAppendMs = appendMs;
    nameless.lastOffset = record.offset;
    return nameless;
  }

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
    this.#windows.closeDue(appendMs, record.offset); // still under the rules before
    this.#alerts.setRules(rules, this.#devices.values(), appendMs, record.offset);
  }

  #foldRelease(release: ReleaseRecord, record: LogRecord, appendMs: number): void {
    const device = this.#deviceOf(release.device, appendMs);
    this.#windows.closeSilent(device, appendMs, record.offset);
    device.lastOffset = record.offset;
    expireUnsequenced(device, appendMs, this.config.retentionMs);
    const boot = release.boot === null ? null : this.#bootOf(device, release.boot, appendMs);
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
      device.freshNumber = this.#readings.devices.push(device.device) - 1;
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
      quarantined: this.#quarantine.take(),
      released: this.#released,
      gaps: this.#gaps,
      windows: this.#windows.take(),
      devices: this.#dirtyDevices.map(deviceRow),
      boots: this.#dirtyBoots.map(([device, boot]) => bootRow(device.device, boot)),
      alerts: this.#alerts.takeChanges(),
    };
    for (const [, boot] of this.#dirtyBoots) boot.dirty = false;
    for (const device of this.#dirtyDevices) {
      device.dirty = false;
      device.freshNumber = device.lastFresh = -1;
      if (device.freshQuarantined.length > 0) device.freshQuarantined = [];
      this.#unshown.add(device);
    }
    // As large as the last: transactions are alike.
    this.#readings = new ReadingBlock(this.#readings.length + 1);
    this.#fold.readings = this.#readings;
    this.#identifier.forgetFresh(this.#readings);
    [this.#released, this.#gaps, this.#dirtyDevices, this.#dirtyBoots] = [[], [], [], []];
    this.#lastTaken = this.#nextOffset;
    return changes;
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
    return [...this.#devices.values()].flatMap((device) => this.#windows.openRows(device, () => true));
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
    const devices = names === null ? this.#devices.values() : names.map((name) => this.#devices.get(name));
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
    const device = this.#devices.get(name);
    return device !== undefined &&
      [...device.boots.values()].some((boot) => boot.hasLostIn(window, device.everyMs));
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
