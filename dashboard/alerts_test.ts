import { deepEqual, equal } from "node:assert/strict";
import type { PublishedRows } from "../core/ports/published.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { alertRow, changes, startMs } from "../core/testing/builders.ts";
import { openPublisher } from "../platform/duckdb/publisher.ts";
import { openStore } from "../platform/duckdb/store.ts";
import { openPublishedRows } from "../platform/published_rows.ts";
import { virtualClock } from "../sim/clock.ts";
import { seededRandom } from "../sim/random.ts";
import { Scheduler } from "../sim/scheduler.ts";
import { alertsOf } from "./alerts.ts";
import type { DashboardPorts } from "./ports.ts";

const definition = '{"name":"warm","device":"*","window_size":"1m","above":30}';

/** Ports on published rows: "warm" fired for desk and attic, and ended for attic; "silent" fired and was taken away. */
async function withRows(
  test: (ports: (aggregator: DashboardPorts["aggregator"]) => DashboardPorts) => Promise<void>,
) {
  const directory = await Deno.makeTempDir({ prefix: "isotherm-alerts-" });
  const store = await openStore({ directory, partition: 0, retentionMs: 30 * 86_400_000 });
  const publisher = await openPublisher(store);
  let rows: PublishedRows | null = null;
  try {
    const rule = { partition: 0, name: "warm", position: 0, definition, sinceMs: startMs };
    await store.commit(changes({
      alerts: {
        alerts: [
          alertRow(),
          alertRow({ index: 1, device: "attic" }),
          alertRow({ offset: 2, device: "attic", kind: "cleared", valueMilli: null }),
          alertRow({ offset: 2, index: 1, rule: "silent", windowSize: null, startMs: null, isPast: true }),
          alertRow({ offset: 3, rule: "silent", kind: "cleared", windowSize: null, startMs: null }),
        ],
        rules: [rule, { ...rule, name: "silent", position: 1, definition: null }],
        states: [],
      },
    }));
    await publisher.publish([], startMs);
    rows = openPublishedRows(directory);
    const clock = virtualClock(new Scheduler({ startMs }));
    const rest = { sql: null, bench: null, random: seededRandom(1, "alerts"), trace: silentTrace };
    await test((aggregator) => ({ rows: rows!, clock, aggregator, ...rest }));
  } finally {
    await rows?.close();
    await publisher.close();
    await store.close();
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("without an aggregator the files tell rules, what fires, and what has fired, in the same shape", async () => {
  await withRows(async (ports) => {
    const { alerts, ...rest } = await alertsOf(ports(null)) as { alerts: Record<string, unknown>[] };
    deepEqual(rest, {
      from: "files",
      has_file: true,
      problems: [],
      webhook: false,
      rules: [{
        ...JSON.parse(definition),
        since: "2026-01-01T00:00:00.000Z",
        firing_devices: 1,
        firing: [{ device: "desk", since: "2026-01-01T00:01:00.000Z" }],
      }],
    });
    deepEqual(alerts.map(({ alert_id }) => alert_id), ["0-3-0", "0-2-1", "0-2-0", "0-1-1", "0-1-0"]);
    deepEqual(alerts.at(-1), {
      alert_id: "0-1-0",
      kind: "fired",
      rule: "warm",
      device: "desk",
      value: 31,
      sentence: "mean of 31 °C, above 30 °C",
      window_size: "1m",
      past: false,
      log_partition: 0,
      log_offset: 1,
      log_index: 0,
      alert_time: "2026-01-01T00:01:00.000Z",
      window_start: "2026-01-01T00:00:00.000Z",
      previous_window_start: null,
      decided_at: "2026-01-01T00:01:30.500Z",
      delivery: null,
      tries: 0,
      problem: null,
    });
    deepEqual([alerts[1]?.past, alerts[1]?.window_start, alerts[2]?.value], [true, null, null]);
  });
});

Deno.test("an aggregator that answers is believed; one that is away, or has no such answer, is not waited for", async () => {
  await withRows(async (ports) => {
    const answering = (response: Response) => ports(() => Promise.resolve(response));
    const told = await alertsOf(answering(new Response('{"rules":[1]}'))) as Record<string, unknown>;
    deepEqual(told, { from: "aggregator", rules: [1] });
    const old = await alertsOf(answering(new Response("no", { status: 404 }))) as Record<string, unknown>;
    equal(old.from, "files");
    const away = await alertsOf(ports(() => Promise.reject(new Error("away")))) as Record<string, unknown>;
    equal(away.from, "files");
  });
});
