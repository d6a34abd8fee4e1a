/**
 * Runs seeds for another process (`seed_processes.ts`): `OPTIONS FOLDER`, a seed a line on standard input, a result a line
 * on standard output. It ends when its input does, whatever it is at: then nobody wants the result any more.
 */
import type { SimOptions } from "./options.ts";
import { planOf, runSeed, runtimeOf } from "./seed_run.ts";

const [given = "{}", folder = "."] = Deno.args;
const options = JSON.parse(given) as SimOptions;

// Ctrl-C is for the whole group of processes; who has started us ends by it, and our input with him.
Deno.addSignalListener("SIGINT", () => {});
// What the program itself prints is not a result.
console.log = console.info = console.debug = console.error;

const runtime = await runtimeOf(options);

async function run(seed: number): Promise<void> {
  const result = await runSeed(options, await planOf(options, seed, runtime), seed, { folder });
  const bytes = new TextEncoder().encode(`${JSON.stringify(result)}\n`);
  for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
}

let rest = "";
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split("\n");
  rest = lines.pop() ?? "";
  for (const line of lines) void run(Number(line));
}
try {
  Deno.removeSync(folder, { recursive: true });
} catch {
  // It is gone, or something was still being written: who has started us removes it, if he can.
}
Deno.exit(0);
