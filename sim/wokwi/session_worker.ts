/**
 * One session in a Worker of its own: a program that never lets go (`while True: pass`) hangs nobody else, and ends with
 * its Worker. Frames go over as JSON text, written and read here, so that the server has no work with them.
 */
import { machineClock } from "../../platform/clock.ts";
import { loadMicroPythonRuntime } from "../board/mod.ts";
import { realWorld } from "./real_world.ts";
import type { Pace } from "./pacer.ts";
import { WokwiSession } from "./session.ts";
import type { WeatherSample } from "./weather_samples.ts";

/** What a session needs; it crosses over as a structured clone. */
export interface WorkerJob {
  readonly seed: number;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly weather: readonly WeatherSample[];
  readonly startMs: number;
  readonly pace: Pace;
  readonly hasInternet: boolean;
}

export type ToWorker =
  | { readonly kind: "job"; readonly job: WorkerJob }
  | { readonly kind: "frame"; readonly text: string }
  /** Answered at once by `alive`, unless Python holds the thread. */
  | { readonly kind: "ping" };

export type FromWorker =
  | { readonly kind: "frame"; readonly text: string }
  | { readonly kind: "warning"; readonly sentence: string }
  | { readonly kind: "alive" };

// A Worker's global scope, as far as it is used; the project is type-checked with the window's.
const scope = globalThis as unknown as {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker): void;
};

let session: WokwiSession | null = null;

scope.onmessage = ({ data }) => {
  if (data.kind === "ping") scope.postMessage({ kind: "alive" });
  else if (data.kind === "frame") session?.receive(data.text);
  else session = begin(data.job);
};

function begin({ seed, files, weather, startMs, pace, hasInternet }: WorkerJob): WokwiSession {
  const runtime = loadMicroPythonRuntime();
  const begun = new WokwiSession({
    seed,
    files,
    weather,
    pace,
    runtime,
    clock: machineClock,
    makeWorld: () => realWorld({ startMs, clock: machineClock, hasInternet }),
    onSend: (frame) => scope.postMessage({ kind: "frame", text: JSON.stringify(frame) }),
    onWarning: (sentence) => scope.postMessage({ kind: "warning", sentence }),
  });
  begun.open();
  return begun;
}
