import assert from "node:assert/strict";
import { type Batch, decodeBatchClosely } from "./schema.ts";
import { scanBatch } from "./scan.ts";

const encoder = new TextEncoder();
const scan = (text: string) => scanBatch(encoder.encode(text), () => () => "");
const fieldsOf = (batch: Batch | null) => {
  if (batch === null) return null;
  const { rawReading: _, ...fields } = batch;
  return fields;
};

/** mulberry32; a fixed seed makes the texts the same everywhere. */
function randomOf(seed: number): (bound: number) => number {
  let a = seed >>> 0;
  return (bound) => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % bound;
  };
}

Deno.test("the scanner takes what boards send, without falling back", () => {
  const usual = [
    `{"device":"desk","temperature_c":21.5,"humidity_pct":40}`,
    `{"device":"b","boot":5212873469012345,"seq":0,"ts":1763950000123,"temperature_c":-0.1}`,
    ` { "device" : "b" , "temperature_c" : -40.0005 }\n`,
    `{"device":"b","boot":1,"every_ms":10000,"synced":false,"pending_since":null,"previous":{"boot":2,"slots":8841},` +
    `"lost":[],"readings":[{"seq":41,"ts":1763950000123,"temperature_c":21.4,"humidity_pct":48.2}]}`,
  ];
  for (const text of usual) assert.notEqual(scan(text), null, text);
});

Deno.test("a record is looked at once more for its raw readings, however many are asked for", () => {
  let looks = 0;
  const batch = scanBatch(
    encoder.encode('{"device":"d","readings":[{"temperature_c":1},{"temperature_c":2},{"temperature_c":3}]}'),
    () => {
      looks++;
      return (index) => `raw ${index}`;
    },
  );
  assert.equal(looks, 0);
  assert.deepEqual([0, 1, 2].map((index) => batch?.rawReading(index)), ["raw 0", "raw 1", "raw 2"]);
  assert.equal(looks, 1);
});

Deno.test("the scanner rounds decimal text half away from zero", () => {
  const thousandths = (number: string) => scan(`{"device":"d","temperature_c":${number}}`)?.readings[0];
  const cases: [string, number][] = [
    ["0", 0],
    ["-0", 0],
    ["-0.0004", 0],
    ["0.0005", 1],
    ["-0.0005", -1],
    ["21.4005", 21_401],
    ["21.40049999", 21_400],
    ["999999.9995", 1_000_000_000],
    ["1.1", 1_100],
    ["1.01", 1_010],
    ["1.001", 1_001],
  ];
  for (const [text, expected] of cases) {
    const reading = thousandths(text);
    assert.equal(reading?.kind === "reading" ? reading.temperatureMilliC : null, expected, text);
  }
});

Deno.test("what the scanner takes, the close look takes equally; 50,000 texts with every kind of flaw", () => {
  const below = randomOf(7);
  const pick = <T>(items: readonly T[]): T => items[below(items.length)]!;
  const numbers = [
    "0",
    "-0",
    "1",
    "-1",
    "12.5",
    "-12.55",
    "00",
    "01",
    "1.",
    ".5",
    "1e3",
    "-",
    "+1",
    "9007199254740991",
    "9007199254740992",
    "99999999999999999",
    "1763950000123",
    "21.4005",
    "0.00049999999999999999999",
    "123456.7895",
    "1234567.8",
    "null",
    "true",
    '"1"',
    "{}",
    "NaN",
    "4.35",
    "1.0005",
    "-273.1234567891",
  ];
  const names = [
    '"device"',
    '"boot"',
    '"every_ms"',
    '"synced"',
    '"pending_since"',
    '"previous"',
    '"lost"',
    '"seq"',
    '"ts"',
    '"temperature_c"',
    '"humidity_pct"',
    '"error"',
    '"flag"',
    '"other"',
    '"d\\u0065vice"',
    '"readings"',
  ];
  const value = (name: string): string => {
    if (below(25) === 0) return pick(numbers);
    switch (name) {
      case '"device"':
        return pick([
          '"desk"',
          '"kühl"',
          '"a\\nb"',
          '""',
          '"__proto__"',
          '"x y"',
          '"\u0001"',
          '"' + "n".repeat(128) + '"',
        ]);
      case '"synced"':
        return pick(["true", "false"]);
      case '"previous"':
        return pick([
          "null",
          '{"boot":1,"slots":2}',
          '{"slots":2,"boot":1}',
          '{"boot":1}',
          '{"boot":1,"slots":2,"x":1}',
        ]);
      case '"lost"':
        return pick(["[]", "[ ]", '[{"from":1,"to":2,"reason":"a"}]']);
      case '"error"':
        return '"checksum"';
      case '"flag"':
        return '"stuck"';
      case '"readings"':
        return `[${
          Array.from({ length: 1 + below(3) }, () =>
            object(['"seq"', '"ts"', '"temperature_c"', '"humidity_pct"'], 1 + below(4))).join(
              pick([",", " , ", ""]),
            )
        }]`;
      case '"every_ms"':
        return pick(["10000", "99", "100", "86400000", "86400001"]);
      default:
        return below(6) === 0 ? pick(numbers) : pick(["0", "7", "1763950000123", "12"]) +
          (name.includes("_") ? pick(["", ".5", ".0005", ".25"]) : "");
    }
  };
  const object = (keys: readonly string[], count: number): string => {
    const space = () => below(12) === 0 ? pick([" ", "\n", "\t "]) : "";
    const rest = [...keys];
    const parts = Array.from({ length: count }, () => {
      const key = below(15) === 0 ? pick(keys) : rest.splice(below(rest.length), 1)[0] ?? pick(keys);
      return `${space()}${key}${space()}:${space()}${value(key)}${space()}`;
    });
    return `{${parts.join(",")}${below(60) === 0 ? "," : ""}}${below(60) === 0 ? "x" : ""}`;
  };
  let taken = 0;
  for (let i = 0; i < 50_000; i++) {
    const text = below(2) === 0
      ? object(names, 1 + below(6))
      : `{"device":"desk",${object(names.slice(1, 11), 1 + below(4)).slice(1)}`;
    const scanned = scan(text);
    if (scanned === null) continue;
    taken++;
    const close = decodeBatchClosely(encoder.encode(text));
    assert.equal(close.kind, "batch", text);
    assert.deepEqual(fieldsOf(scanned), fieldsOf(close.kind === "batch" ? close.batch : null), text);
  }
  assert.ok(taken > 3_000, `only ${taken} texts were taken`);
});
