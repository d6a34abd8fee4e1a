import assert from "node:assert/strict";
import { lint, parseLintOptions } from "./lint_command.ts";

const board = `{"type":"board-esp32-devkit-c-v4","id":"esp","attrs":{}}`;
const spare = `{"type":"wokwi-dht22","id":"dht","attrs":{}}`;

/** Exit status and lines for a project with this diagram. */
async function linted(diagram: string, ...args: string[]): Promise<[number, string[]]> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/wokwi.toml`, "[wokwi]\nversion = 1\nfirmware = 'main.py'\n");
    await Deno.writeTextFile(`${folder}/diagram.json`, diagram);
    await Deno.writeTextFile(`${folder}/main.py`, "");
    const options = parseLintOptions([folder, ...args]);
    assert.ok(typeof options !== "string");
    const lines: string[] = [];
    const code = await lint(options, (line) => lines.push(line.replace(`${folder}/`, "")));
    return [code, lines];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const undocumented =
  "diagram.json: information: board-esp32-devkit-c-v4 (esp) is not in Wokwi's list of parts (undocumented-part)";
const redundant = "diagram.json: warning: dht is connected to nothing (redundant-part)";

Deno.test("errors fail, warnings don't, unless they are asked to", async () => {
  const clean = `{"parts":[${board}],"connections":[]}`;
  const warned = `{"parts":[${board},${spare}],"connections":[]}`;
  assert.deepEqual(await linted(clean), [0, [undocumented]]);
  assert.deepEqual(await linted(warned), [0, [redundant, undocumented]]);
  assert.deepEqual(await linted(warned, "--warnings-as-errors"), [1, [redundant, undocumented]]);
  assert.deepEqual(await linted(warned, "--ignore-warnings"), [0, []]);
  assert.deepEqual(await linted("{"), [1, [
    "diagram.json: error: diagram.json is not JSON: Expected property name or '}' in JSON at position 1 (line 1 column 2) (invalid-json)",
  ]]);
});

Deno.test("without a project there is a sentence", async () => {
  const lines: string[] = [];
  const options = { folder: "/nowhere", ignoresWarnings: false, failsOnWarnings: false };
  assert.equal(await lint(options, (line) => lines.push(line)), 1);
  assert.match(lines.join(), /wokwi\.toml is missing/);
  assert.equal(typeof parseLintOptions(["a", "b"]), "string");
  assert.equal(typeof parseLintOptions(["--online"]), "string");
  assert.deepEqual(parseLintOptions([]), {
    folder: "firmware",
    ignoresWarnings: false,
    failsOnWarnings: false,
  });
});
