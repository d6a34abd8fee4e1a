/** `deno task wokwi test`: from files to an exit status. */
import { basename, dirname, join, resolve } from "node:path";
import type { Clock } from "../../../core/ports/clock.ts";
import { type MicroPythonRuntime } from "../../board/mod.ts";
import { type CloudAccess, runOnCloud } from "./cloud.ts";
import { lintDiagram } from "../diagram_rules.ts";
import { type Expectation, readExpectations } from "./expectations.ts";
import { junitText } from "./junit.ts";
import { runOffline } from "./offline.ts";
import { projectFolderOf, ProjectRefused, readProject, type WokwiProject } from "../project.ts";
import { expectationLines, stepLines, summaryLine, verdictLine } from "./report.ts";
import { exitCode, type ScenarioOutcome } from "./results.ts";
import type { Scenario } from "./scenario.ts";
import { readScenario } from "./scenario_file.ts";
import type { RunOptions, ScenarioFiles } from "./scenario_run.ts";
import type { TestOptions } from "./test_options.ts";
import { SerialLines } from "./serial_lines.ts";
import { readWeather } from "../weather_file.ts";
import type { WeatherSample } from "../weather_samples.ts";

export interface TestPorts {
  readonly clock: Clock;
  readonly runtime: () => Promise<MicroPythonRuntime>;
  /** A sentence says what the environment lacks for it. */
  readonly cloud: () => CloudAccess | string;
  readonly print: (line: string) => void;
  readonly complain: (line: string) => void;
}

/** Something that was asked for can't be read or written; one sentence a line. */
class Refused extends Error {
  override name = "Refused";
}

interface Planned {
  readonly path: string;
  readonly scenario: Scenario;
  readonly project: WokwiProject;
  readonly expectations: readonly Expectation[];
}

const suffix = ".scenario.yaml";
/** Files of one run. */
const filesMax = 1_000;

/** Runs everything and says how it went; the exit status. */
export async function runTests(options: TestOptions, ports: TestPorts): Promise<number> {
  try {
    return await runAll(options, ports);
  } catch (error) {
    if (!(error instanceof Refused || error instanceof ProjectRefused)) throw error;
    ports.complain(error.message);
    return 1;
  }
}

async function runAll(options: TestOptions, ports: TestPorts): Promise<number> {
  const access = options.cloud ? ports.cloud() : null;
  if (typeof access === "string") throw new Refused(access);
  const weather = options.weather === null ? [] : await weatherOf(options.weather);
  const planned = await plan(options.files);
  if (options.artifacts !== null) refuseNamesakes(planned);
  // As with wokwi-cli, what the lint says is shown and stops nothing.
  for (const project of new Set(planned.map(({ project }) => project))) {
    for (const { severity, sentence } of lintDiagram(project.diagram)) {
      if (severity !== "information") {
        ports.complain(`${join(project.folder, "diagram.json")}: ${severity}: ${sentence}`);
      }
    }
  }
  const outcomes: ScenarioOutcome[] = [];
  for (const each of planned) outcomes.push(await runOne(each, weather, access, options, ports));
  ports.print(summaryLine(outcomes));
  if (options.junit !== null) await write(options.junit, new TextEncoder().encode(junitText(outcomes)));
  return exitCode(outcomes, options.timeoutExitCode);
}

async function runOne(
  planned: Planned,
  weather: readonly WeatherSample[],
  access: CloudAccess | null,
  options: TestOptions,
  ports: TestPorts,
): Promise<ScenarioOutcome> {
  const { path, scenario, project, expectations } = planned;
  const kept = options.artifacts === null ? null : join(options.artifacts, nameOf(path));
  const temporary = kept === null ? await Deno.makeTempDir({ prefix: "isotherm-wokwi-" }) : null;
  const folder = kept ?? temporary ?? "";
  ports.print(path);
  const lines = new SerialLines((line) => ports.print(`       | ${line}`));
  const run: RunOptions = {
    timeoutNanos: options.timeoutNanos,
    weather,
    files: filesBeside(path),
    onStep: (outcome) => stepLines(outcome).forEach(ports.print),
    ...(options.serial ? { onSerial: (bytes) => lines.push(bytes) } : {}),
  };
  const fromMs = ports.clock.monotonicMs();
  try {
    const dataFolder = join(folder, "data");
    // Rows of an earlier run are no part of this one.
    await removed(dataFolder);
    const result = access === null
      ? await runOffline(
        { ...run, project, scenario, expectations, seed: options.seed, dataFolder, keepsRows: kept !== null },
        { clock: ports.clock, runtime: ports.runtime() },
      )
      : { ...await runOnCloud(access, project, scenario, run, ports.clock), expectations: [] };
    lines.end();
    const outcome = { path, scenario, ...result };
    for (const each of outcome.expectations) expectationLines(each).forEach(ports.print);
    ports.print(verdictLine(outcome, ports.clock.monotonicMs() - fromMs));
    if (kept !== null) await keep(kept, outcome);
    return outcome;
  } finally {
    if (temporary !== null) await removed(temporary);
  }
}

async function keep(folder: string, { serial, vcd }: ScenarioOutcome): Promise<void> {
  await write(join(folder, "serial.log"), serial);
  await removed(join(folder, "wires.vcd"));
  if (vcd !== null) await write(join(folder, "wires.vcd"), new TextEncoder().encode(vcd));
}

/** Reads everything before anything starts: a mistake in the last file is told at once. */
async function plan(given: readonly string[]): Promise<Planned[]> {
  const paths = (await Promise.all(given.map(scenariosIn))).flat();
  if (paths.length === 0) throw new Refused(`there is no *${suffix} in ${given.join(", ")}`);
  if (paths.length > filesMax) {
    throw new Refused(`there are more than ${filesMax} scenarios in ${given.join(", ")}`);
  }
  const projects = new Map<string, WokwiProject>();
  const planned: Planned[] = [];
  const problems: string[] = [];
  for (const path of paths) {
    const read = readScenario(await textOf(path), path);
    if (read.kind === "problems") {
      problems.push(...read.problems);
      continue;
    }
    const folder = await projectFolderOf(path);
    const project = projects.get(folder) ?? await readProject(folder);
    projects.set(folder, project);
    const expectations = await expectationsOf(path);
    if (typeof expectations === "string") problems.push(expectations);
    else planned.push({ path, scenario: read.scenario, project, expectations });
  }
  if (problems.length > 0) throw new Refused(problems.join("\n"));
  return planned;
}

const nameOf = (path: string) => basename(path, suffix);

/** What is kept lies in a folder of the scenario's name. */
function refuseNamesakes(planned: readonly Planned[]): void {
  const seen = new Set<string>();
  for (const name of planned.map(({ path }) => nameOf(path))) {
    if (seen.has(name)) {
      throw new Refused(`two scenarios are called ${name}: --artifacts would keep one of them`);
    }
    seen.add(name);
  }
}

async function scenariosIn(path: string): Promise<string[]> {
  const { isDirectory } = await orRefused(path, () => Deno.stat(path));
  if (!isDirectory) return [path];
  const names: string[] = [];
  for await (const { name, isFile } of Deno.readDir(path)) {
    if (isFile && name.endsWith(suffix)) names.push(name);
  }
  return names.sort().map((name) => join(path, name));
}

/** What lies beside a scenario as `NAME.expect.sql`; none: nothing is expected of the rows. */
async function expectationsOf(path: string): Promise<readonly Expectation[] | string> {
  const beside = `${path.endsWith(suffix) ? path.slice(0, -suffix.length) : path}.expect.sql`;
  let text: string;
  try {
    text = await Deno.readTextFile(beside);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  const read = readExpectations(text);
  return read.kind === "expectations" ? read.expectations : `${beside}: ${read.problem}`;
}

async function weatherOf(path: string): Promise<readonly WeatherSample[]> {
  const read = readWeather(await textOf(path));
  if (read.kind === "problem") throw new Refused(`${path}: ${read.problem}`);
  return read.samples;
}

/** Pictures of a scenario, relative to it. */
function filesBeside(path: string): ScenarioFiles {
  const at = (name: string) => resolve(dirname(path), name);
  return { read: (name) => Deno.readFile(at(name)), write: (name, content) => write(at(name), content) };
}

const textOf = (path: string) => orRefused(path, () => Deno.readTextFile(path));

async function orRefused<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new Refused(`${path} does not exist`);
    throw error;
  }
}

async function write(path: string, content: Uint8Array): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeFile(path, content);
}

async function removed(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
