import assert from "node:assert/strict";
import fc from "fast-check";
import { boardPin } from "./esp32_pins.ts";
import { PinMonitor } from "./pin_monitor.ts";
import { isRefusal } from "./refusal.ts";
import { readVcd } from "./runner/testing/vcd.ts";
import { writeVcd } from "./vcd.ts";
import { defaultDiagram, readWiring, type Wiring } from "./wiring.ts";

const esp = { type: "board-esp32-devkit-c-v4", id: "esp" };
const dht = { type: "wokwi-dht22", id: "dht", attrs: { temperature: "23.5", humidity: "45.8" } };
const wire = (from: string, to: string) => [from, to, "", []];

function wiringOf(parts: readonly unknown[], connections: readonly unknown[] = []): Wiring {
  const wiring = readWiring(JSON.stringify({ version: 1, parts, connections }));
  assert.ok(!isRefusal(wiring), JSON.stringify(wiring));
  return wiring;
}

Deno.test("without a diagram there are a DevKitC and a DHT22 on GPIO 15, at Wokwi's defaults", () => {
  const wiring = readWiring(defaultDiagram);
  assert.ok(!isRefusal(wiring));
  assert.deepEqual(wiring.sensor, { id: "dht", gpio: 15, temperatureTenthsC: 240, humidityTenthsPct: 400 });
  assert.deepEqual(wiring.warnings, []);
});

Deno.test("the sensor's pin is found through wires, other pins and a resistor, in either direction", () => {
  const cases: [string, unknown[], number | null][] = [
    ["a wire", [wire("esp:4", "dht:SDA")], 4],
    ["a wire the other way", [wire("dht:SDA", "esp:4")], 4],
    ["through another part's pin", [wire("dht:SDA", "bb:t1"), wire("bb:t1", "esp:GPIO27")], 27],
    ["through a resistor", [wire("dht:SDA", "r1:1"), wire("r1:2", "esp:RX")], 3],
    ["on a supply", [wire("dht:SDA", "esp:3V3")], null],
    ["on nothing", [], null],
    ["in a circle", [wire("dht:SDA", "a:1"), wire("a:1", "b:1"), wire("b:1", "dht:SDA")], null],
  ];
  for (const [what, wires, gpio] of cases) {
    const { sensor, warnings } = wiringOf([esp, dht, { type: "wokwi-resistor", id: "r1" }], wires);
    assert.equal(sensor?.gpio, gpio, what);
    assert.deepEqual([sensor?.temperatureTenthsC, sensor?.humidityTenthsPct], [235, 458]);
    assert.equal(warnings.some((each) => each.includes("wired to no GPIO")), gpio === null, what);
  }
});

Deno.test("lenient: a wrong pin of the sensor, unknown parts and attributes that are no numbers stop nothing", () => {
  const odd = { ...dht, attrs: { temperature: "warm", humidity: 50 } };
  const lcd = { type: "wokwi-lcd1602", id: "lcd" };
  const { sensor, warnings } = wiringOf([lcd, esp, odd, { ...dht, id: "second" }], [
    wire("esp:3V3", "dht:VDD"),
    wire("esp:15", "dht:SDA"),
    wire("esp:99", "lcd:D4"),
  ]);
  assert.deepEqual(sensor, { id: "dht", gpio: 15, temperatureTenthsC: 240, humidityTenthsPct: 500 });
  assert.deepEqual(warnings, [
    "lcd (wokwi-lcd1602) is not simulated: nothing happens on its pins",
    "only dht measures: this simulator has one DHT22 on a board",
  ]);
});

Deno.test("a diagram that is none, or has no ESP32, is refused", () => {
  const refused = (text: string) => {
    const wiring = readWiring(text);
    return isRefusal(wiring) ? `${wiring.code} ${wiring.message}` : "taken";
  };
  assert.match(refused("{"), /^400 diagram.json is not JSON/);
  assert.match(refused("{}"), /^400 diagram.json lacks parts/);
  assert.match(
    refused('{"parts":[{"type":"wokwi-arduino-uno","id":"uno"}],"connections":[]}'),
    /^501 .*has no ESP32/,
  );
});

Deno.test("no diagram makes the reader throw", () => {
  fc.assert(fc.property(fc.json(), (text) => void readWiring(text)));
});

Deno.test("pins by the names of each board", () => {
  const c4 = "board-esp32-devkit-c-v4";
  const v1 = "wokwi-esp32-devkit-v1";
  const gpio = (type: string, name: string) => {
    const pin = boardPin(type, name);
    return pin === null ? null : pin.kind === "gpio" ? pin.gpio : `${pin.volts} V`;
  };
  const cases: [string, string, number | string | null][] = [
    [c4, "15", 15],
    [c4, "GPIO15", 15],
    [c4, "TX", 1],
    [c4, "RX", 3],
    [c4, "VP", 36],
    [c4, "VN", 39],
    [c4, "CLK", 6],
    [c4, "D0", 7],
    [c4, "D3", 10],
    [c4, "CMD", 11],
    [c4, "D15", null],
    [c4, "24", null],
    [c4, "015", null],
    [c4, "3V3", "3.3 V"],
    [c4, "EN", "3.3 V"],
    [c4, "5V", "5 V"],
    [c4, "GND.2", "0 V"],
    [c4, "toString", null],
    [v1, "D15", 15],
    [v1, "D2", 2],
    [v1, "TX0", 1],
    [v1, "TX2", 17],
    [v1, "VIN", "5 V"],
  ];
  for (const [type, name, expected] of cases) assert.equal(gpio(type, name), expected, `${type} ${name}`);
});

Deno.test("edges that lie ahead come in order of time, one of them at a time", () => {
  const pins = new PinMonitor();
  pins.plan({ gpio: 15, level: 0, atNanos: 30 });
  pins.plan({ gpio: 15, level: 1, atNanos: 50 });
  pins.plan({ gpio: 2, level: 1, atNanos: 40 });
  assert.equal(pins.nextNanos, 30);
  assert.equal(pins.nextWatched((gpio) => gpio === 2), 40);
  assert.equal(pins.take(29), null);
  assert.deepEqual(pins.take(45), { gpio: 15, level: 0, atNanos: 30 });
  assert.deepEqual(pins.take(45), { gpio: 2, level: 1, atNanos: 40 });
  assert.equal(pins.take(45), null);
  pins.cancelComing();
  assert.equal(pins.take(100), null);
  assert.deepEqual(pins.samples, { nanos: [30, 40], gpios: [15, 2], levels: [0, 1] });
});

Deno.test("the record of changes is bounded, and says how many found no room; levels go on", () => {
  const pins = new PinMonitor(2);
  for (const [index, level] of ([1, 0, 1, 0, 0] as const).entries()) {
    pins.set({ gpio: 2, level, atNanos: index });
  }
  assert.equal(pins.samples.nanos.length, 2);
  assert.equal(pins.droppedCount, 2);
  assert.equal(pins.level(2), 0);
});

Deno.test("a VCD says what was recorded, line by line, for any names and times", () => {
  const edges = fc.array(fc.tuple(fc.constantFrom(2, 4, 15), fc.integer({ min: 1, max: 2 ** 40 })), {
    maxLength: 50,
  });
  fc.assert(fc.property(edges, (drawn) => {
    const pins = new PinMonitor();
    const changes = new Map<number, (readonly [number, 0 | 1])[]>([[2, []], [4, []], [15, []]]);
    let nanos = 0;
    for (const [gpio, span] of drawn) {
      const level = pins.level(gpio) === 1 ? 0 : 1;
      nanos += span;
      pins.set({ gpio, level, atNanos: nanos });
      changes.get(gpio)?.push([nanos, level]);
    }
    const channels = [2, 4, 15].map((gpio) => ({ gpio, name: `a b:${gpio}`, initial: 0 as const }));
    const { text, channelCount, sampleCount } = writeVcd("esp", channels, pins.samples, {
      endNanos: nanos,
      comment: "x",
    });
    const lines = readVcd(text);
    assert.deepEqual([channelCount, sampleCount], [3, drawn.length]);
    for (const [gpio, expected] of changes) {
      const [initial, ...read] = lines.get(`a_b_${gpio}`) ?? [];
      assert.deepEqual(initial, { nanos: 0, level: 0 });
      assert.deepEqual(read.map((change) => [change.nanos, change.level]), expected);
    }
  }));
});
