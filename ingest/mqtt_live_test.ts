/** The MQTT bridge against Debian's mosquitto, with both versions of the protocol. */
import assert from "node:assert/strict";
import type { LogWriter } from "../core/ports/log.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { machineClock } from "../platform/clock.ts";
import { metricsRegistry } from "../platform/metrics.ts";
import { openMqttSource } from "../platform/mqtt_source.ts";
import { machineRandom } from "../platform/random.ts";
import { SimLog } from "../sim/log.ts";
import { seededRandom } from "../sim/random.ts";
import { createIngest } from "./mod.ts";
import { createMqttBridge } from "./mqtt_bridge.ts";
import { defaultTopics, parseTopics } from "./mqtt_topics.ts";
import { type Mosquitto, startMosquitto } from "./testing/mosquitto.ts";

/** The simulated log, in the machine's time, with what it holds as text. */
function memoryLog() {
  const log = new SimLog({ partitions: 1, clock: machineClock, random: seededRandom(1) });
  const decoder = new TextDecoder();
  return {
    writer: log.open().writer,
    setDown: (isDown: boolean) => log.setDown(isDown),
    values: () => log.records(0).map(({ value }) => decoder.decode(value!)),
  };
}

function startBridge(broker: Mosquitto, log: LogWriter, version: "5" | "3.1.1" | "auto") {
  const metrics = metricsRegistry();
  const ports = { clock: machineClock, trace: silentTrace, metrics };
  const { intake } = createIngest({ log, random: machineRandom, ...ports });
  const patterns = parseTopics(defaultTopics)!;
  const source = openMqttSource({
    url: broker.url,
    clientId: "bridge",
    version,
    filters: patterns.map(({ filter }) => filter),
    ...ports,
    take: createMqttBridge({ intake, ...ports }, patterns),
    ready: () => intake.ready() === null,
  });
  return { source, metrics };
}

async function publish(broker: Mosquitto, topic: string, payload: string, ...more: string[]) {
  const args = ["-p", String(broker.port), "-q", "1", "-t", topic, "-m", payload, ...more];
  const { success } = await new Deno.Command("mosquitto_pub", { args }).output();
  assert.ok(success);
}

async function until(what: string, holds: () => boolean) {
  for (let tries = 0; tries < 400; tries++) {
    if (holds()) return;
    await machineClock.sleep(25);
  }
  assert.fail(`not within 10 s: ${what}`);
}

for (const version of ["5", "3.1.1", "auto"] as const) {
  Deno.test(`with MQTT ${version}, readings reach the log; what comes while it is down waits with the broker, in order`, async () => {
    await using broker = await startMosquitto();
    const log = memoryLog();
    const { source, metrics } = startBridge(broker, log.writer, version);
    await until("connected", () => source.connected());
    await machineClock.sleep(100); // the subscription
    await publish(broker, "attic/sensor/attic_temperature/state", "21.4");
    await publish(
      broker,
      "tele/desk/SENSOR",
      '{"Time":"x","AM2301":{"Temperature":20.5,"Humidity":40},"TempUnit":"C"}',
    );
    await until("two readings", () => log.values().length === 2);
    log.setDown(true);
    for (let i = 0; i < 5; i++) await publish(broker, "isotherm/spool", `{"temperature_c":${i}}`);
    await machineClock.sleep(300);
    assert.equal(log.values().length, 2);
    log.setDown(false);
    await until("seven readings", () => log.values().length >= 7);
    await machineClock.sleep(300);
    assert.deepEqual(log.values(), [
      '{"device":"attic","temperature_c":21.4}',
      '{"device":"desk","temperature_c":20.5,"humidity_pct":40}',
      ...[0, 1, 2, 3, 4].map((i) => `{"device":"spool","temperature_c":${i}}`),
    ]);
    await source.close();
    assert.match(metrics.text(), /isotherm_mqtt_messages_total 7\n/);
  });
}

Deno.test("what is published while the bridge is stopped, and across a broker's restart, is delivered after", async () => {
  await using broker = await startMosquitto();
  const log = memoryLog();
  const first = startBridge(broker, log.writer, "5").source;
  await until("connected", () => first.connected());
  await machineClock.sleep(100);
  await first.close();
  await publish(broker, "isotherm/a", '{"temperature_c":1}');
  await broker.stop();
  await broker.start();
  const second = startBridge(broker, log.writer, "5").source;
  await until("the reading", () => log.values().length === 1);
  await broker.stop();
  await until("away", () => !second.connected());
  await broker.start();
  await until("back", () => second.connected());
  await publish(broker, "isotherm/a", '{"temperature_c":2}');
  await until("the next", () => log.values().length === 2);
  await second.close();
});

Deno.test("a retained value without time is not taken for a new reading", async () => {
  await using broker = await startMosquitto();
  await publish(broker, "attic/sensor/attic_temperature/state", "21.4", "-r");
  const log = memoryLog();
  const { source, metrics } = startBridge(broker, log.writer, "5");
  await until("dropped", () => metrics.text().includes('dropped_total{reason="retained"} 1'));
  assert.deepEqual(log.values(), []);
  await source.close();
});
