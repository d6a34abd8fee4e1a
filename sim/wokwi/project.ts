/**
 * A Wokwi project on disk: `wokwi.toml`, `diagram.json`, and the program. A MicroPython project's modules lie beside its
 * `main.py` and go onto the board with it.
 */
import { basename, dirname, extname, join, resolve } from "node:path";
import { parse, TomlError } from "smol-toml";

export interface WokwiProject {
  readonly folder: string;
  readonly diagram: string;
  /** Name under which the board is told to start it: `main.py`, or `firmware.bin`, as wokwi-cli has it. */
  readonly firmware: string;
  /** What is uploaded, by name: the firmware and, for MicroPython, its modules and settings. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** Something about the project is missing or wrong; the message is for the person who wrote it. */
export class ProjectRefused extends Error {
  override name = "ProjectRefused";
}

/** Settings that go onto the board. `settings.json` never does: it is for a board on the desk, with its passwords. */
const settingsFile = "settings.wokwi.json";
/** As many files and bytes as a board's flash of 4 MB could take, and some. */
const filesMax = 1_000;
const bytesMax = 64 * 2 ** 20;

/** The project that a scenario belongs to: the nearest folder above it with a `wokwi.toml`. */
export async function projectFolderOf(path: string): Promise<string> {
  for (let folder = dirname(resolve(path));; folder = dirname(folder)) {
    if (await bytesOf(join(folder, "wokwi.toml")) !== null) return folder;
    if (folder === dirname(folder)) {
      throw new ProjectRefused(`${path} lies in no Wokwi project: no folder above it has a wokwi.toml`);
    }
  }
}

/** Reads a project. Rejects with {@link ProjectRefused}. */
export async function readProject(folder: string): Promise<WokwiProject> {
  const path = firmwarePath(await needed(folder, "wokwi.toml"));
  const diagram = new TextDecoder().decode(await needed(folder, "diagram.json"));
  const content = await needed(folder, path);
  if (extname(path) !== ".py") {
    const firmware = `firmware${extname(path)}`;
    return { folder, diagram, firmware, files: new Map([[firmware, content]]) };
  }
  const beside = await filesBeside(join(folder, dirname(path)));
  const files = new Map([...beside].filter(([name]) => name !== basename(path)));
  files.set("main.py", content);
  return {
    folder,
    diagram,
    firmware: "main.py",
    files: new Map([...files].sort(([a], [b]) => a < b ? -1 : 1)),
  };
}

/** A MicroPython project's modules and settings: what lies beside an uploaded `main.py`. */
export async function filesBeside(folder: string): Promise<Map<string, Uint8Array>> {
  const names: string[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (isFile && (name.endsWith(".py") || name === settingsFile)) names.push(name);
  }
  if (names.length > filesMax) throw new ProjectRefused(`${folder} has more than ${filesMax} modules`);
  const files = new Map<string, Uint8Array>();
  let bytes = 0;
  for (const name of names.sort()) {
    const content = await Deno.readFile(join(folder, name));
    bytes += content.length;
    if (bytes > bytesMax) {
      throw new ProjectRefused(`the modules in ${folder} are larger than ${bytesMax} bytes`);
    }
    files.set(name, content);
  }
  return files;
}

/** Where `wokwi.toml` says that the firmware lies, relative to it. */
function firmwarePath(toml: Uint8Array): string {
  const given = parsed(new TextDecoder().decode(toml)).wokwi;
  if (typeof given !== "object" || given === null) throw new ProjectRefused("wokwi.toml lacks [wokwi]");
  const { version, firmware } = given as Readonly<Record<string, unknown>>;
  if (version !== 1) throw new ProjectRefused("wokwi.toml: version must be 1");
  if (typeof firmware !== "string" || firmware === "") {
    throw new ProjectRefused("wokwi.toml lacks firmware: the path of main.py or of a flash image");
  }
  return firmware;
}

function parsed(toml: string): Readonly<Record<string, unknown>> {
  try {
    return parse(toml);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw new ProjectRefused(`wokwi.toml:${error.line}: ${error.message.split("\n")[0]}`);
  }
}

async function needed(folder: string, name: string): Promise<Uint8Array> {
  const content = await bytesOf(join(folder, name));
  if (content === null) throw new ProjectRefused(`${join(folder, name)} is missing`);
  if (content.length > bytesMax) {
    throw new ProjectRefused(`${join(folder, name)} is larger than ${bytesMax} bytes`);
  }
  return content;
}

async function bytesOf(path: string): Promise<Uint8Array | null> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    const isAbsent = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
    if (isAbsent || error instanceof Deno.errors.IsADirectory) return null;
    throw error;
  }
}
