import assert from "node:assert/strict";
import { parseSimOptions } from "./options.ts";

Deno.test("every option does what it says", () => {
  const parsed = parseSimOptions(
    "--seeds 3..9 --devices 2 --hours 0.5 --boards micropython --faults zombie,disk_full --store duckdb --files-every 20 --json --fail-unreached"
      .split(" "),
  );
  assert.deepEqual(parsed, {
    kind: "options",
    options: {
      ...{
        command: "run",
        fromSeed: 3,
        toSeed: 9,
        devices: 2,
        hours: 0.5,
        boards: "micropython",
        faults: ["zombie", "disk_full"],
      },
      ...{ store: "duckdb", json: true, scenario: null, filesEvery: 20, failUnreached: true, html: null },
    },
  });
});

Deno.test("all problems of the arguments are told at once", () => {
  assert.deepEqual(parseSimOptions(["--seed", "x", "--seeds", "9..3", "--store", "tape", "--fast"]), {
    kind: "problems",
    problems: [
      '--seed needs a whole number of at least 0, not "x"',
      '--seeds needs a range such as 1..100, not "9..3"',
      '--store is one of memory, duckdb, not "tape"',
      "--fast is unknown: see --help",
    ],
  });
});

Deno.test("shrink takes a seed", () => {
  const parsed = parseSimOptions(["shrink", "41"]);
  assert.deepEqual(parsed.kind === "options" && [parsed.options.command, parsed.options.fromSeed], [
    "shrink",
    41,
  ]);
});

Deno.test("a page shows one run", () => {
  const parsed = parseSimOptions(["--seed", "7", "--html", "run.html"]);
  assert.equal(parsed.kind === "options" && parsed.options.html, "run.html");
  assert.deepEqual(parseSimOptions(["--seeds", "1..2", "--html", "run.html"]), {
    kind: "problems",
    problems: ["--html shows one run: give one --seed"],
  });
});
