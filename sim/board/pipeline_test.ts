/** From the sensor to rows: the firmware, the production ingest and the production fold. */
import assert from "node:assert/strict";
import type { BootRow, DeviceRow } from "../../core/rows.ts";
import type { MemoryRows } from "../memory_rows.ts";
import { HOUR_MS, MINUTE_MS, SECOND_MS, START_MS } from "./testing/desk.ts";
import { withPipeline } from "./testing/pipeline.ts";
import { weatherOf } from "./weather.ts";

function deviceOf(rows: MemoryRows, device: string): DeviceRow {
  const row = rows.devices.get(device);
  assert.ok(row !== undefined, `${device} is known`);
  return row;
}
const bootsOf = (rows: MemoryRows, device: string): BootRow[] =>
  [...rows.boots.values()].filter((row) => row.device === device);

Deno.test("24 h without a server at 2 s: every slot is in DuckDB, on time but for the minute that silence had closed", async () => {
  const everyMs = 2_000;
  const outage = [START_MS + 10 * MINUTE_MS, START_MS + 10 * MINUTE_MS + 24 * HOUR_MS] as const;
  const isOut = (nowMs: number) => nowMs >= outage[0] && nowMs < outage[1];
  const accepts = () => isOut(pipelineNow()) ? "refused" : "yes";
  let pipelineNow = () => START_MS;
  await withPipeline({ accepts }, async (pipeline) => {
    pipelineNow = () => pipeline.scheduler.nowMs;
    pipeline.scheduler.at(outage[0], () => pipeline.network.forgetConnections());
    const board = await pipeline.board({ device: "board-1", settings: { every_ms: everyMs } });
    await board.powerOn();
    await pipeline.run(24 * HOUR_MS + 20 * MINUTE_MS + 2 * SECOND_MS);
    await pipeline.inDuckdb(async (ask) => {
      const slots = (24 * HOUR_MS + 20 * MINUTE_MS) / everyMs;
      assert.deepEqual(
        await ask("SELECT count(*), count(DISTINCT seq), min(seq), max(seq) FROM readings"),
        [[slots, slots, 0, slots - 1]],
      );
      const [[outageSlots] = []] = await ask(
        `SELECT count(*) FROM readings WHERE ts >= ${at(outage[0])} AND ts < ${at(outage[1])}`,
      );
      assert.equal(outageSlots, 43_200);
      const [[counted, countedLate, ...others] = []] = await ask(
        "SELECT counted, counted_late, quarantined, sensor_fault, lost, missing FROM ledger_slots",
      );
      assert.equal(Number(counted) + Number(countedLate), slots);
      assert.deepEqual(others, [0, 0, 0, 0]);
      const late = await ask(`SELECT epoch_ms(ts) FROM readings WHERE late`);
      assert.equal(late.length, Number(countedLate));
      assert.ok(late.length <= 60_000 / everyMs, `${late.length} late`);
      for (const [tsMs] of late) {
        const inMs = Number(tsMs) - outage[0];
        assert.ok(inMs > -60_000 && inMs < 60_000, `a reading of ${inMs} ms after the outage began is late`);
      }
      const minutes = await ask(
        "SELECT count(*), min(readings), max(readings), sum(readings) FROM windows WHERE window_size = '1m' " +
          `AND window_start >= ${at(outage[0])} AND window_start < ${at(outage[1])}`,
      );
      assert.deepEqual(minutes, [[24 * 60, 30, 30, 43_200]], "each minute of the outage is whole");
    });
    const rows = pipeline.fold();
    checkCadence(rows, everyMs);
    checkValues(rows, "board-1");
    checkDrain(rows, outage[1], everyMs);
  });
});

const at = (unixMs: number) => `make_timestamp(${unixMs * 1_000})`;

/** Slots lie on the grid of the clock, never off by more than 50 ms. */
function checkCadence(rows: MemoryRows, everyMs: number): void {
  for (const { seq, tsMs } of rows.readings) {
    if (seq === 0) continue;
    const off = Math.min(tsMs % everyMs, everyMs - tsMs % everyMs);
    assert.ok(off <= 50, `slot ${seq} is ${off} ms off the grid`);
  }
}

function checkValues(rows: MemoryRows, device: string): void {
  const weather = weatherOf(1, device);
  for (const row of rows.readings) {
    const air = weather.at(row.tsMs);
    assert.equal(row.temperatureMilliC, air.temperatureTenthsC * 100);
    assert.equal(row.humidityMilliPct, air.humidityTenthsPct * 100);
  }
}

/** From the first answer after the outage on, no new slot waits for more than two intervals, however long the backlog. */
function checkDrain(rows: MemoryRows, backMs: number, everyMs: number): void {
  const firstMs = Math.min(...rows.readings.map(({ appendMs }) => appendMs).filter((atMs) => atMs >= backMs));
  assert.ok(firstMs - backMs <= 61_000, `tried again after ${firstMs - backMs} ms`);
  let drainedMs = 0;
  for (const { tsMs, appendMs, seq } of rows.readings) {
    if (tsMs < backMs) drainedMs = Math.max(drainedMs, appendMs - firstMs);
    else if (tsMs >= firstMs) {
      assert.ok(appendMs - tsMs <= 2 * everyMs, `slot ${seq} came after ${appendMs - tsMs} ms`);
    }
  }
  console.log(`the backlog took ${drainedMs / 1_000} s to drain`);
}

Deno.test("power cuts with and without a server: both balances hold", async () => {
  let open = true;
  const surroundings = { accessPoint: () => open ? "open" as const : "absent" as const };
  await withPipeline({}, async (pipeline) => {
    const board = await pipeline.board({ device: "board-1", settings: { every_ms: 2000 }, surroundings });
    await board.powerOn();
    for (let round = 0; round < 6; round++) {
      open = round % 2 === 0;
      await pipeline.run(3 * MINUTE_MS + 7 * SECOND_MS);
      board.powerCut();
      await pipeline.run(20 * SECOND_MS);
      await board.powerOn();
    }
    open = true;
    await pipeline.run(3 * MINUTE_MS);
    const rows = pipeline.fold();
    const boots = bootsOf(rows, "board-1");
    assert.equal(boots.length, 7);
    const device = deviceOf(rows, "board-1");
    assert.equal(device.quarantined, 0);
    assert.equal(device.sharedName, false);
    const arrived = device.counted + device.countedLate + device.duplicates;
    assert.equal(arrived, pipeline.log.records(0).reduce((sum, record) => sum + readingsIn(record.value), 0));
    assert.ok(device.duplicates <= 6, "at each restart the slot that was sent last, at most");
    assert.equal(device.counted + device.countedLate, rows.readings.length);
    const expected = 6 * 93 + 89;
    assert.ok(Math.abs(rows.readings.length - expected) <= 6, `${rows.readings.length} slots`);
  });
});

const readingsIn = (value: Uint8Array | null): number =>
  value === null ? 0 : JSON.parse(new TextDecoder().decode(value)).readings.length;

Deno.test("two boards with one name are flagged, and no reading of either is lost", async () => {
  await withPipeline({}, async (pipeline) => {
    const first = await pipeline.board({ device: "twin" });
    const second = await pipeline.board({ device: "twin", seed: 2 });
    await first.powerOn();
    await second.powerOn();
    await pipeline.run(5 * MINUTE_MS + SECOND_MS);
    const rows = pipeline.fold();
    assert.equal(deviceOf(rows, "twin").sharedName, true);
    assert.equal(bootsOf(rows, "twin").length, 2);
    assert.equal(deviceOf(rows, "twin").counted + deviceOf(rows, "twin").countedLate, 62);
  });
});

Deno.test("an old flash image is restored: duplicates, no conflict, nothing lost", async () => {
  await withPipeline({}, async (pipeline) => {
    const board = await pipeline.board({ device: "board-1" });
    await board.powerOn();
    await pipeline.run(5 * MINUTE_MS);
    const image = board.flash.image();
    await pipeline.run(5 * MINUTE_MS);
    board.powerCut();
    board.flash.restore(image);
    await board.powerOn();
    await pipeline.run(5 * MINUTE_MS);
    const device = deviceOf(pipeline.fold(), "board-1");
    assert.equal(device.quarantined, 0);
    assert.ok(device.duplicates > 0);
    assert.equal(device.counted + device.countedLate, 90);
  });
});

Deno.test("NTP is blocked: ingest alone tells the time, to half a second at once and then to a quarter", async () => {
  const datagramArrives = (_: string, port: number) => port !== 123;
  await withPipeline({ datagramArrives }, async (pipeline) => {
    const board = await pipeline.board({ device: "board-1" });
    await board.powerOn();
    await pipeline.run(20 * MINUTE_MS + SECOND_MS);
    const rows = pipeline.fold();
    assert.equal(deviceOf(rows, "board-1").counted, 121);
    for (
      const { seq, tsMs, appendMs } of rows.readings.filter(({ appendMs }) => appendMs > START_MS + MINUTE_MS)
    ) {
      const tookMs = appendMs - tsMs;
      const settled = (seq ?? 0) >= 20; // 500 ms at 40 ms a slot; the way of a reading into the log takes some 120 ms of it
      assert.ok(
        settled ? tookMs >= 0 && tookMs < 400 : Math.abs(tookMs) < 700,
        `slot ${seq} took ${tookMs} ms`,
      );
    }
  });
});

Deno.test("NTP is blocked and there is no Wi-Fi for an hour: the slots of that hour get their times from ingest", async () => {
  const openFromMs = START_MS + HOUR_MS;
  const datagramArrives = (_: string, port: number) => port !== 123;
  await withPipeline({ datagramArrives }, async (pipeline) => {
    const surroundings = {
      accessPoint: (nowMs: number) => nowMs < openFromMs ? "absent" as const : "open" as const,
    };
    const board = await pipeline.board({ device: "board-1", surroundings });
    await board.powerOn();
    await pipeline.run(HOUR_MS + 5 * MINUTE_MS);
    const rows = pipeline.fold();
    const device = deviceOf(rows, "board-1");
    assert.equal(device.counted + device.countedLate, 390);
    assert.equal(device.quarantined, 0);
    for (const { seq, tsMs } of rows.readings.filter(({ seq }) => seq !== null && seq > 0 && seq < 355)) {
      const offMs = tsMs - START_MS - (seq ?? 0) * 10_000;
      assert.ok(Math.abs(offMs) <= 550, `slot ${seq} is ${offMs} ms off`);
    }
  });
});
