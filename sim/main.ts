/** `deno task sim`: see `options.ts` for what it can be told and `docs/simulation.md` for how it works. */
import { machineClock } from "../platform/clock.ts";
import { loadMicroPythonRuntime, type MicroPythonRuntime } from "./board/mod.ts";
import { Coverage } from "./coverage.ts";
import { storyPage } from "./story/page.ts";
import { parseSimOptions, simHelp, type SimOptions } from "./options.ts";
import { type Outcome, type RunOptions, runScenario } from "./pipeline.ts";
import {
  describeScenario,
  drawScenario,
  type IncidentKind,
  incidentKinds,
  type Scenario,
} from "./scenario.ts";
import { buildOf, parseRegression, regressionText } from "./regression.ts";
import { shrinkScenario } from "./shrink_scenario.ts";

const ROOT = new URL("../", import.meta.url);
const REGRESSIONS = new URL("./regressions/", import.meta.url);
/** Every fifth seed runs twice: determinism is tested all the time. */
const TWICE_EVERY = 5;

/** What a run on real files costs is what it commits: those among others in memory are small, so that they can be many. */
const FILES_DEVICES_MAX = 3;
const FILES_HOURS_MAX = 0.5;

const print = (text: string) => console.log(text);

export async function main(args: readonly string[]): Promise<number> {
  const parsed = parseSimOptions(args);
  if (parsed.kind === "problems") {
    for (const problem of parsed.problems) console.error(problem);
    return 2;
  }
  const { options } = parsed;
  if (options.command === "help") {
    print(simHelp);
    return 0;
  }
  return options.command === "shrink" ? await shrinkOne(options) : await runSeeds(options);
}

/** What is run, and what it needs besides. */
export interface Planned {
  readonly scenario: Scenario;
  readonly onFiles: boolean;
  /** The command that runs just this. */
  readonly repeat: string;
  readonly extras: Pick<RunOptions, "decisions" | "micropython">;
}

export async function planOf(
  options: SimOptions,
  seed: number,
  runtime: MicroPythonRuntime | null,
): Promise<Planned> {
  const { scenario: file, boards, faults, filesEvery } = options;
  const isTurn = options.store === "memory" && filesEvery > 0 && seed % filesEvery === 0;
  const onFiles = isTurn || options.store === "duckdb";
  const devices = isTurn ? Math.min(options.devices, FILES_DEVICES_MAX) : options.devices;
  const hours = isTurn ? Math.min(options.hours, FILES_HOURS_MAX) : options.hours;
  const store = onFiles ? "duckdb" : "memory";
  const repeat = repeatCommand(seed, { ...options, devices, hours, store });
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

/** Runs it in a folder of its own, or in memory. */
async function run(
  { scenario, onFiles, extras }: Planned,
  more: Pick<RunOptions, "onProgress" | "tells"> = {},
): Promise<Outcome> {
  if (!onFiles) return await runScenario(scenario, { directory: null, ...extras, ...more });
  const directory = await Deno.makeTempDir({ prefix: "isotherm-sim-" });
  try {
    return await runScenario(scenario, { directory, ...extras, ...more });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const runtimeOf = async ({ boards }: SimOptions): Promise<MicroPythonRuntime | null> =>
  boards === "micropython" ? await loadMicroPythonRuntime() : null;

async function runSeeds(options: SimOptions): Promise<number> {
  const coverage = new Coverage();
  const runtime = await runtimeOf(options);
  const startedMs = machineClock.monotonicMs();
  let failed = 0;
  let virtualMs = 0;
  for (let seed = options.fromSeed; seed <= options.toSeed; seed++) {
    const planned = await planOf(options, seed, runtime);
    const isAlone = options.fromSeed === options.toSeed;
    if (isAlone && !options.json) { for (const line of describeScenario(planned.scenario)) print(line); }
    const outcome = await run(planned, {
      ...(isAlone && !options.json ? { onProgress: progressOf(planned.scenario) } : {}),
      tells: options.html !== null,
    });
    coverage.add(outcome);
    virtualMs += outcome.virtualMs;
    const again = seed % TWICE_EVERY === 0 ? await run(planned) : outcome;
    const violation = outcome.violation ??
      (again.digest !== outcome.digest || again.events !== outcome.events
        ? `two runs differ: ${outcome.digest}, ${outcome.events} events, and ${again.digest}, ${again.events} events`
        : null);
    if (violation !== null) failed++;
    report(seed, outcome, violation, options, isAlone ? "alone" : "of many", planned.repeat);
    if (options.html !== null && outcome.story !== null) {
      await Deno.writeTextFile(options.html, storyPage(outcome.story));
      if (!options.json) print(`what happened: ${options.html}`);
    }
  }
  const seconds = (machineClock.monotonicMs() - startedMs) / 1_000;
  if (!options.json) print(`${Math.round(virtualMs / seconds / 1_000)} × real time`);
  return summary(options, coverage, failed);
}

function summary(options: SimOptions, coverage: Coverage, failed: number): number {
  const unreached = coverage.unreached(options.faults ?? (Object.keys(incidentKinds) as IncidentKind[]));
  const contrary = coverage.contrary();
  const runs = options.toSeed - options.fromSeed + 1;
  if (!options.json) {
    for (const line of coverage.lines()) print(line);
    print(`${runs} runs, ${failed} failed, ${unreached.length} pairs unreached`);
  }
  if (!options.failUnreached) return failed > 0 ? 1 : 0;
  for (const pair of unreached) console.error(`no seed reached ${pair}`);
  for (const pair of contrary) console.error(`reached although it is listed as unreachable: ${pair}`);
  return failed + unreached.length + contrary.length > 0 ? 1 : 0;
}

const progressOf = (scenario: Scenario) => (nowMs: number) => {
  const minutes = Math.round((nowMs - scenario.startMs) / 60_000);
  if (Deno.stdout.isTerminal()) Deno.stdout.writeSync(new TextEncoder().encode(`\rminute ${minutes} `));
};

function report(
  seed: number,
  outcome: Outcome,
  violation: string | null,
  options: SimOptions,
  kind: "alone" | "of many",
  repeat: string,
): void {
  const { digest, events, records, virtualMs, incidents, outcomes } = outcome;
  if (options.json) {
    print(JSON.stringify({ seed, digest, violation, events, records, virtualMs, incidents, outcomes }));
    return;
  }
  if (kind === "alone") {
    print(`incidents ${counts(incidents)}`);
    print(`outcomes ${counts(outcomes)}`);
    if (violation === null) print("both balances hold in the oracle, and the rows equal the oracle's");
  }
  print(
    `seed ${seed}: ${violation === null ? "ok" : "VIOLATION"} ${events} events, ${records} records, ` +
      `${Math.round(virtualMs / 60_000)} min; digest: ${digest}`,
  );
  if (violation === null) return;
  print(violation);
  print(`repeat with: ${repeat}`);
}

const counts = (of: Readonly<Record<string, number>>) =>
  Object.entries(of).map(([name, count]) => `${name} ${count}`).join(", ");

function repeatCommand(
  seed: number,
  { devices, hours, boards, faults, store, scenario }: SimOptions,
): string {
  if (scenario !== null) return `deno task sim --scenario ${scenario} --store ${store}`;
  const list = faults === null ? "all" : faults.length === 0 ? "none" : faults.join(",");
  return `deno task sim --seed ${seed} --devices ${devices} --hours ${hours} --boards ${boards} ` +
    `--faults ${list} --store ${store}`;
}

async function shrinkOne(options: SimOptions): Promise<number> {
  const seed = options.fromSeed;
  const planned = await planOf(options, seed, await runtimeOf(options));
  const first = await run(planned);
  if (first.violation === null) {
    print(`seed ${seed} does not fail: nothing to shrink`);
    return 0;
  }
  const kindOf = (violation: string | null) => violation?.replace(/\d+/g, "#").slice(0, 24) ?? null;
  const kind = kindOf(first.violation);
  print(first.violation);
  const smallest = await shrinkScenario(
    planned.scenario,
    async (scenario) => kindOf((await run({ ...planned, scenario })).violation) === kind,
    (candidate) =>
      print(
        `still fails: ${candidate.incidents.length} incidents, ${candidate.boards.length} boards, ${
          Math.round(candidate.faultsMs / 60_000)
        } min`,
      ),
  );
  const { violation, incidents, decisions } = await run({ ...planned, scenario: smallest });
  // Without the folder, which was this machine's.
  const told = (violation ?? "").replaceAll(/\/\S*isotherm-sim-[0-9a-f]+/g, "DIR").slice(0, 1_000);
  const found = { violation: told, build: buildOf(ROOT) };
  const what = `seed ${seed}: ${kind}: say here what was wrong`;
  const text = regressionText({
    ...{ what, found, onFiles: planned.onFiles, happened: incidents, scenario: smallest, decisions },
  });
  await Deno.mkdir(REGRESSIONS, { recursive: true });
  await Deno.writeTextFile(new URL(`seed_${seed}.regression`, REGRESSIONS), text);
  print(
    `kept as sim/regressions/seed_${seed}.regression: ${smallest.incidents.length} incidents; ` +
      "give it a name and a sentence that say what was wrong",
  );
  return 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
