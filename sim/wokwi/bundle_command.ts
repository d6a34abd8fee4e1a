/** `deno task wokwi bundle DIR`: a project that needs one upload, with its scenarios. */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bundledToml, bundleText } from "./bundle.ts";
import { ProjectRefused, readProject } from "./project.ts";

export const bundleHelp =
  `Writes a Wokwi project whose main.py holds all modules, for tools that upload main.py alone.

  deno task wokwi bundle DIR [--project DIR]

  DIR             where wokwi.toml, diagram.json, main.py and scenarios/ are written
  --project DIR   the project (default: firmware)`;

/** Folders to read and to write, or a sentence. */
export function parseBundleOptions(
  args: readonly string[],
): { readonly from: string; readonly to: string } | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { project: { type: "string" } },
    });
    const [to] = positionals;
    if (to === undefined || positionals.length > 1) return "bundle needs one folder to write to: see --help";
    return { from: values.project ?? "firmware", to };
  } catch (error) {
    return (error as Error).message.split(". ")[0] ?? "";
  }
}

/** Writes the bundle of the project in `from` into the folder `to`; a sentence if it can't be made. */
export async function bundle(from: string, to: string): Promise<string | null> {
  let project;
  try {
    project = await readProject(from);
  } catch (error) {
    if (error instanceof ProjectRefused) return error.message;
    throw error;
  }
  if (project.firmware !== "main.py") {
    return `${from} is no MicroPython project: ${project.firmware} needs no bundle`;
  }
  await Deno.mkdir(join(to, "scenarios"), { recursive: true });
  await Deno.writeTextFile(join(to, "wokwi.toml"), bundledToml);
  await Deno.writeTextFile(join(to, "diagram.json"), project.diagram);
  await Deno.writeTextFile(join(to, "main.py"), bundleText(project));
  for (const name of await scenarioNames(join(from, "scenarios"))) {
    await Deno.copyFile(join(from, "scenarios", name), join(to, "scenarios", name));
  }
  return null;
}

async function scenarioNames(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name)
      .filter((name) => /\.(scenario\.yaml|expect\.sql)$/.test(name));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
