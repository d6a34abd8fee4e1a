import { deepEqual, equal } from "node:assert/strict";
import { createRowReader, decimalText, findColumns, type RowReader } from "./rows.ts";

const header = ["id", "time", "t", "rh"];
const columns = { device: 0, ts: 1, temperature: 2, humidity: 3 };
const reader = (zone = "UTC"): RowReader => createRowReader(header, columns, "auto", zone);
const json = (fields: string[], from = reader()): string => {
  const outcome = from.read({ line: 7, fields });
  return outcome.kind === "reading" ? outcome.reading.json : `${outcome.column}: ${outcome.message}`;
};

Deno.test("numbers are passed on digit for digit", () => {
  equal(
    json(["9", "1606510591", "21.40", "48.2"]),
    '{"ts":1606510591000,"temperature_c":21.40,"humidity_pct":48.2}',
  );
  equal(
    json(["9", "1606510591", "-200.0", "255.0"]),
    '{"ts":1606510591000,"temperature_c":-200.0,"humidity_pct":255.0}',
  );
  equal(decimalText("0.1000000000000000055511151231257827"), "0.1000000000000000055511151231257827");
});

Deno.test("what loggers write as numbers becomes a number of JSON", () => {
  equal(decimalText(" 21,5 "), "21.5");
  equal(decimalText("+7"), "7");
  equal(decimalText(".5"), "0.5");
  equal(decimalText("-.5"), "-0.5");
  equal(decimalText("5."), "5");
  equal(decimalText("007.10"), "7.10");
  equal(decimalText("-0"), "-0");
  equal(decimalText("2.15e1"), "2.15e1");
  for (const cell of ["21.5 °C", "1,234.5", "1.2.3", ".", "-.", "e5", "0x10", "Infinity", "--5"]) {
    equal(decimalText(cell), null, cell);
  }
  for (const cell of ["", " ", "NaN", "NA", "n/a", "null", "-"]) equal(decimalText(cell), "absent", cell);
});

Deno.test("an absent value leaves its channel out, and a row without any is a slot without a value", () => {
  equal(json(["9", "1606510591", "21.4", ""]), '{"ts":1606510591000,"temperature_c":21.4}');
  equal(json(["9", "1606510591", "nan", "48"]), '{"ts":1606510591000,"humidity_pct":48}');
  equal(json(["9", "1606510591", "", "NA"]), '{"ts":1606510591000,"error":"no_value"}');
});

Deno.test("a bad cell is told by its column", () => {
  equal(json(["9", "1606510591", "warm", "48"]), 't: "warm" is no decimal number');
  equal(json(["", "1606510591", "1", "48"]), "id: is empty");
  equal(json(["a\u0007b", "1606510591", "1", "48"]), "id: must not contain control characters");
  equal(json(["9", "", "1", "48"]), 'time: "" is empty');
  equal(json(["9", "1606510591", "1"]), "null: has 3 fields, the header has 4");
  equal(json(["9", "1606510591", "1", "2", "3"]), "null: has 5 fields, the header has 4");
});

Deno.test("missing columns are told with those that there are", () => {
  const names = { device: "sensor", ts: "time", temperature: "temp", humidity: null };
  deepEqual(findColumns(header, names), {
    kind: "missing",
    message: 'the file has no column for --device "sensor", --temperature "temp"; ' +
      'its columns are "id", "time", "t", "rh"',
  });
  deepEqual(findColumns(["a;b;c"], { device: "a", ts: "b", temperature: "c", humidity: null }), {
    kind: "missing",
    message:
      'the file has no column for --device "a", --ts "b", --temperature "c"; its columns are "a;b;c" ' +
      "(just one: is --delimiter right?)",
  });
});

Deno.test("columns are found by exact name, else by the only one that differs in case", () => {
  const found = (titles: string[], device: string) => {
    const outcome = findColumns(titles, { device, ts: "t", temperature: null, humidity: "t" });
    return outcome.kind === "columns" ? outcome.columns.device : outcome.kind;
  };
  equal(found([" ID ", "t"], "id"), 0);
  equal(found(["Id", "id", "t"], "id"), 1);
  equal(found(["Id", "iD", "t"], "id"), "missing");
});

Deno.test("a night in which the clock is set back stays in order, device by device", () => {
  const berlin = reader("Europe/Berlin");
  const ts = (device: string, time: string) =>
    JSON.parse(json([device, `2026-10-25 ${time}`, "1", "2"], berlin)).ts;
  const utc = (hour: number, minute: number) => Date.UTC(2026, 9, 25, hour, minute);
  equal(ts("a", "02:00:00"), utc(0, 0));
  equal(ts("a", "02:30:00"), utc(0, 30));
  equal(ts("b", "02:45:00"), utc(0, 45));
  equal(ts("a", "02:00:00"), utc(1, 0));
  equal(ts("a", "02:30:00"), utc(1, 30));
  equal(ts("a", "03:00:00"), utc(2, 0));
  deepEqual(berlin.localTimes, { twice: 5, skipped: 0, firstTwiceLine: 7, firstSkippedLine: null });
});
