/**
 * `deno task sim:mutants [NAME…] [--handful N --of DAY]`: plants each bug of `mutants.ts` in a copy of the project and tells
 * how many seeds it took until the harness saw it. Exit 1 if one survives 50 seeds, or no longer fits the code.
 */
import { machineClock } from "../platform/clock.ts";
import { type Mutant, mutants } from "./mutants.ts";

const SEEDS_MAX = 50;
/** A planted bug that makes the fold turn for ever is seen by its silence: so long in one seed. */
const STUCK_MS = 180_000;
const ROOT = new URL("../", import.meta.url);
const ROOMS = ["core", "platform", "ingest", "aggregator", "firmware", "sim", "dashboard"];

async function copyProject(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-mutants-" });
  for (const file of ["deno.json", "deno.lock"]) {
    await Deno.copyFile(new URL(file, ROOT), `${folder}/${file}`);
  }
  for (const room of ROOMS) await copyFolder(new URL(`${room}/`, ROOT), `${folder}/${room}`);
  return folder;
}

async function copyFolder(from: URL, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyFolder(new URL(`${name}/`, from), `${to}/${name}`);
    else await Deno.copyFile(new URL(name, from), `${to}/${name}`);
  }
}

type Found = { readonly seeds: number | null; readonly seen: string | null };

/** Plants, runs, and takes it out again. */
async function hunt(mutant: Mutant, folder: string): Promise<Found | "stale"> {
  const path = `${folder}/${mutant.file}`;
  const text = await Deno.readTextFile(path);
  if (text.split(mutant.from).length !== 2) return "stale";
  await Deno.writeTextFile(path, text.replace(mutant.from, () => mutant.to));
  try {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "--no-prompt", "-A", "sim/mutant_run.ts", mutant.family, String(SEEDS_MAX)],
      ...{ cwd: folder, stdout: "piped", stderr: "piped" },
    }).spawn();
    const stderr = new Response(child.stderr).text();
    const { text, isStuck } = await listen(child);
    const lines = text.trim().split("\n");
    const seeds = Math.max(1, lines.filter((line) => line.startsWith("seed ")).length);
    if (isStuck) return { seeds, seen: `it hung for ${STUCK_MS / 1_000} s` };
    const last = lines.at(-1) ?? "";
    // A process that ends without a word was ended by what was planted.
    if (!last.startsWith("{")) return { seeds, seen: (await stderr).trim().slice(0, 200) };
    return JSON.parse(last) as Found;
  } finally {
    await Deno.writeTextFile(path, text);
  }
}

/** What it writes until its end; it is ended when it has been silent for too long. */
async function listen(child: Deno.ChildProcess): Promise<{ text: string; isStuck: boolean }> {
  let isStuck = false;
  const watch = () =>
    machineClock.after(STUCK_MS, () => {
      isStuck = true;
      child.kill("SIGKILL");
    });
  let cancel = watch();
  let text = "";
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    cancel();
    cancel = watch();
  }
  await child.status;
  cancel();
  return { text, isStuck };
}

/** `count` mutants that differ from day to day. */
function handful(count: number, day: number): Mutant[] {
  return Array.from({ length: count }, (_, i) => mutants[(day * count + i) % mutants.length]!);
}

function chosen(args: readonly string[]): Mutant[] {
  const at = args.indexOf("--handful");
  if (at >= 0) return handful(Number(args[at + 1] ?? 5), Number(args[args.indexOf("--of") + 1] ?? 0));
  return args.length === 0 ? [...mutants] : mutants.filter(({ name }) => args.includes(name));
}

if (import.meta.main) {
  const folder = await copyProject();
  let missed = 0;
  const list = chosen(Deno.args);
  try {
    for (const mutant of list) {
      const found = await hunt(mutant, folder);
      const isSeen = found !== "stale" && found.seeds !== null;
      if (!isSeen) missed++;
      const told = found === "stale"
        ? "STALE: it no longer fits the code"
        : found.seeds === null
        ? "SURVIVED"
        : `${found.seeds} seeds${found.seen?.startsWith("it hung") === true ? ", hung" : ""}`;
      console.log(
        `${mutant.name.padEnd(28)} ${mutant.family.padEnd(6)} ${told.padEnd(10)} ${mutant.mistake}`,
      );
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  console.log(`${list.length} planted, ${list.length - missed} seen, ${missed} missed`);
  Deno.exit(missed > 0 ? 1 : 0);
}
