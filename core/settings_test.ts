import assert from "node:assert/strict";
import {
  choiceSetting,
  flagSetting,
  integerSetting,
  readSettings,
  settingsHelp,
  settingsMarkdown,
  textSetting,
} from "./settings.ts";

const table = {
  port: integerSetting({
    env: "X_PORT",
    unit: "port",
    min: 1,
    max: 9,
    fallback: 8,
    consequence: "Where it listens.",
  }),
  level: choiceSetting({ env: "X_LEVEL", choices: ["info", "debug"], consequence: "How much it says." }),
  lan: flagSetting({ env: "X_LAN", consequence: "Opens it." }),
  key: textSetting({
    env: "X_KEY",
    range: "8 or more letters",
    pattern: /^[a-z]{8,}$/,
    fallback: null,
    secret: true,
    consequence: "Guards it.",
  }),
};
const read = (env: Record<string, string>) => readSettings(table, (name) => env[name]);

Deno.test("an empty environment gives the defaults", () => {
  assert.deepEqual(read({}), { kind: "ok", values: { port: 8, level: "info", lan: false, key: null } });
  assert.deepEqual(read({ X_PORT: "", X_LEVEL: "  " }), read({}));
});

Deno.test("settings are read at the edges of their range", () => {
  const env = { X_PORT: "9", X_LEVEL: "debug", X_LAN: "1", X_KEY: "abcdefgh" };
  const values = { port: 9, level: "debug", lan: true, key: "abcdefgh" };
  assert.deepEqual(read(env), { kind: "ok", values });
});

Deno.test("every wrong setting is reported at once, a secret without its value", () => {
  assert.deepEqual(read({ X_PORT: "10", X_LEVEL: "loud", X_LAN: "maybe", X_KEY: "secret" }), {
    kind: "problems",
    problems: [
      'X_PORT is "10", must be an integer from 1 to 9 (port)',
      'X_LEVEL is "loud", must be one of info, debug',
      'X_LAN is "maybe", must be 1 or 0',
      "X_KEY must be 8 or more letters",
    ],
  });
  assert.deepEqual(read({ X_LEVEL: "redis://me:secret@host" }), {
    kind: "problems",
    problems: ['X_LEVEL is "redis://me:…@host", must be one of info, debug'],
  });
  for (const port of ["0", "1.5", "1e0", "0x5", "five"]) {
    assert.equal(read({ X_PORT: port }).kind, "problems");
  }
});

Deno.test("the table prints itself for the README and for --help", () => {
  const rows = settingsMarkdown(table).split("\n");
  assert.equal(rows[2], "| `X_PORT` | port | 1 to 9 | `8` | Where it listens. |");
  assert.equal(rows[5], "| `X_KEY` | text | 8 or more letters | – | Guards it. |");
  assert.equal(
    settingsHelp(table).split("\n").slice(0, 2).join("\n"),
    "  X_PORT (port: 1 to 9; default 8)\n      Where it listens.",
  );
});
