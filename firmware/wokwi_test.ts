/** The firmware as a Wokwi project: `wokwi.toml`, `diagram.json`, `settings.wokwi.json`. */
import assert from "node:assert/strict";
import { readDiagram } from "../sim/wokwi/diagram.ts";
import { lintDiagram } from "../sim/wokwi/diagram_rules.ts";
import { readProject } from "../sim/wokwi/project.ts";
import { PythonDesk } from "./testing/python_desk.ts";

const project = await readProject(import.meta.dirname!);
const text = (name: string) => new TextDecoder().decode(project.files.get(name));

async function printed(files: Readonly<Record<string, string>>, code: string): Promise<string> {
  const python = await PythonDesk.create();
  for (const [path, content] of Object.entries(files)) {
    python.run(
      `with open(${JSON.stringify(path)}, "w") as file:\n    file.write(${JSON.stringify(content)})`,
    );
  }
  python.run(code);
  return python.printed().trim();
}

Deno.test("the diagram is clean under Wokwi's rules", () => {
  const findings = lintDiagram(project.diagram).map(({ severity, rule }) => `${severity} ${rule}`);
  assert.deepEqual(
    findings,
    ["information undocumented-part"],
    "the board itself is not in Wokwi's list of parts",
  );
});

Deno.test("sensor, lamp, analyser and serial monitor hang on the pins that the firmware uses", async () => {
  const diagram = readDiagram(project.diagram);
  assert.ok(typeof diagram !== "string");
  const code =
    "import settings\ngiven, _ = settings.load('/settings.wokwi.json')\nprint(given['sensor_pin'], given['led_pin'])";
  const pins = await printed({ "/settings.wokwi.json": text("settings.wokwi.json") }, code);
  assert.equal(pins, "15 2");
  const wires = diagram.connections.map((ends) => ends.join(" "));
  const needed = [
    "esp:15 dht:SDA",
    "esp:15 logic1:D0",
    "esp:2 r1:2",
    "esp:3V3 dht:VCC",
    "esp:TX $serialMonitor:RX",
  ];
  for (const wire of needed) assert.ok(wires.includes(wire), wire);
});

Deno.test("the Wokwi settings are right, and name Wokwi's network and gateway", async () => {
  const code =
    "import settings\ngiven, problems = settings.load('/settings.json', '/settings.wokwi.json')\n" +
    "print(problems, given['wifi_ssid'], repr(given['wifi_key']), given['ingest_url'])";
  const files = { "/settings.wokwi.json": text("settings.wokwi.json") };
  assert.equal(await printed(files, code), "[] Wokwi-GUEST '' http://host.wokwi.internal:8086");
});

Deno.test("settings.json goes first; without either, it is settings.json that is missing", async () => {
  const code =
    "import settings\ngiven, problems = settings.load('/settings.json', '/settings.wokwi.json')\n" +
    "print(given['device'], problems)";
  const both = {
    "/settings.json": `{"device":"mine","ingest_url":"http://a"}`,
    "/settings.wokwi.json": "{}",
  };
  assert.equal(await printed(both, code), "mine []");
  assert.match(await printed({}, code), /settings.json is missing: copy settings.example.json/);
  assert.match(await printed({ "/settings.wokwi.json": "{" }, code), /settings.wokwi.json is not JSON/);
});

Deno.test("a board on the desk gets no Wokwi settings", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", import.meta.url));
  assert.match(readme, /fs cp \*\.py settings\.json :/);
});
