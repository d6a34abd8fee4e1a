/** What the workers say of themselves, for readiness. */
import type { WorkerStatus } from "./partition_worker.ts";

/** Null when every held partition is running, else a sentence that says what is missing. */
export function readiness(workers: readonly WorkerStatus[]): string | null {
  if (workers.length === 0) return "no partition is assigned yet";
  for (const { partition, state, sentence } of workers) {
    if (state === "running") continue;
    return `partition ${partition} is ${state}${sentence === null ? "" : `: ${sentence}`}`;
  }
  return null;
}
