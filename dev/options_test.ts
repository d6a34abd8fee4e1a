import { deepEqual, equal } from "node:assert/strict";
import { devHelp, durationMs, parseDevOptions } from "./options.ts";

const problems = (...args: string[]) => {
  const parsed = parseDevOptions(args);
  return parsed.kind === "problems" ? parsed.problems : [];
};

Deno.test("without options there is one board with a neighbour on an embedded log, for this machine only", () => {
  deepEqual(parseDevOptions([]), {
    kind: "options",
    options: {
      devices: null,
      historyMs: null,
      data: "data",
      port: 8086,
      lan: false,
      forMs: null,
      log: null,
    },
  });
});

Deno.test("every option is taken", () => {
  const args = "--devices 3 --history 24h --data /d --port 0 --lan --for 1.5s --log kafka://a:9092,b:9093/t"
    .split(" ");
  deepEqual(parseDevOptions(args), {
    kind: "options",
    options: {
      devices: 3,
      historyMs: 86_400_000,
      data: "/d",
      port: 0,
      lan: true,
      forMs: 1_500,
      log: "kafka://a:9092,b:9093/t",
    },
  });
  const noBoard = parseDevOptions(["--no-board"]);
  equal(noBoard.kind === "options" && noBoard.options.devices, 0);
});

Deno.test("every problem is told at once", () => {
  deepEqual(
    problems("--devices", "101", "--history", "24", "--port", "65536", "--for", "367d", "--log", "redis:x"),
    [
      '--log is "redis:x": use kafka://host:port or redis://host:port',
      '--devices is "101": use a whole number from 0 to 100',
      '--history is "24": use a number and s, m, h or d, at most 31d',
      '--port is "65536": use a whole number from 0 to 65535',
      '--for is "367d": use a number and s, m, h or d, at most 366d',
    ],
  );
  deepEqual(problems("--no-board", "--devices", "2"), ["--no-board and --devices exclude each other"]);
  equal(problems("--colour").length, 1);
  equal(problems("extra").length, 1);
});

Deno.test("a time is a number and its unit", () => {
  deepEqual(["0s", "90s", "1.5h", "2d", "10m"].map(durationMs), [0, 90_000, 5_400_000, 172_800_000, 600_000]);
  deepEqual(["", "s", "10", "-1s", "1w", "1 s", "1e3s"].map(durationMs), Array(7).fill(null));
});

Deno.test("the help names every option that is understood", () => {
  equal(parseDevOptions(["--help"]).kind, "help");
  for (const name of ["devices", "history", "no-board", "data", "port", "lan", "log", "for"]) {
    equal(devHelp.includes(`--${name} `), true, name);
  }
});
