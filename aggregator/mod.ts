/**
 * The aggregator: records of the log → windows → store and publication, one worker for each partition it is given.
 *
 * ```
 * const aggregator = createAggregator(ports, { ...defaultAggregatorConfig, worker: "a" });
 * await aggregator.run(signal); // until the signal aborts, or nothing is left that a person need not look at first
 * ```
 */
import { partitionOf } from "../core/murmur2.ts";
import type { DeviceView } from "../core/partition.ts";
import type { PartitionAlerts } from "./alerts_answer.ts";
import type { AggregatorConfig } from "./config.ts";
import type { ExplainQuery } from "./explain.ts";
import {
  PartitionWorker,
  type WorkerPorts,
  type WorkerStatus,
  WorkerUnavailable,
} from "./partition_worker.ts";

export { type AggregatorConfig, defaultAggregatorConfig } from "./config.ts";
export { type AlertDesk, type AlertFiles, createAlertDesk } from "./alert_desk.ts";
export { createEndpoints, type Endpoints } from "./endpoints.ts";
export type { WorkerPorts as AggregatorPorts, WorkerStatus } from "./partition_worker.ts";
export { aggregatorMetricsHelp } from "./worker_metrics.ts";

export interface Aggregator {
  /**
   * Joins the log and works until `signal` aborts; resolves when everything committed is published and closed.
   * Rejects with the first sentence when every partition has stopped for a person, and on our own bugs.
   */
  run(signal: AbortSignal): Promise<void>;
  /** One entry for each partition held at the moment. */
  status(): readonly WorkerStatus[];
  /** Every device (or those named) of the partitions held as it stands, drawn when it is read. */
  views(names: readonly string[] | null): Iterable<DeviceView>;
  /** What the rules of alerts say in each partition held. */
  alerts(): Iterable<PartitionAlerts>;
  /** What made a window, as JSON. Rejects with `WorkerUnavailable` or what the store says. */
  explain(query: ExplainQuery): Promise<Record<string, unknown>>;
}

/**
 * First and longest wait before a partition that another worker took is taken again. One that the log has given us no
 * longer ago than the first of them is taken at once: then it was the other that is late.
 */
const RETAKE_FIRST_MS = 10_000;
const RETAKE_MAX_MS = 600_000;

interface Held {
  worker: PartitionWorker;
  /** When the log said last that the partition is ours, by the monotonic clock. */
  givenMs: number;
  /** Ends the wait for the next taking. */
  takeNow: AbortController;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

export function createAggregator(ports: WorkerPorts, config: AggregatorConfig): Aggregator {
  const held = new Map<number, Held>();
  const end = new AbortController();
  let failure: unknown;
  const fail = (error: unknown) => {
    failure ??= error;
    end.abort();
  };

  const take = (partition: number): void => {
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const entry: Held = {
      worker: new PartitionWorker(partition, ports, config),
      givenMs: -Infinity,
      takeNow: new AbortController(),
      abort: new AbortController(),
      done,
    };
    held.set(partition, entry);
    hold(entry, AbortSignal.any([entry.abort.signal, end.signal])).catch(fail).then(resolve);
  };
  /**
   * Works on a partition until it is ours no more. Its owner record may be older than that of a worker which the log has
   * replaced meanwhile (an append is slow, a zombie is late): then nobody would be left. So the one to whom the log still
   * assigns it takes it again, later each time.
   */
  const hold = async (entry: Held, signal: AbortSignal): Promise<void> => {
    for (let waitMs = 0;;) {
      const takenMs = ports.clock.monotonicMs();
      await entry.worker.run(signal);
      if (entry.worker.status().state !== "superseded") return failIfAllStopped();
      const nowMs = ports.clock.monotonicMs();
      if (nowMs - entry.givenMs > RETAKE_FIRST_MS) {
        // Who held it for longer than it has waited for it has not been fighting for it.
        waitMs = nowMs - takenMs > waitMs ? RETAKE_FIRST_MS : Math.min(2 * waitMs, RETAKE_MAX_MS);
        await ports.clock.sleep(waitMs, AbortSignal.any([signal, entry.takeNow.signal]));
      }
      if (signal.aborted) return;
      entry.givenMs = -Infinity;
      entry.takeNow = new AbortController();
      entry.worker = new PartitionWorker(entry.worker.partition, ports, config);
    }
  };
  const release = async (partition: number): Promise<void> => {
    const entry = held.get(partition);
    entry?.abort.abort();
    await entry?.done;
    held.delete(partition);
  };
  const failIfAllStopped = (): void => {
    const states = [...held.values()].map(({ worker }) => worker.status());
    const first = states[0];
    if (first !== undefined && states.every(({ state }) => state === "stopped")) {
      fail(
        new Error(
          states.find(({ sentence }) => sentence !== null)?.sentence ?? "every partition has stopped",
        ),
      );
    }
  };

  return {
    status: () => [...held.values()].map(({ worker }) => worker.status()),
    *views(names) {
      for (const { worker } of held.values()) yield* worker.views(names);
    },
    alerts: () => [...held.values()].map(({ worker }) => worker.alerts()),
    explain(query) {
      const partition = partitionOf(query.device, ports.reader.partitions);
      const entry = held.get(partition);
      if (entry !== undefined) return entry.worker.explain(query);
      const sentence =
        `the device belongs to partition ${partition}, which another worker holds: ask that one`;
      return Promise.reject(new WorkerUnavailable(sentence));
    },
    async run(signal) {
      const stop = () => end.abort();
      signal.addEventListener("abort", stop, { once: true });
      if (signal.aborted) stop();
      // Not awaited: a log that is away gives out its first partitions when it is back, and must not hold up our end.
      ports.reader.join({
        assigned(partitions) {
          for (const partition of partitions) {
            const entry = held.get(partition);
            if (entry === undefined) take(partition);
            else {
              entry.givenMs = ports.clock.monotonicMs();
              entry.takeNow.abort();
            }
          }
          return Promise.resolve();
        },
        async revoked(partitions) {
          await Promise.all(partitions.map(release));
        },
      }).catch(fail);
      if (!end.signal.aborted) {
        await new Promise((resolve) => end.signal.addEventListener("abort", resolve, { once: true }));
      }
      await Promise.all([...held.values()].map(({ done }) => done));
      signal.removeEventListener("abort", stop);
      if (failure !== undefined) throw failure;
    },
  };
}
