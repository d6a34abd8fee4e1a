import assert from "node:assert/strict";
import { HOUR_MS, MINUTE_MS, python, SECOND_MS, setUpDesk, START_MS } from "./testing/desk.ts";
import { problem } from "./testing/receiver.ts";
import { weatherOf } from "./weather.ts";

Deno.test("the first reading arrives within 3 s of power-up", async () => {
  await using desk = await setUpDesk();
  await desk.board.powerOn();
  await desk.run(3 * SECOND_MS);
  assert.equal(desk.receiver.slotCount("board-1"), 1);
});

Deno.test("a batch is exactly that of contract 1", async () => {
  await using desk = await setUpDesk({
    device: 'a "quoted" name',
    settings: { every_ms: 2000, key: "secret" },
  });
  desk.receiver.key = "secret";
  await desk.board.powerOn();
  await desk.run(5 * SECOND_MS);
  const boot = desk.receiver.requests[0]?.boot;
  const weather = weatherOf(1, 'a "quoted" name').at(START_MS);
  assert.equal(
    desk.receiver.requests[1]?.body,
    `{"device":"a \\"quoted\\" name","boot":${boot},"every_ms":2000,"synced":true,"pending_since":null,"lost":[],` +
      `"readings":[{"seq":1,"ts":1764000004000,"temperature_c":${tenths(weather.temperatureTenthsC)},` +
      `"humidity_pct":${tenths(weather.humidityTenthsPct)}}]}`,
  );
});

const tenths = (value: number) => (value / 10).toFixed(1);

Deno.test("slots lie on the grid of the clock, one an interval, with the values of the air", async () => {
  await using desk = await setUpDesk({ settings: { every_ms: 2000 } });
  await desk.board.powerOn();
  await desk.run(10 * MINUTE_MS + SECOND_MS);
  const [ledger] = desk.receiver.devices.get("board-1")?.values() ?? [];
  assert.ok(ledger !== undefined);
  assert.equal(ledger.slots.size, 300);
  const weather = weatherOf(1, "board-1");
  for (const [seq, reading] of ledger.slots) {
    if (seq > 0) assert.equal(reading.tsMs, START_MS + 2000 * seq + 2000);
    const air = weather.at(reading.tsMs as number);
    assert.equal(reading.temperatureMilliC, air.temperatureTenthsC * 100);
    assert.equal(reading.humidityMilliPct, air.humidityTenthsPct * 100);
  }
});

Deno.test("the same seed gives the same bytes at the same times, another seed others", async () => {
  const digestOf = async (seed: number) => {
    await using desk = await setUpDesk({
      seed,
      settings: { every_ms: 2000 },
      handler: (receiver) => (request) =>
        desk.scheduler.nowMs % 7 === 0
          ? problem(503, "busy", { "retry-after": "2" })
          : receiver.handle(request),
    });
    await desk.board.powerOn();
    await desk.run(20 * MINUTE_MS);
    assert.ok(desk.receiver.requests.length > 100);
    return desk.digest();
  };
  const [first, second, other] = [await digestOf(1), await digestOf(1), await digestOf(2)];
  assert.equal(first, second);
  assert.notEqual(first, other);
});

Deno.test("how often garbage is collected changes no byte", async () => {
  const digestOf = async (safePointsPerCollection: number) => {
    await using desk = await setUpDesk({ settings: { every_ms: 2000 }, python: { safePointsPerCollection } });
    await desk.board.powerOn();
    await desk.run(5 * MINUTE_MS);
    return desk.digest();
  };
  assert.equal(await digestOf(1), await digestOf(1_000_000));
});

Deno.test("a day of one board at the default interval: 8,641 slots, memory flat", async () => {
  await using desk = await setUpDesk();
  await desk.board.powerOn();
  await desk.run(24 * HOUR_MS + SECOND_MS);
  assert.equal(desk.receiver.slotCount("board-1"), 8641);
  desk.receiver.checkComplete("board-1");
  desk.receiver.checkOrder();
  assert.ok(python(desk.board).memoryBytes <= 17 * 1024 * 1024);
});

Deno.test("after an outage the backlog drains whole, and the newest slot goes first", async () => {
  let serverUp = false;
  await using desk = await setUpDesk({
    settings: { every_ms: 2000 },
    handler: (receiver) => (request) =>
      serverUp ? receiver.handle(request) : problem(503, "the log is down", { "retry-after": "5" }),
  });
  await desk.board.powerOn();
  await desk.run(HOUR_MS);
  assert.equal(desk.receiver.requests.length, 0);
  serverUp = true;
  await desk.run(2 * MINUTE_MS);
  desk.receiver.checkComplete("board-1");
  desk.receiver.checkOrder();
  assert.equal(
    desk.receiver.requests[0]?.pendingSinceMs,
    START_MS + 1498,
    "it says since when slots are pending",
  );
  const arrivalMs = new Map<number, number>();
  for (const { seqs, atMs } of desk.receiver.requests) seqs.forEach((seq) => arrivalMs.set(seq, atMs));
  for (const [seq, atMs] of arrivalMs) {
    const takenMs = START_MS + 2000 * (seq + 1);
    if (seq > 1800 + 30) {
      assert.ok(atMs - takenMs < 4000, `slot ${seq} arrived ${atMs - takenMs} ms after it was taken`);
    }
  }
});

Deno.test("a power cut loses nothing that was stored, and the next boot says how many slots there were", async () => {
  let serverUp = true;
  await using desk = await setUpDesk({
    settings: { every_ms: 2000 },
    handler: (receiver) => (request) => serverUp ? receiver.handle(request) : problem(503, "down"),
  });
  await desk.board.powerOn();
  await desk.run(MINUTE_MS + SECOND_MS);
  serverUp = false;
  await desk.run(MINUTE_MS);
  desk.board.powerCut();
  serverUp = true;
  await desk.board.powerOn();
  await desk.run(MINUTE_MS + SECOND_MS);
  const [first, second] = desk.receiver.devices.get("board-1")?.values() ?? [];
  assert.equal(first?.slotCount, 60);
  assert.equal(first?.slots.size, 60);
  assert.equal(second?.slots.size, 29);
  desk.receiver.checkComplete("board-1");
  assert.ok((first?.duplicateCount ?? 99) <= 3, "what was acknowledged before is hardly sent again");
});

/** What asyncio and the harness's stand-ins for the ESP32's built-in modules take of the heap by themselves. */
const EMPTY_MAIN =
  "import asyncio\nasync def main():\n    while True: await asyncio.sleep_ms(1000)\nasyncio.run(main())\n";

Deno.test("the heap stays below 64 KiB and flat through a week, with outages", async () => {
  await using empty = await setUpDesk({ main: EMPTY_MAIN });
  await empty.board.powerOn();
  await empty.run(MINUTE_MS);
  const harnessBytes = python(empty.board).heapUsedBytes();
  await using desk = await setUpDesk({
    settings: { every_ms: 300_000 },
    handler: (receiver) => (request, { nowMs }) =>
      (nowMs - START_MS) % (12 * HOUR_MS) < HOUR_MS ? problem(503, "down") : receiver.handle(request),
  });
  await desk.board.powerOn();
  const used: number[] = [];
  for (let day = 0; day < 7; day++) {
    await desk.run(24 * HOUR_MS);
    used.push(python(desk.board).heapUsedBytes() - harnessBytes);
  }
  console.log(`bytes in use after collection, day by day: ${used}`);
  assert.ok(Math.max(...used) < 64 * 1024, `bytes in use, day by day: ${used}`);
  assert.ok(Math.max(...used) - Math.min(...used) < 4 * 1024, `bytes in use, day by day: ${used}`);
  desk.receiver.checkComplete("board-1");
  assert.equal(desk.receiver.slotCount("board-1"), 7 * 288);
});
