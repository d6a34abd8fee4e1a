/**
 * A board as its contract has it, without a chip: it samples on a fixed grid whatever the network does, numbers slots,
 * keeps readings in a flash ring until a 2xx, and tells what it had to give up. Hundreds of them run where one
 * MicroPython board does. The firmware itself is tested by `sim/board`.
 *
 * What it measured, and what became of it on the board, is written down as ground truth for the oracle of the world.
 */
import { below, type Random } from "../core/ports/random.ts";
import type { Planned, Scheduler } from "./scheduler.ts";
import type { SimulatedBoard } from "./simulated_board.ts";

/** One sampling slot as it truly was. */
export interface Sample {
  readonly device: string;
  readonly boot: number;
  readonly seq: number;
  /** When it was measured by the world's clock. */
  readonly trueMs: number;
  /** Milliseconds since the boot. */
  readonly ticksMs: number;
  readonly temperatureMilliC: number | null;
  readonly humidityMilliPct: number | null;
  readonly fault: string | null;
  /** The event time that was sent with it; null until the board knew one. */
  sentTsMs: number | null;
  sentSynced: boolean;
  /** `ram`: not yet in flash. `gone`: lost with the power before it was. `evicted`: the ring was full. */
  fate: "ram" | "flash" | "gone" | "evicted" | "acknowledged";
}

export interface BoardClock {
  /** `ahead`: a year in the future. `zero`: counts from 1970. `never`: an estimate, marked as one. `late`: set late. */
  readonly kind: "good" | "ahead" | "zero" | "never" | "late";
  /** Error of the oscillator in parts per million. */
  readonly driftPpm: number;
}

export interface ModelBoardSpec {
  readonly device: string;
  readonly everyMs: number;
  /** Readings that the flash holds. */
  readonly flashReadingsMax: number;
  /** Readings are written to flash so many at a time. */
  readonly flushReadings: number;
  readonly sendEveryMs: number;
  readonly batchReadingsMax: number;
  readonly latencyMs: number;
  readonly clock: BoardClock;
}

/** What a request came to. */
export type PostOutcome =
  | {
    readonly kind: "answer";
    readonly status: number;
    readonly retryAfterMs: number;
    readonly credit: number;
  }
  | { readonly kind: "failed" };

export interface ModelBoardPorts {
  readonly scheduler: Scheduler;
  /** Draws boot numbers, and jitter. */
  readonly random: (purpose: "boot" | "jitter") => Random;
  readonly climate: (nowMs: number) => { temperatureTenthsC: number; humidityTenthsPct: number };
  readonly sensorFault: (nowMs: number) => string | null;
  /** Sends a batch; `done` is called at most once, and never if the answer is lost. */
  readonly post: (body: string, done: (outcome: PostOutcome) => void) => void;
  /** Asks for the time; `done` is called if there is an answer. */
  readonly askTime: (done: (nowMs: number) => void) => void;
}

const REQUEST_MS_MAX = 12_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 60_000;
const TIME_RETRY_MS = 20_000;
const LATE_MS = 180_000;
const YEAR_MS = 365 * 86_400_000;
const SYNC_EVERY_MS = 3_600_000;

interface LostSpan {
  readonly boot: number;
  readonly from: number;
  to: number;
}

export class ModelBoard implements SimulatedBoard {
  readonly spec: ModelBoardSpec;
  readonly failure = null;
  /** Everything that was ever measured. */
  readonly samples: Sample[] = [];
  /** Requests that were sent. */
  requestCount = 0;
  readonly #ports: ModelBoardPorts;
  // In flash.
  #ring: Sample[] = [];
  #lost: LostSpan[] = [];
  #slots = new Map<number, number>();
  #previousBoot: number | null = null;
  // In RAM.
  #isOn = false;
  #boot = 0;
  #seq = 0;
  #bootMs = 0;
  #ram: Sample[] = [];
  /** Acknowledged, but not yet freed in flash. */
  #acknowledged = new Set<Sample>();
  #toldPrevious = false;
  #clockErrorMs: number | null = null;
  #credit = 60;
  #backoffMs = RETRY_FIRST_MS;
  #inFlight = false;
  #life = 0;
  #tearsNextFlush = false;
  #isSampling = true;
  #planned: Planned[] = [];

  constructor(spec: ModelBoardSpec, ports: ModelBoardPorts) {
    this.spec = spec;
    this.#ports = ports;
  }

  get device(): string {
    return this.spec.device;
  }

  get isOn(): boolean {
    return this.#isOn;
  }
  /** Readings that still have to be sent. */
  get unsentCount(): number {
    return this.#ring.length + this.#ram.length - this.#acknowledged.size + this.#lost.length;
  }

  powerOn(): void {
    if (this.#isOn) return;
    const { scheduler } = this.#ports;
    const random = this.#ports.random("boot");
    this.#isOn = true;
    this.#life++;
    this.#boot = random.uint32() * 2 ** 21 + below(random, 2 ** 21);
    this.#previousBoot = this.#slots.size === 0 ? null : [...this.#slots.keys()].at(-1) ?? null;
    this.#slots.set(this.#boot, 0);
    this.#seq = 0;
    this.#bootMs = scheduler.nowMs;
    this.#clockErrorMs = null;
    this.#toldPrevious = false;
    this.#inFlight = false;
    this.#credit = 60;
    this.#backoffMs = RETRY_FIRST_MS;
    this.#wake(below(random, 2_000), () => this.#syncTime());
    this.#wake(this.spec.everyMs, () => this.#sample());
    this.#wake(below(random, this.spec.sendEveryMs), () => this.#send());
  }

  /** What was not yet in flash is gone. */
  powerCut(): void {
    if (!this.#isOn) return;
    this.#isOn = false;
    this.#life++;
    for (const planned of this.#planned) planned.cancel();
    this.#planned = [];
    for (const sample of this.#ram) if (sample.fate === "ram") sample.fate = "gone";
    this.#ram = [];
    // What was acknowledged and not yet freed is sent again.
    this.#acknowledged.clear();
  }

  /** Somebody flashes the chip: everything that was kept is gone, and nobody will ever tell of it. */
  eraseFlash(): void {
    for (const sample of this.#ring) if (sample.fate === "flash") sample.fate = "gone";
    this.#ring = [];
    this.#lost = [];
    this.#slots.clear();
    this.#acknowledged.clear();
  }

  tearNextFlush(): void {
    this.#tearsNextFlush = true;
  }

  calm(): void {
    this.#tearsNextFlush = false;
  }

  /** The sensor rests; what is there is still sent. */
  stopSampling(): void {
    this.#isSampling = false;
    this.#flush();
    this.#send();
  }

  #wake(ms: number, task: () => void): void {
    const life = this.#life;
    if (this.#planned.length > 64) this.#planned = this.#planned.slice(-32);
    this.#planned.push(this.#ports.scheduler.after(ms, () => {
      if (life === this.#life) task();
    }));
  }

  get #ticksMs(): number {
    const trueMs = this.#ports.scheduler.nowMs - this.#bootMs;
    return trueMs + Math.trunc(trueMs * this.spec.clock.driftPpm / 1e6);
  }

  #syncTime(): void {
    const { kind } = this.spec.clock;
    if (kind === "never" || kind === "zero") {
      this.#clockErrorMs = 0;
      return;
    }
    if (kind === "late" && this.#ticksMs < LATE_MS) return this.#wake(LATE_MS, () => this.#syncTime());
    const life = this.#life;
    const askedMs = this.#ticksMs;
    this.#ports.askTime((nowMs) => {
      if (life !== this.#life) return;
      // As SNTP without the round trip: the answer is as old as its way back.
      this.#clockErrorMs = nowMs - this.#bootMs - this.#ticksMs + (kind === "ahead" ? YEAR_MS : 0);
    });
    const retryMs = this.#clockErrorMs === null ? TIME_RETRY_MS : SYNC_EVERY_MS;
    this.#wake(Math.max(1, retryMs - (this.#ticksMs - askedMs)), () => this.#syncTime());
  }

  /** Event time of a slot of this boot, null while the board doesn't know the time. */
  #tsOf(ticksMs: number): number | null {
    if (this.#clockErrorMs === null) return null;
    const { kind } = this.spec.clock;
    if (kind === "zero") return ticksMs;
    return this.#bootMs + ticksMs + this.#clockErrorMs - (kind === "never" ? 90_000 : 0);
  }

  #sample(): void {
    if (!this.#isSampling) return;
    const { scheduler, climate, sensorFault } = this.#ports;
    const { device, everyMs } = this.spec;
    this.#wake(everyMs, () => this.#sample());
    const nowMs = scheduler.nowMs;
    const fault = sensorFault(nowMs);
    const air = climate(nowMs);
    const sample: Sample = {
      ...{ device, boot: this.#boot, seq: this.#seq++, trueMs: nowMs, ticksMs: this.#ticksMs },
      temperatureMilliC: fault === null ? air.temperatureTenthsC * 100 : null,
      humidityMilliPct: fault === null ? air.humidityTenthsPct * 100 : null,
      ...{ fault, sentTsMs: null, sentSynced: true, fate: "ram" as const },
    };
    this.samples.push(sample);
    this.#ram.push(sample);
    if (this.#ram.length >= this.spec.flushReadings) this.#flush();
  }

  /** Writes to flash, which also frees what is acknowledged. The oldest goes when the ring is full. */
  #flush(): void {
    if (!this.#isOn) return;
    const written = this.#tearsNextFlush ? this.#ram.slice(0, this.#ram.length >> 1) : this.#ram;
    for (const sample of written) {
      if (sample.fate === "ram") sample.fate = "flash";
      this.#slots.set(sample.boot, sample.seq + 1);
    }
    this.#ring = [...this.#ring.filter((sample) => !this.#acknowledged.has(sample)), ...written]
      .filter((sample) => !this.#acknowledged.has(sample));
    this.#acknowledged.clear();
    this.#ram = this.#ram.slice(written.length);
    for (const sample of this.#ring.splice(0, Math.max(0, this.#ring.length - this.spec.flashReadingsMax))) {
      if (sample.fate === "flash") sample.fate = "evicted";
      const last = this.#lost.at(-1);
      if (last !== undefined && last.boot === sample.boot && last.to + 1 === sample.seq) last.to = sample.seq;
      else this.#lost.push({ boot: sample.boot, from: sample.seq, to: sample.seq });
    }
    if (!this.#tearsNextFlush) return;
    this.#tearsNextFlush = false;
    this.powerCut();
    this.#ports.scheduler.after(3_000, () => this.powerOn());
  }

  #send(): void {
    if (!this.#isOn) return;
    this.#wake(this.spec.sendEveryMs, () => this.#send());
    this.#sendNext();
  }

  /** The oldest readings of one boot that can be dated alike, and what has to be told with them. */
  #sendNext(): void {
    if (!this.#isOn || this.#inFlight) return;
    const unsent = [...this.#ring, ...this.#ram].filter((sample) => !this.#acknowledged.has(sample));
    const first = unsent[0];
    const boot = first?.boot ?? this.#lost[0]?.boot ?? this.#boot;
    const tellsPrevious = !this.#toldPrevious && this.#previousBoot !== null && boot === this.#boot;
    const lost = this.#lost.filter((span) => span.boot === boot).slice(0, 256);
    if (first === undefined && lost.length === 0 && !tellsPrevious) return;
    if (boot === this.#boot && this.#clockErrorMs === null && first !== undefined) return;
    const isDated = (sample: Sample) => sample.boot === this.#boot || sample.sentTsMs !== null;
    const batch: Sample[] = [];
    for (const sample of unsent) {
      if (batch.length >= Math.min(this.#credit, this.spec.batchReadingsMax)) break;
      if (sample.boot !== boot || isDated(sample) !== isDated(first!)) break;
      batch.push(sample);
    }
    const synced = (first === undefined || isDated(first)) && this.spec.clock.kind !== "never";
    for (const sample of batch) {
      if (sample.boot === this.#boot) sample.sentTsMs ??= this.#tsOf(sample.ticksMs);
      // A boot that ended without a clock: the best that is left is when it must have been, at the latest.
      sample.sentTsMs ??= (this.#tsOf(this.#ticksMs) ?? sample.trueMs) - 60_000 + sample.seq;
      sample.sentSynced = synced;
    }
    this.#post(boot, batch, lost, tellsPrevious, synced, unsent[batch.length] ?? null);
  }

  #post(
    boot: number,
    batch: readonly Sample[],
    lost: readonly LostSpan[],
    tellsPrevious: boolean,
    synced: boolean,
    next: Sample | null,
  ): void {
    const previous = this.#previousBoot;
    const pendingMs = next === null ? null : next.sentTsMs ?? this.#tsOf(next.ticksMs);
    const body = JSON.stringify({
      ...{ device: this.spec.device, boot, every_ms: this.spec.everyMs, synced },
      pending_since: pendingMs === null ? null : Math.max(0, pendingMs),
      ...(tellsPrevious && previous !== null
        ? { previous: { boot: previous, slots: this.#slots.get(previous) ?? 0 } }
        : {}),
      ...(lost.length > 0
        ? { lost: lost.map(({ from, to }) => ({ from, to, reason: "backlog_full" })) }
        : {}),
      readings: batch.map(readingOf),
    });
    const lostAsSent = lost.map((span) => ({ span, to: span.to }));
    const life = this.#life;
    this.#inFlight = true;
    this.requestCount++;
    let isDone = false;
    const done = (outcome: PostOutcome) => {
      if (isDone || life !== this.#life) return;
      isDone = true;
      this.#inFlight = false;
      if (outcome.kind === "answer" && outcome.status === 202) {
        this.#takeAcknowledgement(batch, lostAsSent, tellsPrevious, outcome.credit);
      } else this.#retry(outcome.kind === "answer" ? outcome.retryAfterMs : 0);
    };
    this.#ports.post(body, done);
    this.#wake(REQUEST_MS_MAX, () => done({ kind: "failed" }));
  }

  #takeAcknowledgement(
    batch: readonly Sample[],
    lost: readonly { readonly span: LostSpan; readonly to: number }[],
    toldPrevious: boolean,
    credit: number,
  ): void {
    for (const sample of batch) {
      sample.fate = "acknowledged";
      this.#acknowledged.add(sample);
    }
    // A span that has grown meanwhile is told again.
    this.#lost = this.#lost.filter((span) => !lost.some((told) => told.span === span && told.to === span.to));
    if (toldPrevious) this.#toldPrevious = true;
    this.#credit = Math.max(1, credit);
    this.#backoffMs = RETRY_FIRST_MS;
    if (this.unsentCount > this.#ram.length) this.#wake(50, () => this.#sendNext());
  }

  #retry(retryAfterMs: number): void {
    const jitterMs = below(this.#ports.random("jitter"), this.#backoffMs);
    this.#wake(Math.max(retryAfterMs, this.#backoffMs + jitterMs), () => this.#sendNext());
    this.#backoffMs = Math.min(2 * this.#backoffMs, RETRY_MAX_MS);
  }
}

/** The reading in the board's own notation. */
function readingOf(sample: Sample): Record<string, unknown> {
  const { seq, sentTsMs, temperatureMilliC, humidityMilliPct, fault } = sample;
  const ts = sentTsMs;
  if (fault !== null) return { seq, ts, error: fault };
  return {
    seq,
    ts,
    temperature_c: (temperatureMilliC ?? 0) / 1_000,
    humidity_pct: (humidityMilliPct ?? 0) / 1_000,
  };
}
