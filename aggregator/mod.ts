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
import { Holding } from "./holding.ts";
import { type WorkerPorts, type WorkerStatus, WorkerUnavailable } from "./partition_worker.ts";

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

/** A worker that doesn't hear of the next owner works on for so long after its partition was given to another one. */
const HAND_OVER_MS_MAX = 15_000;
/** The same for one that is stopped: services and containers are cut off some time after. */
const LEAVE_MS_MAX = 4_000;

export function createAggregator(ports: WorkerPorts, config: AggregatorConfig): Aggregator {
  const held = new Map<number, Holding>();
  const end = new AbortController();
  let failure: unknown;
  const fail = (error: unknown) => {
    failure ??= error;
    end.abort();
  };

  const take = (partition: number): void => {
    const holding: Holding = new Holding(partition, ports, config, end.signal, (bug) => {
      if (bug === null) failIfAllStopped();
      else fail(bug);
    });
    held.set(partition, holding);
  };
  const release = async (partition: number, waitMs: number): Promise<void> => {
    const holding = held.get(partition);
    if (holding === undefined || !await holding.release(waitMs)) return;
    if (held.get(partition) === holding) held.delete(partition);
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
      const stopped = Promise.withResolvers<void>();
      const stop = () => stopped.resolve();
      signal.addEventListener("abort", stop, { once: true });
      end.signal.addEventListener("abort", stop, { once: true });
      if (signal.aborted) stop();
      // Not awaited: a log that is away gives out its first partitions when it is back, and must not hold up our end.
      ports.reader.join({
        async assigned(partitions) {
          if (end.signal.aborted) return;
          for (const partition of partitions) if (await held.get(partition)?.keep() !== true) take(partition);
        },
        async revoked(partitions) {
          await Promise.all(partitions.map((partition) => release(partition, HAND_OVER_MS_MAX)));
        },
      }).catch(fail);
      await stopped.promise;
      if (!end.signal.aborted && await ports.reader.leave?.() === true) {
        await Promise.all([...held.keys()].map((partition) => release(partition, LEAVE_MS_MAX)));
      }
      end.abort();
      await Promise.all([...held.values()].map(({ done }) => done));
      signal.removeEventListener("abort", stop);
      if (failure !== undefined) throw failure;
    },
  };
}
