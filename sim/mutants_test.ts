import assert from "node:assert/strict";
import { mutants } from "./mutants.ts";

const ROOT = new URL("../", import.meta.url);

Deno.test("each planted bug fits the code at exactly one place, and changes it", () => {
  assert.ok(mutants.length >= 40, `${mutants.length} planted bugs`);
  assert.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length, "their names differ");
  const wrong = mutants.filter(({ file, from, to }) =>
    Deno.readTextFileSync(new URL(file, ROOT)).split(from).length !== 2 || from === to
  );
  assert.deepEqual(wrong.map(({ name, file }) => `${name} in ${file}`), []);
});
