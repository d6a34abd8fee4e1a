/** Ingest in a simulated world: virtual time, the simulated log, no sockets. */
import type { Clock } from "../../core/ports/clock.ts";
import type { LogRecord } from "../../core/ports/log.ts";
import { silentTrace } from "../../core/ports/trace.ts";
import { type MetricsRegistry, metricsRegistry } from "../../platform/metrics.ts";
import { virtualClock } from "../../sim/clock.ts";
import { SimLog } from "../../sim/log.ts";
import { seededRandom } from "../../sim/random.ts";
import { Scheduler } from "../../sim/scheduler.ts";
import type { Authority } from "../authority.ts";
import { type Accepted, createIngest, type Ingest } from "../mod.ts";
import { type IngestLimits, ingestLimits } from "../limits.ts";

/** 2026-01-01T00:00:00Z, when every world starts. */
export const START_MS = 1_767_225_600_000;

export interface World {
  readonly ingest: Ingest;
  readonly log: SimLog;
  readonly scheduler: Scheduler;
  readonly clock: Clock;
  readonly metrics: MetricsRegistry;
  post(body: BodyInit, headers?: Record<string, string>): Promise<Response>;
  /** Posts what has to be taken. */
  accepted(body: BodyInit, headers?: Record<string, string>): Promise<Accepted>;
  /** Values of all records as text, partition by partition. */
  values(): string[];
  records(): LogRecord[];
}

export interface WorldOptions {
  readonly partitions?: number;
  readonly limits?: Partial<IngestLimits>;
  readonly authority?: Authority;
}

const decoder = new TextDecoder();

/** Runs `test` in a new world, letting virtual time pass whenever it waits. */
export async function inWorld(
  test: (world: World) => Promise<void>,
  { partitions = 1, limits = {}, authority }: WorldOptions = {},
): Promise<void> {
  const scheduler = new Scheduler({ startMs: START_MS });
  const clock = virtualClock(scheduler);
  const log = new SimLog({ partitions, clock, random: seededRandom(1, "log") });
  const metrics = metricsRegistry();
  const ingest = createIngest({
    log: log.open().writer,
    clock,
    random: seededRandom(1, "ingest"),
    trace: silentTrace,
    metrics,
    ...(authority === undefined ? {} : { authority }),
  }, { limits: { ...ingestLimits, ...limits } });
  const records = () => Array.from({ length: partitions }, (_, partition) => log.records(partition)).flat();
  const post = async (body: BodyInit, headers: Record<string, string> = {}) =>
    await ingest.app.request("/v1/readings", {
      method: "POST",
      body,
      headers: { "content-type": "application/json", ...headers },
    });
  const world: World = {
    ingest,
    log,
    scheduler,
    clock,
    metrics,
    post,
    async accepted(body, headers) {
      const response = await post(body, headers);
      if (response.status !== 202) throw new Error(`answered ${response.status}: ${await response.text()}`);
      return await response.json();
    },
    records,
    values: () => records().map(({ value }) => decoder.decode(value ?? new Uint8Array())),
  };
  let isDone = false;
  const running = test(world).finally(() => isDone = true);
  running.catch(() => {});
  while (!isDone) {
    for (let turn = 0; turn < 500 && !isDone; turn++) await undefined;
    if (isDone) break;
    if (!await scheduler.step()) throw new Error("nothing is planned, yet the test waits");
  }
  return running;
}
