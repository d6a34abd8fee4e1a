import assert from "node:assert/strict";
import { join } from "node:path";
import { projectFolderOf, ProjectRefused, readProject } from "./project.ts";

const toml = (firmware: string) => `[wokwi]\nversion = 1\nfirmware = '${firmware}'\n`;

/** Runs `test` in a folder with these files. */
async function inFolder(
  files: Record<string, string>,
  test: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    for (const [name, content] of Object.entries(files)) {
      await Deno.mkdir(join(folder, name, ".."), { recursive: true });
      await Deno.writeTextFile(join(folder, name), content);
    }
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const refusal = (folder: string, message: RegExp) =>
  assert.rejects(
    readProject(folder),
    (error: Error) => error instanceof ProjectRefused && message.test(error.message),
  );

Deno.test("a MicroPython project is main.py, its modules and its Wokwi settings, never the desk's settings", async () => {
  const files = {
    "wokwi.toml": toml("main.py"),
    "diagram.json": "{}",
    "main.py": "import b",
    "b.py": "",
    "settings.wokwi.json": "{}",
    "settings.json": `{"wifi_key":"secret"}`,
    "settings.example.json": "{}",
    "testing/helper.py": "",
  };
  await inFolder(files, async (folder) => {
    const project = await readProject(folder);
    assert.deepEqual([...project.files.keys()], ["b.py", "main.py", "settings.wokwi.json"]);
    assert.equal(project.firmware, "main.py");
    assert.equal(project.diagram, "{}");
  });
});

Deno.test("a program of another name runs as main.py, with what lies beside it", async () => {
  const files = {
    "wokwi.toml": toml("src/app.py"),
    "diagram.json": "{}",
    "src/app.py": "app",
    "src/b.py": "",
    "c.py": "",
  };
  await inFolder(files, async (folder) => {
    const project = await readProject(folder);
    assert.deepEqual([...project.files.keys()], ["b.py", "main.py"]);
    assert.equal(new TextDecoder().decode(project.files.get("main.py")), "app");
  });
});

Deno.test("a flash image goes up alone, under wokwi-cli's name", async () => {
  const files = {
    "wokwi.toml": toml("build/image.bin"),
    "diagram.json": "{}",
    "build/image.bin": "x",
    "build/b.py": "",
  };
  await inFolder(files, async (folder) => {
    const project = await readProject(folder);
    assert.deepEqual([[...project.files.keys()], project.firmware], [["firmware.bin"], "firmware.bin"]);
  });
});

Deno.test("a scenario belongs to the nearest project above it", async () => {
  await inFolder({ "wokwi.toml": "", "scenarios/deep/a.scenario.yaml": "" }, async (folder) => {
    assert.equal(await projectFolderOf(join(folder, "scenarios/deep/a.scenario.yaml")), folder);
  });
  await inFolder({ "a.scenario.yaml": "" }, async (folder) => {
    await assert.rejects(projectFolderOf(join(folder, "a.scenario.yaml")), /lies in no Wokwi project/);
  });
});

Deno.test("what is missing or wrong is said in a sentence", async () => {
  const good = { "wokwi.toml": toml("main.py"), "diagram.json": "{}", "main.py": "" };
  const cases: [Record<string, string>, RegExp][] = [
    [{}, /wokwi.toml is missing/],
    [{ ...good, "wokwi.toml": "[wokwi\n" }, /wokwi.toml:1: /],
    [{ ...good, "wokwi.toml": "" }, /lacks \[wokwi\]/],
    [{ ...good, "wokwi.toml": "[wokwi]\nversion = 2\nfirmware = 'main.py'" }, /version must be 1/],
    [{ ...good, "wokwi.toml": "[wokwi]\nversion = 1" }, /lacks firmware/],
    [{ "wokwi.toml": toml("main.py"), "main.py": "" }, /diagram.json is missing/],
    [{ "wokwi.toml": toml("main.py"), "diagram.json": "{}" }, /main.py is missing/],
  ];
  for (const [files, message] of cases) await inFolder(files, (folder) => refusal(folder, message));
});
