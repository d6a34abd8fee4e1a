/**
 * Seeded logs full of everything that real fleets do wrong, as records: resends, disorder, backlogs, reboots, clocks that
 * were never set or run a year ahead, broken JSON, control records, append clocks that step back, long silences.
 *
 * Each seed draws which troubles it has and how often (swarm testing), since a log with every trouble at once hides what
 * two of them do together. The logs are small on purpose, so that a failure shrinks to something one can read.
 */
import type { JudgeConfig } from "../core/config.ts";
import { partitionOf } from "../core/murmur2.ts";
import type { LogRecord } from "../core/ports/log.ts";
import { below, chance, type Random } from "../core/ports/random.ts";
import { drawConfig, drawDecimal } from "./generate_values.ts";
import { pick, seededRandom } from "./random.ts";
import { live, troubles } from "./troubles.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const encoder = new TextEncoder();

export interface GeneratedLog {
  readonly seed: number;
  readonly config: JudgeConfig;
  readonly partitions: number;
  /** In append order over all partitions. */
  readonly records: readonly LogRecord[];
}

export interface GenerateOptions {
  /** About how many records; default 30 … 150, drawn. */
  readonly records?: number;
  readonly config?: JudgeConfig;
  readonly partitions?: number;
  /** Only these troubles; default: a drawn half of them. */
  readonly troubles?: readonly string[];
}

/** Starts worth trying: changes to and from summer time in several zones, a leap day, an ordinary day. */
const STARTS = [
  Date.UTC(2026, 2, 28, 22),
  Date.UTC(2026, 9, 24, 21),
  Date.UTC(2026, 3, 23, 21),
  Date.UTC(2026, 2, 7, 23),
  Date.UTC(2028, 1, 28, 20),
  Date.UTC(2025, 10, 24, 8, 18),
];
const NAMES = ["greenhouse-3", "desk", "Küche", "a", "温室", 'quo"ted', "b|c", "long-".repeat(20)];

interface Device {
  readonly name: string;
  boot: number;
  seq: number;
  everyMs: number;
  nextMs: number;
  /** Readings that were measured and not sent, oldest first. */
  backlog: Measured[];
  /** Values that went out, for sending again. */
  sent: {
    readonly value: Uint8Array;
    readonly readings: string[];
    readonly boot: number;
    readonly offset: number;
    readonly appendMs: number;
    /** Event time of the slot that came next. */
    readonly nextMs: number;
  }[];
}
interface Measured {
  readonly tsMs: number;
  readonly json: string;
}

/** The log of `seed`. */
export function generateLog(seed: number, options: GenerateOptions = {}): GeneratedLog {
  return new Generator(seed, options).run();
}

/** Names of the troubles, for `troubles`. */
export const troubleNames = (): readonly string[] => Object.keys(troubles);

/** Builds a log record by record: what troubles are made with. */
export class Generator {
  readonly random: Random;
  readonly records: LogRecord[] = [];
  readonly devices: Device[];
  readonly config: JudgeConfig;
  readonly partitions: number;
  readonly #seed: number;
  readonly #count: number;
  readonly #active: readonly string[];
  readonly #offsets: number[];
  nowMs: number;
  device: Device;

  constructor(seed: number, options: GenerateOptions) {
    this.#seed = seed;
    const random = this.random = seededRandom(seed, "log");
    this.nowMs = pick(random, STARTS) + below(random, HOUR);
    this.config = options.config ?? drawConfig(random, this.nowMs);
    this.partitions = options.partitions ?? 1 + below(random, 3);
    this.#offsets = Array.from({ length: this.partitions }, () => below(random, 3));
    this.#count = options.records ?? 30 + below(random, 121);
    this.#active = options.troubles ?? Object.keys(troubles).filter(() => chance(random, 1, 2));
    const names = NAMES.filter(() => chance(random, 1, 2));
    this.devices = (names.length > 0 ? names : ["desk"]).slice(0, 4).map((name) => this.#newDevice(name));
    this.device = this.devices[0] as Device;
  }

  #newDevice(name: string): Device {
    const everyMs = pick(this.random, [1_000, 2_000, 10_000, 10_000, 20_000, 61_000]);
    const boot = below(this.random, 2 ** 32) * 1_000_003;
    return {
      name,
      boot,
      seq: 0,
      everyMs,
      nextMs: this.nowMs - below(this.random, 5) * MINUTE,
      backlog: [],
      sent: [],
    };
  }

  run(): GeneratedLog {
    while (this.records.length < this.#count) {
      this.device = pick(this.random, this.devices);
      const trouble = chance(this.random, 1, 2) ? undefined : pick(this.random, [...this.#active, "live"]);
      (troubles[trouble ?? "live"] ?? live)(this);
      if (chance(this.random, 2, 3)) this.nowMs += below(this.random, this.device.everyMs * 4);
    }
    return { seed: this.#seed, config: this.config, partitions: this.partitions, records: this.records };
  }

  append(
    value: Uint8Array | string | null,
    { key = this.device.name, partition, headers = {}, stampMs = this.nowMs }: {
      key?: string | null;
      partition?: number;
      headers?: Record<string, string>;
      stampMs?: number;
    } = {},
  ): number {
    const p = partition ?? partitionOf(this.device.name, this.partitions);
    // A log may skip offsets (a broker's own markers).
    const offset = (this.#offsets[p] ?? 0) + (chance(this.random, 1, 30) ? 1 : 0);
    this.#offsets[p] = offset + 1;
    const bytes = typeof value === "string" ? encoder.encode(value) : value;
    this.records.push({ partition: p, offset, appendMs: stampMs, key, value: bytes, headers });
    return offset;
  }

  /** Sends readings (as JSON) in a batch of the device. */
  send(readings: readonly string[], fields: Readonly<Record<string, unknown>> = {}): void {
    const { device } = this;
    const boot = "boot" in fields ? fields.boot : device.boot;
    const pending = device.backlog[0]?.tsMs ?? null;
    const head = {
      device: device.name,
      boot,
      every_ms: device.everyMs,
      pending_since: pending,
      ...fields,
    };
    const entries = Object.entries(head).filter(([, value]) => value !== undefined);
    const text = `{${
      entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(",")
    },"readings":[${readings.join(",")}]}`;
    const value = encoder.encode(text);
    const headers: Record<string, string> = chance(this.random, 1, 2) ? { isotherm: "1" } : {};
    const offset = this.append(value, { headers });
    const { nextMs } = device;
    device.sent.push({
      value,
      readings: [...readings],
      boot: device.boot,
      offset,
      appendMs: this.nowMs,
      nextMs,
    });
  }

  /** Measures the next slot of the device. */
  measure(): Measured {
    const { device } = this;
    const tsMs = device.nextMs;
    device.nextMs += device.everyMs;
    return { tsMs, json: this.reading({ seq: device.seq++, ts: tsMs }) };
  }

  /** A reading's JSON with a drawn value. */
  reading(fields: Readonly<Record<string, unknown>>, content = this.content()): string {
    const parts = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
    return `{${[...parts, content].join(",")}}`;
  }

  content(): string {
    const { random } = this;
    if (chance(random, 1, 12)) {
      return `"error":${JSON.stringify(pick(random, ["checksum", "timeout", "no_sensor"]))}`;
    }
    const temperature = `"temperature_c":${drawDecimal(random)}`;
    const humidity = `"humidity_pct":${below(random, 100)}.${below(random, 10)}`;
    const flag = chance(random, 1, 20) ? ',"flag":"stuck"' : "";
    return pick(random, [`${temperature},${humidity}`, `${temperature},${humidity}`, temperature, humidity]) +
      flag;
  }

  /** The device measures up to now. */
  catchUp(most = 5): Measured[] {
    const measured: Measured[] = [];
    while (measured.length < most && (measured.length === 0 || this.device.nextMs <= this.nowMs)) {
      measured.push(this.measure());
    }
    if (this.device.nextMs < this.nowMs - DAY) this.device.nextMs = this.nowMs;
    return measured;
  }
}
