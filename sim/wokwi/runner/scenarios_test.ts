/** The project's own scenarios: they pass, each leaves its rows, and each is the same every time. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { machineClock } from "../../../platform/clock.ts";
import { Catalogue } from "../../../platform/duckdb/reader.ts";
import { filesBeside, readProject } from "../project.ts";
import { serveWokwi } from "../server.ts";
import { runOnCloud } from "./cloud.ts";
import { type Expectation, readExpectations } from "./expectations.ts";
import { startMs } from "./offline.ts";
import { hasPassed } from "./results.ts";
import { extensionsOf } from "./scenario.ts";
import { firmwareFolder, offline, scenarioOf } from "./testing/offline.ts";

const folder = `${firmwareFolder}/scenarios`;
const names = [...Deno.readDirSync(folder)].map(({ name }) => name)
  .filter((name) => name.endsWith(".scenario.yaml")).sort().map((name) => basename(name, ".scenario.yaml"));

const fileOf = (name: string, suffix: string) => Deno.readTextFile(`${folder}/${name}.${suffix}`);
const scenarioNamed = async (name: string) => scenarioOf(await fileOf(name, "scenario.yaml"));

/** What wokwi-cli and the cloud know of this board; everything else is offline only. */
const wokwiControls = ["dht temperature", "dht humidity"];

async function expectationsOf(name: string): Promise<readonly Expectation[]> {
  const read = readExpectations(await fileOf(name, "expect.sql"));
  assert.ok(read.kind === "expectations", read.kind === "problem" ? read.problem : "");
  return read.expectations;
}

/** Every row of every table and view that is published, as text. */
async function allRows(data: string): Promise<string> {
  const catalogue = await Catalogue.open(data);
  try {
    const views = [
      "readings",
      "quarantine",
      "window_versions",
      "windows_live",
      "devices",
      "ledger_slots",
      "ledger_arrivals",
      "log_position",
    ];
    const results = [];
    for (const view of views) {
      results.push([view, await catalogue.query(`FROM ${view} ORDER BY ALL`, 100_000)]);
    }
    return JSON.stringify(results);
  } finally {
    catalogue.close();
  }
}

/** One run's serial output, wires and rows; fails unless the scenario passes. */
async function traces(name: string, seed: number) {
  const dataFolder = await Deno.makeTempDir();
  try {
    const scenario = await scenarioNamed(name);
    const result = await offline(scenario, {
      expectations: await expectationsOf(name),
      seed,
      dataFolder: `${dataFolder}/data`,
    });
    const wrong = result.expectations.map(({ mismatch }) => mismatch).filter((mismatch) => mismatch !== null);
    assert.ok(
      hasPassed({ ...result, path: name, scenario }),
      `${name}: ${JSON.stringify(result.verdict)} ${wrong.join("\n")}`,
    );
    const rows = await allRows(`${dataFolder}/data`);
    const hash = (content: string | Uint8Array) => createHash("sha256").update(content).digest("hex");
    return {
      serial: hash(result.serial),
      wires: hash(result.vcd ?? ""),
      rows: hash(rows),
      steps: result.steps,
    };
  } finally {
    await Deno.remove(dataFolder, { recursive: true });
  }
}

for (const name of names) {
  Deno.test(`${name} passes, twice with the same serial output, wires and rows, and on another board`, async () => {
    const first = await traces(name, 1);
    assert.deepEqual(await traces(name, 1), first);
    assert.notEqual((await traces(name, 2)).serial, first.serial);
  });
}

Deno.test("what must happen is there", () => {
  const needed = [
    "checksum_faults",
    "clock_late",
    "first_reading",
    "freezing",
    "power_cut",
    "sensor_unplugged",
    "wifi_lost",
    "wrong_settings",
  ];
  assert.deepEqual(needed.filter((name) => !names.includes(name)), []);
});

const unchanged = ["first_reading", "freezing", "wrong_settings"];

Deno.test("which scenarios run under wokwi-cli as they are", async () => {
  const found: string[] = [];
  for (const name of names) {
    const scenario = await scenarioNamed(name);
    const controls = scenario.steps.flatMap((step) =>
      step.kind === "set-control" ? [`${step.part} ${step.control}`] : []
    );
    const isOurs = extensionsOf(scenario).length > 0 ||
      controls.some((each) => !wokwiControls.includes(each));
    if (!isOurs) found.push(name);
  }
  assert.deepEqual(found, unchanged);
  const workflow = await Deno.readTextFile(new URL("../../../.github/workflows/wokwi.yml", import.meta.url));
  for (const name of unchanged) {
    assert.ok(workflow.includes(`${name}.scenario.yaml`), `the workflow lacks ${name}`);
  }
});

Deno.test("they pass on the served simulator as wokwi-cli sends them: main.py alone, as firmware.py, within 30 s", async () => {
  const server = await serveWokwi({
    clock: machineClock,
    hostname: "127.0.0.1",
    port: 0,
    files: await filesBeside(firmwareFolder),
    weather: [],
    seed: 1,
    startMs,
    pace: "auto",
    hasInternet: false,
    onWarning: () => {},
  });
  try {
    const whole = await readProject(firmwareFolder);
    const main = whole.files.get("main.py");
    assert.ok(main !== undefined);
    const project = { ...whole, firmware: "firmware.py", files: new Map([["firmware.py", main]]) };
    for (const name of unchanged) {
      const { verdict } = await runOnCloud(
        { url: server.url, token: "any" },
        project,
        await scenarioNamed(name),
        {
          timeoutNanos: 30e9,
          weather: [],
          files: { read: () => Promise.reject(new Error("no pictures")), write: () => Promise.resolve() },
        },
        machineClock,
      );
      assert.deepEqual(verdict, { kind: "passed" }, name);
    }
  } finally {
    await server.close();
  }
});
