/** The command line of `deno task wokwi serve`. Pure; every problem is reported. */
import { parseArgs } from "node:util";
import type { Pace } from "./pacer.ts";

export interface ServeOptions {
  readonly hostname: string;
  readonly port: number;
  /** Its modules lie beside an uploaded `main.py`. */
  readonly project: string;
  readonly seed: number;
  /** Virtual Unix time of each start, in milliseconds; null: the machine's. */
  readonly startMs: number | null;
  readonly weather: string | null;
  readonly pace: Pace;
  readonly hasInternet: boolean;
}

export type ParsedServeOptions =
  | { readonly kind: "options"; readonly options: ServeOptions }
  | { readonly kind: "help" }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

/** Where Wokwi's own self-hosted server listens in public workflows. */
export const defaultPort = 9_177;
/** 2026-06-01T12:00:00Z, as in `wokwi test`. */
export const defaultStartMs = Date.UTC(2026, 5, 1, 12);

export const serveHelp = `Serves the simulated board to Wokwi's own tools, offline.

  deno task wokwi serve [OPTIONS]
  WOKWI_CLI_SERVER=ws://127.0.0.1:${defaultPort} WOKWI_CLI_TOKEN=any wokwi-cli firmware

  --port P          where it listens (default ${defaultPort}; 0 takes a free one)
  --host ADDRESS    the address it listens on (default 127.0.0.1); who reaches it, runs programs on this machine's network
  --project DIR     whose modules lie beside an uploaded main.py (default: firmware)
  --seed N          of everything that chance decides (default 1); the same seed and frames, the same bytes
  --start TIME      what the simulated world's clocks show at the start: ISO 8601, or now (default 2026-06-01T12:00:00Z)
  --weather FILE    the air at the sensor over time, as CSV: seconds,temperature_c,humidity_pct
  --pace PACE       auto: in real time, but as fast as possible while a client waits for a pause point (default); real; max
  --internet        the board reaches other hosts than this machine (host.wokwi.internal)`;

const paces: readonly Pace[] = ["auto", "real", "max"];
const PORT_MAX = 65_535;
const SEED_MAX = 4_294_967_295;

export function parseServeOptions(args: readonly string[]): ParsedServeOptions {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      options: {
        port: text,
        host: text,
        project: text,
        seed: text,
        start: text,
        weather: text,
        pace: text,
        internet: flag,
        help: flag,
      },
    });
  } catch (error) {
    return { kind: "problems", problems: [(error as Error).message.split(". ")[0] ?? ""] };
  }
  const { values } = parsed;
  if (values.help === true) return { kind: "help" };
  const problems: string[] = [];
  const whole = (name: "port" | "seed", fallback: number, max: number): number => {
    const given = values[name];
    if (given === undefined) return fallback;
    if (/^\d{1,10}$/.test(given) && Number(given) <= max) return Number(given);
    problems.push(`--${name} needs a whole number from 0 to ${max}, not ${JSON.stringify(given)}`);
    return fallback;
  };
  const { start, pace = "auto" } = values;
  const startMs = start === undefined ? defaultStartMs : start === "now" ? null : Date.parse(start);
  if (Number.isNaN(startMs)) {
    problems.push(`--start needs a time such as 2026-06-01T12:00:00Z, or now, not ${JSON.stringify(start)}`);
  }
  const known = paces.find((each) => each === pace);
  if (known === undefined) problems.push(`--pace is auto, real or max, not ${JSON.stringify(pace)}`);
  const options: ServeOptions = {
    hostname: values.host ?? "127.0.0.1",
    port: whole("port", defaultPort, PORT_MAX),
    project: values.project ?? "firmware",
    seed: whole("seed", 1, SEED_MAX),
    startMs,
    weather: values.weather ?? null,
    pace: known ?? "auto",
    hasInternet: values.internet === true,
  };
  return problems.length > 0 ? { kind: "problems", problems } : { kind: "options", options };
}
