import assert from "node:assert/strict";
import { type ParsedLines, parseLines } from "./line_protocol.ts";

const simple = ({ points, problems }: ParsedLines) => ({
  points: points.map(({ line, measurement, tags, fields, timestamp }) => [
    line,
    measurement,
    Object.fromEntries(tags),
    Object.fromEntries(fields),
    timestamp,
  ]),
  problems: problems.map(({ line, message }) => `${line}: ${message}`),
});

Deno.test("a line is taken apart into measurement, tags, numbers and timestamp", () => {
  assert.deepEqual(
    simple(parseLines("dht22,device=desk,room=lab temperature=21.4,humidity=48i 1763950000123\n")),
    {
      points: [[
        1,
        "dht22",
        { device: "desk", room: "lab" },
        { temperature: "21.4", humidity: "48" },
        "1763950000123",
      ]],
      problems: [],
    },
  );
  assert.deepEqual(simple(parseLines("m f=1")), { points: [[1, "m", {}, { f: "1" }, null]], problems: [] });
});

Deno.test("comments, blank lines, CRLF and blanks around don't matter", () => {
  const parsed = simple(parseLines("# note\n\n  m f=1 5\r\n\r\nm f=2\r\nm   f=3   6  \n"));
  assert.deepEqual(parsed.points, [[3, "m", {}, { f: "1" }, "5"], [5, "m", {}, { f: "2" }, null], [
    6,
    "m",
    {},
    { f: "3" },
    "6",
  ]]);
});

Deno.test("escapes and quoted texts, over line ends too, are understood", () => {
  const parsed = simple(
    parseLines('my\\ dht\\,22,dev\\=ice=a\\,b\\ c,p=C:\\x t=1,note="a, b=c \\" d\nnext" 7\nm f=2'),
  );
  assert.deepEqual(parsed, {
    points: [
      [1, "my dht,22", { "dev=ice": "a,b c", p: "C:\\x" }, { t: "1" }, "7"],
      [3, "m", {}, { f: "2" }, null],
    ],
    problems: [],
  });
});

Deno.test("numbers come out in JSON's notation, digit for digit; what is no number is left out", () => {
  const numbers: readonly (readonly [string, string | undefined])[] = [
    ["21.4000000000000000001", "21.4000000000000000001"],
    ["-0.5", "-0.5"],
    ["+3", "3"],
    [".5", "0.5"],
    ["-.5", "-0.5"],
    ["5.", "5"],
    ["007", "7"],
    ["1e3", "1e3"],
    ["1.5E-3", "1.5E-3"],
    ["12i", "12"],
    ["12u", "12"],
    ["true", undefined],
    ["F", undefined],
    ['"21.4"', undefined],
  ];
  for (const [sent, expected] of numbers) {
    const { points, problems } = parseLines(`m a=1,f=${sent}`);
    assert.deepEqual(problems, [], sent);
    assert.equal(points[0]!.fields.get("f"), expected, sent);
    if (expected !== undefined) assert.doesNotThrow(() => JSON.parse(expected));
  }
});

Deno.test("a broken line is told by its number and costs only itself", () => {
  const text = [
    "m f=1",
    "m",
    ",a=b f=1",
    "m,tag f=1",
    "m f=",
    "m f=NaN",
    "m f=1 soon",
    "m f=1 1 2",
    "m =1",
    "m f=0x10",
    `m f=${"1".repeat(65)}`,
    'm f="open',
  ].join("\n");
  const { points, problems } = simple(parseLines(text));
  assert.equal(points.length, 1);
  assert.deepEqual(problems, [
    "2: it has no fields",
    "3: it starts without a measurement",
    '4: the tag "tag" has no value',
    '5: "" is no number: text stands in double quotes',
    '6: "NaN" is no number: text stands in double quotes',
    "7: the timestamp is no integer",
    "8: something follows the timestamp",
    "9: a field has no name or no value",
    '10: "0x10" is no number: text stands in double quotes',
    "11: a number has more than 64 characters",
    "12: a text in quotes has no end",
  ]);
});
