import assert from "node:assert/strict";
import { keysHelp, parseKeysCommand, runKeysCommand } from "./command.ts";

const T = 1_767_225_600_000;
const parse = (line: string) => parseKeysCommand(line.split(" ").filter((word) => word !== ""), null);
let made = 0;
const fresh = (name: string) => ({ key: `iso_${name}_${++made}`, hash: String(made).padStart(64, "0") });

/** Runs a command line on a file's text. */
function run(line: string, text: string | null, nowMs = T) {
  const command = parse(line);
  if (!("file" in command)) throw new Error(JSON.stringify(command));
  const result = runKeysCommand(command, text, nowMs, fresh);
  if (result.kind === "problem") throw new Error(result.problem);
  return result;
}

Deno.test("the command line is read, with its defaults", () => {
  assert.deepEqual(parse("create desk"), {
    kind: "create",
    file: "data/keys.json",
    name: "desk",
    devices: ["*"],
    may: "write",
  });
  assert.deepEqual(parse("create fleet --devices green-*,desk --admin --file k.json"), {
    kind: "create",
    file: "k.json",
    name: "fleet",
    devices: ["green-*", "desk"],
    may: "admin",
  });
  assert.deepEqual(parse("rotate desk --overlap 90m"), {
    kind: "rotate",
    file: "data/keys.json",
    name: "desk",
    overlapMs: 5_400_000,
  });
  assert.deepEqual(parseKeysCommand(["list"], "env.json"), { kind: "list", file: "env.json" });
  assert.deepEqual(parse(""), { kind: "help" });
  assert.deepEqual(parse("--help"), { kind: "help" });
});

Deno.test("what can't be meant is refused with a sentence", () => {
  for (
    const line of [
      "make desk",
      "create",
      "create Desk",
      "create a b",
      "rotate desk --overlap soon",
      "create a --bad",
    ]
  ) {
    assert.equal(parse(line).kind, "problem", line);
  }
});

Deno.test("a key is made, listed, rotated and revoked; the file never holds a secret", () => {
  made = 0;
  const created = run("create desk --devices desk-*", null);
  assert.equal(created.lines[0], "iso_desk_1");
  assert.ok(!created.text!.includes("iso_desk_1"));
  assert.deepEqual(run("list", created.text).lines, ["desk  write  desk-*  2026-01-01T00:00:00.000Z"]);
  const rotated = run("rotate desk --overlap 1h", created.text);
  assert.deepEqual(rotated.lines, [
    "iso_desk_2",
    "keep it: it is shown this once, and only its hash is stored",
    "the old key ends at 2026-01-01T01:00:00.000Z",
  ]);
  assert.deepEqual(run("list", rotated.text).lines, [
    "desk  write  desk-*  2026-01-01T00:00:00.000Z  ends 2026-01-01T01:00:00.000Z",
    "desk  write  desk-*  2026-01-01T00:00:00.000Z",
  ]);
  const revoked = run("revoke desk", rotated.text);
  assert.deepEqual(run("list", revoked.text).lines, ["there are no keys"]);
  assert.throws(() => run("revoke desk", revoked.text), /there is no key desk/);
});

Deno.test("the help names every option", () => {
  for (const option of ["--devices", "--admin", "--overlap", "--file"]) assert.ok(keysHelp.includes(option));
});
