import assert from "node:assert/strict";
import { bundleText } from "./bundle.ts";
import { readProject, type WokwiProject } from "./project.ts";
import { firmwareFolder, offline, steps } from "./runner/testing/offline.ts";

const project = await readProject(firmwareFolder);
const bytes = (text: string) => new TextEncoder().encode(text);
const bundled = (given: WokwiProject): WokwiProject => ({
  ...given,
  files: new Map([["main.py", bytes(bundleText(given))]]),
});
const text = (content: Uint8Array) => new TextDecoder().decode(content);

Deno.test("the bundle alone does what the project's files do, byte for byte", async () => {
  const scenario = steps(`wait-serial: '"seq":1,'`, "delay: 1s");
  const whole = await offline(scenario);
  const alone = await offline(scenario, { project: bundled(project) });
  assert.equal(alone.verdict.kind, "passed");
  assert.equal(text(alone.serial), text(whole.serial));
});

Deno.test("the project's main.py alone misses its modules: that is what the bundle is for", async () => {
  const main = project.files.get("main.py");
  assert.ok(main !== undefined);
  const alone = await offline(steps("delay: 1s"), {
    project: { ...project, files: new Map([["main.py", main]]) },
  });
  assert.match(text(alone.serial), /ImportError/);
});

Deno.test("whatever text a module has arrives as it is, also after a restart", async () => {
  const module = `text = "quotes \\" ' and \\\\ and é € \\t"\nprint(text)\n`;
  const small: WokwiProject = {
    ...project,
    files: new Map([["main.py", bytes("import words\nprint('main', __name__)\n")], [
      "words.py",
      bytes(module),
    ]]),
  };
  const scenario = steps(
    "delay: 1s",
    "set-control: { part-id: esp, name: reset, value: 1 }",
    `wait-serial: "main isotherm_main"`,
  );
  const { serial, verdict } = await offline(scenario, { project: bundled(small) });
  assert.equal(verdict.kind, "passed");
  assert.equal(text(serial).match(/quotes " ' and \\ and é € \t/g)?.length, 2);
});

Deno.test("what can't be bundled is refused", () => {
  const having = (content: Uint8Array) => () =>
    bundleText({ ...project, files: new Map([["main.py", content]]) });
  assert.throws(having(new Uint8Array([0xff])), /main.py is no UTF-8 text/);
  assert.throws(having(bytes("'\u{1f321}'")), /beyond the basic plane/);
});
