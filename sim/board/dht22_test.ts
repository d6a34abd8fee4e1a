import assert from "node:assert/strict";
import { decodePulses, dht22TimingUs, encodeFrame, sensorPulses } from "./dht22.ts";
import type { PinChange } from "./pin_trace.ts";
import { setUpDesk, START_MS } from "./testing/desk.ts";

const air = { temperatureTenthsC: 351, humidityTenthsPct: 652 };

Deno.test("the frame of the manual's example: 65.2 %, 35.1 °C", () => {
  assert.deepEqual([...encodeFrame(air)], [0b0000_0010, 0b1000_1100, 0b0000_0001, 0b0101_1111, 0b1110_1110]);
});

Deno.test("below zero the sign is a bit of its own: -10.1 °C", () => {
  assert.deepEqual([...encodeFrame({ temperatureTenthsC: -101, humidityTenthsPct: 652 })].slice(2, 4), [
    0x80,
    101,
  ]);
});

Deno.test("what the sensor sends is what the chip reads, for every fault-free frame", () => {
  for (let temperatureTenthsC = -400; temperatureTenthsC <= 800; temperatureTenthsC += 7) {
    const frame = { temperatureTenthsC, humidityTenthsPct: (temperatureTenthsC + 400) % 1001 };
    assert.deepEqual(decodePulses(sensorPulses(frame, null)), encodeFrame(frame));
  }
});

Deno.test("the pulses have the manual's typical lengths", () => {
  const pulses = sensorPulses(air, null);
  assert.deepEqual(pulses.slice(0, 3), [{ level: 1, us: 30 }, { level: 0, us: 80 }, { level: 1, us: 80 }]);
  assert.equal(pulses.length, 3 + 80 + 1);
  const us = pulses.reduce((sum, pulse) => sum + pulse.us, 0);
  assert.ok(us > 3_900 && us < 5_200, `${us} µs`);
});

Deno.test("faults on the wire: silence and short frames time out, a late edge turns a 0 into a 1 or times out", () => {
  assert.equal(decodePulses(sensorPulses(air, { kind: "silent" })), null);
  assert.equal(decodePulses(sensorPulses(air, { kind: "short", bitCount: 39 })), null);
  assert.equal(decodePulses(sensorPulses(air, { kind: "lateEdge", bit: 3, us: 101 })), null);
  const late = decodePulses(sensorPulses(air, { kind: "lateEdge", bit: 0, us: 49 }));
  assert.equal(late?.[0], 0b1000_0010);
  assert.deepEqual(decodePulses(sensorPulses(air, { kind: "lateEdge", bit: 0, us: 48 })), encodeFrame(air));
  const flipped = decodePulses(sensorPulses(air, { kind: "flippedBits", bits: [39] }));
  assert.equal(flipped?.[4], 0b1110_1111);
});

Deno.test("the pin trace shows a whole exchange: start pulse, response, 40 bits", async () => {
  const changes: PinChange[] = [];
  await using desk = await setUpDesk({
    surroundings: { climate: () => air },
    onPin: (change) => changes.push(change),
  });
  await desk.board.powerOn();
  await desk.run(2_500);
  const wire = changes.filter(({ pin }) => pin === 15);
  assert.equal(wire.length, 2 + 2 + 80 + 2, "start, response, bits, release");
  const startUs = START_MS * 1000 + 1_500_000 + 250_000;
  assert.deepEqual(wire[0], { pin: 15, level: 0, atUs: startUs });
  assert.deepEqual(wire[1], { pin: 15, level: 1, atUs: startUs + dht22TimingUs.start });
  assert.deepEqual(wire.at(-1)?.level, 1);
  const highs = wire.slice(4, 84).filter(({ level }) => level === 1);
  const bits = highs.map(({ atUs }) => {
    const fall = wire.find((change) => change.atUs > atUs && change.level === 0);
    return (fall?.atUs ?? 0) - atUs > 48 ? 1 : 0;
  });
  assert.equal(bits.join("").length, 40);
});
