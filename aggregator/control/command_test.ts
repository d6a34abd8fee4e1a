import assert from "node:assert/strict";
import { parseCommand, releaseRequest } from "./command.ts";

Deno.test("devices are retired and renamed by records of the log", () => {
  assert.deepEqual(parseCommand("devices", ["retire", "Küche 1"]), {
    kind: "send",
    url: "http://127.0.0.1:8086",
    request: { path: "/v1/devices/K%C3%BCche%201", body: { action: "retire" } },
    done: "Küche 1 is retired",
  });
  assert.deepEqual(parseCommand("devices", ["rename", "desk", "My desk", "--url", "http://there"]), {
    kind: "send",
    url: "http://there",
    request: { path: "/v1/devices/desk", body: { action: "rename", name: "My desk" } },
    done: "desk is called My desk now",
  });
});

Deno.test("a release names the place, and corrects what is given", () => {
  const command = parseCommand("quarantine", [
    "release",
    "desk",
    "17:2",
    "--temperature=-3.5",
    "--ts",
    "1767225600000",
  ]);
  assert(command.kind === "release");
  assert.deepEqual(command.place, { device: "desk", offset: 17, index: 2 });
  const row = { boot: 5, raw: '{"device":"desk","seq":4,"ts":1,"temperature_c":-200,"humidity_pct":40}' };
  assert.deepEqual(releaseRequest(command.place, row, command.changes), {
    path: "/v1/releases",
    body: {
      device: "desk",
      offset: 17,
      index: 2,
      boot: 5,
      reading: { seq: 4, ts: 1_767_225_600_000, temperature_c: -3.5, humidity_pct: 40 },
    },
  });
});

Deno.test("what can't be read can't be released", () => {
  const place = { device: "desk", offset: 17, index: 0 };
  for (const raw of ["{", '"text"', "null"]) {
    assert.equal(typeof releaseRequest(place, { boot: null, raw }, {}), "string", raw);
  }
});

Deno.test("a command that makes no sense says what is missing", () => {
  const problem = (topic: "quarantine" | "devices", ...args: string[]) => {
    const command = parseCommand(topic, args);
    return command.kind === "problem" ? command.sentence : command.kind;
  };
  assert.equal(problem("devices"), "help");
  assert.equal(problem("devices", "retire"), "retire needs a device");
  assert.equal(problem("devices", "rename", "desk"), "rename needs a new name");
  assert.equal(
    problem("devices", "release", "desk"),
    '"release" is nothing that can be done here; see --help',
  );
  assert.match(problem("quarantine", "release", "desk"), /OFFSET or OFFSET:INDEX/);
  assert.match(problem("quarantine", "release", "desk", "x"), /OFFSET or OFFSET:INDEX/);
  assert.equal(problem("quarantine", "release", "desk", "1", "--ts", "noon"), '--ts "noon" is no number');
  assert.match(problem("quarantine", "list", "--colour", "red"), /colour/);
});

Deno.test("names in a list's filter are quoted", () => {
  const command = parseCommand("quarantine", ["list", "--device", "it's", "--reason", "future"]);
  assert(command.kind === "list");
  assert.match(command.sql, /device = 'it''s' AND reason = 'future'/);
});
