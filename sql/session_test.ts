import assert from "node:assert/strict";
import { completionsOf, createSession, sessionHelp } from "./session.ts";

function session(failing: readonly string[] = []) {
  const asked: unknown[][] = [];
  const printed: string[] = [];
  const one = createSession({
    answer(sql, format, limit) {
      asked.push([sql, format, limit]);
      return Promise.resolve(!failing.includes(sql));
    },
    views: () => Promise.resolve([["windows", "Newest version"]]),
    print: (text) => Promise.resolve(void printed.push(text)),
  }, { format: "table", limit: 1_000 });
  return { one, asked, printed };
}

Deno.test("a statement is asked when its semicolon comes, several on a line one after the other", async () => {
  const { one, asked } = session();
  assert.equal(await one.take("FROM windows"), "more");
  assert.deepEqual([asked.length, one.isOpen], [0, true]);
  await one.take("LIMIT 5; SELECT 1; SELECT");
  await one.take("2;");
  assert.deepEqual(asked.map(([sql]) => sql), ["FROM windows\nLIMIT 5", "SELECT 1", "SELECT\n2"]);
  assert.equal(one.isOpen, false);
});

Deno.test("what was begun can be dropped, and at the end is asked without a semicolon", async () => {
  const { one, asked } = session();
  await one.take("SELEC");
  one.drop();
  await one.take("SELECT 1");
  await one.finish();
  await one.finish();
  assert.deepEqual(asked.map(([sql]) => sql), ["SELECT 1"]);
});

Deno.test(".format and .limit hold for what follows; what they can't take changes nothing", async () => {
  const { one, asked, printed } = session();
  for (const line of [".format csv", ".format xml", ".limit 5", ".limit 0", "SELECT 1;"]) {
    await one.take(line);
  }
  assert.deepEqual(asked, [["SELECT 1", "csv", 5]]);
  assert.deepEqual(printed, [
    ".format takes table, csv, json, markdown\n",
    ".limit takes a whole number from 1 to 9999999\n",
  ]);
});

Deno.test(".views tells what there is, .exit ends, anything else with a point shows the help", async () => {
  const { one, printed } = session();
  await one.take(".views");
  assert.match(printed[0]!, /│ windows │ Newest version │/);
  await one.take(".what");
  assert.equal(printed[1], sessionHelp);
  assert.equal(await one.take(".exit"), "end");
});

Deno.test("a failed statement is remembered for the exit status, and the next is asked all the same", async () => {
  const { one, asked } = session(["SELEC"]);
  await one.take("SELEC; SELECT 1;");
  assert.deepEqual([asked.length, one.hasFailed], [2, true]);
});

Deno.test("Tab completes the word before it, whatever its case", () => {
  const names = ["windows", "windows_live", "window_start", "device"];
  assert.deepEqual(completionsOf("SELECT device FROM WINDOWS", names), [
    ["windows", "windows_live"],
    "WINDOWS",
  ]);
  assert.deepEqual(completionsOf("SELECT ", names), [[], ""]);
});
