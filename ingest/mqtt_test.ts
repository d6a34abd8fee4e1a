import assert from "node:assert/strict";
import { silentTrace } from "../core/ports/trace.ts";
import { type Refusal, refused } from "./answers.ts";
import type { Taken } from "./intake.ts";
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

Deno.test("messages of many devices are under way together, those of one device one after the other", async () => {
  await inWorld(async (world) => {
    const take = bridgeOf(world);
    const startMs = world.clock.monotonicMs();
    await take("isotherm/alone", '{"temperature_c":0}');
    const oneMs = world.clock.monotonicMs() - startMs;
    const verdicts = await Promise.all(
      Array.from({ length: 400 }, (_, i) => take(`isotherm/d${i % 100}`, `{"temperature_c":${i}}`)),
    );
    const tookMs = world.clock.monotonicMs() - startMs - oneMs;
    assert.deepEqual(new Set(verdicts), new Set(["taken"]));
    assert.ok(tookMs < 400 * oneMs / 20, `${tookMs} ms for 400, of which one takes ${oneMs}`);
    const values = world.values().map((text) =>
      JSON.parse(text) as { device: string; temperature_c: number }
    );
    for (let device = 0; device < 100; device++) {
      assert.deepEqual(
        values.filter((value) => value.device === `d${device}`).map((value) => value.temperature_c),
        [device, device + 100, device + 200, device + 300],
      );
    }
  });
});

Deno.test("behind a message that the log didn't take, none of its device is taken before it", async () => {
  await inWorld(async (world) => {
    const answers: ((outcome: Taken | Refusal) => void)[] = [];
    const appended: string[][] = [];
    const bridge = createMqttBridge({
      intake: {
        append: (_, parcels) => {
          appended.push(parcels.map(({ value }) => new TextDecoder().decode(value)));
          return new Promise((resolve) => answers.push(resolve));
        },
      },
      clock: world.clock,
      trace: silentTrace,
      metrics: world.metrics,
    }, parseTopics(defaultTopics)!);
    const take = (device: string, celsius: number) =>
      bridge({
        topic: `isotherm/${device}`,
        payload: bytes(`{"temperature_c":${celsius}}`),
        retained: false,
      });
    const taken: Taken = { kind: "taken", readings: 1, flagged: [], credit: 1 };
    const desk = [take("desk", 1), take("desk", 2), take("desk", 3)];
    const attic = take("attic", 1);
    assert.deepEqual(appended, [['{"device":"desk","temperature_c":1}'], [
      '{"device":"attic","temperature_c":1}',
    ]]);
    answers[1]!(taken);
    assert.equal(await attic, "taken", "another device waits for none of them");
    answers[0]!(refused("log-down", "away"));
    assert.deepEqual(await Promise.all(desk), ["later", "later", "later"]);
    assert.equal(appended.length, 2, "the two behind it weren't tried");
    const again = [take("desk", 1), take("desk", 2), take("desk", 3)];
    answers[2]!(taken);
    assert.equal(await again[0], "taken");
    assert.deepEqual(appended.at(-1), [
      '{"device":"desk","temperature_c":2}',
      '{"device":"desk","temperature_c":3}',
    ]);
    answers[3]!(taken);
    assert.deepEqual(await Promise.all(again), ["taken", "taken", "taken"]);
  });
});
