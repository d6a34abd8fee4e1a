import assert from "node:assert/strict";
import { digestOf, digestText, judgePartition, type OracleConfig, type OracleRecord } from "./oracle.ts";
import { thousandths } from "./oracle/decode.ts";
import { OracleLedger } from "./oracle/ledger.ts";
import { murmur2, partitionOf } from "./oracle/murmur2.ts";
import { windowsOf } from "./oracle/windows.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const T0 = Date.UTC(2025, 10, 24);
const config: OracleConfig = {
  windows: [{ kind: "fixed", label: "1m", sizeMs: MINUTE, hopMs: MINUTE }],
  outOfOrderMs: 30_000,
  idleMs: 5 * MINUTE,
  futureMs: 5 * MINUTE,
  pendingMs: 7 * DAY,
  retentionMs: 30 * DAY,
};

const record = (offset: number, appendMs: number, value: object | null): OracleRecord => ({
  ...{ partition: 0, offset, appendMs, key: "desk", headers: {} },
  value: value === null ? null : new TextEncoder().encode(JSON.stringify(value)),
});
const judge = (...records: OracleRecord[]) => judgePartition(records, config, 0, 1);
const reading = (seq: number, ts: number, temperature_c = 20) => ({ seq, ts, temperature_c });
const batch = (readings: object[], fields: object = {}) => ({ device: "desk", boot: 1, ...fields, readings });

Deno.test("an outage longer than the idle bound closes by silence, the late backlog revises", () => {
  const { windows, devices } = judge(
    record(0, T0 + 10_000, batch([reading(0, T0)])),
    record(1, T0 + 7 * MINUTE, batch([reading(2, T0 + 7 * MINUTE)], { pending_since: T0 + 20_000 })),
    record(2, T0 + 8 * MINUTE, batch([reading(1, T0 + 20_000, 22)])),
  );
  assert.equal(
    digestText(windows),
    `"desk"|1m|${T0}|${T0 + MINUTE}|2|0|1|0||2|42000|884000000|20000|22000|20000|22000|20000|22000|` +
      "0|0|0|||||||silence|1",
  );
  assert.deepEqual(devices.map((device) => device.arrivals), [
    { counted: 2, counted_late: 1, sensor_fault: 0, quarantined: 0, duplicates: 0, released: 0 },
  ]);
});

Deno.test("a window that the watermark had passed before anything came is created closed, at revision 1", () => {
  const { windows } = judge(
    record(0, T0 + HOUR, batch([reading(9, T0 + HOUR)])),
    record(1, T0 + HOUR, batch([reading(0, T0), reading(1, T0 + 1)])),
  );
  assert.deepEqual(windows.map((w) => [w.readings, w.late, w.closedBy, w.revision]), [[
    2,
    2,
    "watermark",
    1,
  ]]);
});

Deno.test("the digest of no window is the hash of nothing", async () => {
  assert.equal(await digestOf([]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
});

Deno.test("decimals become thousandths by their text, half away from zero", () => {
  const cases: [string, number][] = [
    ["21.4", 21_400],
    ["21.4005", 21_401],
    ["-21.4005", -21_401],
    ["21.40049999999999999999999", 21_400],
    ["-0", 0],
    ["-0.0004", 0],
    ["-0.0005", -1],
    ["2.14e1", 21_400],
    ["21400E-3", 21_400],
    ["1e-400", 0],
  ];
  assert.deepEqual(cases.map(([text]) => [text, thousandths(text)]), cases);
});

Deno.test("murmur2 gives the values of Kafka's own tests", () => {
  // org.apache.kafka.common.utils.UtilsTest.testMurmur2
  const cases: [string, number][] = [
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107],
  ];
  assert.deepEqual(cases.map(([text]) => [text, murmur2(text) | 0]), cases);
  assert.equal(partitionOf("abc", 7), 479470107 % 7);
});

Deno.test("local days have 23, 24, 25 and 24.5 hours, and start where midnight does not exist", () => {
  const day = (zone: string, ts: number) => {
    const [span] = windowsOf({ kind: "local_day", label: "day", zone }, ts);
    return [new Date(span!.startMs).toISOString(), (span!.endMs - span!.startMs) / HOUR];
  };
  assert.deepEqual(day("Europe/Berlin", Date.UTC(2026, 2, 29, 12)), ["2026-03-28T23:00:00.000Z", 23]);
  assert.deepEqual(day("Europe/Berlin", Date.UTC(2026, 9, 25, 12)), ["2026-10-24T22:00:00.000Z", 25]);
  assert.deepEqual(day("Australia/Lord_Howe", Date.UTC(2026, 3, 5, 0)), ["2026-04-04T13:00:00.000Z", 24.5]);
  assert.deepEqual(day("Africa/Cairo", Date.UTC(2026, 3, 24, 12)), ["2026-04-23T22:00:00.000Z", 23]);
  assert.deepEqual(day("UTC", T0 + DAY - 1), ["2025-11-24T00:00:00.000Z", 24]);
});

Deno.test("a hopping window holds an event as often as it covers it", () => {
  const spec = { kind: "fixed", label: "5m by 1m", sizeMs: 5 * MINUTE, hopMs: MINUTE } as const;
  const starts = windowsOf(spec, T0 + 10 * MINUTE).map((span) => (span.startMs - T0) / MINUTE);
  assert.deepEqual(starts, [6, 7, 8, 9, 10]);
});

Deno.test("slots only move up, and the first final word stands", () => {
  const ledger = new OracleLedger();
  ledger.mark(1, 0, 9, "lost");
  ledger.mark(1, 3, 3, "quarantined");
  ledger.mark(1, 3, 3, "counted_late");
  ledger.mark(1, 3, 3, "lost");
  ledger.mark(1, 12, 12, "sensor_fault");
  assert.deepEqual(ledger.boots("desk"), [{
    device: "desk",
    boot: 1,
    slots: 13,
    states: { counted: 0, counted_late: 1, sensor_fault: 1, quarantined: 0, lost: 9, missing: 2 },
    spans: "0-2:l,3-3:f,4-9:l,12-12:f",
  }]);
});
