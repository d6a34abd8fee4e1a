import { deepEqual, equal } from "node:assert/strict";
import { noMetrics } from "../core/ports/metrics.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { alertRow } from "../core/testing/builders.ts";
import { virtualClock } from "../sim/clock.ts";
import { Scheduler } from "../sim/scheduler.ts";
import { type AlertFiles, createAlertDesk, deskLimits } from "./alert_desk.ts";

const START = 1_767_225_600_000;
const warm = { name: "warm", above: 30 };

function world(webhook: string | null = "http://receiver.test/", replay = false) {
  const scheduler = new Scheduler({ startMs: START });
  const here = {
    scheduler,
    /** What the receiver answers; 0 stands for nobody there. */
    answer: 200,
    rules: JSON.stringify({ webhook, rules: [warm] }) as string | null,
    kept: new Map<number, string>(),
    posted: [] as string[],
    bodies: [] as Record<string, unknown>[],
    later: (ms: number) => scheduler.runUntil(scheduler.nowMs + ms),
  };
  const files: AlertFiles = {
    rules: () => Promise.resolve(here.rules),
    kept: (partition) => Promise.resolve(here.kept.get(partition) ?? null),
    keep: (partition, text) => Promise.resolve(void here.kept.set(partition, text)),
    post: (_url, body) => {
      if (here.answer === 0) return Promise.reject(new Error("nobody there"));
      const told = JSON.parse(body) as { readonly alert_id: string };
      here.posted.push(told.alert_id);
      here.bodies.push(told);
      return Promise.resolve(here.answer);
    },
  };
  const desk = () =>
    createAlertDesk(
      { files, clock: virtualClock(scheduler), metrics: noMetrics, trace: silentTrace },
      { windowSizes: ["1m", "1h"], replay },
    );
  return { ...here, here, desk };
}

const alert = (offset: number, fields: object = {}) =>
  alertRow({ offset, appendMs: START + offset, ...fields });

Deno.test("an alert is told once, and a restart tells what it had not settled", async () => {
  const { here, desk } = world();
  const first = desk();
  first.took(0, []);
  await first.look();
  first.committed(0, [alert(1)]);
  await first.look();
  await first.look();
  deepEqual(here.posted, ["0-1-0"]);
  // Committed, but the process dies before it looks again.
  first.committed(0, [alert(2), alert(2, { index: 1 })]);
  const second = desk();
  second.took(0, [alert(1), alert(2), alert(2, { index: 1 })]);
  await second.look();
  await second.look();
  deepEqual(here.posted, ["0-1-0", "0-2-0", "0-2-1"]);
});

Deno.test("what the receiver is told has the names of the view `alerts`", async () => {
  const { here, desk } = world();
  const one = desk();
  one.took(0, []);
  await one.look();
  one.committed(0, [alert(5)]);
  await one.look();
  deepEqual(here.bodies, [{
    alert_id: "0-5-0",
    kind: "fired",
    rule: "warm",
    device: "desk",
    alert_time: "2026-01-01T00:01:00.000Z",
    value: 31,
    sentence: "mean of 31 °C, above 30 °C",
    window_size: "1m",
    window_start: "2026-01-01T00:00:00.000Z",
    previous_window_start: null,
    past: false,
    decided_at: "2026-01-01T00:00:00.005Z",
    log_partition: 0,
    log_offset: 5,
    log_index: 0,
  }]);
});

Deno.test("nobody is told of the past: what a new rule found, and what a log says that is read from its beginning", async () => {
  const { here, desk } = world();
  const one = desk();
  one.took(0, [alert(-1)]);
  await one.look();
  one.committed(0, [alert(-1, { index: 1 }), alert(2, { isPast: true }), alert(3)]);
  await one.look();
  deepEqual(here.posted, ["0-3-0"]);
  deepEqual(one.state().alerts.map(({ row, delivery }) => [row.offset, delivery?.state]), [
    [3, "delivered"],
    [2, "none"],
    [-1, "none"],
    [-1, "none"],
  ]);
});

Deno.test("in replay nothing is told, kept, or recorded", async () => {
  const { here, desk } = world("http://receiver.test/", true);
  const one = desk();
  one.took(0, []);
  await one.look();
  one.committed(0, [alert(1)]);
  await one.look();
  deepEqual([here.posted, here.kept.size, one.rules()], [[], 0, null]);
});

Deno.test("a receiver that is away is asked again, later and later, and then no more", async () => {
  const { here, desk } = world();
  here.answer = 0;
  const one = desk();
  one.took(0, []);
  await one.look();
  one.committed(0, [alert(1)]);
  const triesOf = () => one.state().alerts[0]?.delivery?.tries ?? 0;
  const tried: number[] = [];
  for (let second = 0; second < 4_000; second++) {
    const before = triesOf();
    await one.look();
    if (triesOf() > before) tried.push(second);
    await here.later(1_000);
  }
  deepEqual(tried, [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1_023, 1_623]);
  equal(tried.length, deskLimits.triesMax);
  const [newest] = one.state().alerts;
  deepEqual([newest?.delivery?.state, newest?.delivery?.problem], ["given up", "nobody there"]);
});

Deno.test("a receiver that fails is not asked for the others in the same look; when it is back it gets all, in order", async () => {
  const { here, desk } = world();
  here.answer = 503;
  const one = desk();
  one.took(0, []);
  await one.look();
  one.committed(0, [alert(1), alert(2), alert(3)]);
  await one.look();
  deepEqual(here.posted, ["0-1-0"]);
  here.answer = 204;
  await here.later(1_000);
  await one.look();
  deepEqual(here.posted, ["0-1-0", "0-1-0", "0-2-0", "0-3-0"]);
});

Deno.test("five hundred alerts are kept track of; of more the oldest are dropped", async () => {
  const { here, desk } = world();
  here.answer = 0;
  const one = desk();
  one.took(0, []);
  await one.look();
  const many = (from: number, count: number) => Array.from({ length: count }, (_, i) => alert(from + i));
  one.committed(0, many(1, 500));
  await one.look();
  one.committed(0, many(501, 1));
  await one.look();
  equal(one.state().alerts.length, 500);
  deepEqual([one.state().alerts[0]?.row.offset, one.state().alerts.at(-1)?.row.offset], [501, 2]);
  equal(Object.keys((JSON.parse(here.kept.get(0)!) as { deliveries: object }).deliveries).length, 500);
});

Deno.test("rules that can't be read change nothing and say why; without a file there are none", async () => {
  const { here, desk } = world();
  const one = desk();
  equal(one.rules(), null);
  await one.look();
  const recorded =
    '{"rules":[{"name":"warm","device":"*","window_size":"1m","above":30,"clear":30,"channel":"temperature_c","statistic":"mean"}]}';
  equal(one.rules(), recorded);
  here.rules = '{"rules":[{"name":"warm"},{"name":"w","above":1,"window_size":"5m"}]}';
  await one.look();
  equal(one.rules(), null);
  equal(one.state().problems.length, 1);
  here.rules = '{"rules":[{"name":"w","above":1,"window_size":"5m"}]}';
  await one.look();
  deepEqual(one.state().problems, ['rule 1: windows of "5m" aren\'t kept: there are 1m, 1h']);
  here.rules = null;
  await one.look();
  deepEqual([one.rules(), one.state().hasFile], ['{"rules":[]}', false]);
});

Deno.test("while the rules can't be read an alert waits, and is told when they can", async () => {
  const { here, desk } = world();
  const good = here.rules;
  const one = desk();
  one.took(0, []);
  await one.look();
  here.rules = "{";
  one.committed(0, [alert(1)]);
  await one.look();
  deepEqual(here.posted, []);
  here.rules = good;
  await one.look();
  deepEqual(here.posted, ["0-1-0"]);
});
