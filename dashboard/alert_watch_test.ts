import { deepEqual, equal } from "node:assert/strict";
import type { Cell, PublishedRows } from "../core/ports/published.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { virtualClock } from "../sim/clock.ts";
import { Scheduler } from "../sim/scheduler.ts";
import { type AlertFiles, alertLimits, createAlertWatch } from "./alert_watch.ts";

const MINUTE = 60_000;
const START = 1_763_942_400_000;

interface World {
  readonly rows: PublishedRows;
  readonly files: AlertFiles;
  readonly scheduler: Scheduler;
  /** Publishes a closed window of a minute. */
  publish(minute: number, mean: number, revision?: number): void;
  heard(minute: number): void;
  /** What the receiver answers; 0 stands for nobody there. */
  answer: number;
  rules: string | null;
  kept: string | null;
  readonly posted: { id: string }[];
}

function world(rules: unknown, webhook: string | null = "http://receiver.test/"): World {
  const scheduler = new Scheduler({ startMs: START });
  const windows = new Map<number, Cell[]>();
  let [generation, lastHeardMs] = [0, START];
  const here: World = {
    scheduler,
    answer: 200,
    rules: JSON.stringify({ webhook, rules }),
    kept: null,
    posted: [],
    publish(minute, mean, revision = 0) {
      const startMs = START + minute * MINUTE;
      windows.set(startMs, [
        "desk",
        "1m",
        startMs,
        startMs + MINUTE,
        revision,
        6,
        6,
        mean,
        mean,
        mean,
        50,
        50,
        50,
      ]);
      generation++;
    },
    heard(minute) {
      lastHeardMs = START + minute * MINUTE;
    },
    rows: {
      query(sql, values = []) {
        if (/FROM devices/.test(sql)) return Promise.resolve([["desk", lastHeardMs, false]]);
        const [from, , after] = values.slice(-5) as number[];
        return Promise.resolve(
          [...windows.values()].filter((row) =>
            (row[3] as number) >= (from ?? 0) && (row[2] as number) > (after as number)
          )
            .sort((a, b) => (a[2] as number) - (b[2] as number)),
        );
      },
      published: () => Promise.resolve(generation === 0 ? null : { publishedMs: START, generation }),
      close: () => Promise.resolve(),
    },
    files: {
      rules: () => Promise.resolve(here.rules),
      kept: () => Promise.resolve(here.kept),
      keep: (text) => Promise.resolve(void (here.kept = text)),
      post: (_url, body) => {
        if (here.answer === 0) return Promise.reject(new Error("nobody there"));
        here.posted.push(JSON.parse(body));
        return Promise.resolve(here.answer);
      },
    },
  };
  return here;
}

const watchOf = ({ rows, files, scheduler }: World) =>
  createAlertWatch({ rows, files, clock: virtualClock(scheduler), trace: silentTrace });

Deno.test("an alert fires and clears once, whatever is looked at again, and names its row", async () => {
  const here = world([{ name: "warm", above: 30, clear: 28 }]);
  let watch = await watchOf(here);
  for (const [minute, mean] of [20, 31, 29, 27, 32].entries()) {
    here.publish(minute, mean);
    await watch.look();
    await watch.look();
    watch = await watchOf(here); // a restart goes on from what was kept
  }
  deepEqual(here.posted.map(({ id }) => id.replace(`warm/desk/1m/`, "")), [
    `${START + MINUTE}/fired`,
    `${START + 3 * MINUTE}/cleared`,
    `${START + 4 * MINUTE}/fired`,
  ]);
});

Deno.test("one look at all rows finds the same alerts as a look at each", async () => {
  const means = Array.from({ length: 60 }, (_, minute) => 24 + minute * 11 % 17);
  const ids: string[][] = [];
  for (const portion of [1, 7, 60]) {
    const here = world([{ name: "warm", above: 35, clear: 30 }]);
    const watch = await watchOf(here);
    for (const [minute, mean] of means.entries()) {
      here.publish(minute, mean);
      if ((minute + 1) % portion === 0 || minute === means.length - 1) await watch.look();
    }
    ids.push(here.posted.map(({ id }) => id));
  }
  equal((ids[0]?.length ?? 0) > 4, true);
  deepEqual(ids[1], ids[0]);
  deepEqual(ids[2], ids[0]);
});

Deno.test("a receiver that is away is asked again, later and later, and then no more", async () => {
  const here = world([{ name: "warm", above: 30 }]);
  const watch = await watchOf(here);
  here.answer = 0;
  here.publish(0, 31);
  const tried: number[] = [];
  for (let second = 0; second < 4_000; second++) {
    const before = (watch.state() as { events: { tries: number }[] }).events[0]?.tries ?? 0;
    await watch.look();
    const after = (watch.state() as { events: { tries: number }[] }).events[0]?.tries ?? 0;
    if (after > before) tried.push(second);
    await here.scheduler.runUntil(here.scheduler.nowMs + 1_000);
  }
  deepEqual(tried, [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1_023, 1_623]);
  equal(tried.length, alertLimits.triesMax);
  const [event] = (watch.state() as { events: { delivery: string; problem: string }[] }).events;
  deepEqual([event?.delivery, event?.problem], ["given up", "nobody there"]);
});

Deno.test("a receiver that comes back gets the event once", async () => {
  const here = world([{ name: "warm", above: 30 }]);
  const watch = await watchOf(here);
  here.answer = 503;
  here.publish(0, 31);
  for (let second = 0; second < 5; second++) {
    await watch.look();
    await here.scheduler.runUntil(here.scheduler.nowMs + 1_000);
  }
  here.answer = 204;
  for (let second = 0; second < 60; second++) {
    await watch.look();
    await here.scheduler.runUntil(here.scheduler.nowMs + 1_000);
  }
  deepEqual(here.posted.map(({ id }) => id), Array.from({ length: 4 }, () => here.posted[0]?.id));
});

Deno.test("silence fires while nothing is published, and clears with the next word", async () => {
  const here = world([{ name: "silent", silent_for_s: 600 }]);
  const watch = await watchOf(here);
  here.publish(0, 20);
  await watch.look();
  await here.scheduler.runUntil(START + 10 * MINUTE - 1);
  await watch.look();
  equal(here.posted.length, 0);
  await here.scheduler.runUntil(START + 10 * MINUTE);
  await watch.look();
  here.heard(11);
  await here.scheduler.runUntil(START + 11 * MINUTE);
  await watch.look();
  deepEqual(here.posted.map(({ id }) => id), [
    `silent/desk/1m/${START}/fired`,
    `silent/desk/1m/${START + 11 * MINUTE}/cleared`,
  ]);
});

Deno.test("what a new rule finds in the past stays on the page", async () => {
  const here = world([{ name: "warm", above: 30, clear: 28 }]);
  here.publish(0, 31);
  here.publish(1, 20);
  await here.scheduler.runUntil(START + 60 * MINUTE);
  const watch = await watchOf(here);
  await watch.look();
  equal(here.posted.length, 0);
  deepEqual(
    (watch.state() as { events: { kind: string; delivery: string }[] }).events.map(({ kind, delivery }) =>
      `${kind} ${delivery}`
    ),
    ["cleared none", "fired none"],
  );
});

Deno.test("rules that can't be read watch nothing and say why; a corrected file is taken", async () => {
  const here = world([{ name: "warm" }]);
  const watch = await watchOf(here);
  here.publish(0, 31);
  await watch.look();
  deepEqual((watch.state() as { problems: string[] }).problems.length, 1);
  equal(here.posted.length, 0);
  here.rules = JSON.stringify({ webhook: "http://receiver.test/", rules: [{ name: "warm", above: 30 }] });
  await watch.look();
  equal(here.posted.length, 1);
  here.rules = null;
  await watch.look();
  deepEqual((watch.state() as { hasRules: boolean }).hasRules, false);
});
