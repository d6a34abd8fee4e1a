/** The command line of `deno task wokwi test`. Pure; every problem is reported. */
import { parseArgs } from "node:util";

export interface TestOptions {
  /** Scenario files, or folders that are searched for them. */
  readonly files: readonly string[];
  readonly cloud: boolean;
  readonly junit: string | null;
  readonly weather: string | null;
  readonly seed: number;
  /** Simulated nanoseconds for scenarios that state no time-out of their own; 0: none. */
  readonly timeoutNanos: number;
  readonly timeoutExitCode: number;
  /** Serial output, wires and DuckDB files of each scenario go there. */
  readonly artifacts: string | null;
  /** The board's serial output is shown as it comes. */
  readonly serial: boolean;
}

export type ParsedTestOptions =
  | { readonly kind: "options"; readonly options: TestOptions }
  | { readonly kind: "help" }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

export const testHelp =
  `Runs Wokwi scenarios on the offline simulator, and looks by SQL at what reached DuckDB.

  deno task wokwi test [FILES] [OPTIONS]

  FILES                  scenario files, or folders with *.scenario.yaml (default: firmware/scenarios)
  --cloud                on Wokwi's cloud instead; WOKWI_CLI_TOKEN has the token, WOKWI_CLI_SERVER another address
  --junit FILE           the results as JUnit XML
  --weather FILE         the air at the sensor over time, as CSV: seconds,temperature_c,humidity_pct
  --seed N               of everything that chance decides offline (default 1); the same seed, the same bytes
  --timeout MS           simulated time for scenarios that state none (default 30000, 0: no bound)
  --timeout-exit-code N  exit status when a scenario's time is over (default 42)
  --artifacts DIR        keeps each scenario's serial.log, wires.vcd and DuckDB files there
  --serial               shows what the boards print

Exit status: 0 all passed, 1 one did not or could not be read, 42 one ran out of simulated time.`;

/** The default of wokwi-cli, for both. */
const defaults = { timeoutMs: 30_000, timeoutExitCode: 42, seed: 1 } as const;
/** A hundred days: beyond, nanoseconds aren't exact any more. */
const TIMEOUT_MS_MAX = 8_640_000_000;

export function parseTestOptions(args: readonly string[]): ParsedTestOptions {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        "cloud": flag,
        "junit": text,
        "weather": text,
        "seed": text,
        "timeout": text,
        "timeout-exit-code": text,
        "artifacts": text,
        "serial": flag,
        "help": flag,
      },
    });
  } catch (error) {
    return { kind: "problems", problems: [(error as Error).message.split(". ")[0] ?? ""] };
  }
  const { values, positionals } = parsed;
  if (values.help === true) return { kind: "help" };
  const problems: string[] = [];
  const whole = (name: "seed" | "timeout" | "timeout-exit-code", fallback: number, max: number): number => {
    const given = values[name];
    if (given === undefined) return fallback;
    if (/^\d{1,10}$/.test(given) && Number(given) <= max) return Number(given);
    problems.push(`--${name} needs a whole number from 0 to ${max}, not ${JSON.stringify(given)}`);
    return fallback;
  };
  const cloud = values.cloud === true;
  if (cloud && values.seed !== undefined) {
    problems.push("--seed is the offline simulator's: Wokwi's cloud has none");
  }
  const options: TestOptions = {
    files: positionals.length === 0 ? ["firmware/scenarios"] : positionals,
    cloud,
    junit: values.junit ?? null,
    weather: values.weather ?? null,
    seed: whole("seed", defaults.seed, 4_294_967_295),
    timeoutNanos: whole("timeout", defaults.timeoutMs, TIMEOUT_MS_MAX) * 1_000_000,
    timeoutExitCode: whole("timeout-exit-code", defaults.timeoutExitCode, 255),
    artifacts: values.artifacts ?? null,
    serial: values.serial === true,
  };
  return problems.length > 0 ? { kind: "problems", problems } : { kind: "options", options };
}
