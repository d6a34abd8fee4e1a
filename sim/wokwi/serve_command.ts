/** `deno task wokwi serve`: from options to a server that runs until it is told to stop. */
import type { Clock } from "../../core/ports/clock.ts";
import { filesBeside, ProjectRefused } from "./project.ts";
import type { ServeOptions } from "./serve_options.ts";
import { serveWokwi } from "./server.ts";
import { readWeather } from "./weather_file.ts";
import type { WeatherSample } from "./weather_samples.ts";

export interface ServePorts {
  readonly clock: Clock;
  readonly print: (line: string) => void;
  readonly complain: (line: string) => void;
  /** Ends the server. */
  readonly signal: AbortSignal;
}

/** Serves until the signal aborts; the exit status. */
export async function serve(options: ServeOptions, ports: ServePorts): Promise<number> {
  const { clock, print, complain, signal } = ports;
  const files = await modulesOf(options.project);
  const weather = options.weather === null ? [] : await weatherOf(options.weather);
  if (typeof files === "string" || typeof weather === "string") {
    complain([files, weather].filter((given) => typeof given === "string").join("\n"));
    return 1;
  }
  const server = await serveWokwi({
    ...options,
    clock,
    files,
    weather,
    startMs: options.startMs ?? clock.nowMs(),
    onWarning: complain,
  }).catch((error) => error as Error);
  if (server instanceof Error) {
    complain(`${options.hostname}:${options.port} can't be listened on: ${server.message}`);
    return 1;
  }
  print("A simulated ESP32 with a DHT22 for Wokwi's tools");
  print(`  WOKWI_CLI_SERVER=${server.url}   (any WOKWI_CLI_TOKEN will do)`);
  print(`  beside an uploaded main.py: ${files.size} files of ${options.project}`);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await server.close();
  return 0;
}

async function modulesOf(folder: string): Promise<ReadonlyMap<string, Uint8Array> | string> {
  try {
    return await filesBeside(folder);
  } catch (error) {
    if (error instanceof ProjectRefused) return error.message;
    if (error instanceof Deno.errors.NotFound) {
      return `there is no folder ${folder}: --project says whose modules lie beside main.py`;
    }
    throw error;
  }
}

async function weatherOf(path: string): Promise<readonly WeatherSample[] | string> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    return `${path} can't be read: ${(error as Error).message}`;
  }
  const read = readWeather(text);
  return read.kind === "weather" ? read.samples : `${path}: ${read.problem}`;
}
