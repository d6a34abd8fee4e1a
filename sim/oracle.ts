/**
 * The oracle: everything that a log's records must have become, recomputed from `docs/judging.md` alone.
 *
 * It imports nothing of `core/` (a lint rule looks) and is built the other way round: the fold keeps sums, merged spans
 * and due times and forgets readings; the oracle keeps every reading for ever and computes rows, states and percentiles
 * from the whole list when asked. Where a plain search through everything is clearer than an index, it searches.
 */
import * as decode from "./oracle/decode.ts";
import { OracleLedger } from "./oracle/ledger.ts";
import { partitionOf } from "./oracle/murmur2.ts";
import { type Holding, keptUntil, rowOf } from "./oracle/row.ts";
import type * as types from "./oracle/types.ts";
import { type Span, windowsOf } from "./oracle/windows.ts";

export type * from "./oracle/types.ts";
export { digestLine, digestOf, digestText } from "./oracle/digest.ts";

const NAMELESS = "";
const TIME_MIN = Date.UTC(2015, 0, 1);
const QUARANTINED_PER_DAY_MAX = 1_000;
const DAY_MS = 86_400_000;

/** Judges all records of one partition, in offset order whatever the order of the list. */
export function judgePartition(
  records: readonly types.OracleRecord[],
  config: types.OracleConfig,
  partition: number,
  partitions: number,
): types.OracleResult {
  const oracle = new Oracle(config, partition, partitions);
  const ours = records.filter((record) => record.partition === partition);
  for (const record of ours.toSorted((a, b) => a.offset - b.offset)) oracle.take(record);
  return oracle.result();
}

/** Judges a whole log: one result for each partition. */
export const judgeLog = (
  records: readonly types.OracleRecord[],
  config: types.OracleConfig,
  partitions: number,
): types.OracleResult[] =>
  Array.from(
    { length: partitions },
    (_, partition) => judgePartition(records, config, partition, partitions),
  );

/** One device's past. */
interface Device {
  readonly name: string;
  readonly accepted: types.OracleReading[];
  readonly bySlot: Map<string, types.OracleReading>;
  readonly quarantined: types.OracleQuarantined[];
  readonly ledger: OracleLedger;
  readonly windows: Map<string, Holding>;
  /** Event times of synced accepted readings by boot. */
  readonly bootTimes: Map<number, { firstMs: number; lastMs: number }>;
  readonly arrivals: types.OracleArrivals;
  inLog: number;
  lastAppendMs: number;
  highestMs: number | null;
  pendingSinceMs: number | null;
  watermarkMs: number | null;
  everyMs: number | null;
  displayName: string | null;
  retired: boolean;
}

/** What a reading comes with besides itself. */
interface Place {
  readonly device: Device;
  readonly boot: number | null;
  readonly synced: boolean;
  readonly released: boolean;
  readonly alone: boolean;
  readonly offset: number;
  readonly index: number;
}

type Verdict =
  | { readonly kind: "accepted"; readonly reading: types.OracleReading }
  | { readonly kind: "duplicate" }
  | { readonly kind: "quarantined"; readonly reason: string };

class Oracle {
  readonly #config: types.OracleConfig;
  readonly #partition: number;
  readonly #partitions: number;
  readonly #devices = new Map<string, Device>();
  readonly #released: types.OracleReleased[] = [];
  #appendMs = -Infinity;
  #epoch = -1;
  #stoppedAt: number | null = null;

  constructor(config: types.OracleConfig, partition: number, partitions: number) {
    this.#config = config;
    this.#partition = partition;
    this.#partitions = partitions;
  }

  take(record: types.OracleRecord): void {
    if (this.#stoppedAt !== null) return;
    const version = record.headers["isotherm"] ?? "1";
    const kind = record.headers["isotherm-kind"] ?? (record.value === null ? "tick" : "batch");
    const known = ["batch", "tick", "owner", "device", "release", "rules"].includes(kind);
    if (!known || version.split(".")[0] !== "1") {
      this.#stoppedAt = record.offset;
      return;
    }
    this.#appendMs = Math.max(this.#appendMs, record.appendMs);
    this.#closeSilent();
    if (kind === "batch") this.#takeBatch(record);
    if (kind === "owner") this.#takeOwner(record);
    // Rules of alerts make no row of readings or windows, but close what is due; what is none is quarantined.
    if (kind === "rules" && !decode.isRules(record.value)) this.#quarantineRecord(record);
    if (kind === "device") this.#takeDeviceRecord(record);
    if (kind === "release") this.#takeRelease(record);
  }

  result(): types.OracleResult {
    this.#closeSilent();
    const devices = [...this.#devices.values()];
    const rows = devices.flatMap((device) =>
      [...device.windows.values()].map((window) => rowOf(window, this.#config.retentionMs))
    );
    return {
      partition: this.#partition,
      appendMs: this.#appendMs,
      epoch: this.#epoch,
      stoppedAt: this.#stoppedAt,
      windows: rows.filter((row) => row.closedBy !== null),
      open: rows.filter((row) => row.closedBy === null),
      readings: devices.flatMap((device) => device.accepted),
      quarantined: devices.flatMap((device) => device.quarantined),
      released: this.#released,
      devices: devices.map((device) => deviceOf(device, this.#config.outOfOrderMs)),
      boots: devices.flatMap((device) => device.ledger.boots(device.name)),
    };
  }

  #device(name: string): Device {
    let device = this.#devices.get(name);
    if (device === undefined) {
      device = newDevice(name, this.#appendMs);
      this.#devices.set(name, device);
    }
    return device;
  }

  /** Step 1, for every device: it makes no difference when a silent window is looked at. */
  #closeSilent(): void {
    for (const device of this.#devices.values()) {
      for (const window of device.windows.values()) {
        const quietSinceMs = Math.max(window.span.endMs, device.lastAppendMs);
        if (window.closedBy === null && this.#appendMs >= quietSinceMs + this.#config.idleMs) {
          window.closedBy = "silence";
        }
      }
    }
  }

  #takeBatch(record: types.OracleRecord): void {
    const batch = decode.decodeBatch(record.value);
    if (batch === null) return this.#quarantineRecord(record);
    const foreign = partitionOf(batch.device, this.#partitions) !== this.#partition;
    const device = this.#device(foreign ? NAMELESS : batch.device);
    if (foreign) {
      batch.readings.forEach((said, index) => {
        device.inLog++;
        this.#quarantine(device, record.offset, index, batch.boot, said, "wrong_partition");
      });
      return;
    }
    device.lastAppendMs = this.#appendMs;
    device.retired = false;
    if (batch.everyMs !== null) device.everyMs = batch.everyMs;
    const alone = batch.readings.length === 1;
    const { boot, synced } = batch;
    const noted = boot !== null && device.ledger.note(boot);
    // Lateness is judged against the state before the batch, identity also against what stands before in it.
    const watermarkMs = device.watermarkMs;
    batch.readings.forEach((said, index) => {
      const place = { device, boot, synced, released: false, alone, offset: record.offset, index };
      this.#count(said, place, watermarkMs);
    });
    if (noted) { for (const { from, to } of batch.lost) device.ledger.lose(boot, from, to); }
    const { previous } = batch;
    if (noted && previous !== null && previous.slots > 0 && device.ledger.note(previous.boot)) {
      device.ledger.mark(previous.boot, 0, previous.slots - 1, "missing");
    }
    this.#advance(device, batch);
  }

  /** Steps 3 and 4. */
  #advance(device: Device, batch: decode.SaidBatch): void {
    const { pendingMs, outOfOrderMs } = this.#config;
    device.pendingSinceMs = batch.pendingSinceMs;
    const pendingFromMs = batch.pendingSinceMs === null
      ? Infinity
      : Math.max(batch.pendingSinceMs, this.#appendMs - pendingMs);
    const candidates = [device.watermarkMs];
    if (device.highestMs !== null) candidates.push(Math.min(device.highestMs, pendingFromMs) - outOfOrderMs);
    if (!batch.synced) candidates.push(this.#appendMs - pendingMs - outOfOrderMs);
    const reached = candidates.filter((candidate) => candidate !== null);
    device.watermarkMs = reached.length === 0 ? null : Math.max(...reached);
    for (const window of device.windows.values()) {
      if (window.closedBy === null && window.span.endMs <= (device.watermarkMs ?? -Infinity)) {
        window.closedBy = "watermark";
      }
    }
  }

  /** Step 2 for one reading: judges it and counts what it became. */
  #count(said: decode.SaidReading, place: Place, watermarkMs: number | null): void {
    const { device, boot, offset, index } = place;
    device.inLog++;
    let verdict = this.#judge(said, place, watermarkMs);
    if (verdict.kind === "accepted") {
      const { reading } = verdict;
      const state = reading.fault !== null ? "sensor_fault" : reading.late ? "counted_late" : "counted";
      if (boot !== null && said.seq !== null && !device.ledger.mark(boot, said.seq, said.seq, state)) {
        verdict = { kind: "quarantined", reason: "undecidable" };
      } else {
        device.arrivals[place.released ? "released" : state]++;
        this.#keep(reading, place, watermarkMs);
        return;
      }
    } else if (
      verdict.kind === "quarantined" && boot !== null && said.seq !== null && device.ledger.note(boot)
    ) {
      device.ledger.mark(boot, said.seq, said.seq, "quarantined");
    }
    if (verdict.kind === "duplicate" || this.#quarantinedBefore(device, boot, said, verdict.reason)) {
      device.arrivals.duplicates++;
    } else {
      this.#quarantine(device, offset, index, boot, said, verdict.reason);
    }
  }

  #judge(said: decode.SaidReading, place: Place, watermarkMs: number | null): Verdict {
    const quarantined = (reason: string): Verdict => ({ kind: "quarantined", reason });
    if (said.malformed) return quarantined("malformed");
    if (said.tsMs === null && !place.alone) return quarantined("no_time");
    if (said.tsMs !== null && said.tsMs < TIME_MIN) return quarantined("no_time");
    const tsMs = said.tsMs ?? this.#appendMs;
    if (tsMs > this.#appendMs + this.#config.futureMs) return quarantined("future");
    const { temperature, humidity, fault } = said;
    if (temperature !== null && (temperature < -40_000 || temperature > 80_000)) {
      return quarantined("out_of_range");
    }
    if (humidity !== null && (humidity < 0 || humidity > 100_000)) return quarantined("out_of_range");
    if (place.boot !== null && !place.device.ledger.note(place.boot)) return quarantined("undecidable");
    const identity = this.#identify(said, place);
    if (identity === "duplicate") return { kind: "duplicate" };
    if (identity === "conflict" && place.released) return { kind: "duplicate" };
    if (typeof identity === "string") return quarantined(identity);
    const finest = this.#windowsOf(place.device, tsMs, 0).at(-1);
    const late = finest !== undefined && this.#isClosed(finest, watermarkMs);
    const reading: types.OracleReading = {
      device: place.device.name,
      boot: place.boot,
      seq: said.seq,
      tsMs,
      appendMs: this.#appendMs,
      offset: place.offset,
      index: place.index,
      ...identity,
      fault,
      flag: said.flag,
      late,
      timeUncertain: !place.synced,
      released: place.released,
    };
    return { kind: "accepted", reading };
  }

  /** What a new reading brings, or why it is none. */
  #identify(
    said: decode.SaidReading,
    { device, boot }: Place,
  ): types.OracleValues | "duplicate" | "conflict" | "undecidable" {
    const values = { temperature: said.temperature, humidity: said.humidity, fault: said.fault };
    if (boot !== null && said.seq !== null) {
      const before = device.bySlot.get(`${boot}/${said.seq}`);
      if (before === undefined) return values;
      if (said.tsMs === null) return "duplicate";
      if (this.#isKept(before.appendMs) && before.tsMs === said.tsMs) {
        const same = before.temperature === said.temperature && before.humidity === said.humidity &&
          before.fault === said.fault;
        return same ? "duplicate" : "conflict";
      }
      return this.#isKept(said.tsMs - this.#config.futureMs) ? "conflict" : "duplicate";
    }
    if (said.tsMs === null) return values;
    const unnumbered = device.accepted.filter((before) => before.boot === null || before.seq === null);
    const expired = unnumbered.filter((before) => !this.#isKept(before.appendMs));
    if (expired.some((before) => said.tsMs !== null && said.tsMs <= before.tsMs)) return "undecidable";
    const same = unnumbered.filter((before) => before.tsMs === said.tsMs && this.#isKept(before.appendMs));
    const channels = ["temperature", "humidity", "fault"] as const;
    let news = false;
    const added: { -readonly [K in keyof types.OracleValues]: types.OracleValues[K] } = { ...values };
    for (const channel of channels) {
      if (said[channel] === null) continue;
      const known = same.map((before) => before[channel]).filter((value) => value !== null);
      if (known.some((value) => value !== said[channel])) return "conflict";
      if (known.length > 0) added[channel] = null;
      else news = true;
    }
    return news ? added : "duplicate";
  }

  #isKept(appendMs: number): boolean {
    return keptUntil(appendMs, this.#config.retentionMs) > this.#appendMs;
  }

  /** The windows of kind `spec` around an event time: those that have something, and empty ones for the others. */
  #windowsOf(device: Device, tsMs: number, spec: number): Holding[] {
    const kind = this.#config.windows[spec];
    if (kind === undefined) return [];
    return windowsOf(kind, tsMs).map((span) =>
      device.windows.get(windowKey(spec, span)) ?? {
        device: device.name,
        spec: kind,
        span,
        held: [],
        everyMs: null,
        closedBy: null,
        revision: 0,
        revised: null,
      }
    );
  }

  #isClosed(window: Holding, watermarkMs: number | null): boolean {
    return window.closedBy !== null || window.span.endMs <= (watermarkMs ?? -Infinity);
  }

  /** Puts an accepted reading into the device's past and into every window that holds it. */
  #keep(reading: types.OracleReading, place: Place, watermarkMs: number | null): void {
    const { device, offset } = place;
    device.accepted.push(reading);
    if (reading.boot !== null && reading.seq !== null) {
      device.bySlot.set(`${reading.boot}/${reading.seq}`, reading);
    }
    if (place.synced && !place.released) device.highestMs = Math.max(device.highestMs ?? 0, reading.tsMs);
    if (place.synced && !place.released && reading.boot !== null) {
      noteBootTime(device, reading.boot, reading.tsMs);
    }
    this.#config.windows.forEach((_, spec) => {
      for (const window of this.#windowsOf(device, reading.tsMs, spec)) {
        device.windows.set(windowKey(spec, window.span), window);
        const late = this.#isClosed(window, watermarkMs);
        window.held.push({ reading, late });
        if (!place.released) window.everyMs = device.everyMs;
        if (!late) continue;
        window.closedBy ??= "watermark";
        if (window.revised?.offset !== offset) window.revision++;
        window.revised = { appendMs: this.#appendMs, offset };
      }
    });
  }

  #quarantinedBefore(
    device: Device,
    boot: number | null,
    said: decode.SaidReading,
    reason: string,
  ): boolean {
    return said.tsMs !== null &&
      device.quarantined.some((before) =>
        this.#isKept(before.appendMs) && before.raw === said.raw && before.tsMs === said.tsMs &&
        before.boot === boot && before.seq === said.seq && before.reason === reason
      );
  }

  #quarantine(
    device: Device,
    offset: number,
    index: number,
    boot: number | null,
    said: Pick<decode.SaidReading, "seq" | "tsMs" | "raw">,
    reason: string,
  ): void {
    device.arrivals.quarantined++;
    const day = Math.floor(this.#appendMs / DAY_MS);
    const today = device.quarantined.filter((row) => Math.floor(row.appendMs / DAY_MS) === day);
    if (today.length >= QUARANTINED_PER_DAY_MAX) return;
    const { seq, tsMs, raw } = said;
    const appendMs = this.#appendMs;
    device.quarantined.push({ device: device.name, boot, seq, tsMs, appendMs, offset, index, reason, raw });
  }

  /** A record that says nothing of any device: one arrival of the nameless one. */
  #quarantineRecord(record: types.OracleRecord): void {
    const device = this.#device(NAMELESS);
    device.inLog++;
    const said = { seq: null, tsMs: null, raw: decode.textOf(record.value) };
    this.#quarantine(device, record.offset, 0, null, said, "malformed");
  }

  #takeOwner(record: types.OracleRecord): void {
    if (!decode.isOwner(record.value)) return this.#quarantineRecord(record);
    this.#epoch = record.offset;
  }

  #takeDeviceRecord(record: types.OracleRecord): void {
    const said = decode.decodeDeviceRecord(record.value);
    const ours = decode.isName(record.key) && partitionOf(record.key, this.#partitions) === this.#partition;
    if (said === null || !ours || record.key === null) return this.#quarantineRecord(record);
    const device = this.#device(record.key);
    if ("retire" in said) device.retired = true;
    else device.displayName = said.name;
  }

  #takeRelease(record: types.OracleRecord): void {
    const said = decode.decodeRelease(record.value);
    if (said === null || partitionOf(said.device, this.#partitions) !== this.#partition) {
      return this.#quarantineRecord(record);
    }
    const device = this.#device(said.device);
    const before = device.arrivals.released;
    const flags = { boot: said.boot, synced: true, released: true, alone: true };
    this.#count(said.reading, { device, ...flags, offset: record.offset, index: 0 }, device.watermarkMs);
    if (device.arrivals.released > before) {
      const { offset, index } = said;
      this.#released.push({ device: device.name, offset, index, byOffset: record.offset });
    }
  }
}

const windowKey = (spec: number, span: Span) => `${spec}/${span.startMs}`;

function newDevice(name: string, appendMs: number): Device {
  return {
    name,
    accepted: [],
    bySlot: new Map(),
    quarantined: [],
    ledger: new OracleLedger(),
    windows: new Map(),
    bootTimes: new Map(),
    arrivals: { counted: 0, counted_late: 0, sensor_fault: 0, quarantined: 0, duplicates: 0, released: 0 },
    inLog: 0,
    lastAppendMs: appendMs,
    highestMs: null,
    pendingSinceMs: null,
    watermarkMs: null,
    everyMs: null,
    displayName: null,
    retired: false,
  };
}

function noteBootTime(device: Device, boot: number, tsMs: number): void {
  const times = device.bootTimes.get(boot) ?? { firstMs: tsMs, lastMs: tsMs };
  times.firstMs = Math.min(times.firstMs, tsMs);
  times.lastMs = Math.max(times.lastMs, tsMs);
  device.bootTimes.set(boot, times);
}

/** Two boards under one name: times of two boots overlap by more than the out-of-order bound. */
function sharesName(device: Device, outOfOrderMs: number): boolean {
  const spans = [...device.bootTimes.values()];
  return spans.some((a, i) =>
    spans.some((b, j) =>
      i < j && Math.min(a.lastMs, b.lastMs) - Math.max(a.firstMs, b.firstMs) > outOfOrderMs
    )
  );
}

const deviceOf = (device: Device, outOfOrderMs: number): types.OracleDevice => ({
  device: device.name,
  inLog: device.inLog,
  arrivals: device.arrivals,
  lastAppendMs: device.lastAppendMs,
  highestEventMs: device.highestMs,
  pendingSinceMs: device.pendingSinceMs,
  watermarkMs: device.watermarkMs,
  everyMs: device.everyMs,
  displayName: device.displayName,
  retired: device.retired,
  sharedName: sharesName(device, outOfOrderMs),
});
