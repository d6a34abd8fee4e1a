/** `deno task sim`: see `options.ts` for what it can be told and `docs/simulation.md` for how it works. */
import { Coverage } from "./coverage.ts";
import { parseSimOptions, simHelp, type SimOptions } from "./options.ts";
import { type Outcome, runScenario } from "./pipeline.ts";
import {
  describeScenario,
  drawScenario,
  type IncidentKind,
  incidentKinds,
  type Scenario,
} from "./scenario.ts";
import { shrinkScenario } from "./shrink_scenario.ts";

const REGRESSIONS = new URL("./regressions/", import.meta.url);
/** Every fifth seed runs twice: determinism is tested all the time. */
const TWICE_EVERY = 5;

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

function scenarioOf(options: SimOptions, seed: number): Scenario {
  if (options.scenario !== null) return JSON.parse(Deno.readTextFileSync(options.scenario)) as Scenario;
  const { devices, hours, boards, faults } = options;
  return drawScenario(seed, { devices, hours, boards, ...(faults === null ? {} : { faults }) });
}

/** Runs it in a folder of its own, or in memory. */
async function run(
  scenario: Scenario,
  options: SimOptions,
  onProgress?: (nowMs: number) => void,
): Promise<Outcome> {
  const progress = onProgress === undefined ? {} : { onProgress };
  if (options.store === "memory") return await runScenario(scenario, { directory: null, ...progress });
  const directory = await Deno.makeTempDir({ prefix: "isotherm-sim-" });
  try {
    return await runScenario(scenario, { directory, ...progress });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function runSeeds(options: SimOptions): Promise<number> {
  const coverage = new Coverage();
  let failed = 0;
  for (let seed = options.fromSeed; seed <= options.toSeed; seed++) {
    const scenario = scenarioOf(options, seed);
    const isAlone = options.fromSeed === options.toSeed;
    if (isAlone && !options.json) { for (const line of describeScenario(scenario)) print(line); }
    const outcome = await run(scenario, options, isAlone && !options.json ? progressOf(scenario) : undefined);
    coverage.add(outcome);
    const again = seed % TWICE_EVERY === 0 ? await run(scenario, options) : outcome;
    const violation = outcome.violation ??
      (again.digest !== outcome.digest || again.events !== outcome.events
        ? `two runs differ: ${outcome.digest}, ${outcome.events} events, and ${again.digest}, ${again.events} events`
        : null);
    if (violation !== null) failed++;
    report(seed, outcome, violation, options, isAlone);
  }
  if (options.json) return failed > 0 ? 1 : 0;
  for (const line of coverage.lines()) print(line);
  const unreached = coverage.unreached(options.faults ?? (Object.keys(incidentKinds) as IncidentKind[]));
  const runs = options.toSeed - options.fromSeed + 1;
  print(`${runs} runs, ${failed} failed, ${unreached.length} pairs unreached`);
  if (options.failUnreached && unreached.length > 0) {
    for (const pair of unreached) print(`no seed reached ${pair}`);
    return 1;
  }
  return failed > 0 ? 1 : 0;
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
  isAlone: boolean,
): void {
  const { digest, events, records, virtualMs, incidents, outcomes } = outcome;
  if (options.json) {
    print(JSON.stringify({ seed, digest, violation, events, records, virtualMs, incidents, outcomes }));
    return;
  }
  if (isAlone) {
    print(`incidents ${counts(incidents)}`);
    print(`outcomes ${counts(outcomes)}`);
    print("both balances hold in the oracle, and the rows equal the oracle's");
  }
  print(
    `seed ${seed}: ${violation === null ? "ok" : "VIOLATION"} ${events} events, ${records} records, ` +
      `${Math.round(virtualMs / 60_000)} min; digest: ${digest}`,
  );
  if (violation === null) return;
  print(violation);
  print(`repeat with: ${repeatCommand(seed, options)}`);
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
  const scenario = scenarioOf(options, seed);
  const first = await run(scenario, options);
  if (first.violation === null) {
    print(`seed ${seed} does not fail: nothing to shrink`);
    return 0;
  }
  const kindOf = (violation: string | null) => violation?.replace(/\d+/g, "#").slice(0, 24) ?? null;
  const kind = kindOf(first.violation);
  print(first.violation);
  const smallest = await shrinkScenario(
    scenario,
    async (candidate) => kindOf((await run(candidate, options)).violation) === kind,
    (candidate) =>
      print(
        `still fails: ${candidate.incidents.length} incidents, ${candidate.boards.length} boards, ${
          Math.round(candidate.faultsMs / 60_000)
        } min`,
      ),
  );
  await Deno.mkdir(REGRESSIONS, { recursive: true });
  const file = new URL(`seed_${seed}.scenario`, REGRESSIONS);
  const last = await run(smallest, options);
  const kept = { ...smallest, found: { violation: last.violation, deno: Deno.version.deno } };
  await Deno.writeTextFile(file, `${JSON.stringify(kept, null, 1)}\n`);
  print(
    `kept as sim/regressions/seed_${seed}.scenario: ${smallest.incidents.length} incidents; give it a name that says what was wrong`,
  );
  return 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
