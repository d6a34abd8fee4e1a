/**
 * Simulated boards beside a real ingest: for `deno task dev`.
 *
 * Their clock starts in the past if asked to. Until it has caught up, the boards run as fast as the processor allows, and
 * virtual time stands still while a request is under way; from then on they keep pace with the real clock.
 */
import type { Clock } from "../../core/ports/clock.ts";
import { Scheduler } from "../scheduler.ts";
import type { Bench } from "./bench.ts";
import type { Board } from "./board.ts";
import type { Surroundings } from "./chip.ts";
import { createBoard } from "./create_board.ts";
import { loadFirmware } from "./firmware.ts";
import { Flash } from "./flash.ts";
import { loadFlash, saveFlash } from "./flash_file.ts";
import { loadMicroPythonRuntime } from "./micropython_program.ts";
import { RealNetwork } from "./real_network.ts";

export interface LiveBoardsOptions {
  /** How many; they are called `board-1`, `board-2` … */
  readonly devices: number;
  /** Unix milliseconds at which the boards start; the past gives a history, now or later none. */
  readonly startMs: number;
  /** All but the first start so long before the present, if that is later: cheaper. Default: with the first. */
  readonly neighboursBackMs?: number;
  /** Where ingest listens, e.g. `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Sent as a bearer token, if ingest wants one. */
  readonly key?: string;
  readonly clock: Clock;
  readonly seed: number | string;
  /** Sampling interval in milliseconds (at least 2,000; default 10,000). */
  readonly everyMs?: number;
  /** Ends the run, within 500 ms. */
  readonly signal: AbortSignal;
  /** Each line that a board prints: JSON, see the firmware's `status.py`. */
  readonly onSerialLine?: (device: string, line: string) => void;
  /** Called once, when the boards have caught up with the clock. */
  readonly onCaughtUp?: () => void;
  /** Keeps the boards' flash between runs. */
  readonly stateDir?: string;
  /** Somebody may play with the boards. */
  readonly bench?: Bench;
}

/** Above this lag, virtual time stands still while a request is under way. */
const LAG_MS = 2_000;
/** A server that doesn't answer holds virtual time up for so long at most; then it counts as the outage that it is. */
const ANSWER_MS = 5_000;
/** At full speed, the rest of the process gets a turn so often. */
const TURN_MS = 20;
const SAVE_MS = 5_000;
/** The last stretch of a history: Wi-Fi stays, so that the backlog has drained when the present is reached. */
const HISTORY_END_MS = 10 * 60_000;
/** While catching up, Wi-Fi is there in the first 2 of every 20 minutes: so boards send batches, not single readings. */
const HISTORY_PERIOD_MS = 20 * 60_000;
const HISTORY_OPEN_MS = 2 * 60_000;

/** Runs until `signal` aborts. Throws when a board's firmware ends or hangs. */
export async function runLiveBoards(options: LiveBoardsOptions): Promise<void> {
  const live = await startBoards(options);
  try {
    await runAll(live, options);
  } finally {
    for (const board of live.boards) board.powerCut();
    save(live, options);
  }
}

interface Live {
  readonly scheduler: Scheduler;
  readonly network: RealNetwork;
  readonly boards: readonly Board[];
  savedCounts: Map<string, number>;
}

async function startBoards(options: LiveBoardsOptions): Promise<Live> {
  const { devices, clock, url, key, everyMs, seed, onSerialLine, bench } = options;
  const runtime = await loadMicroPythonRuntime();
  const firmware = loadFirmware();
  const names = Array.from({ length: devices }, (_, index) => `board-${index + 1}`);
  const flashes = new Map(names.map((name) => [name, new Flash()]));
  const savedMs = options.stateDir === undefined
    ? []
    : names.map((name) => loadFlash(flashes.get(name) as Flash, statePath(options, name)) ?? 0);
  const startMs = Math.min(clock.nowMs(), Math.max(options.startMs, ...savedMs));
  const scheduler = new Scheduler({ startMs });
  const network = new RealNetwork(scheduler);
  const surroundings = historyWiFi(clock, startMs);
  const settings = { ingest_url: url, ...(key ? { key } : {}), ...(everyMs ? { every_ms: everyMs } : {}) };
  const tell = (device: string, line: string) => {
    bench?.heard(device, line);
    onSerialLine?.(device, line);
  };
  const boards = names.map((device) =>
    createBoard(scheduler, {
      device,
      seed,
      network: bench?.network(network, () => scheduler.nowMs) ?? network,
      runtime,
      firmware,
      settings,
      surroundings: bench?.surroundings(device, surroundings) ?? surroundings,
      flash: flashes.get(device) as Flash,
      ...(onSerialLine || bench ? { onSerial: lines((line) => tell(device, line)) } : {}),
    })
  );
  bench?.attach(boards, scheduler, (task) => network.post(task));
  const laterMs = clock.nowMs() - (options.neighboursBackMs ?? Infinity);
  for (const [index, board] of boards.entries()) {
    if (index === 0 || laterMs <= startMs) await board.powerOn();
    else scheduler.at(laterMs, () => board.powerOn());
  }
  return { scheduler, network, boards, savedCounts: new Map() };
}

/** Open in short periods until the real present is near; always open after that. */
function historyWiFi(clock: Clock, startMs: number): Partial<Surroundings> {
  return {
    accessPoint: (nowMs) => {
      if (clock.nowMs() - nowMs < HISTORY_END_MS) return "open";
      return (nowMs - startMs) % HISTORY_PERIOD_MS < HISTORY_OPEN_MS ? "open" : "absent";
    },
  };
}

async function runAll(live: Live, options: LiveBoardsOptions): Promise<void> {
  const { scheduler, network, boards } = live;
  const { clock, signal } = options;
  let turnAtMs = clock.monotonicMs();
  let saveAtMs = turnAtMs + SAVE_MS;
  let caughtUp = false;
  while (!signal.aborted) {
    network.deliver();
    const lagMs = clock.nowMs() - (scheduler.nextMs ?? Infinity);
    if (!caughtUp && lagMs < LAG_MS) {
      caughtUp = true;
      options.onCaughtUp?.();
    }
    if (lagMs >= LAG_MS && network.busy) await answer(network, clock, signal);
    else if (lagMs < 0) await network.arrival(clock, Math.min(-lagMs, SAVE_MS), signal);
    else await scheduler.step();
    network.deliver();
    for (const board of boards) board.check();
    const nowMs = clock.monotonicMs();
    if (nowMs - turnAtMs >= TURN_MS) {
      await clock.sleep(0);
      turnAtMs = clock.monotonicMs();
    }
    if (nowMs >= saveAtMs) {
      save(live, options);
      saveAtMs = nowMs + SAVE_MS;
    }
  }
}

/** Waits until no board waits for the server any more, or for {@link ANSWER_MS}; then one event may pass. */
async function answer(network: RealNetwork, clock: Clock, signal: AbortSignal): Promise<void> {
  const endMs = clock.monotonicMs() + ANSWER_MS;
  while (network.busy && !signal.aborted && clock.monotonicMs() < endMs) {
    await network.arrival(clock, endMs - clock.monotonicMs(), signal);
    network.deliver();
  }
  if (network.busy) network.giveUp();
}

function save(live: Live, options: LiveBoardsOptions): void {
  if (options.stateDir === undefined) return;
  for (const { device, flash } of live.boards) {
    if (live.savedCounts.get(device) === flash.operationCount) continue;
    saveFlash(flash, statePath(options, device), live.scheduler.nowMs);
    live.savedCounts.set(device, flash.operationCount);
  }
}

const statePath = (options: LiveBoardsOptions, device: string) =>
  `${options.stateDir ?? "."}/${device}.flash.json`;

/** Collects bytes into lines. */
function lines(onLine: (line: string) => void): (bytes: Uint8Array) => void {
  const decoder = new TextDecoder();
  let text = "";
  return (bytes) => {
    const parts = (text + decoder.decode(bytes, { stream: true })).split(/\r?\n/);
    text = parts.pop() as string;
    for (const part of parts) onLine(part);
  };
}
