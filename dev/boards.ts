/** Simulated boards beside the pipeline; real ones would send to the same address. */
import type { Clock } from "../core/ports/clock.ts";
import type { Bench } from "../sim/board/bench.ts";
import { runLiveBoards } from "../sim/board/live.ts";

export interface BoardsOptions {
  readonly devices: number;
  /** They start so far back. */
  readonly historyMs: number;
  /** All but the first start so far back; null: as far as the first. */
  readonly neighboursBackMs: number | null;
  /** Ingest's address. */
  readonly url: string;
  readonly key: string | null;
  /** Where they keep their flash between two starts. */
  readonly folder: string;
  readonly clock: Clock;
  /** Made with {@link boardsSeed}. */
  readonly bench: Bench;
  /** A board's firmware ended, which it never should. */
  failed(error: Error): void;
}

export interface Boards {
  readonly names: readonly string[];
  /** Cuts their power. */
  stop(): Promise<void>;
}

/** Often enough that somebody who has just started it sees readings flow; the DHT22 allows 2 s. */
const everyMs = 5_000;

/** The same weather after a restart; boot numbers differ, they depend on when a board was powered. */
export const boardsSeed = "dev";

/** Powers the boards. They run until `stop`. */
export async function startBoards(options: BoardsOptions): Promise<Boards> {
  const { devices, historyMs, neighboursBackMs, url, key, clock, bench, failed } = options;
  if (devices === 0) return { names: [], stop: () => Promise.resolve() };
  const stateDir = `${options.folder}/boards`;
  await Deno.mkdir(stateDir, { recursive: true });
  const end = new AbortController();
  const running = runLiveBoards({
    devices,
    startMs: clock.nowMs() - historyMs,
    ...neighboursBackMs === null ? {} : { neighboursBackMs },
    url,
    ...key === null ? {} : { key },
    clock,
    seed: boardsSeed,
    everyMs,
    signal: end.signal,
    stateDir,
    bench,
  }).catch(failed);
  const stop = async () => {
    end.abort();
    await running;
  };
  return { names: Array.from({ length: devices }, (_, index) => `board-${index + 1}`), stop };
}
