import { deepEqual, equal } from "node:assert/strict";
import { importHelp, parseImportOptions } from "./options.ts";

const columns = ["--device", "d", "--ts", "t", "--temperature", "c", "--humidity", "h"];
const parse = (...args: string[]) => parseImportOptions(args);
const problems = (...args: string[]) => {
  const parsed = parse(...args);
  return parsed.kind === "problems" ? parsed.problems : [];
};

Deno.test("every option is taken", () => {
  const parsed = parse(
    "f.csv",
    "--url",
    "http://127.0.0.1:8086",
    ...columns,
    "--ts-format",
    "ms",
    "--zone",
    "Europe/Berlin",
    "--delimiter",
    "tab",
    "--key",
    "k",
  );
  deepEqual(parsed, {
    kind: "options",
    options: {
      file: "f.csv",
      url: "http://127.0.0.1:8086",
      columns: { device: "d", ts: "t", temperature: "c", humidity: "h" },
      tsFormat: "ms",
      zone: "Europe/Berlin",
      delimiter: "\t",
      key: "k",
    },
  });
});

Deno.test("every problem is told at once", () => {
  deepEqual(problems("--zone", "Nowhere", "--delimiter", ";;", "--ts-format", "x", "--url", "ftp://x"), [
    "give one file, not 0",
    '--url is "ftp://x": use an address like http://127.0.0.1:8086',
    "--device is missing: name the column",
    "--ts is missing: name the column",
    "--temperature and --humidity are missing: name at least one column",
    "--ts-format is x: use auto, s, ms, iso",
    '--zone: there is no time zone "Nowhere": use an IANA name such as Europe/Berlin or UTC',
    '--delimiter is ";;": use one character',
  ]);
});

Deno.test("an unknown option is told by its name", () => {
  equal(problems("f.csv", "--colour", "red")[0]?.includes("--colour"), true);
});

Deno.test("the help names every option that is understood", () => {
  equal(parse("--help").kind, "help");
  for (
    const name of ["url", "device", "ts", "temperature", "humidity", "ts-format", "zone", "delimiter", "key"]
  ) {
    equal(importHelp.includes(`--${name} `), true, name);
  }
});
