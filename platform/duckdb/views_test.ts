import assert from "node:assert/strict";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { defaultConfig, type JudgeConfig } from "../../core/config.ts";
import type { PublishedConfig } from "../../core/manifest.ts";
import { Partition } from "../../core/partition.ts";
import type { Changes } from "../../core/ports/store.ts";
import { parseWindows } from "../../core/windows_config.ts";
import { TableWriter } from "./columns.ts";
import {
  alertRuleTable,
  alertTable,
  baseTablesSql,
  bootTable,
  configSelect,
  deviceTable,
  gapTable,
  openWindowTable,
  positionTable,
  quarantineTable,
  readingTable,
  releaseTable,
  viewsSql,
  windowTable,
} from "./tables.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const T0 = Date.UTC(2026, 0, 1);

const publishedConfig = ({ windows, ...bounds }: JudgeConfig): PublishedConfig => ({
  ...{ hash: "11", windows: windows.map(({ label }) => label), ...bounds },
});

function withWindows(text: string): JudgeConfig {
  const parsed = parseWindows(text);
  assert(parsed.kind === "ok");
  return { ...defaultConfig, windows: parsed.windows };
}

interface Sent {
  readonly value: object | null;
  readonly atMs: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The views over what a fold makes of these records. */
async function views(config: JudgeConfig, sent: readonly Sent[], from = 0) {
  const fold = new Partition(config, 0, 1);
  if (from > 0) fold.skipTo(from);
  const prepared = fold.prepare(sent.map(({ value, atMs, headers = {} }, i) => ({
    partition: 0,
    offset: from + i,
    appendMs: atMs,
    key: (value as { device?: string } | null)?.device ?? "desk",
    value: value === null ? null : new TextEncoder().encode(JSON.stringify(value)),
    headers,
  })));
  fold.apply(prepared, { readings: [], quarantined: [], windows: [] });
  const open = fold.openRows();
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  await connection.run(baseTablesSql);
  await connection.run(viewsSql);
  await append(connection, fold.takeChanges("00", "11"));
  await new TableWriter(openWindowTable.name, openWindowTable.columns, true).append(connection, open, 1);
  await connection.run(`INSERT INTO config_rows ${configSelect(1, publishedConfig(config))}`);
  return {
    fold,
    async ask(sql: string): Promise<unknown[][]> {
      const reader = await connection.runAndReadAll(sql);
      return reader.getRowsJson() as unknown[][];
    },
    close() {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

async function append(connection: DuckDBConnection, changes: Changes): Promise<void> {
  const put = <Row>(
    table: { readonly name: string; readonly columns: ConstructorParameters<typeof TableWriter<Row>>[1] },
    rows: readonly Row[],
  ) => new TableWriter<Row>(table.name, table.columns, true).append(connection, rows, 1);
  await put(readingTable, [...changes.readings]);
  await put(quarantineTable, changes.quarantined);
  await put(releaseTable, changes.released);
  await put(gapTable, changes.gaps);
  await put(windowTable, changes.windows);
  await put(deviceTable, changes.devices);
  await put(bootTable, changes.boots);
  await put(alertTable, changes.alerts.alerts);
  await put(alertRuleTable, changes.alerts.rules);
  await put(positionTable, [changes.position]);
}

const reading = (ts: number, more: object = {}): Sent => ({
  value: { device: "desk", boot: 1, ts, temperature_c: 20, humidity_pct: 50, ...more },
  atMs: ts + 500,
});
const tick = (atMs: number): Sent => ({ value: null, atMs });

const filled = (size: string) =>
  `SELECT strftime(window_start, '%m-%d %H:%M'), readings, absence FROM windows_filled WHERE window_size = '${size}' ORDER BY window_start`;

Deno.test("windows_filled shows every minute, and for each that is empty its cause", async () => {
  const { ask, close } = await views(withWindows("1m"), [
    reading(T0, { seq: 0 }),
    reading(T0 + 2 * MINUTE, { seq: 3, temperature_c: undefined, humidity_pct: undefined, error: "timeout" }),
    reading(T0 + 4 * MINUTE, { seq: 4 }),
    tick(T0 + 15 * MINUTE),
  ]);
  assert.deepEqual((await ask(filled("1m"))).slice(0, 8), [
    ["01-01 00:00", "1", null],
    ["01-01 00:01", "0", "never_heard"],
    ["01-01 00:02", "0", "sensor_fault"],
    ["01-01 00:03", "0", "never_heard"],
    ["01-01 00:04", "1", null],
    ["01-01 00:05", "0", "offline"],
    ["01-01 00:06", "0", "offline"],
    ["01-01 00:07", "0", "offline"],
  ]);
  assert.deepEqual((await ask(filled("1m"))).slice(-7), [
    ["01-01 00:09", "0", "offline"],
    ["01-01 00:10", "0", "not_due_yet"],
    ["01-01 00:11", "0", "not_due_yet"],
    ["01-01 00:12", "0", "not_due_yet"],
    ["01-01 00:13", "0", "not_due_yet"],
    ["01-01 00:14", "0", "not_due_yet"],
    ["01-01 00:15", "0", "not_due_yet"],
  ]);
  close();
});

Deno.test("alerts show what fired and ended, and alert_rules those in force", async () => {
  const rules = (atMs: number, ...list: object[]): Sent => ({
    value: { rules: list },
    atMs,
    headers: { "isotherm-kind": "rules" },
  });
  const { ask, close } = await views(withWindows("1m"), [
    rules(T0, { name: "cold", below: 21.5 }, { name: "silent", silent_for_s: 60 }),
    reading(T0, { seq: 0 }),
    reading(T0 + 2 * MINUTE, { seq: 1 }),
  ]);
  assert.deepEqual(
    await ask("SELECT alert_id, kind, rule, device, value, sentence, window_start FROM alerts ORDER BY ALL"),
    [
      ["0-2-0", "fired", "cold", "desk", 20, "mean of 20 °C, below 21.5 °C", "2026-01-01 00:00:00"],
      ["0-2-1", "fired", "silent", "desk", 60, "nothing heard for 60 s", null],
      ["0-2-2", "cleared", "silent", "desk", 60, "heard again", null],
    ],
  );
  assert.deepEqual(await ask("SELECT name, definition FROM alert_rules ORDER BY position"), [
    [
      "cold",
      '{"name":"cold","device":"*","window_size":"1m","below":21.5,"clear":21.5,"channel":"temperature_c","statistic":"mean"}',
    ],
    ["silent", '{"name":"silent","device":"*","silent_for_s":60}'],
  ]);
  close();
});

Deno.test("windows_filled goes by the recorded bounds: silence of an hour, a device's word of a day", async () => {
  const slow = { ...withWindows("1h"), idleMs: HOUR, pendingMs: 24 * HOUR };
  const silent = await views(slow, [reading(T0, { seq: 0 }), tick(T0 + 3 * HOUR)]);
  assert.deepEqual(await silent.ask(filled("1h")), [
    ["01-01 00:00", "1", null],
    ["01-01 01:00", "0", "offline"],
    ["01-01 02:00", "0", "not_due_yet"],
    ["01-01 03:00", "0", "not_due_yet"],
  ]);
  silent.close();
  const pending = (days: number) =>
    views(slow, [
      reading(T0, { seq: 0, pending_since: T0 - HOUR }),
      reading(T0 + 3 * HOUR, { seq: 9, pending_since: T0 + HOUR }),
      tick(T0 + 3 * HOUR + days * 24 * HOUR),
    ]);
  const [soon, later] = [await pending(0.9), await pending(1.1)];
  const second = async (ask: typeof soon.ask) => (await ask(filled("1h")))[1];
  assert.deepEqual(await second(soon.ask), ["01-01 01:00", "0", "not_due_yet"]);
  assert.deepEqual(await second(later.ask), ["01-01 01:00", "0", "never_heard"]);
  soon.close();
  later.close();
  const asked = await views(slow, [reading(T0, { seq: 0 })]);
  assert.deepEqual(
    await asked.ask("SELECT windows, idle_s, pending_s, out_of_order_s, retention_s FROM configuration"),
    [["1h", 3600, 86400, 30, 30 * 86400]],
  );
  asked.close();
});

Deno.test("windows_filled tells slots that the board gave up from those that were never heard of", async () => {
  const every = { every_ms: MINUTE };
  const { ask, fold, close } = await views(withWindows("1m"), [
    reading(T0, { seq: 0, ...every }),
    // 1 and 2 are missing, 3 to 5 lost, 6 is missing.
    reading(T0 + 7 * MINUTE, { seq: 7, ...every, lost: [{ from: 3, to: 5, reason: "backlog_full" }] }),
    // The last slots of the boot, and the first ones of the next.
    { ...reading(T0 + 12 * MINUTE, { boot: 2, seq: 2, ...every, lost: [{ from: 0, to: 0 }] }) },
    {
      value: { device: "desk", boot: 1, every_ms: MINUTE, readings: [], lost: [{ from: 8, to: 8 }] },
      atMs: T0 + 13 * MINUTE,
    },
    tick(T0 + 20 * MINUTE),
  ]);
  assert.deepEqual((await ask(filled("1m"))).slice(0, 13).map(([at, , absence]) => [at, absence]), [
    ["01-01 00:00", null],
    ["01-01 00:01", "never_heard"],
    ["01-01 00:02", "never_heard"],
    ["01-01 00:03", "lost"],
    ["01-01 00:04", "lost"],
    ["01-01 00:05", "lost"],
    ["01-01 00:06", "never_heard"],
    ["01-01 00:07", null],
    ["01-01 00:08", "lost"],
    ["01-01 00:09", "never_heard"],
    ["01-01 00:10", "lost"],
    ["01-01 00:11", "never_heard"],
    ["01-01 00:12", null],
  ]);
  // The endpoints go by the fold.
  const lost = Array.from({ length: 13 }, (_, minute) => minute).filter((minute) =>
    fold.hasLostIn("desk", { startMs: T0 + minute * MINUTE, endMs: T0 + (minute + 1) * MINUTE })
  );
  assert.deepEqual(lost, [3, 4, 5, 8, 10]);
  close();
});

Deno.test("what a board says it still has to send is not due yet, and after its retirement nothing is expected", async () => {
  const pending = await views(withWindows("1h"), [
    reading(T0, { seq: 0, pending_since: T0 - HOUR }),
    reading(T0 + 3 * HOUR, { seq: 9, pending_since: T0 + HOUR }),
    tick(T0 + 5 * HOUR),
  ]);
  assert.deepEqual(await pending.ask(filled("1h")), [
    ["01-01 00:00", "1", null],
    ["01-01 01:00", "0", "not_due_yet"],
    ["01-01 02:00", "0", "not_due_yet"],
    ["01-01 03:00", "1", null],
    ["01-01 04:00", "0", "not_due_yet"],
    ["01-01 05:00", "0", "not_due_yet"],
  ]);
  pending.close();
  const retired = await views(withWindows("1h"), [
    reading(T0, { seq: 0 }),
    { value: { action: "retire" }, atMs: T0 + HOUR, headers: { isotherm: "1", "isotherm-kind": "device" } },
    tick(T0 + 2 * HOUR),
  ]);
  assert.deepEqual(await retired.ask(filled("1h")), [
    ["01-01 00:00", "1", null],
    ["01-01 01:00", "0", "retired"],
    ["01-01 02:00", "0", "retired"],
  ]);
  retired.close();
});

Deno.test("days of a zone are filled on its own calendar, 23 and 25 hours included; hopping windows by their hop", async () => {
  const spring = Date.UTC(2026, 2, 27, 12);
  const { ask, close } = await views(withWindows("1d@Europe/Berlin,10m/5m"), [
    reading(spring, { seq: 0 }),
    reading(spring + 4 * 24 * HOUR, { seq: 1 }),
  ]);
  const days = await ask(
    `SELECT strftime(window_start, '%m-%d %H'), epoch(window_end - window_start) / 3600, readings
    FROM windows_filled WHERE window_size = '1d@Europe/Berlin' ORDER BY window_start`,
  );
  assert.deepEqual(days, [
    ["03-26 23", 24, "1"],
    ["03-27 23", 24, "0"],
    ["03-28 23", 23, "0"],
    ["03-29 22", 24, "0"],
    ["03-30 22", 24, "1"],
  ]);
  const hops = await ask(filled("10m/5m"));
  assert.deepEqual(hops.slice(0, 4), [
    ["03-27 11:55", "1", null],
    ["03-27 12:00", "1", null],
    ["03-27 12:05", "0", "never_heard"],
    ["03-27 12:10", "0", "never_heard"],
  ]);
  assert.equal(hops.length, 4 * 24 * 12 + 2);
  close();
});

Deno.test("dew point and absolute humidity are those of the Magnus formula, and null where they have no meaning", async () => {
  const { ask, close } = await views(withWindows("1m"), [
    reading(T0, { seq: 0, temperature_c: 20, humidity_pct: 50 }),
    reading(T0 + 1, { seq: 1, temperature_c: -10, humidity_pct: 100 }),
    reading(T0 + 2, { seq: 2, temperature_c: 20, humidity_pct: 0 }),
    reading(T0 + 3, { seq: 3, temperature_c: 20, humidity_pct: undefined }),
    reading(T0 + 4, { seq: 4, temperature_c: undefined, humidity_pct: 50 }),
  ]);
  // 20 °C and 50 %: es = 6.112 · exp(17.62 · 20 / 263.12) = 23.32 hPa; 216.68 · 11.66 / 293.15 = 8.62 g/m³.
  assert.deepEqual(
    await ask("SELECT round(dew_point_c, 2), round(absolute_humidity_g_m3, 2) FROM readings ORDER BY seq"),
    [
      [9.26, 8.62],
      [-10, 2.36],
      [null, 0],
      [null, null],
      [null, null],
    ],
  );
  const [row] = await ask("SELECT round(dew_point_c, 2), round(absolute_humidity_g_m3, 2) FROM windows_live");
  assert.deepEqual(row, [2.35, 5.49]);
  close();
});

const queriesText = await Deno.readTextFile(new URL("../../docs/queries.md", import.meta.url));
const queries = [...queriesText.matchAll(/```sql\n([^]*?)```/g)].map((match) => match[1]!);

Deno.test("every query of docs/queries.md runs, and the balances hold over every kind of reading", async () => {
  const sent: Sent[] = [
    reading(T0, { seq: 0 }),
    reading(T0, { seq: 0 }), // a duplicate
    reading(T0 + MINUTE, { seq: 1, temperature_c: -200 }), // quarantined
    reading(T0 + 2 * MINUTE, { seq: 2, temperature_c: undefined, humidity_pct: undefined, error: "timeout" }),
    reading(T0 + 5 * MINUTE, { seq: 5, lost: [{ from: 3, to: 3 }] }), // 3 lost, 4 missing
    { ...reading(T0 + 30_000, { seq: 9 }), atMs: T0 + 6 * MINUTE }, // late
    {
      value: {
        device: "desk",
        boot: 2,
        seq: 0,
        ts: T0 + 7 * MINUTE,
        temperature_c: 1,
        previous: { boot: 7, slots: 4 },
      },
      atMs: T0 + 7 * MINUTE,
    },
    { value: { device: 5 }, atMs: T0 + 7 * MINUTE }, // names no device
    {
      value: {
        device: "desk",
        offset: 12,
        index: 0,
        boot: 1,
        reading: { seq: 1, ts: T0 + MINUTE, temperature_c: 20 },
      },
      atMs: T0 + 8 * MINUTE,
      headers: { isotherm: "1", "isotherm-kind": "release" },
    },
  ];
  const { ask, close } = await views(withWindows("1m,1h"), sent, 10);
  const answers: unknown[][][] = [];
  for (const query of queries) answers.push(await ask(query));
  const [slots, arrivals, broken, missing, unheard, absences, gaps, ...others] = answers;
  assert.deepEqual(slots, [["desk", "15", "3", "2", "1", "0", "1", "8"]]);
  assert.deepEqual(arrivals, [
    ["", "1", "0", "0", "0", "1", "0", "0"],
    ["desk", "8", "3", "1", "1", "1", "1", "1"],
  ]);
  assert.deepEqual(broken, []);
  assert.deepEqual(missing!.map(([device, boot, , , lost, without]) => [device, boot, lost, without]), [
    ["desk", "1", "1", "4"],
    ["desk", "7", "0", "4"],
  ]);
  assert.deepEqual(unheard, [["desk", "7", "4"]]);
  assert.deepEqual(absences!.map(([device, absence, minutes]) => [device, absence, minutes]), [
    ["desk", "sensor_fault", "1"],
    ["desk", "never_heard", "2"],
    ["desk", "not_due_yet", "2"],
  ]);
  assert.deepEqual(gaps, [[0, "0", "9", "1970-01-01 00:00:00"]]);
  assert.equal(others.length, 6);
  close();
});
