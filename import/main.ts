/** `deno task import`: joins the import with a file, the network and the terminal. */
import { createIngestClient } from "../ingest/client.ts";
import { machineClock } from "../platform/clock.ts";
import { machineRandom } from "../platform/random.ts";
import { CsvBroken } from "./csv.ts";
import { importFile, ImportRefused } from "./mod.ts";
import { importHelp, type ImportOptions, parseImportOptions } from "./options.ts";
import { progressText } from "./progress_bar.ts";
import type { Tally } from "./tally.ts";
import { UploadStopped } from "./upload.ts";

const redrawMs = 100;

async function main(args: readonly string[]): Promise<number> {
  const parsed = parseImportOptions(args);
  switch (parsed.kind) {
    case "help":
      console.log(importHelp);
      return 0;
    case "problems":
      for (const problem of parsed.problems) console.error(problem);
      console.error("deno task import --help shows all options");
      return 2;
    case "options":
      return await run(parsed.options);
  }
}

async function run(options: ImportOptions): Promise<number> {
  const stop = new AbortController();
  const onInterrupt = () => stop.abort();
  Deno.addSignalListener("SIGINT", onInterrupt);
  try {
    using file = await Deno.open(options.file);
    const info = await file.stat();
    const bar = createBar(info.isFile ? info.size : null);
    const tally = await importFile(options, {
      bytes: chunksOf(file),
      client: createIngestClient({ url: options.url, key: options.key, clock: machineClock }),
      clock: machineClock,
      random: machineRandom,
      say: (line) => {
        bar.clear();
        console.log(line);
      },
      progress: bar.draw,
    }, stop.signal);
    return tally.rejected === 0 ? 0 : 1;
  } catch (error) {
    if (!isForTheUser(error)) throw error;
    console.error(error instanceof Deno.errors.NotFound ? `there is no file ${options.file}` : error.message);
    return 1;
  } finally {
    Deno.removeSignalListener("SIGINT", onInterrupt);
  }
}

const isForTheUser = (error: unknown): error is Error =>
  error instanceof ImportRefused || error instanceof CsvBroken || error instanceof UploadStopped ||
  error instanceof Deno.errors.NotFound || error instanceof Deno.errors.IsADirectory ||
  error instanceof Deno.errors.PermissionDenied;

async function* chunksOf(file: Deno.FsFile): AsyncGenerator<Uint8Array> {
  const chunk = new Uint8Array(65_536);
  for (let length; (length = await file.read(chunk)) !== null;) yield chunk.subarray(0, length);
}

/** Draws on standard error where that is a terminal; elsewhere nothing is drawn. */
function createBar(sizeBytes: number | null) {
  const startMs = machineClock.monotonicMs();
  let drawnMs = -Infinity;
  const isTerminal = Deno.stderr.isTerminal();
  const write = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(text));
  return {
    draw(bytes: number, tally: Readonly<Tally>): void {
      const nowMs = machineClock.monotonicMs();
      if (!isTerminal || nowMs - drawnMs < redrawMs) return;
      drawnMs = nowMs;
      write(`\r\x1b[K${progressText(bytes, sizeBytes, tally.accepted, nowMs - startMs)}`);
    },
    clear(): void {
      if (isTerminal && drawnMs !== -Infinity) write("\r\x1b[K");
    },
  };
}

if (import.meta.main) Deno.exit(await main(Deno.args));
