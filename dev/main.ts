/** `deno task dev`: from the sensor to SQL in one process. */
import { machineClock } from "../platform/clock.ts";
import { machineRandom } from "../platform/random.ts";
import { devHelp, type DevOptions, parseDevOptions } from "./options.ts";
import { type Pipeline, startPipeline } from "./pipeline.ts";
import { createTerminal } from "./terminal.ts";

/** From the signal to the end of the process, whatever hangs. */
const stopMsMax = 1_800;

async function main(args: readonly string[]): Promise<number> {
  const parsed = parseDevOptions(args);
  switch (parsed.kind) {
    case "help":
      console.log(devHelp);
      return 0;
    case "problems":
      for (const problem of parsed.problems) console.error(problem);
      console.error("deno task dev --help shows all options");
      return 2;
    case "options":
      return await run(parsed.options);
  }
}

async function run(options: DevOptions): Promise<number> {
  const terminal = createTerminal(machineClock, (line) => console.log(line));
  const ending = Promise.withResolvers<{ readonly code: number; readonly reason: string }>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    let asked = false;
    Deno.addSignalListener(signal, () => {
      if (asked) Deno.exit(1);
      asked = true;
      ending.resolve({ code: 0, reason: signal });
    });
  }
  const failed = (error: Error) => ending.resolve({ code: 1, reason: error.message });
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    failed(event.reason instanceof Error ? event.reason : new Error(String(event.reason)));
  });

  console.log("Isotherm, everything in one process");
  let pipeline: Pipeline | null = null;
  try {
    pipeline = await startPipeline(options, {
      clock: machineClock,
      random: machineRandom,
      trace: terminal.trace,
      committed: terminal.committed,
      failed,
    });
  } catch (error) {
    console.error((error as Error).message);
    return 1;
  }
  for (const line of pipeline.banner) console.log(line);
  if (options.forMs !== null) {
    machineClock.after(options.forMs, () => ending.resolve({ code: 0, reason: "--for" }));
  }

  const { code, reason } = await ending.promise;
  if (code === 0) console.log(`\nstopping (${reason})`);
  else console.error(reason);
  const stopped = await Promise.race([
    pipeline.stop().then(() => true, (error: Error) => {
      console.error(error.message);
      return false;
    }),
    machineClock.sleep(stopMsMax).then(() => false),
  ]);
  terminal.end();
  if (!stopped) {
    console.error("not everything could be put away in time; what was acknowledged is safe all the same");
  }
  return stopped ? code : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
