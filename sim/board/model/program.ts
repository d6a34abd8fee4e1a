/**
 * The firmware's model: the same behaviour on the same chip, without an interpreter, for large fleets. A differential
 * test holds it to the firmware: same seed, same request bodies.
 *
 * It keeps its flash as objects that outlive its boots ({@link ModelRing}); it has no lamp, no serial port, no TLS and no
 * power switch for the sensor.
 */
import type { Program } from "../board.ts";
import { type BoardHost, linkStatus } from "../host.ts";
import { ModelBacklog } from "./backlog.ts";
import { ModelClockSync } from "./clock_sync.ts";
import { askTime, lookUp, ModelHttp, SocketError } from "./exchange.ts";
import { Flag, Loop, sleep, type Task } from "./loop.ts";
import type { ModelRing } from "./ring.ts";
import { ModelSampler } from "./sampler.ts";
import { ModelUploader } from "./uploader.ts";

export interface ModelSettings {
  readonly device: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly key: string;
  readonly everyMs: number;
  readonly ntpHost: string;
  readonly sensorPin: number;
}

const LINK_CHECK_MS = 10_000;
const JOINING_MS = 100;
const JOIN_MS_MAX = 20_000;
const REST_MS = 1_000;
const REST_MS_MAX = 30_000;
const HOUR_MS = 3_600_000;
const NTP_RETRY_MS = 5_000;
const NTP_RETRY_MS_MAX = 600_000;
const NTP_TRIES = 2;
const WATCHDOG_MS = 60_000;
const FAILURES: readonly number[] = [
  linkStatus.wrongPassword,
  linkStatus.noAccessPoint,
  linkStatus.accessPointGone,
];

export class ModelProgram implements Program {
  failure: Error | null = null;
  readonly #ring: ModelRing;
  readonly #settings: ModelSettings;

  constructor(ring: ModelRing, settings: ModelSettings) {
    this.#ring = ring;
    this.#settings = settings;
  }

  start(host: BoardHost): Promise<void> {
    const { everyMs, device, key, path, sensorPin } = this.#settings;
    const { previous, tail } = this.#ring.recover();
    const backlog = new ModelBacklog(this.#ring, tail, bootNumber(host), previous, host.clock.ticksMs());
    const loop = new Loop(host.clock);
    const [linkUp, stored] = [new Flag(loop), new Flag(loop)];
    const clock = new ModelClockSync();
    const below = (bound: number) => randomBelow(host, bound);
    const target = { ...this.#settings, resolve: (name: string) => resolve(host, name) };
    const [client, web] = [new ModelHttp(host, target), new ModelHttp(host, target)];
    const shared = { host, loop, device, everyMs, key, path, backlog, client, clock, linkUp, stored };
    const uploader = new ModelUploader({ ...shared, ring: this.#ring, randomBelow: below });
    host.power.startWatchdog(WATCHDOG_MS);
    const sampler = new ModelSampler({ host, backlog, clock, stored, everyMs, sensorPin });
    loop.ready(keepLink(host, linkUp));
    loop.ready(keepTime(host, this.#settings, linkUp, clock, web, uploader));
    loop.ready(uploader.run());
    loop.ready(sampler.run());
    loop.turn();
    return Promise.resolve();
  }

  end(): void {}
}

/** `os.urandom` draws once a byte. */
function randomBytes(host: BoardHost, count: number): number[] {
  return Array.from({ length: count }, () => host.entropy.uint32() & 255);
}

function bootNumber(host: BoardHost): string {
  const value = randomBytes(host, 8).reduceRight((sum, byte) => sum << 8n | BigInt(byte), 0n);
  return (value >> 11n).toString();
}

function randomBelow(host: BoardHost, bound: number): number {
  return randomBytes(host, 4).reduceRight((sum, byte) => sum * 256 + byte, 0) % bound;
}

function* resolve(host: BoardHost, name: string): Task<string> {
  if (/^\d+(\.\d+){3}$/.test(name)) return name;
  return yield* lookUp(host, name, randomBelow(host, 65_536));
}

function* keepLink(host: BoardHost, linkUp: Flag): Task<void> {
  const isConnected = () =>
    host.radio.status() === linkStatus.gotAddress && host.radio.address() !== "0.0.0.0";
  host.radio.setActive(true);
  for (let restMs = REST_MS;;) {
    if (yield* join(host, isConnected)) {
      linkUp.set();
      restMs = REST_MS;
      while (isConnected()) yield sleep(LINK_CHECK_MS);
      linkUp.clear();
    }
    host.radio.leave();
    yield sleep(restMs);
    restMs = Math.min(REST_MS_MAX, restMs * 2);
  }
}

function* join(host: BoardHost, isConnected: () => boolean): Task<boolean> {
  if (!host.radio.join("", "")) return false;
  const endMs = host.clock.ticksMs() + JOIN_MS_MAX;
  while (!isConnected()) {
    yield sleep(JOINING_MS);
    if (FAILURES.includes(host.radio.status()) || host.clock.ticksMs() >= endMs) return false;
  }
  return true;
}

function* keepTime(
  host: BoardHost,
  settings: ModelSettings,
  linkUp: Flag,
  clock: ModelClockSync,
  web: ModelHttp,
  uploader: ModelUploader,
): Task<void> {
  for (let failures = 0;;) {
    yield* linkUp.wait();
    if (yield* askNtp(host, settings.ntpHost, uploader)) {
      failures = 0;
      yield sleep(HOUR_MS);
      continue;
    }
    failures++;
    const isDue = failures >= NTP_TRIES || settings.ntpHost === "";
    if (isDue && clock.offsetMs === null) yield* askWeb(host, settings.path, web, uploader);
    yield sleep(Math.min(NTP_RETRY_MS_MAX, NTP_RETRY_MS << Math.min(failures, 7)));
  }
}

function* askNtp(host: BoardHost, name: string, uploader: ModelUploader): Task<boolean> {
  if (name === "") return false;
  try {
    const { unixMs, uptimeMs } = yield* askTime(host, yield* resolve(host, name));
    return uploader.learn(unixMs, uptimeMs, true);
  } catch (error) {
    if (error instanceof SocketError) return false;
    throw error;
  }
}

function* askWeb(host: BoardHost, path: string, web: ModelHttp, uploader: ModelUploader): Task<void> {
  try {
    const { headers } = yield* web.request("GET", path, "", "");
    const dateMs = Date.parse(headers.get("date") ?? "");
    if (!Number.isNaN(dateMs)) uploader.learn(dateMs + 500, host.clock.ticksMs(), false);
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
  }
}
