/** Alerts through the whole aggregator, in virtual time: from the file of rules to the webhook. */
import assert from "node:assert/strict";
import { MemoryDisk } from "../core/testing/memory_store.ts";
import { MINUTE, SECOND, T0, world } from "./testing/world.ts";

const rulesFile = (...rules: object[]) => JSON.stringify({ webhook: "http://receiver.test/", rules });
const warm = { name: "warm", above: 30, clear: 28 };
const reading = (seq: number, ts: number, temperature_c: number) => ({
  ...{ device: "desk", boot: 1, seq, ts, temperature_c },
});

Deno.test("rules from the file are recorded in the log, and what they decide is committed and told once", async () => {
  const { log, disks, append, start, passTime, alertFiles } = world();
  alertFiles.rules = rulesFile(warm);
  const worker = start();
  await passTime(3 * SECOND);
  const recorded = log.records(0).filter(({ headers }) => headers["isotherm-kind"] === "rules");
  assert.equal(recorded.length, 1);
  for (const [minute, value] of [31, 29, 27, 20, 20].entries()) {
    void append(reading(minute, T0 + minute * MINUTE, value));
    await passTime(MINUTE);
  }
  assert.deepEqual(disks[0]!.alerts.map(({ kind, startMs }) => [kind, (startMs! - T0) / MINUTE]), [
    ["fired", 0],
    ["cleared", 2],
  ]);
  assert.deepEqual(alertFiles.told.map((text) => text.replace(/^\S+ /, "")), ["fired warm", "cleared warm"]);
  await worker.stop();
});

Deno.test("a silent device fires on its own: its owner appends a tick when silence is due", async () => {
  const { log, append, start, passTime, alertFiles } = world();
  alertFiles.rules = rulesFile({ name: "silent", silent_for_s: 120 });
  const worker = start();
  await passTime(2 * SECOND);
  void append(reading(0, T0, 20));
  await passTime(2 * MINUTE);
  assert.equal(alertFiles.told.length, 0);
  await passTime(3 * SECOND);
  assert.deepEqual(alertFiles.told.map((text) => text.replace(/^\S+ /, "")), ["fired silent"]);
  assert.equal(log.records(0).at(-1)!.headers["isotherm-kind"], "tick");
  await worker.stop();
});

Deno.test("restarts in the middle tell nothing twice, and a replay decides the same and tells nobody", async () => {
  const { disks, append, start, passTime, alertFiles } = world();
  alertFiles.rules = rulesFile(warm, { name: "silent", silent_for_s: 90 });
  for (let minute = 0; minute < 24; minute++) {
    const worker = start();
    await passTime(2 * SECOND);
    if (minute % 7 !== 3) void append(reading(minute, T0 + minute * MINUTE, minute % 5 < 2 ? 31 : 20));
    await passTime(MINUTE);
    await worker.stop();
  }
  const decided = disks[0]!.alerts;
  assert(decided.length > 10);
  assert.deepEqual(alertFiles.told, [...new Set(alertFiles.told)]);
  assert.deepEqual(
    alertFiles.told,
    decided.map(({ offset, index, kind, rule }) => `0-${offset}-${index} ${kind} ${rule}`),
  );
  disks[0] = new MemoryDisk();
  alertFiles.rules = rulesFile({ ...warm, above: 0 }); // of no account in replay
  const told = alertFiles.told.length;
  const replay = start({ replay: true, recordsPerCommitMax: 7 });
  await passTime(5 * SECOND);
  await replay.stop();
  assert.deepEqual(disks[0].alerts, decided);
  assert.equal(alertFiles.told.length, told);
});

Deno.test("a changed file is recorded once, and ends what the old rule had fired", async () => {
  const { log, disks, append, start, passTime, alertFiles } = world();
  alertFiles.rules = rulesFile(warm);
  const worker = start();
  await passTime(2 * SECOND);
  void append(reading(0, T0, 31));
  void append(reading(1, T0 + 2 * MINUTE, 31));
  await passTime(2 * SECOND);
  alertFiles.rules = rulesFile({ ...warm, above: 35 });
  await passTime(5 * SECOND);
  alertFiles.rules = null;
  await passTime(5 * SECOND);
  assert.equal(log.records(0).filter(({ headers }) => headers["isotherm-kind"] === "rules").length, 3);
  assert.deepEqual(disks[0]!.alerts.map(({ kind, sentence }) => [kind, sentence]), [
    ["fired", "mean of 31 °C, above 30 °C"],
    ["cleared", "the rule was changed"],
  ]);
  await worker.stop();
});

Deno.test("/alerts tells the rules in force, what fires, and what became of each alert", async () => {
  const { append, start, passTime, alertFiles } = world();
  alertFiles.rules = rulesFile(warm);
  const worker = start();
  await passTime(2 * SECOND);
  void append(reading(0, T0, 31));
  void append(reading(1, T0 + 2 * MINUTE, 31));
  await passTime(2 * SECOND);
  const answer = await worker.endpoints.handle(new Request("http://here.test/alerts"));
  const body = await answer!.json();
  assert.deepEqual([body.has_file, body.problems, body.webhook], [true, [], true]);
  const [{ since, ...rule }] = body.rules;
  assert.match(since, /^2025-11-24T00:00:0\d\.\d{3}Z$/);
  assert.deepEqual(rule, {
    ...{ name: "warm", device: "*", window_size: "1m", above: 30, clear: 28 },
    ...{ channel: "temperature_c", statistic: "mean" },
    firing_devices: 1,
    firing: [{ device: "desk", since: "2025-11-24T00:01:00.000Z" }],
  });
  const [alert] = body.alerts;
  assert.deepEqual(
    [alert.kind, alert.rule, alert.window_start, alert.value, alert.delivery, alert.tries],
    ["fired", "warm", "2025-11-24T00:00:00.000Z", 31, "delivered", 1],
  );
  await worker.stop();
});
