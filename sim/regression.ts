/**
 * A kept run: one that failed once, as small as it could be made, with everything that it depends on. `deno test` runs
 * all of `regressions/` for ever.
 *
 * It holds the drawn scenario and not the seed, and the decisions that were drawn while it ran: code that draws one more
 * number, or draws otherwise, changes nothing about it. It says which faults really happened; a run in which they no
 * longer do tests nothing, and fails.
 */
import type { DecisionLog } from "./decisions.ts";
import type { MicroPythonRuntime } from "./board/mod.ts";
import { runScenario } from "./pipeline.ts";
import type { Scenario } from "./scenario.ts";

const FORMAT = 1;

/** What was built when it failed. */
export interface Build {
  /** Git's name of the commit; "unknown" outside of a checkout. */
  readonly commit: string;
  readonly deno: string;
}

export interface Regression {
  /** One sentence, for whom it fails again: what was wrong. */
  readonly what: string;
  readonly found: { readonly violation: string; readonly build: Build };
  /** It takes real DuckDB files. */
  readonly onFiles: boolean;
  /** Faults that happened then, by kind, with how often. */
  readonly happened: Readonly<Record<string, number>>;
  readonly scenario: Scenario;
  readonly decisions: DecisionLog;
}

/** As it lies in the repository: JSON, one line a part, so that a diff names the part. */
export function regressionText({ what, found, onFiles, happened, scenario, decisions }: Regression): string {
  const { incidents, boards, ...rest } = scenario;
  const list = (items: readonly unknown[]) =>
    `[${items.map((item) => `\n  ${JSON.stringify(item)}`).join(",")}\n ]`;
  const parts = [
    `"isotherm_regression": ${FORMAT}`,
    `"what": ${JSON.stringify(what)}`,
    `"found": ${JSON.stringify(found)}`,
    `"onFiles": ${onFiles}`,
    `"happened": ${JSON.stringify(happened)}`,
    `"scenario": ${JSON.stringify(rest)}`,
    `"boards": ${list(boards)}`,
    `"incidents": ${list(incidents)}`,
    `"decisions": ${JSON.stringify(decisions)}`,
  ];
  return `{\n ${parts.join(",\n ")}\n}\n`;
}

/** Throws with what is wrong with the text. */
export function parseRegression(text: string): Regression {
  const { isotherm_regression: format, scenario, boards, incidents, ...rest } = JSON.parse(text);
  if (format !== FORMAT) {
    throw new Error(`the regression has version ${format}, this build reads ${FORMAT}: record it again`);
  }
  return { ...rest, scenario: { ...scenario, boards, incidents } };
}

/** What is wrong with a run of it today; null if nothing is. */
export async function runRegression(
  { onFiles, happened, scenario, decisions }: Regression,
  micropython?: MicroPythonRuntime,
): Promise<string | null> {
  const directory = onFiles ? await Deno.makeTempDir({ prefix: "isotherm-regression-" }) : null;
  const runtime = micropython === undefined ? {} : { micropython };
  try {
    const { violation, incidents } = await runScenario(scenario, { directory, decisions, ...runtime });
    if (violation !== null) return violation;
    const missing = Object.keys(happened).filter((kind) => (incidents[kind] ?? 0) === 0);
    return missing.length === 0 ? null : `it tests nothing any more: ${missing.join(", ")} did not happen`;
  } finally {
    if (directory !== null) await Deno.remove(directory, { recursive: true });
  }
}

/** The commit that is checked out, without asking git: a simulation may start no programs. */
export function buildOf(root: URL): Build {
  const read = (path: string): string | null => {
    try {
      return Deno.readTextFileSync(new URL(path, root)).trim();
    } catch {
      return null;
    }
  };
  const head = read(".git/HEAD") ?? "";
  const ref = /^ref: (.+)$/.exec(head)?.[1];
  const packed = ref === undefined
    ? undefined
    : (read(".git/packed-refs") ?? "").split("\n").find((line) => line.endsWith(` ${ref}`))?.slice(0, 40);
  const commit = ref === undefined ? head : read(`.git/${ref}`) ?? packed ?? "";
  return { commit: commit || "unknown", deno: Deno.version.deno };
}
