import { deepEqual, equal, throws } from "node:assert/strict";
import { createCsvParser, CsvBroken, type CsvRow, guessDelimiter, rowLengthMax } from "./csv.ts";

function parse(text: string, delimiter = ",", pieceLength = text.length): CsvRow[] {
  const parser = createCsvParser(delimiter);
  const rows: CsvRow[] = [];
  for (let at = 0; at < text.length; at += pieceLength) {
    rows.push(...parser.push(text.slice(at, at + pieceLength)));
  }
  return [...rows, ...parser.end()];
}

Deno.test("a row is its fields, with the line on which it begins", () => {
  deepEqual(parse("a;b\n1;2\n\n3;4", ";"), [
    { line: 1, fields: ["a", "b"] },
    { line: 2, fields: ["1", "2"] },
    { line: 4, fields: ["3", "4"] },
  ]);
});

Deno.test("a quoted field may hold the delimiter, line breaks and doubled quotes", () => {
  deepEqual(parse('name,"a ""b"", c"\n"two\nlines",x\nlast,"y"\n'), [
    { line: 1, fields: ["name", 'a "b", c'] },
    { line: 2, fields: ["two\nlines", "x"] },
    { line: 4, fields: ["last", "y"] },
  ]);
});

Deno.test("a quote within a field is an ordinary character", () => {
  deepEqual(parse('5" pipe,x'), [{ line: 1, fields: ['5" pipe', "x"] }]);
});

Deno.test("lines end in any of the three ways, and a byte order mark is dropped", () => {
  deepEqual(parse("\ufeffa,b\r\n1,2\r3,4\n"), [
    { line: 1, fields: ["a", "b"] },
    { line: 2, fields: ["1", "2"] },
    { line: 3, fields: ["3", "4"] },
  ]);
});

Deno.test("empty fields are kept, also the last", () => {
  deepEqual(parse(",\n,,\n"), [{ line: 1, fields: ["", ""] }, { line: 2, fields: ["", "", ""] }]);
});

Deno.test("the pieces in which a file arrives change nothing", () => {
  const text = '\ufeffa,b\r\n"1\r\n""x""",2\r\n\r\n"",\r3,"4"\r\n5,6';
  const whole = parse(text);
  equal(whole.length, 5);
  for (let pieceLength = 1; pieceLength < text.length; pieceLength++) {
    deepEqual(parse(text, ",", pieceLength), whole, `in pieces of ${pieceLength}`);
  }
});

Deno.test("a quote that is never closed is told with its line, and costs bounded memory", () => {
  const parser = createCsvParser(",");
  parser.push("a,b\n1,2\n");
  const push = () => {
    for (let i = 0; i < 20; i++) parser.push('"'.repeat(i === 0 ? 1 : 0) + "x".repeat(rowLengthMax / 10));
  };
  throws(
    push,
    (error) => error instanceof CsvBroken && /line 3 .* quote that is never closed/.test(error.message),
  );
});

Deno.test("the delimiter is guessed from the header", () => {
  equal(guessDelimiter("TIMESTAMP;DATE_TIME;ID_SENSOR"), ";");
  equal(guessDelimiter('a,"b;c;d;e",f'), ",");
  equal(guessDelimiter("a\tb"), "\t");
  equal(guessDelimiter("alone"), ",");
});
