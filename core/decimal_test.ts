import assert from "node:assert/strict";
import { seededRandom } from "../sim/random.ts";
import { thousandths, thousandthsOfText } from "./decimal.ts";
import { below } from "./ports/random.ts";

const table: readonly (readonly [text: string, thousandths: number])[] = [
  ["0", 0],
  ["-0", 0],
  ["21.4", 21_400],
  ["-10.1", -10_100],
  ["0.0004", 0],
  ["0.0005", 1],
  ["-0.0004", 0],
  ["-0.0005", -1],
  ["1.0005", 1_001], // the double is 1.000499999999999989…
  ["-1.0005", -1_001],
  ["21.4005", 21_401], // the double is 21.40050000000000096…
  ["8.0015", 8_002],
  ["1.0004999999", 1_000],
  ["1e2", 100_000],
  ["1E+3", 1_000_000],
  ["5e-4", 1],
  ["4.9e-4", 0],
  ["1e-400", 0],
  ["999999.9994", 999_999_999],
  ["999999.9995", 1_000_000_000],
  ["1000000", 1_000_000_000],
  ["1000000.001", 1_000_000_000],
  ["-1e300", -1_000_000_000],
];

Deno.test("decimal text becomes thousandths, half away from zero", () => {
  for (const [text, expected] of table) {
    assert.equal(thousandthsOfText(text), expected, text);
    assert.equal(thousandths(Number(text)), expected, text);
  }
});

Deno.test("numbers with more digits than a double has are rounded by their text", () => {
  const long: readonly (readonly [string, number])[] = [
    ["0.00049999999999999999999", 0],
    ["0.00050000000000000000000", 1],
    ["-21.40049999999999999999", -21_400],
    ["21.400500000000000000001", 21_401],
    ["123456789012345678901234567890", 1_000_000_000],
    ["0.000000000000000000000000021400e27", 21_400],
    ["1e0000000000000000001", 10_000],
    ["1e-99999999999999999999", 0],
    ["1e99999999999999999999", 1_000_000_000],
    ["0e99999999999999999999", 0],
  ];
  for (const [text, expected] of long) assert.equal(thousandthsOfText(text), expected, text);
});

Deno.test("what is no decimal number gives NaN", () => {
  for (const text of ["abc", "1,5", "0x10", "1e", "1e5.5", "Infinity", "NaN", " 1"]) {
    assert.ok(Number.isNaN(thousandthsOfText(text)), text);
  }
});

Deno.test("text and number agree on every decimal with up to 15 digits (20,000 drawn)", () => {
  const random = seededRandom(1, "decimal");
  for (let i = 0; i < 20_000; i++) {
    const digits = String(1 + below(random, 999_999_999)) + String(below(random, 1_000_000)).padStart(6, "0");
    const places = below(random, 16);
    const padded = digits.padStart(places + 1, "0");
    const text = `${below(random, 2) === 0 ? "" : "-"}${padded.slice(0, padded.length - places)}${
      places === 0 ? "" : `.${padded.slice(-places)}`
    }`;
    assert.equal(thousandths(Number(text)), exact(text), text);
    assert.equal(thousandthsOfText(text), exact(text), text);
  }
});

/** The same in integers of any size. */
function exact(text: string): number {
  const negative = text.startsWith("-");
  const [whole = "", fraction = ""] = text.replace("-", "").split(".");
  const unit = 10n ** BigInt(fraction.length);
  const scaled = BigInt(whole + fraction) * 1_000n;
  const rounded = (2n * scaled + unit) / (2n * unit);
  const clamped = Number(rounded > 1_000_000_000n ? 1_000_000_000n : rounded);
  return negative && clamped > 0 ? -clamped : clamped;
}
