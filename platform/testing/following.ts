/** Workers of a log in small: each keeps its own position, as DuckDB's is kept, and goes on from there at every assignment. */
import assert from "node:assert/strict";
import { type Log, LogUnavailable } from "../../core/ports/log.ts";
import { readLimits, recordsOf } from "../../core/testing/log_contract.ts";
import { machineClock } from "../clock.ts";

export const textOf = (value: Uint8Array | null) => value === null ? null : new TextDecoder().decode(value);

/**
 * Joins `log` and reads what it is given into `stored`, the values by partition, which workers share. What happens is
 * written to `events`: "a gets 0,1", "a loses 0".
 */
export function follow(log: Log, stored: Map<number, string[]>, events: string[], name: string): void {
  const owned = new Map<number, symbol>();
  const run = async (partition: number, term: symbol) => {
    const values = stored.get(partition) ?? [];
    stored.set(partition, values);
    while (owned.get(partition) === term) {
      try {
        const from = values.length;
        const outcome = await log.reader.read(partition, from, readLimits({ waitMs: 500 }));
        if (outcome.kind === "revoked") return;
        // Somebody else may have read on meanwhile: a transaction on a position that has moved is given up.
        if (owned.get(partition) !== term || values.length !== from) continue;
        for (const { offset, value } of recordsOf(outcome)) {
          assert.equal(offset, values.length);
          values.push(textOf(value) ?? "");
        }
      } catch (error) {
        if (!(error instanceof LogUnavailable)) throw error;
        await machineClock.sleep(100);
      }
    }
  };
  void log.reader.join({
    assigned(partitions) {
      events.push(`${name} gets ${[...partitions].sort().join(",")}`);
      for (const partition of partitions) {
        if (owned.has(partition)) continue; // the log says so anew
        const term = Symbol();
        owned.set(partition, term);
        void run(partition, term);
      }
      return Promise.resolve();
    },
    revoked(partitions) {
      events.push(`${name} loses ${[...partitions].sort().join(",")}`);
      for (const partition of partitions) owned.delete(partition);
      return Promise.resolve();
    },
  });
}

/** Waits until `condition` holds; rejects after `ms`. */
export async function waitFor(what: string, condition: () => boolean, ms = 15_000): Promise<void> {
  const deadlineMs = machineClock.monotonicMs() + ms;
  while (!condition()) {
    if (machineClock.monotonicMs() > deadlineMs) throw new Error(`${what}: not within ${ms} ms`);
    await machineClock.sleep(20);
  }
}
