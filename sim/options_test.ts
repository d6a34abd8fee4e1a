import assert from "node:assert/strict";
import { parseSimOptions } from "./options.ts";

Deno.test("every option does what it says", () => {
  const parsed = parseSimOptions(
    "--seeds 3..9 --devices 2 --hours 0.5 --boards micropython --faults zombie,disk_full --store duckdb --files-every 20 --json --fail-unreached --processes 3 --jitter 7"
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
      ...{ processes: 3, jitter: 7 },
    },
  });
});

Deno.test("all problems of the arguments are told at once", () => {
  assert.deepEqual(
    parseSimOptions(["--seed", "x", "--seeds", "9..3", "--store", "tape", "--fast", "--processes", "65"]),
    {
      kind: "problems",
      problems: [
        '--seed needs a whole number of at least 0, not "x"',
        '--seeds needs a range such as 1..100, not "9..3"',
        '--store is one of memory, duckdb, not "tape"',
        "--fast is unknown: see --help",
        "--processes is at most 64",
      ],
    },
  );
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

Deno.test("one process runs the seeds, undisturbed, unless told otherwise", () => {
  const parsed = parseSimOptions([]);
  assert.deepEqual(parsed.kind === "options" && [parsed.options.processes, parsed.options.jitter], [1, null]);
  assert.equal(parseSimOptions(["--processes", "64"]).kind, "options");
  assert.equal(parseSimOptions(["--processes", "0"]).kind, "problems");
});
