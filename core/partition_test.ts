import assert from "node:assert/strict";
import { defaultConfig } from "./config.ts";
import { Partition } from "./partition.ts";
import type { LogRecord } from "./ports/log.ts";
import type { Changes, Known } from "./ports/store.ts";
import type { WindowRow } from "./rows.ts";

const T0 = 1_763_942_400_000; // 2025-11-24T00:00:00Z
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const nothing: Known = { readings: [], quarantined: [], windows: [] };

/** A fold whose one transaction never ends, so that nothing has to be looked up. */
function fold(cachedMax?: number) {
  const partition = new Partition(defaultConfig, 0, 1, cachedMax);
  let offset = 0;
  const append = (
    appendMs: number,
    value: object | string | null,
    kind?: string,
    key: string | null = null,
  ) => {
    const text = value === null ? null : typeof value === "string" ? value : JSON.stringify(value);
    const record: LogRecord = {
      partition: 0,
      offset: offset++,
      appendMs,
      key,
      value: text === null ? null : new TextEncoder().encode(text),
      headers: kind === undefined ? {} : { "isotherm-kind": kind },
    };
    partition.apply(partition.prepare([record]), nothing);
  };
  const take = () => partition.takeChanges(null, "");
  return { partition, append, take };
}

const batch = (boot: number, readings: object[], more: object = {}) => ({
  device: "desk",
  boot,
  readings,
  ...more,
});
const reading = (seq: number, ts: number, temperature_c = 20) => ({ seq, ts, temperature_c });
const minutes = (changes: Changes): [number, number, number, string | null][] =>
  changes.windows.filter((row) => row.windowSize === "1m")
    .map((row: WindowRow) => [(row.startMs - T0) / MINUTE, row.readings, row.revision, row.closedBy]);

Deno.test("a window closes when the watermark, 30 s behind the highest event, passes its end", () => {
  const { append, take } = fold();
  append(T0 + 10 * SECOND, batch(1, [reading(0, T0)]));
  append(T0 + 90 * SECOND, batch(1, [reading(1, T0 + 90 * SECOND - 1)]));
  assert.deepEqual(minutes(take()), []);
  append(T0 + 91 * SECOND, batch(1, [reading(2, T0 + 90 * SECOND)]));
  assert.deepEqual(minutes(take()), [[0, 1, 0, "watermark"]]);
});

Deno.test("a device's pending_since holds its watermark back, and a later one lets it go", () => {
  const { append, take } = fold();
  append(T0, batch(1, [reading(9, T0 + 5 * MINUTE - SECOND)], { pending_since: T0 }));
  append(T0 + SECOND, batch(1, [reading(0, T0)], { pending_since: T0 + 30 * SECOND }));
  assert.deepEqual(minutes(take()), []);
  append(T0 + 2 * SECOND, batch(1, [reading(1, T0 + MINUTE)], { pending_since: null }));
  assert.deepEqual(minutes(take()), [[0, 1, 0, "watermark"], [1, 1, 0, "watermark"]]);
});

Deno.test("silence closes a window 5 minutes after its end and the device's last record, at a tick, no sooner", () => {
  const { append, take, partition } = fold();
  append(T0 + 30 * SECOND, batch(1, [reading(0, T0)]));
  assert.equal(partition.nextDueMs(), T0 + 6 * MINUTE);
  append(T0 + 6 * MINUTE - 1, null);
  assert.deepEqual(minutes(take()), []);
  append(T0 + 6 * MINUTE, null);
  assert.deepEqual(minutes(take()), [[0, 1, 0, "silence"]]);
});

Deno.test("a late reading changes the closed row and its revision, one for each record", () => {
  const { append, take } = fold();
  append(T0, batch(1, [reading(0, T0, 20)]));
  append(T0 + 2 * MINUTE, batch(1, [reading(5, T0 + 2 * MINUTE, 20)]));
  assert.deepEqual(minutes(take()), [[0, 1, 0, "watermark"]]);
  append(T0 + 3 * MINUTE, batch(1, [reading(1, T0 + 1, 21), reading(2, T0 + 2, 23)]));
  const [row] = take().windows;
  assert.deepEqual([row!.readings, row!.late, row!.revision, row!.replaces], [3, 2, 1, 0]);
  assert.deepEqual([row!.temperature.sum, row!.temperature.p50, row!.temperature.last], [
    64_000,
    21_000,
    23_000,
  ]);
});

Deno.test("a reading that is sent five times counts once, and another content is a conflict", () => {
  const { append, take } = fold();
  for (let i = 0; i < 5; i++) append(T0 + i, batch(1, [reading(0, T0, 20)]));
  append(T0 + 5, batch(1, [reading(0, T0, 21)]));
  const changes = take();
  const [device] = changes.devices;
  assert.deepEqual([device!.counted, device!.duplicates, device!.quarantined], [1, 4, 1]);
  assert.equal(changes.quarantined[0]!.reason, "conflict");
});

Deno.test("each reason of quarantine is given, and every arrival has one state", () => {
  const { append, take } = fold();
  const bad = [
    { seq: 0, ts: T0 + 6 * MINUTE + 1, temperature_c: 1 },
    { seq: 1, ts: T0, temperature_c: -200, humidity_pct: 255 },
    { seq: 2, temperature_c: 1 },
    { seq: 3, ts: 1_000, temperature_c: 1 },
    { seq: 4, ts: T0, temperature_c: "warm" },
    { seq: 5, ts: T0, error: "checksum" },
    { seq: 6, ts: T0, temperature_c: 80 },
  ];
  append(T0 + MINUTE, batch(1, bad));
  append(T0 + MINUTE, "{");
  const changes = take();
  assert.deepEqual(changes.quarantined.map((row) => row.reason), [
    "future",
    "out_of_range",
    "no_time",
    "no_time",
    "malformed",
    "malformed",
  ]);
  const [desk, nameless] = changes.devices;
  assert.deepEqual([desk!.quarantined, desk!.sensorFault, desk!.counted], [5, 1, 1]);
  assert.deepEqual([nameless!.device, nameless!.quarantined], ["", 1]);
  assert.equal(changes.boots[0]!.spans, "0-4:q,5-6:f");
});

Deno.test("slots move up only: missing, lost, quarantined, final", () => {
  const { append, take } = fold();
  append(
    T0,
    batch(7, [reading(10, T0)], {
      lost: [{ from: 2, to: 4, reason: "backlog_full" }],
      previous: { boot: 6, slots: 3 },
    }),
  );
  let boots = take().boots;
  assert.deepEqual(boots.map((row) => [row.boot, row.heard, row.slots, row.lost, row.spans]), [
    [7, true, 11, 3, "2-4:l,10-10:f"],
    [6, false, 3, 0, ""],
  ]);
  append(T0 + 1, batch(7, [{ seq: 3, ts: T0 - 10 * SECOND, temperature_c: 99 }]));
  append(T0 + 2, batch(7, [reading(3, T0 - 10 * SECOND)], { lost: [{ from: 0, to: 10, reason: "x" }] }));
  boots = take().boots;
  assert.equal(boots[0]!.spans, "0-2:l,3-3:f,4-9:l,10-10:f");
});

Deno.test("without seq, temperature and humidity of one instant may come apart", () => {
  const { append, take } = fold();
  append(T0, { device: "desk", ts: T0, temperature_c: 20 });
  append(T0, { device: "desk", ts: T0, humidity_pct: 40 });
  append(T0, { device: "desk", ts: T0, temperature_c: 20, humidity_pct: 40 });
  append(T0, { device: "desk", ts: T0, humidity_pct: 41 });
  append(T0, { device: "desk", temperature_c: 20 });
  append(T0, { device: "desk", temperature_c: 20 });
  const [device] = take().devices;
  assert.deepEqual([device!.counted, device!.duplicates, device!.quarantined], [4, 1, 1]);
});

Deno.test("a record of an unknown version stops the partition with a sentence, and what came before is folded", () => {
  const partition = new Partition(defaultConfig, 0, 1);
  const record = { partition: 0, appendMs: T0, key: null, value: null };
  const prepared = partition.prepare([{ ...record, offset: 0, headers: {} }, {
    ...record,
    offset: 1,
    headers: { isotherm: "2" },
  }]);
  assert.equal(prepared.length, 1);
  assert.match(prepared.stop ?? "", /record 1 of partition 0 has version "2", this build reads 1/);
});

Deno.test("a window opened later but ending sooner is closed by silence in its own time", () => {
  const { append, take } = fold();
  append(T0, batch(1, [reading(0, T0 + 4 * MINUTE)], { pending_since: T0 }));
  append(T0 + SECOND, batch(1, [reading(1, T0 + 10 * SECOND)], { pending_since: T0 }));
  append(T0 + 6 * MINUTE - 1, null, "tick");
  assert.deepEqual(minutes(take()), []);
  append(T0 + 6 * MINUTE, null, "tick");
  assert.deepEqual(minutes(take()), [[0, 1, 0, "silence"]]);
});

Deno.test("a boot that overlaps another flags a shared name even if it only tells of older times", () => {
  const { append, take } = fold();
  append(T0, batch(1, [reading(0, T0), reading(1, T0 + 2 * MINUTE)]));
  append(T0 + 3 * MINUTE, batch(2, [reading(0, T0 + 20 * SECOND), reading(1, T0 + 50 * SECOND + 1)]));
  assert.deepEqual(take().devices.map((row) => row.sharedName), [true]);
});

Deno.test("a device that was heard after its window's end has been silent 5 minutes later, no sooner", () => {
  const { append, take, partition } = fold();
  append(T0 + 2 * MINUTE, batch(1, [reading(0, T0)]));
  assert.equal(partition.nextDueMs(), T0 + 7 * MINUTE);
  append(T0 + 7 * MINUTE - 1, null);
  assert.deepEqual(minutes(take()), []);
  append(T0 + 7 * MINUTE, null);
  assert.deepEqual(minutes(take()), [[0, 1, 0, "silence"]]);
});

Deno.test("a late reading asks the store for its window only if it may be there and is not in memory", () => {
  const late = (minute: number, seq: number) => [{
    partition: 0,
    ...{ offset: 1_000, appendMs: T0 + 20 * MINUTE, key: null, headers: {} },
    value: new TextEncoder().encode(JSON.stringify(batch(1, [reading(seq, T0 + minute * MINUTE)]))),
  }];
  const asked = (partition: Partition, minute: number) =>
    partition.prepare(late(minute, 900)).needs.windows
      .filter(({ windowSize }) => windowSize === "1m").map(({ startMs }) => (startMs - T0) / MINUTE);
  const feed = ({ append, take }: ReturnType<typeof fold>) => {
    append(
      T0 + 15 * MINUTE,
      batch(1, [reading(0, T0), reading(1, T0 + 3 * MINUTE), reading(2, T0 + 15 * MINUTE)]),
    );
    return take();
  };
  const holding = fold();
  const changes = feed(holding);
  assert.deepEqual([0, 1, 3, 9].map((minute) => asked(holding.partition, minute)), [[], [], [], []]);
  // What ends no later than what is no longer held may be stored; the tenth minute ends later and never was.
  const forgetting = fold(0);
  feed(forgetting);
  assert.deepEqual([0, 1, 3, 9].map((minute) => asked(forgetting.partition, minute)), [[0], [1], [3], []]);
  const { position, devices, boots } = changes;
  const none = { rules: [], states: [], newest: [] };
  const stored = { position, devices, boots, closedAhead: [], openReadings: [], alerts: none };
  const restored = Partition.restore(defaultConfig, 0, 1, stored);
  assert.deepEqual([0, 1, 3, 9].map((minute) => asked(restored, minute)), [[0], [1], [3], [9]]);
});

Deno.test("records are scanned into the columns of those before, once these are folded and no sooner", () => {
  const { partition } = fold();
  const scan = (offset: number, device: string) =>
    partition.prepare([{
      ...{ partition: 0, offset, appendMs: T0, key: null, headers: {} },
      value: new TextEncoder().encode(JSON.stringify({ device, seq: 1, boot: 1, ts: T0, temperature_c: 1 })),
    }]);
  const first = scan(0, "desk");
  const beside = scan(0, "attic");
  assert.notEqual(beside.scanned, first.scanned);
  assert.deepEqual([first.scanned.device, beside.scanned.device], [["desk"], ["attic"]]);
  partition.apply(first, nothing);
  const second = scan(1, "shelf");
  assert.equal(second.scanned, first.scanned, "the same columns");
  assert.deepEqual([second.scanned.device, second.scanned.length, second.scanned.readings], [
    ["shelf"],
    1,
    1,
  ]);
});

Deno.test("columns that are used again hold the readings of the next transaction only", () => {
  const { append, take, partition } = fold();
  const send = (device: string, from: number, error: string | null) =>
    append(T0 + MINUTE, {
      device,
      boot: 1,
      readings: Array.from({ length: 1_000 }, (_, i) => ({
        ...{ seq: from + i, ts: T0 + i },
        ...error === null ? { temperature_c: 20 } : { error },
      })),
    });
  for (let from = 0; from < 9_000; from += 1_000) send("desk", from, from === 0 ? "timeout" : null);
  const first = take();
  assert.equal(first.readings.length, 9_000);
  assert.equal([...first.readings][0]!.fault, "timeout");
  send("attic", 0, null);
  const second = take();
  partition.reuse(first);
  assert.equal(first.readings.length, 0);
  send("shelf", 0, null);
  const third = take();
  send("attic", 1_000, null);
  const fourth = take();
  assert.deepEqual([...fourth.readings].map(({ device, seq }) => [device, seq]).at(-1), ["attic", 1_999]);
  for (const [changes, device] of [[second, "attic"], [third, "shelf"], [fourth, "attic"]] as const) {
    const rows = [...changes.readings];
    assert.equal(rows.length, 1_000);
    assert.ok(rows.every((row) => row.device === device && row.fault === null));
  }
  assert.equal(
    (fourth.readings as object) === (first.readings as object),
    true,
    "these are the same columns",
  );
});
