/** An aggregator in virtual time: simulated log, rows in memory. */
import type { Assignments, LogReader } from "../../core/ports/log.ts";
import { noMetrics } from "../../core/ports/metrics.ts";
import type { Publisher } from "../../core/ports/publisher.ts";
import { PartitionTaken } from "../../core/ports/store.ts";
import { silentTrace } from "../../core/ports/trace.ts";
import { MemoryDisk } from "../../core/testing/memory_store.ts";
import { virtualClock } from "../../sim/clock.ts";
import { SimLog } from "../../sim/log.ts";
import { seededRandom } from "../../sim/random.ts";
import { Scheduler } from "../../sim/scheduler.ts";
import { createLiveFeed } from "../live_feed.ts";
import {
  type Aggregator,
  type AggregatorConfig,
  type AlertFiles,
  createAggregator,
  createAlertDesk,
  createEndpoints,
  defaultAggregatorConfig,
} from "../mod.ts";

/** 2025-11-24T00:00:00Z */
export const T0 = 1_763_942_400_000;
export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;

/** One aggregator can run after the other on the same log and disks. */
export function world(partitions = 1) {
  const scheduler = new Scheduler({ startMs: T0 });
  const clock = virtualClock(scheduler);
  const log = new SimLog({ partitions, clock, random: seededRandom(1) });
  const ends = log.open();
  const disks = Array.from({ length: partitions }, () => new MemoryDisk());
  /** In slices, each with an event to begin with, so that what waits for promises only gets its turns too. */
  const passTime = async (ms: number) => {
    const endMs = scheduler.nowMs + ms;
    for (let slice = 0; slice < 20; slice++) {
      void clock.sleep(0);
      await scheduler.runUntil(Math.min(endMs, scheduler.nowMs + ms / 20));
    }
    await scheduler.runUntil(endMs);
  };
  const append = (value: object | null, headers: Record<string, string> = {}) =>
    ends.writer.append([{
      partition: 0,
      key: "desk",
      value: value === null ? null : new TextEncoder().encode(JSON.stringify(value)),
      headers,
    }]);
  /** The file of rules of alerts, what is kept of deliveries, and what the webhook was told. */
  const alertFiles = { rules: null as string | null, kept: new Map<number, string>(), told: [] as string[] };
  const files: AlertFiles = {
    rules: () => Promise.resolve(alertFiles.rules),
    kept: (partition) => Promise.resolve(alertFiles.kept.get(partition) ?? null),
    keep: (partition, text) => Promise.resolve(void alertFiles.kept.set(partition, text)),
    post(_url, body) {
      const { alert_id, kind, rule } = JSON.parse(body) as Record<string, string>;
      alertFiles.told.push(`${alert_id} ${kind} ${rule}`);
      return Promise.resolve(200);
    },
  };
  /**
   * Whether there are other workers when one leaves, and whether one of them has published what we work on; null: nothing
   * is published.
   */
  const group = { hasOthers: false, hasPublished: null as boolean | null };
  /** How long a publication takes to draw the open windows, and then until its end; when each began, and drew what. */
  const publishing = { drawsMs: 0, takesMs: 0, begun: [] as number[], drawn: [] as number[] };
  const publisher: Publisher = {
    async publish(open, publishedMs) {
      if (group.hasPublished === true) throw new PartitionTaken("it belongs to a newer owner");
      publishing.begun.push(publishedMs - T0);
      let readings = 0;
      const blocks = open.draw("all")[Symbol.iterator]();
      if (publishing.drawsMs > 0) await clock.sleep(publishing.drawsMs);
      for (let next = blocks.next(); !next.done; next = blocks.next()) {
        for (let at = 0; at < next.value.length; at++) readings += next.value.readings[at]!;
      }
      publishing.drawn.push(readings);
      if (publishing.takesMs > 0) await clock.sleep(publishing.takesMs);
      return { isotherm: 1, generation: 1, publishedMs, configHash: "", partitions: [] };
    },
    close: () => Promise.resolve(),
  };
  /** `other`: the data folder has rows of a configuration with this hash. */
  const start = (config: Partial<AggregatorConfig> = {}, other: string | null = null) => {
    const own = log.open();
    const abort = new AbortController();
    let assignments: Assignments | null = null;
    const reader: LogReader = {
      partitions: own.reader.partitions,
      join(told) {
        assignments = told;
        return own.reader.join(told);
      },
      range: (partition) => own.reader.range(partition),
      read: (partition, offset, limits) => own.reader.read(partition, offset, limits),
      settled: (partition, next) => own.reader.settled(partition, next),
      hint: (partition, next) => own.reader.hint(partition, next),
      leave: () => Promise.resolve(group.hasOthers),
      close: () => own.reader.close(),
    };
    const feed = createLiveFeed(silentTrace);
    const whole = { ...defaultAggregatorConfig, ...config };
    const alerts = createAlertDesk({ files, clock, metrics: noMetrics, trace: silentTrace }, {
      windowSizes: whole.judge.windows.map(({ label }) => label),
      replay: whole.replay,
    });
    const aggregator: Aggregator = createAggregator({
      reader,
      writer: own.writer,
      clock,
      trace: silentTrace,
      metrics: noMetrics,
      live: feed,
      alerts,
      openPartition: async (partition, rows) => {
        if (other !== null) await rows.mayRebuild(other);
        return {
          store: disks[partition]!.open(partition),
          publisher: group.hasPublished === null ? null : publisher,
        };
      },
    }, whole);
    const endpoints = createEndpoints(
      { aggregator, feed, alerts, clock, metrics: noMetrics, instance: "abc", partitions },
      whole,
    );
    let failure: string | null = null;
    const done = aggregator.run(abort.signal).catch((error: Error) => {
      failure = error.message;
    });
    void alerts.run(abort.signal);
    const stop = async () => {
      endpoints.close();
      abort.abort();
      await passTime(2 * SECOND);
      await done;
      await own.close();
    };
    /** The log says anew that partition 0 is ours, as after a rebalance. */
    const giveAnew = () => assignments!.assigned([0]);
    /** The log says that partition 0 goes to another, and lets it be read on. */
    const takeBack = () => assignments!.revoked([0]);
    /** Asks it to stop, and resolves when it has. */
    const askToStop = () => {
      abort.abort();
      return done;
    };
    return { aggregator, endpoints, giveAnew, takeBack, askToStop, stop, failure: () => failure };
  };
  return { scheduler, log, disks, append, start, passTime, alertFiles, group, publishing };
}

/** A reading of "desk", 20 °C. */
export const reading = (seq: number, ts: number) => ({ device: "desk", boot: 1, seq, ts, temperature_c: 20 });
