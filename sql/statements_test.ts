import assert from "node:assert/strict";
import { statementsOf } from "./statements.ts";

Deno.test("a statement ends at its semicolon, over any number of lines", () => {
  assert.deepEqual(statementsOf("FROM windows\nLIMIT 5;"), {
    statements: ["FROM windows\nLIMIT 5"],
    rest: "",
  });
  assert.deepEqual(statementsOf("SELECT 1; SELECT 2;SELECT"), {
    statements: ["SELECT 1", "SELECT 2"],
    rest: "SELECT",
  });
});

Deno.test("semicolons in texts, names and comments end nothing", () => {
  for (
    const sql of ["SELECT 'a;''b;'", 'SELECT "a;""b;"', "SELECT 1 -- ;", "SELECT 1 /* ; */", "SELECT $$;$$"]
  ) {
    assert.deepEqual(statementsOf(sql), { statements: [], rest: sql });
    assert.deepEqual(statementsOf(`${sql}\n;`).statements, [sql]);
  }
  for (const open of ["SELECT 'a;", 'SELECT "a;', "SELECT /* ;", "SELECT $$ ;"]) {
    assert.deepEqual(statementsOf(open), { statements: [], rest: open });
  }
});

Deno.test("nothing, blanks and comments are no statements", () => {
  assert.deepEqual(statementsOf(" ;;\n-- nothing\n; /* here */ ;\n"), { statements: [], rest: "" });
});
