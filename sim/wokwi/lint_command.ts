/** `deno task wokwi lint [DIR]`: what Wokwi's lint would say of a project's diagram, offline. */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { lintDiagram } from "./diagram_rules.ts";
import { ProjectRefused, readProject } from "./project.ts";

export const lintHelp = `Looks at a project's diagram by Wokwi's rules, offline.

  deno task wokwi lint [DIR] [OPTIONS]

  DIR                   the project (default: firmware)
  --ignore-warnings     shows errors alone
  --warnings-as-errors  fails on warnings, too

Exit status: 0 nothing is wrong, 1 something is, or there is no such project.`;

export interface LintOptions {
  readonly folder: string;
  readonly ignoresWarnings: boolean;
  readonly failsOnWarnings: boolean;
}

/** Options, or a sentence. */
export function parseLintOptions(args: readonly string[]): LintOptions | string {
  const flag = { type: "boolean" } as const;
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { "ignore-warnings": flag, "warnings-as-errors": flag },
    });
    if (positionals.length > 1) return "lint looks at one project: see --help";
    return {
      folder: positionals[0] ?? "firmware",
      ignoresWarnings: values["ignore-warnings"] === true,
      failsOnWarnings: values["warnings-as-errors"] === true,
    };
  } catch (error) {
    return (error as Error).message.split(". ")[0] ?? "";
  }
}

/** Prints what is found, a line each; the exit status. */
export async function lint(options: LintOptions, print: (line: string) => void): Promise<number> {
  const { folder, ignoresWarnings, failsOnWarnings } = options;
  let diagram: string;
  try {
    diagram = (await readProject(folder)).diagram;
  } catch (error) {
    if (!(error instanceof ProjectRefused)) throw error;
    print(error.message);
    return 1;
  }
  const findings = lintDiagram(diagram).filter(({ severity }) => severity === "error" || !ignoresWarnings);
  for (const { severity, rule, sentence } of findings) {
    print(`${join(folder, "diagram.json")}: ${severity}: ${sentence} (${rule})`);
  }
  const fatal = failsOnWarnings ? ["error", "warning"] : ["error"];
  return findings.some(({ severity }) => fatal.includes(severity)) ? 1 : 0;
}
