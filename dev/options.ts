/** The command line of `deno task dev`. */
import { type ParsedCommand, readCommandLine } from "../core/command_line.ts";
import { logSettings, shownAddress } from "../platform/log_address.ts";

export interface DevOptions {
  /** Simulated boards; null: one, and a neighbour that starts later and makes the start no slower. */
  readonly devices: number | null;
  /** How far back they start; null: ten minutes in a new data folder, else not at all. */
  readonly historyMs: number | null;
  /** The data folder. */
  readonly data: string;
  /** Port of ingest; 0 takes a free one. */
  readonly port: number;
  /** Serve the local network, with a key. */
  readonly lan: boolean;
  /** Stop by itself after so long; null: never. */
  readonly forMs: number | null;
  /** Address of a log in place of the embedded one in `data`, null for that. */
  readonly log: string | null;
}

export type ParsedOptions = ParsedCommand<DevOptions>;

export const defaults = { data: "data", port: 8086 } as const;

/** One process carries so many boards that each runs real MicroPython: about 6 MB and 2 ms of CPU a reading each. */
const devicesMax = 100;
const historyMsMax = 31 * 86_400_000;
const forMsMax = 366 * 86_400_000;

export const devHelp =
  `Everything in one process: embedded log, ingest, aggregator, a simulated board, DuckDB files.

  deno task dev [options]

  --devices N       simulated boards, 0 to ${devicesMax} (default: one, and a neighbour that starts 1m back)
  --history TIME    they start that far back, catch up and go on in real time, for instance 24h
                    (default 10m in a new data folder, 0s in one that has data)
  --no-board        no simulated board: for real ones, curl and imports
  --data DIR        where everything is kept (default ${defaults.data})
  --port P          port of ingest, 0 takes a free one (default ${defaults.port})
  --lan             take readings from the local network, with a key that is printed; else only from this machine
  --log URL         kafka://host:port[,host:port][/topic] or redis://[user:password@]host:port[/name] in place of
                    the embedded log
  --for TIME        stop after that time, for instance 30s

A time is a number and s, m, h or d. Ctrl-C stops; the next start goes on where this one stopped.`;

/** Reads the arguments and reports every problem at once. */
export function parseDevOptions(args: readonly string[]): ParsedOptions {
  const line = readCommandLine(args, {
    texts: ["devices", "history", "data", "port", "for", "log"],
    flags: ["lan", "no-board"],
  });
  if (line === null) return { kind: "help" };
  const { texts: values, flags, words, problems } = line;
  if (words.length > 0) problems.push(`${JSON.stringify(words[0])} is no option: all begin with --`);
  const integer = <T extends number | null>(
    name: "devices" | "port",
    fallback: T,
    max: number,
  ): number | T => {
    const given = values[name];
    if (given === undefined) return fallback;
    if (/^\d{1,9}$/.test(given) && Number(given) <= max) return Number(given);
    problems.push(`--${name} is ${JSON.stringify(given)}: use a whole number from 0 to ${max}`);
    return fallback;
  };
  const time = (name: "history" | "for", max: number): number | null => {
    const given = values[name];
    if (given === undefined) return null;
    const ms = durationMs(given);
    if (ms !== null && ms <= max) return ms;
    problems.push(
      `--${name} is ${JSON.stringify(given)}: use a number and s, m, h or d, at most ${max / 86_400_000}d`,
    );
    return null;
  };
  const noBoard = flags.has("no-board");
  if (noBoard && values.devices !== undefined) problems.push("--no-board and --devices exclude each other");
  const log = values.log ?? null;
  if (log !== null && "problem" in logSettings.log.parse(log)) {
    problems.push(
      `--log is ${JSON.stringify(shownAddress(log))}: use kafka://host:port or redis://host:port`,
    );
  }
  if (values.data === "") problems.push("--data is empty: name a folder");
  const options: DevOptions = {
    devices: noBoard ? 0 : integer("devices", null, devicesMax),
    historyMs: time("history", historyMsMax),
    data: values.data ?? defaults.data,
    port: integer("port", defaults.port, 65_535),
    lan: flags.has("lan"),
    forMs: time("for", forMsMax),
    log,
  };
  return problems.length > 0 ? { kind: "problems", problems } : { kind: "options", options };
}

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** "90s", "1.5h" → milliseconds; null: no duration. */
export function durationMs(text: string): number | null {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)([smhd])$/.exec(text);
  return match === null ? null : Math.round(Number(match[1]) * (unitMs[match[2] ?? ""] ?? NaN));
}
