import assert from "node:assert/strict";
import fc from "fast-check";
import { diagramItemsMax } from "./diagram.ts";
import { lintDiagram } from "./diagram_rules.ts";

const board = { type: "board-esp32-devkit-c-v4", id: "esp", top: 0, left: 0, attrs: {} };
const sensor = { type: "wokwi-dht22", id: "dht", top: 0, left: 200, attrs: {} };
const wire = (from: string, to: string) => [from, to, "green", []];
const wires = [wire("esp:TX", "$serialMonitor:RX"), wire("esp:15", "dht:SDA")];

const diagram = (parts: readonly unknown[], connections: readonly unknown[] = wires) =>
  JSON.stringify({ version: 1, author: "a", editor: "wokwi", parts, connections });
const said = (text: string) => lintDiagram(text).map(({ severity, rule }) => `${severity} ${rule}`);

Deno.test("a board with a sensor is clean, but for the board, which Wokwi doesn't document", () => {
  assert.deepEqual(said(diagram([board, sensor])), ["information undocumented-part"]);
});

Deno.test("what Wokwi's lint calls an error is one here", () => {
  const cases: [string, string, readonly string[]][] = [
    ["no JSON", "{", ["error invalid-json"]],
    ["no object", "[]", ["error invalid-json"]],
    ["no parts", `{"connections":[]}`, ["error invalid-json"]],
    ["no connections", `{"parts":[]}`, ["error invalid-json"]],
    ["a part without a type", `{"parts":[{"id":"a"}],"connections":[]}`, ["error invalid-json"]],
    ["a connection with one end", `{"parts":[],"connections":[["a:1"]]}`, ["error invalid-json"]],
    ["one id twice", diagram([board, sensor, sensor]), ["error duplicate-id"]],
    ["x and y", diagram([board, { ...sensor, x: 1, y: 2 }]), ["error coordinate-names"]],
    ["an unknown type", diagram([board, { ...sensor, type: "dht22" }]), ["error unknown-part-type"]],
    ["a pin of another board", diagram([board, sensor], [...wires, wire("esp:D4", "dht:NC")]), [
      "error invalid-pin",
    ]],
    ["a ground without its number", diagram([board, sensor], [...wires, wire("esp:GND", "dht:GND")]), [
      "error invalid-pin",
    ]],
    ["VDD", diagram([board, sensor], [...wires, wire("esp:3V3", "dht:VDD")]), ["error invalid-pin"]],
    [
      "a pin that the monitor lacks",
      diagram([board, sensor], [...wires, wire("esp:RX", "$serialMonitor:CTS")]),
      [
        "error invalid-pin",
      ],
    ],
    ["no such part", diagram([board, sensor], [...wires, wire("esp:3V3", "sensor:VCC")]), [
      "error missing-component",
    ]],
  ];
  for (const [what, text, expected] of cases) {
    const errors = said(text).filter((each) => each.startsWith("error"));
    assert.deepEqual(errors, expected, what);
  }
});

Deno.test("what Wokwi's lint warns of is a warning here", () => {
  const cases: [string, string, string][] = [
    ["an unknown attribute", diagram([board, { ...sensor, attrs: { warmth: "1" } }]), "invalid-attribute"],
    [
      "a number as attribute",
      diagram([board, { ...sensor, attrs: { temperature: 21.5 } }]),
      "invalid-attribute",
    ],
    [
      "a place among the attributes",
      diagram([board, { ...sensor, attrs: { top: 1 } }]),
      "misplaced-coordinates",
    ],
    ["a part without wires", diagram([board, sensor, { ...sensor, id: "spare" }]), "redundant-part"],
    ["a part unknown here", diagram([board, { ...sensor, type: "wokwi-other" }]), "unknown-part-type"],
  ];
  for (const [what, text, rule] of cases) assert.ok(said(text).includes(`warning ${rule}`), what);
});

Deno.test("boards may have any attribute, chips any pin, and other boards pass", () => {
  const other = { ...board, type: "board-of-tomorrow", id: "other", attrs: { speed: 9 } };
  const chip = { type: "chip-counter", id: "chip", attrs: { any: 1 } };
  const text = diagram([{ ...board, attrs: { env: "micropython", any: 1 } }, sensor, other, chip], [
    ...wires,
    wire("other:X9", "chip:Y"),
  ]);
  assert.deepEqual(said(text), ["information undocumented-part"]);
});

Deno.test("a diagram of any size is judged, one beyond the bound refused", () => {
  const many = (count: number) => diagram([board, sensor], Array.from({ length: count - 2 }, () => wires[0]));
  assert.deepEqual(said(many(diagramItemsMax)).filter((each) => each.includes("json")), []);
  assert.deepEqual(said(many(diagramItemsMax + 1)), ["error invalid-json"]);
});

Deno.test("no text makes the lint throw", () => {
  fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (text) => void lintDiagram(text)), {
    numRuns: 300,
  });
  fc.assert(
    fc.property(fc.array(fc.object()), fc.array(fc.array(fc.string())), (parts, connections) => {
      lintDiagram(JSON.stringify({ parts, connections }));
    }),
    { numRuns: 300 },
  );
});
