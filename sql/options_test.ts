import assert from "node:assert/strict";
import { parseSqlOptions } from "./options.ts";

Deno.test("one SQL text is enough: the data folder, the table and 1,000 rows are the default", () => {
  assert.deepEqual(parseSqlOptions(["FROM windows"]), {
    kind: "options",
    options: { sql: "FROM windows", data: "data", format: "table", limit: 1_000 },
  });
  assert.deepEqual(parseSqlOptions(["--data", "x", "FROM devices", "--format=csv", "--limit", "5"]), {
    kind: "options",
    options: { sql: "FROM devices", data: "x", format: "csv", limit: 5 },
  });
});

Deno.test("without SQL there is one question after the other", () => {
  assert.deepEqual(parseSqlOptions([]), {
    kind: "options",
    options: { sql: null, data: "data", format: "table", limit: 1_000 },
  });
});

Deno.test("--help asks for help", () => {
  assert.deepEqual(parseSqlOptions(["-h", "FROM windows"]), { kind: "help" });
});

Deno.test("every problem is told at once", () => {
  assert.deepEqual(parseSqlOptions(["FROM", "windows", "--format", "xml", "--limit", "0", "--data="]), {
    kind: "problems",
    problems: [
      "give one SQL text in quotes, not 2 words",
      "--format must be one of table, csv, json, markdown, not xml",
      "--limit must be an integer from 1 to 10000000, not 0",
      "--data must name a folder",
    ],
  });
  assert.equal(parseSqlOptions([" "]).kind, "problems");
  assert.equal(parseSqlOptions(["--limit", "1e3", "x"]).kind, "problems");
  assert.equal(parseSqlOptions(["--limit", "10000001", "x"]).kind, "problems");
  assert.equal(parseSqlOptions(["--limit", "10000000", "x"]).kind, "options");
  assert.equal(parseSqlOptions(["--nix", "x"]).kind, "problems");
});
