/** A recorded log of a fleet, and what the aggregator publishes of a log. */
import { deepEqual } from "node:assert/strict";
import { createLiveFeed } from "../../aggregator/live_feed.ts";
import { createAggregator, defaultAggregatorConfig } from "../../aggregator/mod.ts";
import { partitionOf } from "../../core/murmur2.ts";
import type { Log, LogRecord } from "../../core/ports/log.ts";
import { noMetrics } from "../../core/ports/metrics.ts";
import { below } from "../../core/ports/random.ts";
import { silentTrace } from "../../core/ports/trace.ts";
import { logRecord } from "../../core/testing/log_contract.ts";
import { machineClock } from "../../platform/clock.ts";
import { openPublisher } from "../../platform/duckdb/publisher.ts";
import { openStore } from "../../platform/duckdb/store.ts";
import { until } from "../../platform/testing/process.ts";
import { readManifest } from "../../platform/testing/published.ts";
import { seededRandom } from "../../sim/random.ts";
import { drawFleet } from "./fleet.ts";

const START_MS = Date.UTC(2026, 0, 1);

export interface TapePlan {
  readonly seed: number;
  readonly devices: number;
  readonly slotsPerDevice: number;
  readonly partitions: number;
}

/** A fleet's log as it was recorded, with ticks, an owner, and a clock that was set back once in a while. */
export function drawTape({ seed, devices, slotsPerDevice, partitions }: TapePlan): readonly LogRecord[] {
  const random = seededRandom(seed, "tape");
  const { deliveries } = drawFleet({ devices, slotsPerDevice, seed, startMs: START_MS });
  const queues = deliveries.map(({ device, bodies }) => ({ device, bodies: [...bodies] }));
  const tape: LogRecord[] = [];
  const next = new Array<number>(partitions).fill(0);
  let appendMs = START_MS + 3_600_000;
  const append = (partition: number, fields: Partial<LogRecord>) => {
    tape.push(logRecord({ partition, offset: next[partition]!++, appendMs, ...fields }));
    appendMs += below(random, 100_000) - (below(random, 40) === 0 ? 120_000 : 0);
  };
  const owner = new TextEncoder().encode('{"worker":"a"}');
  append(0, { key: null, value: owner, headers: { isotherm: "1", "isotherm-kind": "owner" } });
  while (queues.some(({ bodies }) => bodies.length > 0)) {
    const { device, bodies } = queues[below(random, queues.length)]!;
    const body = bodies.shift();
    if (body !== undefined) {
      append(partitionOf(device, partitions), { key: device, value: new TextEncoder().encode(body) });
    }
    if (below(random, 20) === 0) append(below(random, partitions), { key: null, value: null });
  }
  return tape;
}

/** Where the partitions of a log end that holds nothing but `tape`. */
export function endsOfTape(tape: readonly LogRecord[], partitions: number): readonly number[] {
  return Array.from(
    { length: partitions },
    (_, at) => tape.filter(({ partition }) => partition === at).length,
  );
}

/**
 * Reads `log` to `ends` (one a partition) in fetches of at most `records`, publishes in `folder` and closes the log.
 * Nothing is appended, so that one log gives one digest. Rejects with what ended the aggregator.
 */
export async function publishLog(
  log: Log,
  ends: readonly number[],
  folder: string,
  records = defaultAggregatorConfig.recordsPerCommitMax,
) {
  const { retentionMs } = defaultAggregatorConfig.judge;
  const aggregator = createAggregator({
    reader: log.reader,
    writer: log.writer,
    clock: machineClock,
    trace: silentTrace,
    metrics: noMetrics,
    live: createLiveFeed(silentTrace),
    openPartition: async (partition) => {
      const store = await openStore({ directory: folder, partition, retentionMs });
      return { store, publisher: await openPublisher(store) };
    },
  }, { ...defaultAggregatorConfig, recordsPerCommitMax: records, publishEveryMs: 60_000, replay: true });
  const end = new AbortController();
  let failure: unknown = null;
  const running = aggregator.run(end.signal).catch((error) => failure = error);
  await until("the log is read", () => {
    if (failure !== null) throw failure;
    const status = aggregator.status();
    return Promise.resolve(
      ends.every((count, at) =>
        status.some(({ partition, nextOffset }) => partition === at && nextOffset >= count)
      ),
    );
  }, 60_000);
  end.abort();
  await running;
  if (failure !== null) throw failure;
  await log.close();
  const published = (await readManifest(folder))?.partitions ?? [];
  deepEqual(published.map(({ nextOffset }) => nextOffset), ends);
  return published;
}
