/** `deno task export`: joins the export with the terminal. */
import { StoreRefused, StoreUnavailable } from "../core/ports/store.ts";
import { machineClock } from "../platform/clock.ts";
import { exportParquet, type ExportProgress } from "../platform/duckdb/export.ts";
import { exportHelp, type ExportOptions, parseExportOptions } from "./options.ts";
import { progressText } from "./progress.ts";

async function main(args: readonly string[]): Promise<number> {
  const parsed = parseExportOptions(args);
  switch (parsed.kind) {
    case "help":
      console.log(exportHelp);
      return 0;
    case "problems":
      for (const problem of parsed.problems) console.error(problem);
      console.error("deno task export --help shows all options");
      return 2;
    case "options":
      return await run(parsed.options);
  }
}

async function run(options: ExportOptions): Promise<number> {
  const stop = new AbortController();
  const onInterrupt = () => stop.abort();
  Deno.addSignalListener("SIGINT", onInterrupt);
  const startedMs = machineClock.monotonicMs();
  try {
    const { rows, files } = await exportParquet(options, draw, stop.signal);
    const seconds = ((machineClock.monotonicMs() - startedMs) / 1_000).toFixed(1);
    clear();
    console.log(`${rows} rows in ${files} files in ${options.target}, in ${seconds} s`);
    return 0;
  } catch (error) {
    clear();
    if (stop.signal.aborted) {
      console.error("stopped: the days written so far are whole");
      return 1;
    }
    if (!(error instanceof StoreRefused || error instanceof StoreUnavailable)) throw error;
    console.error(error.message);
    return 1;
  } finally {
    Deno.removeSignalListener("SIGINT", onInterrupt);
  }
}

const write = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(text));

/** Draws on standard error where that is a terminal; elsewhere nothing is drawn. */
function draw(progress: ExportProgress): void {
  if (Deno.stderr.isTerminal()) write(`\r\x1b[K${progressText(progress)}`);
}

function clear(): void {
  if (Deno.stderr.isTerminal()) write("\r\x1b[K");
}

if (import.meta.main) Deno.exit(await main(Deno.args));
