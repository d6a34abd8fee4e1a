/** `deno task sim`: see `options.ts` for what it can be told and `docs/simulation.md` for how it works. */
import { machineClock } from "../platform/clock.ts";
import type { MicroPythonRuntime } from "./board/mod.ts";
import { Coverage } from "./coverage.ts";
import { parseSimOptions, simHelp, type SimOptions } from "./options.ts";
import { buildOf, regressionText } from "./regression.ts";
import { describeScenario, type IncidentKind, incidentKinds, type Scenario } from "./scenario.ts";
import { inOrder, SeedProcess, SeedsNotRun } from "./seed_processes.ts";
import { planOf, repeatOf, runPlanned, runSeed, runtimeOf, type SeedResult } from "./seed_run.ts";
import { shrinkScenario } from "./shrink_scenario.ts";
import { storyPage } from "./story/page.ts";
import type { Story } from "./story/story.ts";

const ROOT = new URL("../", import.meta.url);
const REGRESSIONS = new URL("./regressions/", import.meta.url);
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

async function runSeeds(options: SimOptions): Promise<number> {
  const coverage = new Coverage();
  const startedMs = machineClock.monotonicMs();
  let failed = 0;
  let virtualMs = 0;
  try {
    for await (const result of resultsOf(options)) {
      coverage.add(result);
      virtualMs += result.virtualMs;
      if (result.violation !== null) failed++;
      report(result, options, isAlone(options) ? "alone" : "of many");
    }
  } catch (error) {
    if (!(error instanceof SeedsNotRun)) throw error;
    console.error(error.message);
    failed += error.seeds;
  }
  const seconds = (machineClock.monotonicMs() - startedMs) / 1_000;
  if (!options.json) print(`${Math.round(virtualMs / seconds / 1_000)} × real time`);
  return summary(options, coverage, failed);
}

const isAlone = ({ fromSeed, toSeed }: SimOptions) => fromSeed === toSeed;

/** What came of each seed, in the order of the seeds. */
async function* resultsOf(options: SimOptions): AsyncGenerator<SeedResult> {
  if (options.processes > 1 && !isAlone(options)) {
    const open = () => new SeedProcess(options);
    yield* inOrder(options, options.processes, open, (seed) => repeatOf(options, seed));
    return;
  }
  const runtime = await runtimeOf(options);
  for (let seed = options.fromSeed; seed <= options.toSeed; seed++) {
    yield await runHere(options, seed, runtime);
  }
}

async function runHere(
  options: SimOptions,
  seed: number,
  runtime: MicroPythonRuntime | null,
): Promise<SeedResult> {
  const planned = await planOf(options, seed, runtime);
  const tellsAll = isAlone(options) && !options.json;
  if (tellsAll) { for (const line of describeScenario(planned.scenario)) print(line); }
  let story: Story | null = null;
  const result = await runSeed(options, planned, seed, {
    ...(tellsAll ? { onProgress: progressOf(planned.scenario) } : {}),
    tells: options.html !== null,
    ran: (outcome) => story = outcome.story,
  });
  if (options.html !== null && story !== null) {
    await Deno.writeTextFile(options.html, storyPage(story));
    if (!options.json) print(`what happened: ${options.html}`);
  }
  return result;
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

function report(result: SeedResult, options: SimOptions, kind: "alone" | "of many"): void {
  const { seed, digest, violation, events, records, virtualMs, incidents, outcomes, pauses } = result;
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
      `${Math.round(virtualMs / 60_000)} min${pauses > 0 ? `, ${pauses} pauses` : ""}; digest: ${digest}`,
  );
  if (violation === null) return;
  print(violation);
  print(`repeat with: ${result.repeat}`);
}

const counts = (of: Readonly<Record<string, number>>) =>
  Object.entries(of).map(([name, count]) => `${name} ${count}`).join(", ");

async function shrinkOne(options: SimOptions): Promise<number> {
  const seed = options.fromSeed;
  const planned = await planOf(options, seed, await runtimeOf(options));
  const first = await runPlanned(planned);
  if (first.violation === null) {
    print(`seed ${seed} does not fail: nothing to shrink`);
    return 0;
  }
  const kindOf = (violation: string | null) => violation?.replace(/\d+/g, "#").slice(0, 24) ?? null;
  const kind = kindOf(first.violation);
  print(first.violation);
  const smallest = await shrinkScenario(
    planned.scenario,
    async (scenario) => kindOf((await runPlanned({ ...planned, scenario })).violation) === kind,
    (candidate) =>
      print(
        `still fails: ${candidate.incidents.length} incidents, ${candidate.boards.length} boards, ${
          Math.round(candidate.faultsMs / 60_000)
        } min`,
      ),
  );
  const { violation, incidents, decisions } = await runPlanned({ ...planned, scenario: smallest });
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
