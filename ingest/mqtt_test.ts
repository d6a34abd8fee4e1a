import assert from "node:assert/strict";
import { silentTrace } from "../core/ports/trace.ts";
import { createMqttBridge, type MqttMessage } from "./mqtt_bridge.ts";
import { readPayload } from "./mqtt_payload.ts";
import { defaultTopics, matchTopic, parseTopics } from "./mqtt_topics.ts";
import { inWorld, START_MS, type World } from "./testing/world.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("patterns name device and sensor, and ask the broker for all topics of their shape", () => {
  const [pattern] = parseTopics("home/{device}/+/{sensor}")!;
  assert.equal(pattern!.filter, "home/+/+/+");
  assert.deepEqual(matchTopic(pattern!, "home/desk/x/temp"), { device: "desk", sensor: "temp" });
  assert.equal(matchTopic(pattern!, "home/desk/temp"), null);
  assert.equal(matchTopic(pattern!, "work/desk/x/temp"), null);
  const [two] = parseTopics("{device}/{device}")!;
  assert.deepEqual(matchTopic(two!, "floor1/desk"), { device: "floor1/desk", sensor: "" });
  assert.deepEqual(parseTopics(defaultTopics)!.map(({ filter }) => filter), [
    "isotherm/+",
    "tele/+/SENSOR",
    "+/sensor/+/state",
    "zigbee2mqtt/+",
  ]);
  for (const wrong of ["", "a/b", "{device}/#", "{device}x", "a+/{device}", "{device}/{other}"]) {
    assert.equal(parseTopics(wrong), null, wrong);
  }
});

Deno.test("payloads of known publishers become batches", () => {
  const T = START_MS;
  const table:
    readonly (readonly [who: string, sensor: string, payload: string, batches: unknown[], dated: boolean])[] =
      [
        ["ESPHome", "attic_temperature", "21.4", [{ device: "d", temperature_c: 21.4 }], false],
        ["ESPHome", "attic_humidity", "48.2", [{ device: "d", humidity_pct: 48.2 }], false],
        ["ESPHome, failed", "attic_temperature", "nan", [{ device: "d", error: "nan" }], false],
        [
          "Tasmota",
          "",
          '{"Time":"2026-01-01T00:00:00","AM2301":{"Temperature":21.4,"Humidity":48.2,"DewPoint":10},"TempUnit":"C"}',
          [{ device: "d", temperature_c: 21.4, humidity_pct: 48.2 }],
          false,
        ],
        [
          "Tasmota, two sensors",
          "",
          '{"Time":"x","DHT11":{"Temperature":null,"Humidity":null},"DS18B20":{"Id":"0","Temperature":-3.5},"TempUnit":"C"}',
          [{ device: "d/DHT11", error: "no_value" }, { device: "d/DS18B20", temperature_c: -3.5 }],
          false,
        ],
        ["Zigbee2MQTT", "", '{"battery":90,"humidity":48.2,"temperature":21.4,"linkquality":70}', [
          { device: "d", temperature_c: 21.4, humidity_pct: 48.2 },
        ], false],
        ["our own, undated", "", '{"temperature_c":21.4}', [{ device: "d", temperature_c: 21.4 }], false],
        ["our own, dated", "", `{"ts":${T},"temperature_c":21.4}`, [{
          device: "d",
          ts: T,
          temperature_c: 21.4,
        }], true],
        ["our own batch", "", `{"device":"d","boot":1,"readings":[{"seq":0,"error":"x"}]}`, [
          { device: "d", boot: 1, readings: [{ seq: 0, error: "x" }] },
        ], true],
      ];
  for (const [who, sensor, payload, batches, dated] of table) {
    const read = readPayload({ device: "d", sensor }, bytes(payload));
    assert.ok(read.kind === "batches", `${who}: ${JSON.stringify(read)}`);
    assert.deepEqual(read.texts.map((text) => JSON.parse(text)), batches, who);
    assert.equal(read.dated, dated, who);
  }
});

Deno.test("what is about something else is let go, what should have been a reading is told", () => {
  const kindOf = (sensor: string, payload: Uint8Array | string) =>
    readPayload({ device: "d", sensor }, typeof payload === "string" ? bytes(payload) : payload).kind;
  assert.equal(kindOf("uptime", "77"), "other");
  assert.equal(kindOf("", '{"state":"ON"}'), "other");
  assert.equal(kindOf("", '{"Time":"x","ENERGY":{"Power":3}}'), "other");
  assert.equal(kindOf("temperature", "warm"), "bad");
  assert.equal(kindOf("temperature", "21,5"), "bad");
  assert.equal(kindOf("", '{"temperature":'), "bad");
  assert.equal(kindOf("", '{"Time":"x","AM2301":{"Temperature":70},"TempUnit":"F"}'), "bad");
  assert.equal(kindOf("", '{"device":"other","temperature_c":1}'), "bad");
  assert.equal(kindOf("", '{"readings":[]}'), "bad");
  assert.equal(kindOf("temperature", Uint8Array.of(0xff)), "bad");
});

const bridgeOf = ({ ingest, clock, metrics }: World) => {
  const bridge = createMqttBridge(
    { intake: ingest.intake, clock, trace: silentTrace, metrics },
    parseTopics(defaultTopics)!,
  );
  return (topic: string, payload: string, more: Partial<MqttMessage> = {}) =>
    bridge({ topic, payload: bytes(payload), retained: false, ...more });
};

Deno.test("a message is acknowledged when the log has it, and left with the broker while the log is down", async () => {
  await inWorld(async (world) => {
    const take = bridgeOf(world);
    assert.equal(await take("attic/sensor/attic_temperature/state", "21.4"), "taken");
    assert.deepEqual(world.values(), ['{"device":"attic","temperature_c":21.4}']);
    world.log.setDown(true);
    assert.equal(await take("attic/sensor/attic_humidity/state", "48"), "later");
    world.log.setDown(false);
    while (world.ingest.ready() !== null) await world.clock.sleep(10);
    assert.equal(await take("attic/sensor/attic_humidity/state", "48"), "taken");
    assert.equal(world.records().length, 2);
  });
});

Deno.test("messages that can't become readings are acknowledged and counted", async () => {
  await inWorld(async (world) => {
    const take = bridgeOf(world);
    assert.equal(await take("tele/desk/SENSOR", "nonsense"), "taken");
    assert.equal(await take("isotherm/desk", '{"device":"spoof","temperature_c":1}'), "taken");
    assert.equal(await take("isotherm/a\u0007", '{"temperature_c":1}'), "taken");
    assert.equal(await take("other/topic", "1"), "taken");
    assert.equal(await take("x/sensor/temperature/state", "21", { retained: true }), "taken");
    assert.equal(world.records().length, 0);
    const text = world.metrics.text();
    assert.match(text, /isotherm_mqtt_dropped_total\{reason="bad"\} 2\n/);
    assert.match(text, /isotherm_mqtt_dropped_total\{reason="no_topic"\} 1\n/);
    assert.match(text, /isotherm_mqtt_dropped_total\{reason="retained"\} 1\n/);
    assert.equal(
      await take("isotherm/desk", `{"ts":${START_MS},"temperature_c":1}`, { retained: true }),
      "taken",
    );
    assert.equal(world.records().length, 1);
  });
});
