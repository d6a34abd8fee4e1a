/** One device's state in memory, and its rows. */
import type { WindowState } from "./accumulator.ts";
import { BootState, Slots } from "./ledger.ts";
import type { BootRow, DeviceRow, QuarantineRow, ReadingRow } from "./rows.ts";
import { NO_VALUE, valueOrNull } from "./scanned_batches.ts";
import { SeldomMap } from "./seldom_map.ts";
import type { WindowPool } from "./window_pool.ts";

/** A reading as what a device last said. */
export type LastReading = Pick<
  ReadingRow,
  "tsMs" | "temperatureMilliC" | "humidityMilliPct" | "fault" | "flag"
>;

/** Where a reading lies that was known already. */
export type DuplicateNote = Pick<ReadingRow, "tsMs" | "boot" | "seq" | "appendMs" | "offset" | "index">;

/** Duplicates of one device whose places are remembered, the newest; of older ones only the number is known. */
const DUPLICATES_NOTED_MAX = 64;

/** By window spec: start → window. */
type WindowsBySpec = Map<number, WindowState>[];
const perSpec = (specs: number): WindowsBySpec => Array.from({ length: specs }, () => new Map());
type SeldomBySpec = SeldomMap<number, WindowState>[];
const seldomPerSpec = (specs: number): SeldomBySpec =>
  Array.from({ length: specs }, () => new SeldomMap<number, WindowState>());

const LAST_APPEND = 0, HIGHEST_EVENT = 1, WATERMARK = 2, NEWEST = 3;
const orNull = (ms: number): number | null => Number.isNaN(ms) ? null : ms;

export class DeviceState {
  /** Times that nearly every reading changes, NaN for none: as fields, each change would make a number object. */
  readonly #times = new Float64Array(4).fill(NaN);
  lastOffset = -1;
  pendingSinceMs: number | null = null;
  everyMs: number | null = null;
  currentBoot: number | null = null;
  displayName: string | null = null;
  retired = false;
  sharedName = false;
  counted = 0;
  countedLate = 0;
  sensorFault = 0;
  quarantined = 0;
  duplicates = 0;
  released = 0;
  unsequencedHighestMs: number | null = null;
  unsequencedExpiredMs: number | null = null;
  /** Day of append time → highest event time of readings without seq. */
  readonly unsequencedDays = new SeldomMap<number, number>();
  quarantineDay = -1;
  quarantinedToday = 0;

  readonly boots = new Map<number, BootState>();
  /** Spans of all boots together. */
  spanCount = 0;
  readonly open: WindowsBySpec;
  /** Closed by silence, but not passed by the watermark: readings for them are late. */
  readonly ahead: SeldomBySpec;
  /** Cache of windows that the watermark has passed. */
  readonly closed: SeldomBySpec;
  /**
   * By spec: highest end of the windows that may be stored and are not in memory; −∞ for none. One that ends above and
   * isn't in memory has never had a reading.
   */
  readonly forgottenEndMs: Float64Array;
  /** The tumbling window of each spec that was used last; see `currentWindow`. */
  readonly current: (WindowState | null)[];
  /** The boot that was used last. */
  lastBoot: BootState | null = null;
  /** Lower bound of the ends in `open` and `ahead`: below it, a watermark closes nothing. */
  nextEndMs = -Infinity;

  // The accepted reading with the highest event time that is kept in an open window or came since the start; its time is
  // among those above.
  #newestTemperature = NO_VALUE;
  #newestHumidity = NO_VALUE;
  #newestFault: string | null = null;
  #newestFlag: string | null = null;
  readonly duplicatesNoted: DuplicateNote[] = [];
  /** In the list of devices that watchers have not been shown since they changed. */
  unshown = false;
  /** In the list of devices whose open windows may have changed since they were drawn. */
  undrawn = false;
  /** Among those of `standing.ts`; −1 before it is. */
  standingNumber = -1;

  // Since the last transaction: its number among the devices that changed, its newest row in the block of readings (−1:
  // none), and its quarantined readings.
  dirty = false;
  freshNumber = -1;
  lastFresh = -1;
  freshQuarantined: QuarantineRow[] = [];
  /** Earliest end of the windows opened since the device was last put into the queue of due times. */
  openedEndMs = Infinity;

  get lastAppendMs(): number {
    return this.#times[LAST_APPEND]!;
  }
  set lastAppendMs(ms: number) {
    this.#times[LAST_APPEND] = ms;
  }
  get highestEventMs(): number | null {
    return orNull(this.#times[HIGHEST_EVENT]!);
  }
  set highestEventMs(ms: number | null) {
    this.#times[HIGHEST_EVENT] = ms ?? NaN;
  }
  get watermarkMs(): number | null {
    return orNull(this.#times[WATERMARK]!);
  }
  set watermarkMs(ms: number | null) {
    this.#times[WATERMARK] = ms ?? NaN;
  }

  /** A reading of this event time moves the watermark. */
  noteEvent(tsMs: number): void {
    if (!(tsMs <= this.#times[HIGHEST_EVENT]!)) this.#times[HIGHEST_EVENT] = tsMs;
  }

  constructor(readonly device: string, readonly firstAppendMs: number, specs: number) {
    this.lastAppendMs = firstAppendMs;
    this.open = perSpec(specs);
    this.ahead = seldomPerSpec(specs);
    this.closed = seldomPerSpec(specs);
    this.forgottenEndMs = new Float64Array(specs).fill(-Infinity);
    this.current = new Array(specs).fill(null);
  }

  /** Takes the reading for the newest unless a newer one is known. Values may be `NO_VALUE`. */
  noteNewest(
    tsMs: number,
    temperature: number,
    humidity: number,
    fault: string | null,
    flag: string | null,
  ): void {
    if (tsMs < this.#times[NEWEST]!) return;
    this.#times[NEWEST] = tsMs;
    this.#newestTemperature = temperature;
    this.#newestHumidity = humidity;
    this.#newestFault = fault;
    this.#newestFlag = flag;
  }

  /** Null if none is known. */
  get newest(): LastReading | null {
    const tsMs = this.#times[NEWEST]!;
    if (Number.isNaN(tsMs)) return null;
    return {
      tsMs,
      temperatureMilliC: valueOrNull(this.#newestTemperature),
      humidityMilliPct: valueOrNull(this.#newestHumidity),
      fault: this.#newestFault,
      flag: this.#newestFlag,
    };
  }

  noteDuplicate(note: DuplicateNote): void {
    this.duplicates++;
    this.duplicatesNoted.push(note);
    if (this.duplicatesNoted.length > DUPLICATES_NOTED_MAX) this.duplicatesNoted.shift();
  }

  /** The window of a tumbling spec that holds `tsMs`, if it was used last and is still open. */
  currentWindow(spec: number, tsMs: number): WindowState | null {
    const window = this.current[spec]!;
    return window !== null && window.closedBy === null && window.startMs <= tsMs && tsMs < window.endMs
      ? window
      : null;
  }

  /** A boot that is known; nearly always the one that was used last. */
  bootNumbered(boot: number): BootState | undefined {
    return this.lastBoot !== null && this.lastBoot.boot === boot ? this.lastBoot : this.boots.get(boot);
  }

  /** The open window, made if there is none. */
  openWindow(spec: number, startMs: number, endMs: number, pool: WindowPool): WindowState {
    const windows = this.open[spec]!;
    let window = windows.get(startMs);
    if (window === undefined) {
      window = pool.take(spec, startMs, endMs);
      windows.set(startMs, window);
      if (endMs < this.nextEndMs) this.nextEndMs = endMs;
      if (endMs < this.openedEndMs) this.openedEndMs = endMs;
    }
    return window;
  }

  /** When silence will close its first open window, in append time; Infinity if none is open. */
  silenceDueMs(idleMs: number): number {
    let endMs = Infinity;
    for (const open of this.open) for (const window of open.values()) endMs = Math.min(endMs, window.endMs);
    return Math.max(endMs, this.lastAppendMs) + idleMs;
  }
}

/** Whether the device's watermark has passed the end of a window. */
export const isPassed = (device: DeviceState, endMs: number) =>
  device.watermarkMs !== null && endMs <= device.watermarkMs;

export function deviceRow(state: DeviceState): DeviceRow {
  return {
    device: state.device,
    firstAppendMs: state.firstAppendMs,
    lastAppendMs: state.lastAppendMs,
    lastOffset: state.lastOffset,
    highestEventMs: state.highestEventMs,
    pendingSinceMs: state.pendingSinceMs,
    watermarkMs: state.watermarkMs,
    everyMs: state.everyMs,
    currentBoot: state.currentBoot,
    displayName: state.displayName,
    retired: state.retired,
    sharedName: state.sharedName,
    counted: state.counted,
    countedLate: state.countedLate,
    sensorFault: state.sensorFault,
    quarantined: state.quarantined,
    duplicates: state.duplicates,
    released: state.released,
    unsequencedHighestMs: state.unsequencedHighestMs,
    unsequencedExpiredMs: state.unsequencedExpiredMs,
    unsequencedDays: [...state.unsequencedDays].map(([day, ms]) => `${day}:${ms}`).join(","),
    quarantineDay: state.quarantineDay,
    quarantinedToday: state.quarantinedToday,
  };
}

export function deviceOfRow(row: DeviceRow, specs: number): DeviceState {
  const { device, firstAppendMs, unsequencedDays, ...fields } = row;
  const state = new DeviceState(device, firstAppendMs, specs);
  Object.assign(state, fields);
  // What the watermark has not passed is read from the store.
  if (state.watermarkMs !== null) state.forgottenEndMs.fill(state.watermarkMs);
  for (const entry of unsequencedDays === "" ? [] : unsequencedDays.split(",")) {
    const [day, ms] = entry.split(":");
    state.unsequencedDays.set(Number(day), Number(ms));
  }
  return state;
}

export function bootRow(device: string, state: BootState): BootRow {
  return {
    device,
    boot: state.boot,
    firstAppendMs: state.firstAppendMs,
    heard: state.heard,
    firstEventMs: state.firstEventMs,
    lastEventMs: state.lastEventMs,
    slots: state.known,
    counted: state.counted,
    countedLate: state.countedLate,
    sensorFault: state.sensorFault,
    quarantined: state.slots.lengths[2]!,
    lost: state.slots.lengths[1]!,
    spans: state.slots.text(),
  };
}

export function bootOfRow(row: BootRow): BootState {
  const state = new BootState(row.boot, row.firstAppendMs);
  state.slots = Slots.ofText(row.spans);
  state.known = row.slots;
  state.heard = row.heard;
  state.firstEventMs = row.firstEventMs;
  state.lastEventMs = row.lastEventMs;
  state.counted = row.counted;
  state.countedLate = row.countedLate;
  state.sensorFault = row.sensorFault;
  return state;
}
