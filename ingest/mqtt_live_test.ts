/** The MQTT bridge against Debian's mosquitto, with both versions of the protocol. */
import assert from "node:assert/strict";
import type { LogWriter } from "../core/ports/log.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { machineClock } from "../platform/clock.ts";
import { metricsRegistry } from "../platform/metrics.ts";
import { openMqttSource } from "../platform/mqtt_source.ts";
import { machineRandom } from "../platform/random.ts";
import { openSqliteLog } from "../platform/sqlite_log.ts";
import { publishAll } from "../platform/testing/mqtt_publisher.ts";
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

Deno.test("messages are under way together, bounded; each is acknowledged in order, when the log has it", async () => {
  await using broker = await startMosquitto();
  const taking = new Map<string, () => void>();
  const seen: string[] = [];
  const metrics = metricsRegistry();
  const source = openMqttSource({
    url: broker.url,
    clientId: "bridge",
    version: "5",
    filters: ["isotherm/+"],
    clock: machineClock,
    trace: silentTrace,
    metrics,
    inFlightMax: 5,
    take: ({ topic }) => {
      seen.push(topic);
      return new Promise((resolve) => taking.set(topic, () => resolve("taken")));
    },
    ready: () => true,
  });
  await until("connected", () => source.connected());
  await machineClock.sleep(100);
  for (let i = 0; i < 8; i++) await publish(broker, `isotherm/d${i}`, "1");
  await until("five are under way", () => seen.length === 5);
  await machineClock.sleep(200);
  assert.equal(seen.length, 5, "and no more");
  // The last four are durable: none may be acknowledged before the first is, nor a place be free.
  for (const topic of ["isotherm/d1", "isotherm/d2", "isotherm/d3", "isotherm/d4"]) taking.get(topic)!();
  await machineClock.sleep(200);
  assert.equal(seen.length, 5);
  // What the broker hasn't been told of comes again: all of it, in order.
  await source.close();
  await until("closed", () => !source.connected());
  taking.clear();
  const again: string[] = [];
  const next = openMqttSource({
    url: broker.url,
    clientId: "bridge",
    version: "5",
    filters: ["isotherm/+"],
    clock: machineClock,
    trace: silentTrace,
    metrics,
    take: ({ topic }) => {
      again.push(topic);
      return Promise.resolve("taken");
    },
    ready: () => true,
  });
  await until("all eight", () => again.length >= 8);
  assert.deepEqual(again, [0, 1, 2, 3, 4, 5, 6, 7].map((i) => `isotherm/d${i}`));
  await next.close();
});

for (const devices of [1, 100]) {
  Deno.test(`5,000 messages of ${devices} devices reach an embedded log, each device's in order`, async () => {
    await using broker = await startMosquitto();
    const folder = await Deno.makeTempDir({ prefix: "isotherm-mqtt-" });
    const metrics = metricsRegistry();
    const log = await openSqliteLog({
      path: `${folder}/log.sqlite`,
      partitions: 1,
      clock: machineClock,
      random: machineRandom,
      trace: silentTrace,
      metrics,
    });
    const { source } = startBridge(broker, log.writer, "5");
    await until("connected", () => source.connected());
    await machineClock.sleep(100);
    const count = 5_000;
    const startedMs = machineClock.monotonicMs();
    const messages = Array.from(
      { length: count },
      (_, i) => ({ topic: `isotherm/d${i % devices}`, payload: `{"temperature_c":${i}}` }),
    );
    const published = publishAll(broker.url, messages);
    await log.reader.join({ assigned: () => Promise.resolve(), revoked: () => Promise.resolve() });
    const nextOffset = async () => (await log.reader.range(0)).next;
    for (let tries = 0; tries < 2_000 && await nextOffset() < count; tries++) await machineClock.sleep(10);
    const tookMs = machineClock.monotonicMs() - startedMs;
    await published;
    await source.close();
    const values = new Map<string, number[]>();
    let offset = 0;
    while (offset < count) {
      const read = await log.reader.read(0, offset, { recordsMax: 1_000, bytesMax: 1e6, waitMs: 100 });
      assert.ok(read.kind === "records" && read.records.length > 0, `${offset} of ${count} are in the log`);
      for (const { key, value } of read.records) {
        const { temperature_c } = JSON.parse(new TextDecoder().decode(value!));
        values.set(key!, [...values.get(key!) ?? [], temperature_c]);
      }
      offset = read.records.at(-1)!.offset + 1;
    }
    assert.equal(values.size, devices);
    for (const list of values.values()) assert.deepEqual(list, [...list].sort((a, b) => a - b));
    assert.equal([...values.values()].flat().length, count, "each once");
    console.log(`${devices} devices: ${Math.round(count * 1_000 / tookMs)} messages/s`);
    await log.close();
    await Deno.remove(folder, { recursive: true });
  });
}
