import assert from "node:assert/strict";
import { parseTestOptions, testHelp } from "./test_options.ts";

Deno.test("without options the project's scenarios run offline, with wokwi-cli's time-out and exit status", () => {
  assert.deepEqual(parseTestOptions([]), {
    kind: "options",
    options: {
      files: ["firmware/scenarios"],
      cloud: false,
      junit: null,
      weather: null,
      seed: 1,
      timeoutNanos: 30_000_000_000,
      timeoutExitCode: 42,
      artifacts: null,
      serial: false,
    },
  });
});

Deno.test("every option is taken", () => {
  const args = "a.scenario.yaml b --junit j.xml --weather w.csv --seed 7 --timeout 0 --timeout-exit-code 0 " +
    "--artifacts out --serial";
  assert.deepEqual(parseTestOptions(args.split(" ")), {
    kind: "options",
    options: {
      files: ["a.scenario.yaml", "b"],
      cloud: false,
      junit: "j.xml",
      weather: "w.csv",
      seed: 7,
      timeoutNanos: 0,
      timeoutExitCode: 0,
      artifacts: "out",
      serial: true,
    },
  });
  const cloud = parseTestOptions(["--cloud"]);
  assert.ok(cloud.kind === "options" && cloud.options.cloud);
  assert.deepEqual(parseTestOptions(["--help", "--seed", "x"]), { kind: "help" });
});

Deno.test("every problem is told", () => {
  const problemsOf = (text: string) => {
    const parsed = parseTestOptions(text.split(" "));
    return parsed.kind === "problems" ? parsed.problems : [];
  };
  assert.equal(problemsOf("--seed -1").length, 1);
  assert.equal(problemsOf("--seed x --timeout 1.5 --timeout-exit-code 256").length, 3);
  assert.equal(problemsOf("--timeout 8640000001").length, 1);
  assert.match(problemsOf("--cloud --seed 1").join(), /Wokwi's cloud has none/);
  assert.match(problemsOf("--speed 2").join(), /--speed/);
});

Deno.test("the help names every option", () => {
  for (
    const name of ["cloud", "junit", "weather", "seed", "timeout", "timeout-exit-code", "artifacts", "serial"]
  ) {
    assert.ok(testHelp.includes(`--${name} `), name);
  }
});
