import assert from "node:assert/strict";
import { APIClient } from "@wokwi/client";
import { machineClock } from "../../../platform/clock.ts";
import { encodeFrame, loadMicroPythonRuntime } from "../../board/mod.ts";
import { readExpectations } from "./expectations.ts";
import { startMs } from "./offline.ts";
import { readProject } from "../project.ts";
import { runScenario } from "./scenario_run.ts";
import { WokwiSession } from "../session.ts";
import { firmwareFolder, offline, steps } from "./testing/offline.ts";
import { levelAt, readVcd, type VcdChange } from "./testing/vcd.ts";
import { InProcessTransport } from "./transports.ts";
import type { WeatherSample } from "../weather_samples.ts";
import { worldOf } from "../world.ts";

const runtime = loadMicroPythonRuntime();
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A client of a simulator without a pipeline behind it. */
function simulator(): { client: APIClient; end: () => Promise<void> } {
  let session: WokwiSession | null = null;
  const client = new APIClient(
    new InProcessTransport((onSend) =>
      session = new WokwiSession({
        seed: 1,
        makeWorld: () => worldOf(startMs, () => new Response(null, { status: 503 })),
        files: new Map(),
        runtime,
        clock: machineClock,
        onSend,
        pace: "max",
      })
    ),
  );
  const end = async () => {
    client.close();
    await session?.close();
    // V8 frees the stacks that a power cut has rejected only after a macrotask.
    await machineClock.sleep(0);
  };
  return { client, end };
}

/** The bytes of the one frame among the changes of a sensor's wire: a high over 48 µs is a one. */
function frameOf(changes: readonly VcdChange[]): number[] {
  const edges = changes.slice(1);
  const highs = edges.flatMap(({ nanos, level }, index) => {
    const next = edges[index + 1];
    return level === 1 && next !== undefined ? [next.nanos - nanos] : [];
  });
  // The host's release and the sensor's response come before the bits.
  const bits = highs.slice(2, 42).map((nanos) => nanos > 48_000 ? 1 : 0);
  return Array.from({ length: 5 }, (_, byte) => parseInt(bits.slice(8 * byte, 8 * byte + 8).join(""), 2));
}

Deno.test("the wires carry what is in the rows, with the datasheet's timing", async () => {
  const { vcd, verdict } = await offline(steps(
    "set-control: { part-id: dht, name: temperature, value: -10.1 }",
    `wait-serial: '"temperature_c":-10.1,"humidity_pct":48.2,'`,
  ));
  assert.equal(verdict.kind, "passed");
  const wire = readVcd(vcd ?? "").get("D0") ?? [];
  assert.deepEqual(frameOf(wire), [...encodeFrame({ temperatureTenthsC: -101, humidityTenthsPct: 482 })]);
  const [, start, release, answer] = wire;
  assert.equal((release?.nanos ?? 0) - (start?.nanos ?? 0), 18_000_000, "MicroPython's start pulse");
  const waited = (answer?.nanos ?? 0) - (release?.nanos ?? 0);
  assert.ok(waited >= 20_000 && waited <= 40_000, `the sensor answers after ${waited} ns`);
});

Deno.test("whenever one looks, the pin has the level that the wires show", async () => {
  const { client, end } = simulator();
  try {
    const project = await readProject(firmwareFolder);
    await client.fileUpload("diagram.json", project.diagram);
    for (const [name, content] of project.files) await client.fileUpload(name, content);
    await client.simStart({ firmware: "main.py", pause: true });
    const looks: { nanos: number; level: number }[] = [];
    // From before the start pulse to after the last bit: 0.25 s, then 18 ms, then 5 ms of answer.
    const fromNanos = 1_749_990_000;
    for (let look = 0; look < 400; look++) {
      const nanos = fromNanos + (look < 100 ? look * 185_000 : 18_000_000 + (look - 99) * 17_333);
      await (await client.addPausePoint({ type: "time-absolute", nanos }, true)).promise;
      looks.push({ nanos: client.lastNanos, level: (await client.pinRead("esp", "15")).value });
    }
    const wire = readVcd((await client.readVCD()).vcd).get("D0") ?? [];
    assert.ok(wire.length > 80, `${wire.length} changes`);
    assert.deepEqual(looks, looks.map(({ nanos }) => ({ nanos, level: levelAt(wire, nanos) })));
    assert.ok(new Set(looks.map(({ level }) => level)).size === 2);
  } finally {
    await end();
  }
});

Deno.test("a pin that is waited for stops at the edge that the wires show", async () => {
  const scenario = steps(
    "wait-pin: { part-id: esp, name: 15, value: 0 }",
    "wait-pin: { part-id: esp, name: 15, value: 1 }",
    "wait-pin: { part-id: esp, name: 15, value: 0 }",
    "delay: 1s",
  );
  const { vcd, steps: outcomes } = await offline(scenario);
  const wire = readVcd(vcd ?? "").get("D0") ?? [];
  assert.deepEqual(
    outcomes.slice(0, 3).map(({ toNanos }) => toNanos),
    wire.slice(1, 4).map(({ nanos }) => nanos),
  );
});

Deno.test("weather comes at its times, whoever tells it", async () => {
  const weather: WeatherSample[] = [
    { atNanos: 0, temperatureTenthsC: 200, humidityTenthsPct: 500 },
    { atNanos: 12e9, temperatureTenthsC: -55 },
    { atNanos: 23e9, humidityTenthsPct: 999 },
  ];
  const scenario = steps(
    `wait-serial: '"seq":3,'`,
    "set-control: { part-id: dht, name: temperature, value: 7 }",
    `wait-serial: '"seq":4,'`,
    "delay: 10ms",
  );
  const ours = await offline(scenario, { weather });
  const values = [
    ...text(ours.serial).matchAll(/"seq":\d,"temperature_c":([-.\d]+),"humidity_pct":([.\d]+)/g),
  ];
  assert.deepEqual(values.map(([, temperature, humidity]) => [temperature, humidity]), [
    ["20.0", "50.0"],
    ["20.0", "50.0"],
    ["-5.5", "50.0"],
    ["-5.5", "99.9"],
    ["7.0", "99.9"],
  ]);
  // A simulator without weather of its own is told by the runner.
  const { client, end } = simulator();
  const files = { read: () => Promise.reject(new Error()), write: () => Promise.resolve() };
  const told = await runScenario(client, await readProject(firmwareFolder), scenario, {
    timeoutNanos: 0,
    weather,
    files,
  });
  await end();
  const samples = (bytes: Uint8Array) =>
    text(bytes).match(/"seq":\d,"temperature_c":[-.\d]+,"humidity_pct":[.\d]+/g);
  assert.deepEqual(samples(told.serial), samples(ours.serial));
});

Deno.test("rows are looked at when the scenario has passed: others than expected, none, and SQL that doesn't read", async () => {
  const read = (sql: string) => {
    const found = readExpectations(sql);
    assert.ok(found.kind === "expectations");
    return found.expectations;
  };
  const sent = steps(`wait-serial: '"seq":0,'`, "delay: 1s");
  const expectations = read(
    "SELECT seq FROM readings;\n--> seq\n--> 0\n\nSELECT seq FROM readings;\n--> seq\n--> 1\n\nSELECT nothing FROM readings;\n--> a",
  );
  const [right, wrong, unread] = (await offline(sent, { expectations })).expectations.map(({ mismatch }) =>
    mismatch
  );
  assert.equal(right, null);
  assert.match(wrong ?? "", /expected\n {2}seq\n {2}1\nbut DuckDB has\n {2}seq\n {2}0$/);
  assert.match(unread ?? "", /^line 9: Binder Error/);
  const early = await offline(steps("delay: 1s"), { expectations });
  assert.match(early.expectations[0]?.mismatch ?? "", /nothing has reached the log/);
  const failed = await offline(steps("expect-pin: { part-id: esp, name: 15, value: 0 }"), { expectations });
  assert.deepEqual([failed.verdict.kind, failed.expectations], ["failed", []]);
});

Deno.test("another seed is another board", async () => {
  const scenario = steps(`wait-serial: '"cause"'`);
  const boot = async (seed: number) => text((await offline(scenario, { seed })).serial);
  assert.equal(await boot(1), await boot(1));
  assert.notEqual(await boot(1), await boot(2));
});
