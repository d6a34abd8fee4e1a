import assert from "node:assert/strict";
import { join } from "node:path";
import { machineClock } from "../../../platform/clock.ts";
import { loadMicroPythonRuntime } from "../../board/mod.ts";
import { bundle, parseBundleOptions } from "../bundle_command.ts";
import { cloudAccess } from "./cloud.ts";
import { runTests } from "./test_command.ts";
import { parseTestOptions } from "./test_options.ts";
import { serveWokwi } from "../server.ts";
import { firmwareFolder } from "./testing/offline.ts";

const runtime = loadMicroPythonRuntime();
const head = "name: test\nversion: 1\nsteps:\n";
const hello = "import time\nprint('hello')\nwhile True:\n  time.sleep(1)\n  print('tick')\n";
const project = {
  "wokwi.toml": "[wokwi]\nversion = 1\nfirmware = 'main.py'\n",
  "diagram.json": `{"parts":[{"type":"board-esp32-devkit-c-v4","id":"esp","attrs":{}}],"connections":[]}`,
  "main.py": hello,
};

interface Ran {
  readonly code: number;
  readonly printed: string;
  readonly complained: string;
  readonly folder: string;
}

/** Runs `deno task wokwi test` on a small project with these files; `args` may name `DIR`, the project's folder. */
async function ran(
  files: Readonly<Record<string, string>>,
  args: string,
  look: (ran: Ran) => Promise<void> | void,
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries({ ...project, ...files })) {
      await Deno.writeTextFile(join(folder, name), content);
    }
    const parsed = parseTestOptions(args.replaceAll("DIR", folder).split(" ").filter((arg) => arg !== ""));
    assert.ok(parsed.kind === "options");
    const [printed, complained]: [string[], string[]] = [[], []];
    const code = await runTests(parsed.options, {
      clock: machineClock,
      runtime: () => runtime,
      cloud: () => cloudAccess((name) => environment[name]),
      print: (line) => printed.push(line),
      complain: (line) => complained.push(line),
    });
    // V8 frees the stacks that a power cut has rejected only after a macrotask.
    await machineClock.sleep(0);
    await look({ code, printed: printed.join("\n"), complained: complained.join("\n"), folder });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const passing = `${head}  - wait-serial: hello\n  - wait-serial: tick\n`;
const exists = (path: string) => Deno.stat(path).then(() => true, () => false);

Deno.test("the exit status is 0 when all pass, 1 when a step fails, 42 when time is over", async () => {
  await ran({ "a.scenario.yaml": passing }, "DIR", ({ code, printed }) => {
    assert.equal(code, 0);
    assert.match(printed, / {2}ok {3}1 s +wait for tick\n {2}passed \(test, 1 s simulated in /);
    assert.match(printed, /1 of 1 scenarios passed, 1 s simulated$/);
  });
  const failing = `${head}  - expect-pin: { part-id: esp, name: 4, value: 1 }\n`;
  await ran({ "a.scenario.yaml": passing, "b.scenario.yaml": failing }, "DIR", ({ code, printed }) => {
    assert.equal(code, 1);
    assert.match(printed, / {2}FAIL 0 s +pin 4 of esp is 1\n +pin 4 of esp is 0, not 1\n {2}failed/);
    assert.match(printed, /1 of 2 scenarios passed/);
  });
  const late = { "a.scenario.yaml": `${head}  - wait-serial: never\n` };
  await ran(late, "DIR", ({ code, printed }) => {
    assert.equal(code, 42);
    assert.match(printed, /the board's last line is tick\): 30 s of simulated time are over\n {2}timed out/);
  });
  await ran(late, "DIR --timeout 2500 --timeout-exit-code 7", ({ code, printed }) => {
    assert.equal(code, 7);
    assert.match(printed, /2.5 s of simulated time are over/);
  });
});

Deno.test("a mistake in any file is told before anything starts", async () => {
  const files = { "a.scenario.yaml": passing, "b.scenario.yaml": `${head}  - dealy: 1s\n` };
  await ran(files, "DIR", ({ code, printed, complained }) => {
    assert.deepEqual([code, printed], [1, ""]);
    assert.match(complained, /b\.scenario\.yaml:4: dealy is no step/);
  });
  await ran(
    { "a.scenario.yaml": passing, "a.expect.sql": "SELECT 1;" },
    "DIR",
    ({ code, printed, complained }) => {
      assert.deepEqual([code, printed], [1, ""]);
      assert.match(complained, /a\.expect\.sql: line 1: the statement's result is missing/);
    },
  );
  const cases: [string, RegExp][] = [
    ["DIR", /there is no \*\.scenario\.yaml in/],
    ["DIR/none.scenario.yaml", /none\.scenario\.yaml does not exist/],
    ["DIR --weather DIR/none.csv", /none\.csv does not exist/],
    ["DIR --weather DIR/main.py", /main\.py: line 1: must be seconds,temperature_c,humidity_pct/],
    ["DIR --cloud", /WOKWI_CLI_TOKEN is missing/],
    ["DIR/a.scenario.yaml DIR/a.scenario.yaml --artifacts DIR/kept", /two scenarios are called a/],
  ];
  for (const [args, message] of cases) {
    const files: Record<string, string> = args.includes("a.scenario.yaml")
      ? { "a.scenario.yaml": passing }
      : {};
    await ran(files, args, ({ code, complained }) => {
      assert.equal(code, 1, args);
      assert.match(complained, message);
    });
  }
});

Deno.test("what the lint says of the diagram is shown, and stops nothing", async () => {
  const diagram =
    `{"parts":[{"type":"board-esp32-devkit-c-v4","id":"esp","attrs":{}}],"connections":[["esp:D4","esp:GND.1"]]}`;
  await ran({ "a.scenario.yaml": passing, "diagram.json": diagram }, "DIR", ({ code, complained }) => {
    assert.equal(code, 0);
    assert.match(complained, /diagram\.json: error: board-esp32-devkit-c-v4 \(esp\) has no pin D4/);
  });
});

Deno.test("serial output, wires and rows are kept where --artifacts says, results where --junit says", async () => {
  const args = "DIR --artifacts DIR/kept --junit DIR/deep/junit.xml --serial";
  await ran({ "a.scenario.yaml": passing }, args, async ({ code, printed, folder }) => {
    assert.equal(code, 0);
    assert.equal(await Deno.readTextFile(`${folder}/kept/a/serial.log`), "hello\r\ntick");
    assert.equal(await exists(`${folder}/kept/a/wires.vcd`), false, "no wire has changed");
    assert.match(
      await Deno.readTextFile(`${folder}/deep/junit.xml`),
      /<testsuites name="wokwi" tests="2" failures="0"/,
    );
    assert.match(printed, /\| hello\n/);
  });
});

Deno.test("kept rows are those of the run, also when a step fails", async () => {
  const to = await Deno.makeTempDir();
  try {
    assert.equal(await bundle(firmwareFolder, to), null);
    const path = `${to}/a.scenario.yaml`;
    await Deno.writeTextFile(
      path,
      `${head}  - wait-serial: '"seq":0,'\n  - delay: 1s\n  - expect-pin: { part-id: esp, name: 15, value: 0 }\n`,
    );
    await ran({}, `${path} --artifacts ${to}/kept`, ({ code }) => assert.equal(code, 1));
    assert.ok(await exists(`${to}/kept/a/data/published/catalogue.duckdb`));
    assert.ok(await exists(`${to}/kept/a/wires.vcd`));
  } finally {
    await Deno.remove(to, { recursive: true });
  }
});

Deno.test("the seed decides what chance decides; the same seed gives the same files", async () => {
  const files = {
    "a.scenario.yaml": `${head}  - wait-serial: done\n`,
    "main.py": "import os\nprint(os.urandom(8))\nprint('done')\n",
  };
  const kept = async (seed: string) => {
    let content = "";
    await ran(files, `DIR --artifacts DIR/kept --junit DIR/junit.xml${seed}`, async ({ folder, code }) => {
      assert.equal(code, 0);
      const junit = (await Deno.readTextFile(`${folder}/junit.xml`)).replaceAll(folder, "");
      content = junit + await Deno.readTextFile(`${folder}/kept/a/serial.log`);
    });
    return content;
  };
  const first = await kept("");
  assert.equal(await kept(" --seed 1"), first, "1 is the default");
  assert.notEqual(await kept(" --seed 2"), first);
});

Deno.test("weather from a file reaches the sensor", async () => {
  const weather = join(await Deno.makeTempDir(), "cold.csv");
  try {
    await Deno.writeTextFile(weather, "seconds,temperature_c,humidity_pct\n0,-12.5,40\n");
    const scenario = `${head}  - wait-serial: '"temperature_c":-12.5,"humidity_pct":40.0,'\n`;
    const path = join(weather, "../a.scenario.yaml");
    await Deno.writeTextFile(path, scenario);
    for (const name of ["wokwi.toml", "diagram.json"]) {
      await Deno.copyFile(join(firmwareFolder, name), join(weather, "..", name));
    }
    assert.equal(await bundle(firmwareFolder, join(weather, "..")), null);
    await ran({}, `${path} --weather ${weather}`, ({ code, printed }) => assert.equal(code, 0, printed));
    await ran({}, path, ({ code }) => assert.equal(code, 42, "without it the diagram holds"));
  } finally {
    await Deno.remove(join(weather, ".."), { recursive: true });
  }
});

Deno.test("--cloud speaks to a server at an address, with the same results", async () => {
  const server = await serveWokwi(
    {
      clock: machineClock,
      hostname: "127.0.0.1",
      port: 0,
      files: new Map(),
      weather: [],
      seed: 1,
      startMs: Date.UTC(2026, 5, 1),
      onWarning: () => {},
    } as unknown as Parameters<typeof serveWokwi>[0],
  );
  const environment = { WOKWI_CLI_TOKEN: "any", WOKWI_CLI_SERVER: server.url };
  try {
    await ran({ "a.scenario.yaml": passing }, "DIR --cloud", ({ code, printed }) => {
      assert.equal(code, 0, printed);
      assert.match(printed, /1 of 1 scenarios passed, 1 s simulated$/);
    }, environment);
    const late = { "a.scenario.yaml": `${head}  - wait-serial: never\n` };
    await ran(late, "DIR --cloud", ({ code }) => assert.equal(code, 42), environment);
    const step = `${head}  - set-control: { part-id: esp, name: warmth, value: 1 }\n`;
    await ran({ "a.scenario.yaml": step }, "DIR --cloud", ({ code, printed }) => {
      assert.equal(code, 1);
      assert.match(printed, /esp has no control "warmth"/);
    }, environment);
  } finally {
    await server.close();
  }
});

Deno.test("the cloud needs a token and an address of a WebSocket", () => {
  assert.match(String(cloudAccess(() => undefined)), /WOKWI_CLI_TOKEN is missing/);
  const access = (server: string) => cloudAccess((name) => name === "WOKWI_CLI_TOKEN" ? "t" : server);
  assert.deepEqual(access(""), { url: "wss://wokwi.com/api/ws/beta", token: "t" });
  assert.deepEqual(access("ws://127.0.0.1:9177"), { url: "ws://127.0.0.1:9177", token: "t" });
  assert.match(String(access("http://a")), /must begin with ws:\/\/ or wss:\/\//);
});

Deno.test("a bundle is a project of its own", async () => {
  const to = await Deno.makeTempDir();
  try {
    assert.equal(await bundle(firmwareFolder, to), null);
    assert.ok(await exists(`${to}/scenarios/first_reading.scenario.yaml`));
    await ran(
      {},
      `${to}/scenarios/first_reading.scenario.yaml`,
      ({ code, printed }) => assert.equal(code, 0, printed),
    );
    assert.match(await bundle(to + "/scenarios", to) ?? "", /wokwi\.toml is missing/);
  } finally {
    await Deno.remove(to, { recursive: true });
  }
  assert.deepEqual(parseBundleOptions(["a"]), { from: "firmware", to: "a" });
  assert.deepEqual(parseBundleOptions(["a", "--project", "b"]), { from: "b", to: "a" });
  for (const args of [[], ["a", "b"], ["--x"]]) assert.equal(typeof parseBundleOptions(args), "string");
});
