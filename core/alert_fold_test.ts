import assert from "node:assert/strict";
import { MemoryDisk } from "./testing/memory_store.ts";
import { defaultConfig } from "./config.ts";
import { Partition } from "./partition.ts";
import type { LogRecord } from "./ports/log.ts";
import type { AlertRow } from "./rows.ts";

const T0 = 1_763_942_400_000; // 2025-11-24T00:00:00Z
const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** A log of one partition, written a record at a time. */
function tape() {
  const records: LogRecord[] = [];
  const append = (appendMs: number, value: object | null, kind?: string, key: string | null = null) => {
    records.push({
      partition: 0,
      offset: records.length,
      appendMs,
      key,
      value: value === null ? null : new TextEncoder().encode(JSON.stringify(value)),
      headers: kind === undefined ? {} : { "isotherm-kind": kind },
    });
  };
  let seq = 0;
  return {
    records,
    append,
    rules: (appendMs: number, ...rules: object[]) =>
      append(appendMs, { rules: rules.map((rule) => ({ name: "r", ...rule })) }, "rules"),
    tick: (appendMs: number) => append(appendMs, null),
    /** Readings of one minute, ten seconds apart, told 1 s after the minute's end plus the bound of disorder. */
    minute(minute: number, temperature_c: number, { device = "desk", readings = 6 } = {}) {
      const startMs = T0 + minute * MINUTE;
      const list = Array.from({ length: readings }, (_, i) => ({
        ...{ seq: seq++, ts: startMs + i * 10 * SECOND, temperature_c, humidity_pct: 50 },
      }));
      append(startMs + MINUTE - SECOND, { device, boot: 1, every_ms: 10_000, readings: list });
    },
  };
}

/** Folds a tape in batches; every `restartEvery` batches the fold is made anew from what was stored. */
async function alertsOf(records: readonly LogRecord[], batchRecords = 1, restartEvery = Infinity) {
  const disk = new MemoryDisk();
  const store = disk.open(0);
  let fold = new Partition(defaultConfig, 0, 1);
  for (let from = 0, batches = 1; from < records.length; from += batchRecords, batches++) {
    const prepared = fold.prepare(records.slice(from, from + batchRecords));
    fold.apply(prepared, await store.lookup(prepared.needs));
    await store.commit(fold.takeChanges(null, ""));
    if (batches % restartEvery !== 0) continue;
    const rebuilt = Partition.restore(
      defaultConfig,
      0,
      1,
      await store.load(Partition.openFrom(defaultConfig)),
    );
    assert.deepEqual(rebuilt.describe(), fold.describe());
    assert.equal(rebuilt.nextDueMs(), fold.nextDueMs());
    fold = rebuilt;
  }
  return { alerts: disk.alerts, fold };
}

const minuteOf = (ms: number | null) => ms === null ? null : (ms - T0) / MINUTE;
/** Kind, minute of the window, value. */
const brief = (alerts: readonly AlertRow[]) =>
  alerts.map(({ kind, startMs, valueMilli }) => [kind, minuteOf(startMs), valueMilli]);

/** One device, a value a minute. */
async function judged(rule: object, values: readonly (number | null)[], readings: readonly number[] = []) {
  const { records, rules, minute } = tape();
  rules(T0, rule);
  values.forEach((value, at) => {
    if (value !== null) minute(at, value, { readings: readings[at] ?? 6 });
  });
  return brief((await alertsOf(records)).alerts);
}

Deno.test("a threshold fires beyond its bound, not at it, and clears at `clear`, not between", async () => {
  assert.deepEqual(await judged({ above: 30, clear: 28 }, [30, 30.1, 29, 28.1, 31, 28, 30.1, 20]), [
    ["fired", 1, 30_100],
    ["cleared", 5, 28_000],
    ["fired", 6, 30_100],
  ]);
  assert.deepEqual(await judged({ below: 2, clear: 3, statistic: "min" }, [2, 1.9, 2.9, 3, 20]), [
    ["fired", 1, 1_900],
    ["cleared", 3, 3_000],
  ]);
});

Deno.test("a mean is compared as the fraction that it is", async () => {
  const { records, rules, append } = tape();
  rules(T0, { above: 20.3 });
  const readings = [20.3, 20.3, 20.301].map((temperature_c, i) => ({ seq: i, ts: T0 + i, temperature_c }));
  append(T0, { device: "desk", boot: 1, readings });
  append(T0 + 2 * MINUTE, {
    device: "desk",
    boot: 1,
    readings: [{ seq: 9, ts: T0 + 2 * MINUTE, temperature_c: 20.3 }],
  });
  const { alerts } = await alertsOf(records);
  // 20.3003… is above 20.3, although it is written as 20.3.
  assert.deepEqual(alerts.map(({ kind, sentence }) => [kind, sentence]), [
    ["fired", "mean of 20.3 °C, above 20.3 °C"],
  ]);
});

Deno.test("a change is that between means of windows with values, per hour, in both directions", async () => {
  // 0.1 °C a minute is 6 °C an hour.
  assert.deepEqual(await judged({ changes_per_hour: 6 }, [20, 20.1, 20.201, null, 20.3, 20.1, 20.1, 20.1]), [
    ["fired", 2, 6_060],
    ["cleared", 4, 2_970],
    ["fired", 5, -12_000],
    ["cleared", 6, 0],
  ]);
});

Deno.test("an incomplete window fires below its bound and not at it", async () => {
  assert.deepEqual(await judged({ complete_below: 0.5 }, [20, 20, 20, 20, 20], [6, 3, 2, 3, 6]), [
    ["fired", 2, 333],
    ["cleared", 3, 500],
  ]);
});

Deno.test("an alert names the rows that caused it, its place in the log, and the cause in words", async () => {
  const { records, rules, minute } = tape();
  rules(T0, { name: "rising", changes_per_hour: 6 });
  minute(0, 20);
  minute(1, 21);
  minute(2, 21);
  const { alerts } = await alertsOf(records);
  assert.deepEqual(alerts[0], {
    partition: 0,
    offset: 3,
    index: 0,
    appendMs: T0 + 3 * MINUTE - SECOND,
    kind: "fired",
    rule: "rising",
    device: "desk",
    atMs: T0 + 2 * MINUTE,
    valueMilli: 60_000,
    sentence: "changes by 60 °C an hour, allowed are 6 °C",
    windowSize: "1m",
    startMs: T0 + MINUTE,
    previousStartMs: T0,
    isPast: false,
  });
});

Deno.test("a late reading revises the row and not the alert", async () => {
  const { records, rules, minute, append } = tape();
  rules(T0, { above: 30 });
  minute(0, 20);
  minute(1, 20);
  minute(2, 20);
  append(T0 + 4 * MINUTE, {
    device: "desk",
    boot: 1,
    readings: [{ seq: 99, ts: T0 + SECOND, temperature_c: 80 }],
  });
  minute(3, 20);
  assert.deepEqual((await alertsOf(records)).alerts, []);
});

Deno.test("silence fires when its time has passed in the log, at a tick or at the device's own next record", async () => {
  const silence = (ticks: readonly number[]) => {
    const { records, rules, minute, tick } = tape();
    rules(T0, { silent_for_s: 120 });
    minute(0, 20);
    for (const second of ticks) tick(T0 + 59 * SECOND + second * SECOND);
    minute(5, 20);
    return alertsOf(records);
  };
  const times = (alerts: readonly AlertRow[]) => alerts.map(({ kind, atMs }) => [kind, (atMs - T0) / SECOND]);
  const expected = [["fired", 179], ["cleared", 359]];
  assert.deepEqual(times((await silence([])).alerts), expected);
  const ticked = await silence([119, 120]);
  assert.deepEqual(times(ticked.alerts), expected);
  assert.deepEqual(ticked.alerts.map(({ offset }) => offset), [3, 4]);
});

Deno.test("a tick is due when the first silence is, and a retired device is silent for nobody", async () => {
  const { records, rules, minute, append, tick } = tape();
  rules(T0, { silent_for_s: 120 });
  minute(0, 20);
  assert.equal((await alertsOf(records)).fold.nextDueMs(), T0 + 179 * SECOND);
  tick(T0 + 179 * SECOND);
  append(T0 + 200 * SECOND, { action: "retire" }, "device", "desk");
  tick(T0 + 9 * MINUTE);
  const { alerts } = await alertsOf(records);
  assert.deepEqual(alerts.map(({ kind, sentence }) => [kind, sentence]), [
    ["fired", "nothing heard for 120 s"],
    ["cleared", "it was retired"],
  ]);
});

Deno.test("a rule that stays keeps its state; one that is changed or taken away ends what it had fired", async () => {
  const { records, rules, minute } = tape();
  const firing = [{ name: "kept", above: 30, clear: 25 }, { name: "changed", above: 30 }, {
    name: "gone",
    above: 30,
  }];
  rules(T0, ...firing);
  minute(0, 31);
  minute(1, 29);
  rules(T0 + 110 * SECOND, firing[0]!, { name: "changed", above: 28 });
  minute(2, 29);
  minute(3, 29);
  const { alerts, fold } = await alertsOf(records);
  assert.deepEqual(alerts.map(({ kind, rule, sentence }) => `${kind} ${rule}: ${sentence}`), [
    "fired kept: mean of 31 °C, above 30 °C",
    "fired changed: mean of 31 °C, above 30 °C",
    "fired gone: mean of 31 °C, above 30 °C",
    "cleared changed: the rule was changed",
    "cleared gone: the rule was taken away",
    "fired changed: mean of 29 °C, above 28 °C",
  ]);
  assert.deepEqual([...fold.alerts.firing()].map(({ rule }) => rule), ["kept", "changed"]);
});

Deno.test("what a new rule finds in the time before it is marked as past", async () => {
  const { records, rules, minute, tick } = tape();
  minute(0, 31);
  minute(0, 31, { device: "attic" });
  tick(T0 + 10 * MINUTE); // closes both minutes
  rules(T0 + 10 * MINUTE, { name: "silent", silent_for_s: 60 }, { name: "warm", above: 30 });
  minute(8, 31);
  minute(11, 31);
  const { alerts } = await alertsOf(records);
  assert.deepEqual(
    alerts.map(({ kind, rule, device, isPast }) => `${kind} ${rule} ${device}${isPast ? " past" : ""}`),
    [
      "fired silent attic past",
      "fired silent desk past",
      "cleared silent desk",
      "fired warm desk past", // in one record, in order of their times
      "fired silent desk",
      "cleared silent desk",
    ],
  );
});

Deno.test("an older window that closes after a newer one is passed over", async () => {
  const { records, rules, append, tick } = tape();
  rules(T0, { above: 30 });
  const send = (
    atMs: number,
    seq: number,
    tsMs: number,
    temperature_c: number,
    pending_since: number | null,
  ) => append(atMs, { device: "desk", boot: 1, pending_since, readings: [{ seq, ts: tsMs, temperature_c }] });
  send(T0 + 10 * MINUTE, 10, T0 + 9 * MINUTE, 20, T0);
  tick(T0 + 16 * MINUTE); // silence closes the ninth minute
  send(T0 + 17 * MINUTE, 1, T0 + MINUTE, 40, null);
  send(T0 + 18 * MINUTE, 20, T0 + 17 * MINUTE, 20, null);
  assert.deepEqual((await alertsOf(records)).alerts, []);
});

Deno.test("the same tape gives one list of alerts, in batches of 1, 7 and 5,000, and with a restart after any of them", async () => {
  const { records, rules, minute, tick, append } = tape();
  const warm = { name: "warm", above: 30, clear: 28 };
  rules(
    T0,
    warm,
    { name: "rising", changes_per_hour: 200 },
    { name: "few", complete_below: 0.8 },
    { name: "silent", silent_for_s: 150 },
    { name: "hour", window_size: "1h", below: 28, device: "d*k" },
  );
  for (let at = 0; at < 240; at++) {
    for (const [index, device] of ["desk", "attic", "dock"].entries()) {
      if ((at * 7 + index * 5) % 11 < 4 + index) continue; // away
      minute(at, 24 + (at * 11 + index * 3) % 9, { device, readings: 3 + (at + index) % 4 });
    }
    if (at % 13 === 0) tick(T0 + at * MINUTE + MINUTE);
    if (at === 100) rules(T0 + at * MINUTE + MINUTE, warm, { name: "silent", silent_for_s: 90 });
    if (at === 150) append(T0 + at * MINUTE + MINUTE, { action: "retire" }, "device", "attic");
  }
  const once = (await alertsOf(records)).alerts;
  assert(once.length > 150 && new Set(once.map(({ rule }) => rule)).size === 5, `${once.length} alerts`);
  const ids = once.map(({ offset, index }) => `${offset}-${index}`);
  assert.equal(new Set(ids).size, ids.length);
  for (const [batch, restart] of [[7, Infinity], [5_000, Infinity], [1, 1], [7, 1], [3, 5]] as const) {
    assert.deepEqual((await alertsOf(records, batch, restart)).alerts, once, `${batch}, ${restart}`);
  }
});

Deno.test("many devices, folded in runs, have the alerts that they have one record after the other", async () => {
  const { records, rules, minute, tick } = tape();
  rules(T0, { name: "warm", above: 26, clear: 24 }, { name: "silent", silent_for_s: 280 });
  for (let at = 0; at < 40; at++) {
    for (let index = 0; index < 50; index++) {
      if ((at * 5 + index) % 17 < 3 || (index % 13 === 0 && at > 25)) continue; // away
      minute(at, 20 + (at * 3 + index) % 9, { device: `device-${index % 10 * 7}-${index}`, readings: 2 });
    }
  }
  tick(T0 + 42 * MINUTE);
  const once = (await alertsOf(records)).alerts;
  assert(
    once.filter(({ rule }) => rule === "warm").length > 300 && once.some(({ rule }) => rule === "silent"),
  );
  for (const [batch, restart] of [[7, 3], [40, Infinity], [5_000, Infinity]] as const) {
    assert.deepEqual((await alertsOf(records, batch, restart)).alerts, once, `${batch}, ${restart}`);
  }
});

Deno.test("a device that is heard for the first time in a run, and then no more, is silent at its time", async () => {
  const { records, rules, append } = tape();
  rules(T0, { silent_for_s: 20 });
  for (let second = 0; second < 60; second++) {
    for (let index = 0; index < (second === 0 ? 9 : 8); index++) {
      const reading = { seq: second, ts: T0 + second * SECOND, temperature_c: 20 };
      append(T0 + second * SECOND, { device: `device-${index}`, boot: 1, readings: [reading] });
    }
  }
  const { alerts } = await alertsOf(records, 5_000);
  assert.deepEqual(alerts.map(({ kind, device, atMs }) => [kind, device, atMs - T0]), [
    ["fired", "device-8", 20 * SECOND],
  ]);
  assert.equal(records[alerts[0]!.offset]!.appendMs, T0 + 20 * SECOND);
});

Deno.test("a device that was only spoken of is silent from then on", async () => {
  const { records, rules, append, tick } = tape();
  rules(T0, { silent_for_s: 120 });
  append(T0 + MINUTE, { action: "rename", name: "Attic" }, "device", "attic");
  tick(T0 + 9 * MINUTE);
  for (const restart of [1, Infinity]) {
    const { alerts } = await alertsOf(records, 1, restart);
    assert.deepEqual(alerts.map(({ device, atMs }) => [device, atMs - T0]), [["attic", 3 * MINUTE]]);
  }
});

Deno.test("without rules nothing is remembered of any device", async () => {
  const { records, rules, minute } = tape();
  rules(T0, { above: 30 });
  minute(0, 31);
  minute(1, 31);
  minute(2, 31);
  rules(T0 + 3 * MINUTE);
  minute(3, 31);
  minute(4, 31);
  const { alerts, fold } = await alertsOf(records, 1, 1);
  assert.deepEqual(alerts.map(({ kind, sentence }) => [kind, sentence]), [
    ["fired", "mean of 31 °C, above 30 °C"],
    ["cleared", "the rule was taken away"],
  ]);
  assert.deepEqual(fold.describe().filter((line) => /^(alerts|rule) /.test(line)), []);
});
