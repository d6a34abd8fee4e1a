/** What `deno task sim` can be told. Pure; every problem is reported. */
import { type BoardKind, type IncidentKind, incidentKinds } from "./scenario.ts";

export interface SimOptions {
  readonly command: "run" | "shrink" | "help";
  readonly fromSeed: number;
  readonly toSeed: number;
  readonly devices: number;
  readonly hours: number;
  readonly boards: BoardKind;
  /** Null: each with even chance. */
  readonly faults: readonly IncidentKind[] | null;
  readonly store: "memory" | "duckdb";
  readonly json: boolean;
  /** A scenario in a file instead of a seed. */
  readonly scenario: string | null;
  /** Every so-manieth seed runs on real files; 0: none. */
  readonly filesEvery: number;
  readonly failUnreached: boolean;
  /** Where the page of a run goes. */
  readonly html: string | null;
  /** Processes that share the seeds. */
  readonly processes: number;
  /** What pauses are drawn from, see `jitter.ts`; null: there are none. */
  readonly jitter: number | null;
}

/** More than any machine has use for. */
const PROCESSES_MAX = 64;

export const simHelp = `deno task sim: the whole pipeline in virtual time, with faults, against two oracles

  deno task sim [--seed N | --seeds A..B]    one run, or one for each seed (default: seed 1)
  deno task sim shrink SEED                  the fewest incidents, boards and minutes that still fail

  --devices N        boards (default 5)
  --hours H          hours of faults; then all is quiet and must drain (default 2)
  --boards KIND      model (default), or micropython: the firmware itself
  --faults LIST      all (default: each with even chance), none, or names with commas
  --store KIND       memory (default) or duckdb: real files
  --files-every N    every so-manieth seed on real files, with at most 3 boards for half an hour
  --scenario FILE    a kept run or scenario instead of a seed
  --fail-unreached   fail if a pair of the coverage table was reached by no seed, or one that can't be was
  --html FILE        a page that shows what happened in a run of one seed
  --processes N      share the seeds (default 1); what is printed is the same, in the same order
  --jitter N         lets calls and turns take more real time, drawn from N: it must change no run
  --json             one JSON object a run, nothing else

faults: ${Object.keys(incidentKinds).join(", ")}`;

export type ParsedOptions =
  | { readonly kind: "options"; readonly options: SimOptions }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

export function parseSimOptions(args: readonly string[]): ParsedOptions {
  const problems: string[] = [];
  const options: { -readonly [K in keyof SimOptions]: SimOptions[K] } = {
    ...{ command: "run", fromSeed: 1, toSeed: 1, devices: 5, hours: 2, boards: "model", faults: null },
    ...{ store: "memory", json: false, scenario: null, filesEvery: 0, failUnreached: false, html: null },
    ...{ processes: 1, jitter: null },
  };
  const whole = (name: string, text: string | undefined, min: number): number => {
    if (text !== undefined && /^\d{1,9}$/.test(text) && Number(text) >= min) return Number(text);
    problems.push(`${name} needs a whole number of at least ${min}, not ${JSON.stringify(text ?? "")}`);
    return min;
  };
  const one = <T extends string>(name: string, text: string | undefined, known: readonly T[]): T => {
    const found = known.find((each) => each === text);
    if (found === undefined) {
      problems.push(`${name} is one of ${known.join(", ")}, not ${JSON.stringify(text ?? "")}`);
    }
    return found ?? known[0]!;
  };
  const list = [...args];
  for (let arg = list.shift(); arg !== undefined; arg = list.shift()) {
    switch (arg) {
      case "shrink":
        options.command = "shrink";
        options.fromSeed = options.toSeed = list[0]?.startsWith("--") === false
          ? whole("shrink", list.shift(), 0)
          : 1;
        break;
      case "--help":
        options.command = "help";
        break;
      case "--seed":
        options.fromSeed = options.toSeed = whole(arg, list.shift(), 0);
        break;
      case "--seeds": {
        const text = list.shift();
        const match = /^(\d{1,9})\.\.(\d{1,9})$/.exec(text ?? "");
        if (match === null || Number(match[1]) > Number(match[2])) {
          problems.push(`--seeds needs a range such as 1..100, not ${JSON.stringify(text ?? "")}`);
        } else [options.fromSeed, options.toSeed] = [Number(match[1]), Number(match[2])];
        break;
      }
      case "--devices":
        options.devices = whole(arg, list.shift(), 1);
        break;
      case "--hours": {
        const text = list.shift();
        const hours = Number(text);
        if (text === undefined || !(hours > 0 && hours <= 10_000)) {
          problems.push(`--hours needs a number above 0, not ${JSON.stringify(text ?? "")}`);
        } else options.hours = hours;
        break;
      }
      case "--boards":
        options.boards = one(arg, list.shift(), ["model", "micropython"]);
        break;
      case "--store":
        options.store = one(arg, list.shift(), ["memory", "duckdb"]);
        break;
      case "--faults": {
        const text = list.shift() ?? "";
        if (text === "all") options.faults = null;
        else if (text === "none") options.faults = [];
        else {
          const known = Object.keys(incidentKinds) as IncidentKind[];
          options.faults = text.split(",").map((name) => one(arg!, name, known));
        }
        break;
      }
      case "--scenario": {
        const file = list.shift();
        if (file === undefined) problems.push("--scenario needs a file");
        else options.scenario = file;
        break;
      }
      case "--files-every":
        options.filesEvery = whole(arg, list.shift(), 1);
        break;
      case "--processes":
        options.processes = whole(arg, list.shift(), 1);
        if (options.processes > PROCESSES_MAX) problems.push(`--processes is at most ${PROCESSES_MAX}`);
        break;
      case "--jitter":
        options.jitter = whole(arg, list.shift(), 0);
        break;
      case "--html": {
        const file = list.shift();
        if (file === undefined) problems.push("--html needs a file");
        else options.html = file;
        break;
      }
      case "--fail-unreached":
        options.failUnreached = true;
        break;
      case "--json":
        options.json = true;
        break;
      default:
        problems.push(`${arg} is unknown: see --help`);
    }
  }
  if (options.html !== null && options.fromSeed !== options.toSeed) {
    problems.push("--html shows one run: give one --seed");
  }
  return problems.length > 0 ? { kind: "problems", problems } : { kind: "options", options };
}
