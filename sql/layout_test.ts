import assert from "node:assert/strict";
import { csvText, jsonText, markdownText, type Rows, tableText } from "./layout.ts";

const rows: Rows = {
  columns: [{ name: "device", isNumber: false }, { name: "mean", isNumber: true }],
  rows: [["Küche 🌡", 21.123456], ['a "b", c', null], ["", -3]],
};

Deno.test("a table has a frame, numbers on the right, four decimals, and NULL for null", () => {
  assert.equal(
    tableText({ ...rows, rows: [["Küche", 21.123456], ['a "b", c', null], ["", -3]] }, 80),
    `┌──────────┬─────────┐
│ device   │    mean │
├──────────┼─────────┤
│ Küche    │ 21.1235 │
│ a "b", c │    NULL │
│          │      -3 │
└──────────┴─────────┘
`,
  );
});

Deno.test("wide characters take two columns, combining marks none", () => {
  const text = tableText({ columns: [{ name: "n", isNumber: false }], rows: [["温度"], ["e\u0301"]] }, 80);
  assert.deepEqual(text.split("\n").slice(3, 5), ["│ 温度 │", "│ e\u0301    │"]);
});

Deno.test("a table that is too wide is turned on its side, as many rows beside each other as fit", () => {
  const wide: Rows = {
    columns: ["device", "mean", "lowest"].map((name) => ({ name, isNumber: name !== "device" })),
    rows: [["one", 1, 2], ["two", 2, 3], ["three", 3, 4]],
  };
  assert.equal(
    tableText(wide, 26),
    `┌────────┬──────┬────────┐
│ device │ mean │ lowest │
├────────┼──────┼────────┤
│ one    │    1 │      2 │
│ two    │    2 │      3 │
│ three  │    3 │      4 │
└────────┴──────┴────────┘
`,
  );
  assert.equal(
    tableText(wide, 25),
    `┌────────┬─────┬─────┐
│ device │ one │ two │
│ mean   │ 1   │ 2   │
│ lowest │ 2   │ 3   │
└────────┴─────┴─────┘

┌────────┬───────┐
│ device │ three │
│ mean   │ 3     │
│ lowest │ 4     │
└────────┴───────┘
`,
  );
});

Deno.test("a long or unprintable cell can't break the table", () => {
  const text = tableText({
    columns: [{ name: "raw", isNumber: false }],
    rows: [["x".repeat(61)], ["a\u001b[2Jb\n"]],
  }, 80);
  assert.equal(text.split("\n")[3], `│ ${"x".repeat(59)}… │`);
  assert.equal(text.split("\n")[4], `│ a·[2Jb·${" ".repeat(53)} │`);
});

Deno.test("a result without rows shows its columns, one without columns nothing", () => {
  assert.equal(tableText({ columns: rows.columns, rows: [] }, 80).split("\n")[1], "│ device │ mean │");
  assert.equal(tableText({ columns: [], rows: [] }, 80), "");
});

Deno.test("CSV tells an empty text from null and quotes what needs it", () => {
  assert.equal(csvText(rows), 'device,mean\nKüche 🌡,21.123456\n"a ""b"", c",\n"",-3\n');
});

Deno.test("JSON is one array, a row a line, values exact", () => {
  assert.equal(
    jsonText(rows),
    '[\n{"device":"Küche 🌡","mean":21.123456},\n{"device":"a \\"b\\", c","mean":null},\n{"device":"","mean":-3}\n]\n',
  );
  assert.equal(jsonText({ columns: [], rows: [] }), "[]\n");
});

Deno.test("Markdown escapes the bar", () => {
  const text = markdownText({ columns: [{ name: "a|b", isNumber: true }], rows: [[1], [null]] });
  assert.equal(text, "| a\\|b |\n| ---: |\n| 1 |\n|  |\n");
});
