/** One seed: what is run for it, and what came of it. */
import { loadMicroPythonRuntime, type MicroPythonRuntime } from "./board/mod.ts";
import { Jitter } from "./jitter.ts";
import type { SimOptions } from "./options.ts";
import { type Outcome, type RunOptions, runScenario } from "./pipeline.ts";
import { parseRegression } from "./regression.ts";
import { drawScenario, type Scenario } from "./scenario.ts";
import { parting, Trail } from "./trail.ts";

/** Every fifth seed runs twice: determinism is tested all the time. */
const TWICE_EVERY = 5;

/** What a run on real files costs is what it commits: those among others in memory are small, so that they can be many. */
const FILES_DEVICES_MAX = 3;
const FILES_HOURS_MAX = 0.5;

/** What is run, and what it needs besides. */
export interface Planned {
  readonly scenario: Scenario;
  readonly onFiles: boolean;
  /** The command that runs just this. */
  readonly repeat: string;
  readonly extras: Pick<RunOptions, "decisions" | "micropython">;
}

/** What came of a seed: plain data, so that another process can have run it. */
export interface SeedResult extends Pick<Outcome, "digest" | "events" | "records" | "virtualMs"> {
  readonly seed: number;
  /** What went wrong in one of its runs, or between them; null if nothing did. */
  readonly violation: string | null;
  readonly incidents: Readonly<Record<string, number>>;
  readonly outcomes: Readonly<Record<string, number>>;
  /** Pauses of its first run, see `jitter.ts`. */
  readonly pauses: number;
  readonly repeat: string;
}

/** What boards with the firmware need, loaded once for all runs of a process. */
export const runtimeOf = async ({ boards }: SimOptions): Promise<MicroPythonRuntime | null> =>
  boards === "micropython" ? await loadMicroPythonRuntime() : null;

/** On what a seed's turn is to run, and how large it is then. */
function shapeOf(options: SimOptions, seed: number) {
  const isTurn = options.store === "memory" && options.filesEvery > 0 && seed % options.filesEvery === 0;
  return {
    onFiles: isTurn || options.store === "duckdb",
    devices: isTurn ? Math.min(options.devices, FILES_DEVICES_MAX) : options.devices,
    hours: isTurn ? Math.min(options.hours, FILES_HOURS_MAX) : options.hours,
  };
}

/** The command that runs just this seed as it is run among others. */
export function repeatOf(options: SimOptions, seed: number): string {
  const { boards, faults, scenario, jitter } = options;
  const { onFiles, devices, hours } = shapeOf(options, seed);
  const rest = `--store ${onFiles ? "duckdb" : "memory"}${jitter === null ? "" : ` --jitter ${jitter}`}`;
  if (scenario !== null) return `deno task sim --scenario ${scenario} ${rest}`;
  const list = faults === null ? "all" : faults.length === 0 ? "none" : faults.join(",");
  return `deno task sim --seed ${seed} --devices ${devices} --hours ${hours} --boards ${boards} ` +
    `--faults ${list} ${rest}`;
}

export async function planOf(
  options: SimOptions,
  seed: number,
  runtime: MicroPythonRuntime | null,
): Promise<Planned> {
  const { scenario: file, boards, faults } = options;
  const { onFiles, devices, hours } = shapeOf(options, seed);
  const repeat = repeatOf(options, seed);
  const micropython = runtime === null ? {} : { micropython: runtime };
  if (file !== null) {
    const text = await Deno.readTextFile(file);
    if (!text.includes('"isotherm_regression"')) {
      return { scenario: JSON.parse(text) as Scenario, onFiles, repeat, extras: micropython };
    }
    const { scenario, decisions, ...kept } = parseRegression(text);
    return { scenario, onFiles: onFiles || kept.onFiles, repeat, extras: { decisions, ...micropython } };
  }
  const scenario = drawScenario(seed, {
    devices,
    hours,
    boards,
    onFiles,
    ...(faults === null ? {} : { faults }),
  });
  return { scenario, onFiles, repeat, extras: micropython };
}

/** `folder`: where runs on files have their folders; default: the system's for what is temporary. */
type More = Pick<RunOptions, "onProgress" | "tells"> & { readonly folder?: string };

/** Runs it in a folder of its own, or in memory. */
export async function runPlanned(
  { scenario, onFiles, extras }: Pick<Planned, "scenario" | "onFiles" | "extras">,
  { folder, ...more }: More & Pick<RunOptions, "trail" | "jitter"> = {},
): Promise<Outcome> {
  if (!onFiles) return await runScenario(scenario, { directory: null, ...extras, ...more });
  const dir = folder === undefined ? {} : { dir: folder };
  const directory = await Deno.makeTempDir({ prefix: "isotherm-sim-", ...dir });
  try {
    return await runScenario(scenario, { directory, ...extras, ...more });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Runs a seed, every fifth twice. `ran` is told of the first run. */
export async function runSeed(
  options: Pick<SimOptions, "jitter">,
  planned: Planned,
  seed: number,
  more: More & { readonly ran?: (outcome: Outcome) => void } = {},
): Promise<SeedResult> {
  const { ran, ...first } = more;
  const { folder } = first;
  const isTwice = seed % TWICE_EVERY === 0;
  const trails = [new Trail(), new Trail()] as const;
  const jitters = options.jitter === null ? [] : [new Jitter(options.jitter), new Jitter(options.jitter + 1)];
  const extrasOf = (run: 0 | 1) => ({
    ...isTwice ? { trail: trails[run] } : {},
    ...jitters.length > 0 ? { jitter: jitters[run]! } : {},
  });
  const outcome = await runPlanned(planned, { ...first, ...extrasOf(0) });
  ran?.(outcome);
  const again = isTwice
    ? await runPlanned(planned, { ...folder === undefined ? {} : { folder }, ...extrasOf(1) })
    : outcome;
  const { digest, events, records, virtualMs, incidents, outcomes } = outcome;
  const violation = outcome.violation ?? differing(outcome, again, trails);
  return {
    ...{ seed, digest, violation, events, records, virtualMs, incidents, outcomes },
    ...{ pauses: jitters[0]?.count ?? 0, repeat: planned.repeat },
  };
}

/** What tells two runs of one seed apart, null if nothing does. */
export function differing(
  first: Pick<Outcome, "digest" | "events">,
  second: Pick<Outcome, "digest" | "events" | "violation">,
  trails: readonly [Trail, Trail],
): string | null {
  const isSame = first.digest === second.digest && first.events === second.events;
  if (isSame && second.violation === null) return null;
  const of = ({ digest, events }: Pick<Outcome, "digest" | "events">) => `${digest}, ${events} events`;
  return [
    `two runs differ: ${of(first)}, and ${of(second)}`,
    ...second.violation === null ? [] : [`the second one's violation: ${second.violation}`],
    ...parting(...trails),
  ].join("\n");
}
