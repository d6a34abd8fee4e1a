/**
 * The aggregator: records of the log → windows → store and publication, one worker for each partition it is given.
 *
 * ```
 * const aggregator = createAggregator(ports, { ...defaultAggregatorConfig, worker: "a" });
 * await aggregator.run(signal); // until the signal aborts, or nothing is left that a person need not look at first
 * ```
 */
import type { AggregatorConfig } from "./config.ts";
import { PartitionWorker, type WorkerPorts, type WorkerStatus } from "./partition_worker.ts";

export { type AggregatorConfig, defaultAggregatorConfig } from "./config.ts";
export type { WorkerPorts as AggregatorPorts, WorkerStatus } from "./partition_worker.ts";

export interface Aggregator {
  /**
   * Joins the log and works until `signal` aborts; resolves when everything committed is published and closed.
   * Rejects with the first sentence when every partition has stopped for a person, and on our own bugs.
   */
  run(signal: AbortSignal): Promise<void>;
  /** One entry for each partition held at the moment. */
  status(): readonly WorkerStatus[];
}

export function createAggregator(ports: WorkerPorts, config: AggregatorConfig): Aggregator {
  const held = new Map<number, { worker: PartitionWorker; abort: AbortController; done: Promise<void> }>();
  const end = new AbortController();
  let failure: unknown;
  const fail = (error: unknown) => {
    failure ??= error;
    end.abort();
  };

  const take = (partition: number): void => {
    const worker = new PartitionWorker(partition, ports, config);
    const abort = new AbortController();
    const done = worker.run(AbortSignal.any([abort.signal, end.signal])).catch(fail).then(failIfAllStopped);
    held.set(partition, { worker, abort, done });
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
    async run(signal) {
      const stop = () => end.abort();
      signal.addEventListener("abort", stop, { once: true });
      if (signal.aborted) stop();
      await ports.reader.join({
        assigned(partitions) {
          for (const partition of partitions) if (!held.has(partition)) take(partition);
          return Promise.resolve();
        },
        async revoked(partitions) {
          await Promise.all(partitions.map(release));
        },
      });
      if (!end.signal.aborted) {
        await new Promise((resolve) => end.signal.addEventListener("abort", resolve, { once: true }));
      }
      await Promise.all([...held.values()].map(({ done }) => done));
      signal.removeEventListener("abort", stop);
      if (failure !== undefined) throw failure;
    },
  };
}
