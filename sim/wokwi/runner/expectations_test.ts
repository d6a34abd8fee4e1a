import assert from "node:assert/strict";
import { type Expectation, mismatch, type QueryResult, readExpectations } from "./expectations.ts";

const text = `-- What is left of a minute.
SELECT count(*) AS readings,
  max(temperature_c) AS warmest
FROM readings;
--> readings | warmest
--> 3 | 21.5

-- Nothing was refused.
SELECT reason FROM quarantine;
--> reason
`;

function expectationsOf(content: string): readonly Expectation[] {
  const read = readExpectations(content);
  assert.ok(read.kind === "expectations");
  return read.expectations;
}

const result = (columns: string[], rows: QueryResult["rows"], isCut = false): QueryResult => ({
  columns: columns.map((name) => ({ name })),
  rows,
  isCut,
});

Deno.test("each statement has its result below it", () => {
  assert.deepEqual(expectationsOf(text), [
    {
      line: 2,
      sql: "SELECT count(*) AS readings,\n  max(temperature_c) AS warmest\nFROM readings;",
      expected: [["readings", "warmest"], ["3", "21.5"]],
    },
    { line: 9, sql: "SELECT reason FROM quarantine;", expected: [["reason"]] },
  ]);
});

Deno.test("a file that says nothing is told by its line", () => {
  const cases: [string, RegExp][] = [
    ["", /line 1: has no statement/],
    ["-- only words", /has no statement/],
    ["SELECT 1;", /line 1: the statement's result is missing/],
    ["\nSELECT 1;\n--> a\n\nSELECT 2;", /line 5: the statement's result is missing/],
    ["--> a\nSELECT 1;", /line 1: a result follows its statement/],
    ["SELECT 1, 2;\n--> a | b\n--> 1", /line 1: a row has 1 cells, not 2/],
  ];
  for (const [content, message] of cases) {
    const read = readExpectations(content);
    assert.match(read.kind === "problem" ? read.problem : "", message, content);
  }
});

Deno.test("names, rows, their order and their number have to be the expected ones", () => {
  const [expectation] = expectationsOf("SELECT a, b FROM t;\n--> a | b\n--> 1 | NULL\n--> 2 | true\n");
  assert.ok(expectation !== undefined);
  const good = [[1, null], ["2", true]];
  assert.equal(mismatch(expectation, result(["a", "b"], good)), null);
  const wrong = [
    result(["a", "c"], good),
    result(["a", "b"], [...good].reverse()),
    result(["a", "b"], [[1, null]]),
    result(["a", "b"], [...good, [3, null]]),
    result(["a", "b"], [[1, null], [2, false]]),
    result(["a", "b"], good, true),
  ];
  for (const each of wrong) {
    assert.match(mismatch(expectation, each) ?? "", /^line 1: SELECT a, b FROM t;\nexpected\n/);
  }
});
