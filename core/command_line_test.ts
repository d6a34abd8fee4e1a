import { deepEqual, equal } from "node:assert/strict";
import { readCommandLine } from "./command_line.ts";

const read = (...args: string[]) => {
  const line = readCommandLine(args, { texts: ["data", "to"], flags: ["lan"] });
  return line === null ? null : { ...line, flags: [...line.flags] };
};

Deno.test("options come with a blank or an equals sign, before, between and after words; the last counts", () => {
  deepEqual(read("a", "--data", "x y", "b", "--to=1=2", "--lan", "--data=z"), {
    texts: { data: "z", to: "1=2" },
    flags: ["lan"],
    words: ["a", "b"],
    problems: [],
  });
});

Deno.test("a value may be empty, negative, or of several lines; after -- nothing is an option", () => {
  deepEqual(read("--data=", "--to", "-5", "--", "--lan", "-h"), {
    texts: { data: "", to: "-5" },
    flags: [],
    words: ["--lan", "-h"],
    problems: [],
  });
  equal(read("--data=a\nb")?.texts.data, "a\nb");
});

Deno.test("a word may begin with a minus if it is alone, a number, or has a blank", () => {
  deepEqual(read("-", "-1", "-- SELECT", "-x y")?.words, ["-", "-1", "-- SELECT", "-x y"]);
});

Deno.test("every problem is told at once", () => {
  deepEqual(read("--nix", "--nothing=1", "-x", "--lan=yes", "--to", "--data")?.problems, [
    "there is no option --nix",
    "there is no option --nothing",
    "there is no option -x",
    "--lan takes no value",
    "--to needs a value",
    "--data needs a value",
  ]);
});

Deno.test("help is help, whatever else is wrong", () => {
  deepEqual([read("--nix", "--help"), read("-h"), read("--data", "-h")?.texts.data], [null, null, "-h"]);
});
