import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { APIClient } from "@wokwi/client";
import { PNG } from "pngjs";
import type { WokwiProject } from "../project.ts";
import { readScenario } from "./scenario_file.ts";
import { runScenario, type ScenarioResult, serialBytesMax } from "./scenario_run.ts";
import { FakeSimulator, type Happening } from "./testing/fake_simulator.ts";
import type { WeatherSample } from "../weather_samples.ts";

const project: WokwiProject = {
  folder: "",
  diagram: "{}",
  firmware: "main.py",
  files: new Map([["b.py", new Uint8Array()], ["main.py", new Uint8Array()]]),
};

interface Given {
  readonly happenings?: readonly Happening[];
  readonly simulator?: FakeSimulator;
  readonly timeoutMs?: number;
  readonly weather?: readonly WeatherSample[];
  readonly pictures?: Map<string, Uint8Array>;
  readonly head?: string;
}

async function run(steps: string, given: Given = {}): Promise<ScenarioResult & { simulator: FakeSimulator }> {
  const read = readScenario(`name: test\nversion: 1\n${given.head ?? ""}steps:\n${steps}`, "test");
  assert.ok(read.kind === "scenario", read.kind === "problems" ? read.problems.join() : "");
  const simulator = given.simulator ?? new FakeSimulator(given.happenings);
  const pictures = given.pictures ?? new Map();
  const result = await runScenario(new APIClient(simulator), project, read.scenario, {
    timeoutNanos: (given.timeoutMs ?? 30_000) * 1e6,
    weather: given.weather ?? [],
    files: {
      read: (path) => Promise.resolve(pictures.get(path) ?? new Uint8Array()),
      write: (path, content) => Promise.resolve(void pictures.set(path, content)),
    },
  });
  return { ...result, simulator };
}

const at = (seconds: number) => seconds * 1e9;
const said = ({ verdict }: ScenarioResult) => verdict.kind === "passed" ? "" : verdict.sentence;

Deno.test("everything is uploaded, and the time-out is armed first, before the start", async () => {
  const { simulator, verdict } = await run("  - delay: 1s\n", { timeoutMs: 5_000 });
  assert.equal(verdict.kind, "passed");
  assert.deepEqual(simulator.uploads, ["diagram.json", "b.py", "main.py"]);
  assert.deepEqual(simulator.commands, [
    "serial-monitor:listen",
    `pause-point:add {"id":"pp0_time-absolute","type":"time-absolute","nanos":5000000000}`,
    `sim:start {"firmware":"main.py","elf":"main.py","chips":[],"pause":true}`,
    `pause-point:add {"id":"pp1_time-relative","type":"time-relative","nanos":1000000000}`,
    "sim:resume {}",
    "sim:read-vcd",
  ]);
});

Deno.test("steps follow each other at the exact byte", async () => {
  const steps = `
  - wait-serial: "one"
  - write-serial: "x"
  - wait-serial: "one"
  - set-control: { part-id: dht, name: temperature, value: -3.5 }
  - delay: 500ms
`;
  const happenings = [{ atNanos: at(1), serial: "oneone\n" }];
  const { verdict, steps: outcomes, nanos, serial, simulator } = await run(steps, { happenings });
  assert.equal(verdict.kind, "passed");
  assert.equal(nanos, at(1.5));
  assert.equal(new TextDecoder().decode(serial), "oneone\n");
  assert.deepEqual(outcomes.map(({ fromNanos, toNanos }) => [fromNanos, toNanos]), [
    [0, at(1)],
    [at(1), at(1)],
    [at(1), at(1)],
    [at(1), at(1)],
    [at(1), at(1.5)],
  ]);
  assert.ok(simulator.commands.includes(`control:set {"part":"dht","control":"temperature","value":-3.5}`));
});

Deno.test("the time-out of the run ends it, and wins a tie", async () => {
  const late = await run(`  - wait-serial: "never"\n`, {
    happenings: [{ atNanos: at(1), serial: "hello\n" }],
  });
  assert.equal(late.verdict.kind, "timed out");
  assert.match(said(late), /30 s of simulated time are over/);
  assert.match(
    late.steps[0]?.sentence ?? "",
    /wait for never did not come true \(the board's last line is hello\)/,
  );
  assert.equal((await run("  - delay: 5s\n", { timeoutMs: 5_000 })).verdict.kind, "timed out");
  assert.equal((await run("  - delay: 5s\n", { timeoutMs: 5_001 })).verdict.kind, "passed");
  assert.equal((await run("  - delay: 5000s\n", { timeoutMs: 0 })).verdict.kind, "passed");
});

Deno.test("a scenario's own time-out goes before that of the run", async () => {
  assert.equal((await run("  - delay: 60s\n", { head: "timeout: 61s\n" })).verdict.kind, "passed");
  assert.equal((await run("  - delay: 2s\n", { head: "timeout: 1s\n" })).verdict.kind, "timed out");
});

Deno.test("a step's own time-out fails the step, and is gone when the step has passed", async () => {
  const happenings = [{ atNanos: at(3), serial: "late" }];
  const steps = (seconds: number) => `  - wait-serial: late\n    timeout: ${seconds}s\n  - delay: 10s\n`;
  const failed = await run(steps(2), { happenings });
  assert.equal(failed.verdict.kind, "failed");
  assert.match(said(failed), /2 s of simulated time, the step's own, are over/);
  assert.deepEqual(failed.steps.map(({ result }) => result), ["failed"]);
  const tie = await run(steps(3), { happenings });
  assert.equal(tie.verdict.kind, "failed");
  const passed = await run(steps(4), { happenings });
  assert.equal(passed.verdict.kind, "passed");
  assert.equal(passed.nanos, at(13));
});

Deno.test("expect-pin looks at once; wait-pin runs until the pin changes", async () => {
  const happenings: Happening[] = [{ atNanos: at(2), pin: "15", value: 1 }, {
    atNanos: at(3),
    pin: "15",
    value: 0,
  }];
  const pin = (step: string, value: number) => `  - ${step}: { part-id: esp, name: 15, value: ${value} }\n`;
  const passed = await run(pin("expect-pin", 0) + pin("wait-pin", 1) + pin("expect-pin", 1), { happenings });
  assert.deepEqual([passed.verdict.kind, passed.nanos], ["passed", at(2)]);
  const failed = await run(pin("expect-pin", 1), { happenings });
  assert.deepEqual([failed.verdict.kind, said(failed)], ["failed", "pin 15 of esp is 0, not 1"]);
});

Deno.test("a pin's level may be a boolean, as one kind of server has it", async () => {
  const simulator = new FakeSimulator();
  simulator.pins.set("esp:4", true);
  const steps = "  - expect-pin: { part-id: esp, pin: 4, value: 1 }\n";
  assert.equal((await run(steps, { simulator })).verdict.kind, "passed");
});

Deno.test("a chip's word stops the simulation, and the next step goes on from there", async () => {
  const happenings = [{ atNanos: at(1), chip: "not yet" }, { atNanos: at(2), chip: "it is ready" }];
  const steps = "  - expect-chip-output: ready\n  - delay: 1s\n";
  const { verdict } = await run(steps, { happenings });
  assert.equal(verdict.kind, "passed");
  assert.equal((await run("  - expect-chip-output: other\n", { happenings })).verdict.kind, "timed out");
});

Deno.test("touches reach the part; one that is waited for lasts as long as the finger", async () => {
  const steps = `
  - touch: { part-id: lcd, x: 1, y: 2, duration: 2s, wait: true }
  - touch: { part-id: lcd, x: 3, y: 4 }
  - touch-press: { part-id: lcd, x: 5, y: 6 }
  - touch-move: { part-id: lcd, x: 7, y: 8 }
  - touch-release: { part-id: lcd }
`;
  const { simulator, nanos } = await run(steps);
  assert.equal(nanos, at(2));
  assert.deepEqual(simulator.commands.filter((each) => each.startsWith("touch")), [
    `touch:event {"part":"lcd","x":1,"y":2,"event":"press","releaseAfter":2000000000}`,
    `touch:event {"part":"lcd","x":3,"y":4,"event":"press","releaseAfter":50000000}`,
    `touch:event {"part":"lcd","x":5,"y":6,"event":"press"}`,
    `touch:event {"part":"lcd","x":7,"y":8,"event":"move"}`,
    `touch:event {"part":"lcd","x":0,"y":0,"event":"release"}`,
  ]);
});

Deno.test("a screenshot is saved, and compared pixel by pixel", async () => {
  const picture = (red: number, width = 2) => {
    const png = new PNG({ width, height: 1 });
    png.data.fill(255);
    png.data[0] = red;
    return new Uint8Array(PNG.sync.write(png));
  };
  const simulator = () => {
    const fake = new FakeSimulator();
    fake.answers.set("framebuffer:read", { png: Buffer.from(picture(7)).toString("base64") });
    return fake;
  };
  const steps = "  - take-screenshot: { part-id: lcd, save-to: now.png, compare-with: then.png }\n";
  const compare = (then: Uint8Array, pictures = new Map([["then.png", then]])) =>
    run(steps, { simulator: simulator(), pictures });
  const pictures = new Map([["then.png", picture(7)]]);
  assert.equal((await compare(picture(7), pictures)).verdict.kind, "passed");
  assert.deepEqual(pictures.get("now.png"), picture(7));
  assert.match(said(await compare(picture(8))), /the screen of lcd is not then.png: 1 of 2 pixels differ/);
  assert.match(said(await compare(picture(7, 3))), /2 × 1 pixels, not 3 × 1/);
  assert.match(said(await compare(new Uint8Array())), /is no PNG file/);
});

Deno.test("a refused command fails its step with the simulator's sentence, and the wires are still read", async () => {
  const simulator = new FakeSimulator();
  simulator.answers.set("control:set", new Error("no such control: known are temperature, humidity"));
  simulator.answers.set("sim:read-vcd", { vcd: "$timescale", channelCount: 1, sampleCount: 2 });
  const result = await run("  - set-control: { part-id: dht, name: warmth, value: 1 }\n  - delay: 1s\n", {
    simulator,
  });
  assert.equal(result.verdict.kind, "failed");
  assert.match(said(result), /known are temperature, humidity/);
  assert.deepEqual(result.steps.map(({ step, result }) => [step.kind, result]), [["set-control", "failed"]]);
  assert.equal(result.vcd, "$timescale");
});

Deno.test("a simulator that refuses the start, dies or goes away breaks the run, which ends all the same", async () => {
  const refuses = new FakeSimulator();
  refuses.answers.set("sim:start", new Error("no such firmware"));
  assert.deepEqual((await run("  - delay: 1s\n", { simulator: refuses })).verdict, {
    kind: "broken",
    sentence: "Error 400: no such firmware",
  });
  const happenings = (dies: "error" | "close"): Happening[] => [{ atNanos: at(1), dies }];
  const dead = await run("  - delay: 2s\n", { happenings: happenings("error") });
  assert.deepEqual(dead.verdict, { kind: "broken", sentence: "out of memory" });
  const gone = await run("  - delay: 2s\n", { happenings: happenings("close") });
  assert.equal(gone.verdict.kind, "broken");
  assert.match(said(gone), /closed unexpectedly: code 1006 \(gone\)/);
});

Deno.test("the weather is told at its times, and the steps don't notice", async () => {
  const weather = [
    { atNanos: 0, temperatureTenthsC: 200, humidityTenthsPct: 500 },
    { atNanos: at(1), temperatureTenthsC: -200, humidityTenthsPct: 605 },
    { atNanos: at(9), temperatureTenthsC: 0, humidityTenthsPct: 0 },
  ];
  const { verdict, nanos, simulator } = await run("  - delay: 2s\n  - delay: 1s\n", { weather });
  assert.deepEqual([verdict.kind, nanos], ["passed", at(3)]);
  assert.deepEqual(simulator.commands.filter((each) => each.startsWith("control")), [
    `control:set {"part":"dht","control":"temperature","value":20}`,
    `control:set {"part":"dht","control":"humidity","value":50}`,
    `control:set {"part":"dht","control":"temperature","value":-20}`,
    `control:set {"part":"dht","control":"humidity","value":60.5}`,
  ]);
  const byHand = "  - set-control: { part-id: dht, name: temperature, value: 7 }\n  - delay: 2s\n";
  const held = (await run(byHand, { weather })).simulator.commands.filter((each) =>
    each.includes(`"temperature"`)
  );
  assert.deepEqual(held, [`control:set {"part":"dht","control":"temperature","value":7}`]);
  const simulatorThatRefuses = new FakeSimulator();
  simulatorThatRefuses.answers.set("control:set", new Error("no part dht"));
  assert.match(
    said(await run("  - delay: 2s\n", { weather, simulator: simulatorThatRefuses })),
    /no part dht/,
  );
});

Deno.test("of a flood on the serial port the end is kept", async () => {
  const flood = Array.from({ length: 3 }, (_, i) => ({ atNanos: i, serial: "x" }));
  const { serial } = await run("  - delay: 1s\n", { happenings: [...flood, { atNanos: 9, serial: "end" }] });
  assert.equal(new TextDecoder().decode(serial), "xxxend");
  assert.ok(serialBytesMax > 1_000_000);
});
