/** Everything the pipeline page needs, in one answer. */
import type { DashboardPorts } from "./ports.ts";

const ANSWER_MS = 2_000;

/** The aggregator's own word (null and a sentence when there is none), and what is published. */
export async function statusOf(ports: DashboardPorts) {
  const [aggregator, published, fleet] = await Promise.all([
    aggregatorStatus(ports),
    publishedStatus(ports),
    totals(ports),
  ]);
  return { nowMs: ports.clock.nowMs(), ...aggregator, published, fleet };
}

async function aggregatorStatus({ aggregator, clock }: DashboardPorts) {
  if (aggregator === null) {
    return { aggregator: null, sentence: "No aggregator is asked: only files are shown." };
  }
  const abort = new AbortController();
  const cancel = clock.after(ANSWER_MS, () => abort.abort());
  try {
    const answer = await aggregator("/status", { signal: abort.signal });
    if (!answer.ok) return { aggregator: null, sentence: `The aggregator answered ${answer.status}.` };
    return { aggregator: await answer.json() as unknown, sentence: null };
  } catch {
    return { aggregator: null, sentence: "The aggregator can't be reached." };
  } finally {
    cancel();
  }
}

async function publishedStatus({ rows }: DashboardPorts) {
  try {
    return await rows.published();
  } catch {
    return null;
  }
}

/** Sums over all devices, as of the files. */
async function totals({ rows }: DashboardPorts) {
  const found = await rows.query(
    `SELECT count(*) FILTER (device <> ''), count(*) FILTER (device <> '' AND NOT retired
         AND last_heard > (SELECT max(append_time) FROM log_position) - INTERVAL 5 MINUTE),
       (SELECT sum(counted) FROM ledger_arrivals), (SELECT sum(counted_late) FROM ledger_arrivals),
       (SELECT sum(sensor_fault) FROM ledger_arrivals), (SELECT sum(quarantined) FROM ledger_arrivals),
       (SELECT sum(duplicates) FROM ledger_arrivals), (SELECT sum(released) FROM ledger_arrivals),
       (SELECT sum(lost) FROM ledger_slots), (SELECT sum(missing) FROM ledger_slots),
       (SELECT epoch_ms(max(append_time)) FROM log_position)
     FROM devices`,
  );
  if (found === null) return null;
  const names = [
    "devices",
    "heard",
    "counted",
    "countedLate",
    "sensorFault",
    "quarantined",
    "duplicates",
    "released",
    "lost",
    "missing",
    "logMs",
  ];
  return Object.fromEntries(names.map((name, index) => [name, found[0]?.[index] ?? 0]));
}
