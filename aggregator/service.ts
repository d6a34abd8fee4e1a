/** The aggregator as one running piece: the loop, its live feed and its endpoints. Every composition starts it so. */
import type { Clock } from "../core/ports/clock.ts";
import type { Log } from "../core/ports/log.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Random } from "../core/ports/random.ts";
import type { Trace } from "../core/ports/trace.ts";
import { type AlertFiles, createAlertDesk } from "./alert_desk.ts";
import type { AggregatorConfig } from "./config.ts";
import { createEndpoints, type Endpoints } from "./endpoints.ts";
import { createLiveFeed } from "./live_feed.ts";
import { type Aggregator, type AggregatorPorts, createAggregator } from "./mod.ts";
import { readiness } from "./status.ts";

export interface AggregatorParts {
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  readonly metrics: Metrics;
  readonly openPartition: AggregatorPorts["openPartition"];
  readonly alertFiles: AlertFiles;
}

export interface RunningAggregator {
  readonly aggregator: Aggregator;
  readonly endpoints: Endpoints;
  /** As {@link Aggregator.run}: rejects with the sentence when a person has to act. */
  readonly done: Promise<void>;
  /** Null when every held partition is running, else a sentence that says what is missing. */
  ready(): string | null;
  /** Ends streams and loop; what is committed is published then. Never rejects; the log stays open. */
  stop(): Promise<void>;
}

export function startAggregator(parts: AggregatorParts, config: AggregatorConfig): RunningAggregator {
  const { log, clock, random, trace, metrics, openPartition } = parts;
  const live = createLiveFeed(trace);
  const { reader, writer } = log;
  const windowSizes = config.judge.windows.map(({ label }) => label);
  const alerts = createAlertDesk({ files: parts.alertFiles, clock, metrics, trace }, {
    windowSizes,
    replay: config.replay,
  });
  const ports = { reader, writer, clock, trace, metrics, live, alerts, openPartition };
  const aggregator = createAggregator(ports, config);
  const endpoints = createEndpoints({
    aggregator,
    feed: live,
    alerts,
    clock,
    metrics,
    instance: random.uint32().toString(16),
    partitions: reader.partitions,
  }, config);
  const end = new AbortController();
  const done = aggregator.run(end.signal);
  const endDesk = new AbortController();
  const delivering = alerts.run(endDesk.signal);
  return {
    aggregator,
    endpoints,
    done,
    ready: () => readiness(aggregator.status()),
    async stop() {
      endpoints.close();
      end.abort();
      await done.catch(() => {}); // `done` tells
      endDesk.abort();
      await delivering;
    },
  };
}
