/** The model's uploader; see `firmware/uploader.py` and `firmware/batch.py` for the reasons. */
import type { BoardHost } from "../host.ts";
import type { ModelBacklog, Selection } from "./backlog.ts";
import type { ModelClockSync } from "./clock_sync.ts";
import { type Answer, type ModelHttp, SocketError } from "./exchange.ts";
import { type Flag, type Loop, sleep, type Task } from "./loop.ts";
import type { LostReport, ModelRing, ModelSlot } from "./ring.ts";

const FIRST_CREDIT = 16;
const READINGS_MAX = 48;
const FIRST_BACKOFF_MS = 1_000;
const BACKOFF_MS_MAX = 60_000;
const SERVER_MS_MAX = 3_600_000;
const REPORT_AGAIN = 4;
const REPORT_DOUBLINGS = 8;
const REFUSED: readonly number[] = [400, 415, 422];

export interface UploaderParts {
  readonly host: BoardHost;
  readonly loop: Loop;
  readonly device: string;
  readonly everyMs: number;
  readonly key: string;
  readonly path: string;
  readonly ring: ModelRing;
  readonly backlog: ModelBacklog;
  readonly client: ModelHttp;
  readonly clock: ModelClockSync;
  readonly linkUp: Flag;
  readonly stored: Flag;
  readonly randomBelow: (bound: number) => number;
}

export class ModelUploader {
  readonly #parts: UploaderParts;
  readonly #headers: string;
  #credit = FIRST_CREDIT;
  #failures = 0;
  #reportsIn = 0;
  #reportRefusals = 0;

  constructor(parts: UploaderParts) {
    this.#parts = parts;
    const authorization = parts.key === "" ? "" : `authorization: Bearer ${parts.key}\r\n`;
    this.#headers = `content-type: application/json\r\n${authorization}`;
  }

  *run(): Task<void> {
    const { stored } = this.#parts;
    for (;;) {
      const waitMs = yield* this.#step();
      if (waitMs === null) {
        yield* stored.wait();
        stored.clear();
      } else if (waitMs > 0) yield sleep(waitMs);
    }
  }

  /** One request; how long to wait then, null: until the next slot. */
  *#step(): Task<number | null> {
    const { linkUp, client, backlog, ring, path } = this.#parts;
    if (!linkUp.isSet) {
      client.close();
      yield* linkUp.wait();
    }
    const limit = Math.max(1, Math.min(this.#credit, READINGS_MAX));
    const selection = backlog.fresh(limit) ??
      (this.#reportsIn > 0 ? null : backlog.report()) ?? backlog.oldest(limit);
    if (selection === null) return null;
    const lost = this.#reportsIn > 0
      ? []
      : ring.lost.filter((span) => span.boot === selection.boot).map((span) => ({ ...span }));
    const body = this.#body(selection, backlog.pendingSince(selection), lost);
    try {
      const answer = yield* client.request("POST", path, this.#headers, body);
      return this.#judge(answer, selection, lost);
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
      return this.#failed(0);
    }
  }

  #body({ boot, previous, isSynced, slots }: Selection, since: number | null, lost: LostReport[]): string {
    const { device, everyMs } = this.#parts;
    const name = `"${device.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
    const head =
      `{"device":${name},"boot":${boot},"every_ms":${everyMs},"synced":${isSynced},"pending_since":${since}`;
    const before = previous === null ? "" : `,"previous":{"boot":${previous.boot},"slots":${previous.slots}}`;
    const spans = lost.map(({ from, to, reason }) => `{"from":${from},"to":${to},"reason":"${reason}"}`);
    const readings = slots.map(({ slot, unixMs }) => reading(slot, unixMs));
    return `${head}${before},"lost":[${spans.join()}],"readings":[${readings.join()}]}`;
  }

  #judge(answer: Answer, selection: Selection, lost: LostReport[]): number {
    const { status, headers } = answer;
    if (status >= 200 && status < 300) return this.#accepted(answer, selection, lost);
    if (status === 413 && selection.slots.length > 1) {
      this.#credit = Math.max(1, Math.floor(selection.slots.length / 2));
      return 0;
    }
    if (REFUSED.includes(status) || status === 413) {
      if (!(headers.get("content-type") ?? "").includes("problem+json")) return this.#failed(0);
      this.#refused(selection, lost);
      return 0;
    }
    const retryAfter = headers.get("retry-after") ?? "";
    return this.#failed(/^\d{1,7}$/.test(retryAfter) ? Number(retryAfter) * 1000 : 0);
  }

  #accepted(answer: Answer, selection: Selection, lost: LostReport[]): number {
    const told = jsonObject(answer.body);
    if (told === null) return this.#failed(0);
    this.#failures = 0;
    this.#reportsIn = Math.max(0, this.#reportsIn - 1);
    this.#parts.backlog.acknowledge(selection);
    if (lost.length > 0) {
      this.#reported(lost);
      this.#reportRefusals = 0;
    }
    if (typeof told.credit === "number" && told.credit >= 1) this.#credit = told.credit;
    if (typeof told.now === "number") this.learn(told.now, this.#uptimeMs(), false);
    return 0;
  }

  #refused(selection: Selection, lost: LostReport[]): void {
    if (lost.length > 0) {
      this.#reportsIn = REPORT_AGAIN << Math.min(this.#reportRefusals++, REPORT_DOUBLINGS);
      this.#parts.ring.postponeLost(selection.boot);
    } else if (selection.slots.length > 0) {
      this.#parts.backlog.refuse(selection);
      this.#reportsIn = this.#reportRefusals = 0;
    }
  }

  #reported(lost: LostReport[]): void {
    const { ring } = this.#parts;
    const same = (a: LostReport, b: LostReport) => JSON.stringify(a) === JSON.stringify(b);
    ring.lost = ring.lost.filter((span) => !lost.some((reported) => same(span, reported)));
  }

  #failed(retryMs: number): number {
    const { randomBelow } = this.#parts;
    const longestMs = Math.min(BACKOFF_MS_MAX, FIRST_BACKOFF_MS << Math.min(this.#failures++, 6));
    const waitMs = Math.floor(longestMs / 2) + randomBelow(Math.floor(longestMs / 2) + 1);
    return Math.max(waitMs, retryMs > 0 ? Math.min(retryMs, SERVER_MS_MAX) + randomBelow(1000) : 0);
  }

  #uptimeMs(): number {
    return this.#parts.host.clock.ticksMs();
  }

  /** A time of day from an answer, or from NTP; true if it can be one. */
  learn(unixMs: number, uptimeMs: number, fromNtp: boolean): boolean {
    const { clock, backlog, stored, host, loop } = this.#parts;
    const learned = clock.learn(unixMs, uptimeMs, fromNtp);
    if (learned === "reboot") {
      host.power.reset("hard");
      loop.stop();
    }
    if (learned === "first") {
      backlog.anchor(clock.offsetMs as number, this.#uptimeMs());
      stored.set();
    }
    return learned !== "nothing";
  }
}

function reading(slot: ModelSlot, unixMs: number): string {
  if (slot.error !== null) return `{"seq":${slot.seq},"ts":${unixMs},"error":"${slot.error}"}`;
  const flag = slot.flag === null ? "" : `,"flag":"${slot.flag}"`;
  const [temperature, humidity] = [tenths(slot.temperatureTenthsC), tenths(slot.humidityTenthsPct)];
  return `{"seq":${slot.seq},"ts":${unixMs},"temperature_c":${temperature},"humidity_pct":${humidity}${flag}}`;
}

function tenths(value: number): string {
  const magnitude = Math.abs(value);
  return `${value < 0 ? "-" : ""}${Math.floor(magnitude / 10)}.${magnitude % 10}`;
}

function jsonObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as Record<string, unknown>
      : null;
  } catch {
    return null;
  }
}
