/** The model's sampler; see `firmware/sampler.py`, `firmware/dht22.py` and `firmware/suspicion.py` for the reasons. */
import { DHT_READ_MS } from "../dht22.ts";
import type { BoardHost } from "../host.ts";
import type { ModelBacklog } from "./backlog.ts";
import type { ModelClockSync } from "./clock_sync.ts";
import { block, type Flag, sleep, type Task } from "./loop.ts";
import type { ModelSlot } from "./ring.ts";

const FIRST_MS = 1_500;
const RETRY_MS = 2_000;
const NAP_MS = 15_000;
const SLACK_MS = 100;
const STUCK_MS = 3_600_000;
const STUCK_SLOTS = 120;

export interface SamplerParts {
  readonly host: BoardHost;
  readonly backlog: ModelBacklog;
  readonly clock: ModelClockSync;
  readonly stored: Flag;
  readonly everyMs: number;
  readonly sensorPin: number;
}

interface Measured {
  readonly error: ModelSlot["error"];
  readonly temperatureTenthsC: number;
  readonly humidityTenthsPct: number;
}

export class ModelSampler {
  readonly #parts: SamplerParts;
  #values = "";
  #sinceMs = 0;
  #sameCount = 0;

  constructor(parts: SamplerParts) {
    this.#parts = parts;
  }

  *run(): Task<void> {
    const { backlog, clock, everyMs } = this.#parts;
    let atMs = this.#uptimeMs() + FIRST_MS;
    for (;;) {
      yield* this.#sleepUntil(atMs);
      if (clock.advance()) backlog.anchor(clock.offsetMs as number, this.#uptimeMs());
      yield* this.#take(this.#uptimeMs());
      const apartMs = Math.max(Math.floor(everyMs / 2), Math.min(RETRY_MS, everyMs - SLACK_MS));
      const earliestMs = Math.max(atMs + apartMs, this.#uptimeMs()) + (clock.offsetMs ?? 0);
      atMs = Math.ceil(earliestMs / everyMs) * everyMs - (clock.offsetMs ?? 0);
    }
  }

  #uptimeMs(): number {
    return this.#parts.host.clock.ticksMs();
  }

  *#sleepUntil(atMs: number): Task<void> {
    for (;;) {
      this.#parts.host.power.feedWatchdog();
      const leftMs = atMs - this.#uptimeMs();
      if (leftMs <= 0) return;
      yield sleep(Math.min(leftMs, NAP_MS));
    }
  }

  *#take(uptimeMs: number): Task<void> {
    const { backlog, stored, everyMs } = this.#parts;
    let measured = yield* this.#read();
    if (measured.error !== null) {
      yield* this.#sleepUntil(uptimeMs + Math.min(RETRY_MS, Math.floor(everyMs / 2)));
      measured = yield* this.#read();
    }
    const flag = measured.error === null ? this.#suspect(measured, uptimeMs) : null;
    backlog.store({ uptimeMs, flag, ...measured });
    stored.set();
  }

  *#read(): Task<Measured> {
    const { host, sensorPin } = this.#parts;
    const frame = host.pins.readDht(sensorPin);
    yield block(DHT_READ_MS);
    return frame === null ? failed("timeout") : decode(frame);
  }

  #suspect({ temperatureTenthsC, humidityTenthsPct }: Measured, uptimeMs: number): string | null {
    const values = `${temperatureTenthsC} ${humidityTenthsPct}`;
    if (values !== this.#values) {
      this.#values = values;
      this.#sinceMs = uptimeMs;
      this.#sameCount = 0;
    }
    this.#sameCount++;
    if (values === "10 10") return "reset_frame";
    if (humidityTenthsPct === 999) return "saturated";
    return this.#sameCount > STUCK_SLOTS && uptimeMs - this.#sinceMs >= STUCK_MS ? "stuck" : null;
  }
}

const failed = (error: ModelSlot["error"]): Measured => ({
  error,
  temperatureTenthsC: 0,
  humidityTenthsPct: 0,
});

function decode(frame: Uint8Array): Measured {
  const [a = 0, b = 0, c = 0, d = 0, sum = 0] = frame;
  if (((a + b + c + d) & 255) !== sum) return failed("checksum");
  const humidityTenthsPct = a << 8 | b;
  const magnitude = (c & 127) << 8 | d;
  const temperatureTenthsC = (c & 128) !== 0 ? 0 - magnitude : magnitude;
  const isInRange = humidityTenthsPct <= 1000 && temperatureTenthsC >= -400 && temperatureTenthsC <= 800;
  return isInRange ? { error: null, temperatureTenthsC, humidityTenthsPct } : failed("out_of_range");
}
