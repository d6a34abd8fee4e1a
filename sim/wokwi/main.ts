/** `deno task wokwi serve | test | lint | bundle`: the board in Wokwi's protocol, and scenarios for it. */
import { machineClock } from "../../platform/clock.ts";
import { loadMicroPythonRuntime, type MicroPythonRuntime } from "../board/mod.ts";
import { bundle, bundleHelp, parseBundleOptions } from "./bundle_command.ts";
import { lint, lintHelp, parseLintOptions } from "./lint_command.ts";
import { cloudAccess } from "./runner/cloud.ts";
import { serve } from "./serve_command.ts";
import { parseServeOptions, serveHelp } from "./serve_options.ts";
import { parseTestOptions, testHelp } from "./runner/test_options.ts";

const help = `The firmware as a Wokwi project, without Wokwi's cloud.

  deno task wokwi test [FILES]   runs scenarios, offline or on the cloud
  deno task wokwi serve          a simulator for Wokwi's own tools
  deno task wokwi lint [DIR]     what Wokwi's rules say of the diagram
  deno task wokwi bundle DIR     the project with one main.py, for tools that upload nothing else

Each shows its options with --help.`;

async function main([command, ...args]: readonly string[]): Promise<number> {
  switch (command) {
    case "test":
      return await test(args);
    case "serve":
      return await serveBoard(args);
    case "lint":
      return await lintProject(args);
    case "bundle":
      return await bundleProject(args);
    case "--help":
    case undefined:
      console.log(help);
      return command === undefined ? 1 : 0;
    default:
      console.error(`${command} is unknown: see deno task wokwi --help`);
      return 1;
  }
}

async function serveBoard(args: readonly string[]): Promise<number> {
  const parsed = parseServeOptions(args);
  switch (parsed.kind) {
    case "help":
      console.log(serveHelp);
      return 0;
    case "problems":
      for (const problem of parsed.problems) console.error(problem);
      console.error("deno task wokwi serve --help shows all options");
      return 1;
  }
  for (const name of ["write", "ffi", "env", "run", "sys"] as const) await Deno.permissions.revoke({ name });
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => stop.abort());
  return await serve(parsed.options, {
    clock: machineClock,
    print: (line) => console.log(line),
    complain: (line) => console.error(line),
    signal: stop.signal,
  });
}

async function test(args: readonly string[]): Promise<number> {
  const parsed = parseTestOptions(args);
  switch (parsed.kind) {
    case "help":
      console.log(testHelp);
      return 0;
    case "problems":
      for (const problem of parsed.problems) console.error(problem);
      console.error("deno task wokwi test --help shows all options");
      return 1;
  }
  if (!parsed.options.cloud) await Deno.permissions.revoke({ name: "net" });
  // Brings DuckDB along, which a server has no use for.
  const { runTests } = await import("./runner/test_command.ts");
  let runtime: Promise<MicroPythonRuntime> | null = null;
  return await runTests(parsed.options, {
    clock: machineClock,
    runtime: () => runtime ??= loadMicroPythonRuntime(),
    cloud: () => cloudAccess((name) => Deno.env.get(name)),
    print: (line) => console.log(line),
    complain: (line) => console.error(line),
  });
}

async function lintProject(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(lintHelp);
    return 0;
  }
  const options = parseLintOptions(args);
  if (typeof options !== "string") return await lint(options, (line) => console.log(line));
  console.error(options);
  return 1;
}

async function bundleProject(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(bundleHelp);
    return 0;
  }
  const parsed = parseBundleOptions(args);
  const problem = typeof parsed === "string" ? parsed : await bundle(parsed.from, parsed.to);
  if (problem !== null) console.error(problem);
  return problem === null ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
