import assert from "node:assert/strict";
import {
  covers,
  isAlive,
  type KeyEntry,
  type KeyFileOutcome,
  keyFileText,
  parseKeyFile,
  withKey,
  withoutKey,
  withRotated,
} from "./key_file.ts";

const T = 1_767_225_600_000;
const key = (fields: Partial<KeyEntry> = {}): KeyEntry => ({
  name: "greenhouse",
  hash: "ab".repeat(32),
  may: "write",
  devices: ["greenhouse-*"],
  createdMs: T,
  expiresMs: null,
  ...fields,
});
const keysOf = (outcome: KeyFileOutcome) => {
  if (outcome.kind === "problem") throw new Error(outcome.problem);
  return outcome.keys;
};

Deno.test("a file of keys is written one key a line and read back", () => {
  const keys = [key(), key({ name: "desk", may: "admin", devices: ["*"], expiresMs: T + 5 })];
  const text = keyFileText(keys);
  assert.equal(
    text,
    `{
  "isotherm_keys": 1,
  "keys": [
    {"name":"greenhouse","may":"write","devices":["greenhouse-*"],"created":"2026-01-01T00:00:00.000Z","hash":"${
      "ab".repeat(32)
    }"},
    {"name":"desk","may":"admin","devices":["*"],"created":"2026-01-01T00:00:00.000Z","expires":"2026-01-01T00:00:00.005Z","hash":"${
      "ab".repeat(32)
    }"}
  ]
}
`,
  );
  assert.deepEqual(keysOf(parseKeyFile(text)), keys);
  assert.deepEqual(keysOf(parseKeyFile(keyFileText([]))), []);
});

Deno.test("a file that can't be trusted is refused with what is wrong", () => {
  const wrong = (text: string) => {
    const outcome = parseKeyFile(text);
    return outcome.kind === "problem" ? outcome.problem : "taken";
  };
  assert.match(wrong("{"), /is not JSON/);
  assert.match(wrong("[]"), /lacks "isotherm_keys": 1/);
  assert.match(wrong('{"isotherm_keys":2,"keys":[]}'), /lacks "isotherm_keys": 1/);
  assert.match(wrong('{"isotherm_keys":1}'), /needs a list of at most 10000 keys/);
  const entry = (fields: Record<string, unknown>) =>
    wrong(JSON.stringify({
      isotherm_keys: 1,
      keys: [{
        name: "a",
        hash: "0".repeat(64),
        may: "write",
        devices: ["*"],
        created: "2026-01-01T00:00:00Z",
        ...fields,
      }],
    }));
  assert.equal(entry({}), "taken");
  assert.match(entry({ name: "A b" }), /wrong entry 0: name must be/);
  assert.match(entry({ hash: "00" }), /hash must be 64/);
  assert.match(entry({ may: "read" }), /may must be write or admin/);
  assert.match(entry({ devices: [] }), /devices must be 1 to 100 patterns/);
  assert.match(entry({ devices: ["a\n"] }), /no device name with stars/);
  assert.match(entry({ created: "yesterday" }), /must be ISO times/);
  assert.match(entry({ expires: 5 }), /must be ISO times/);
});

Deno.test("a key covers the devices of its patterns", () => {
  assert.equal(covers(key({ devices: ["a-*", "b"] }), "a-1"), true);
  assert.equal(covers(key({ devices: ["a-*", "b"] }), "b"), true);
  assert.equal(covers(key({ devices: ["a-*", "b"] }), "b1"), false);
});

Deno.test("a key ends at its time, not before", () => {
  assert.equal(isAlive(key({ expiresMs: T + 1 }), T), true);
  assert.equal(isAlive(key({ expiresMs: T }), T), false);
});

Deno.test("a name is given once; a dead key's name is free, and the dead are cleared away", () => {
  assert.equal(withKey([key()], key()).kind, "problem");
  const dead = key({ expiresMs: T - 1 });
  assert.deepEqual(keysOf(withKey([dead], key())), [key()]);
});

Deno.test("rotation keeps the old secret for the overlap, revocation ends all at once", () => {
  const rotated = keysOf(withRotated([key()], "greenhouse", "cd".repeat(32), T + 10, 1_000));
  assert.deepEqual(rotated, [
    key({ expiresMs: T + 1_010 }),
    key({ hash: "cd".repeat(32), createdMs: T + 10 }),
  ]);
  const twice = keysOf(withRotated(rotated, "greenhouse", "ef".repeat(32), T + 20, 0));
  assert.deepEqual(twice.map(({ hash }) => hash.slice(0, 2)), ["ef"]);
  assert.deepEqual(keysOf(withoutKey(rotated, "greenhouse", T + 30)), []);
  assert.equal(withoutKey([], "greenhouse", T).kind, "problem");
  assert.equal(withRotated([], "greenhouse", "00", T, 0).kind, "problem");
});
