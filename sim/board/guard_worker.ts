/** The Worker of `guard.ts`: one board, stepped event by event, each event counted before it runs. */
import { Scheduler } from "../scheduler.ts";
import { createBoard } from "./create_board.ts";
import { type GuardedJob, type GuardMessage, progress } from "./guard.ts";
import { HttpNetwork } from "./http_network.ts";
import { loadMicroPythonRuntime } from "./micropython_program.ts";

interface Start {
  readonly job: GuardedJob;
  readonly shared: SharedArrayBuffer;
}

// A Worker's global scope, as far as it is used; the project is type-checked with the window's.
const scope = globalThis as unknown as {
  onmessage: ((event: MessageEvent<Start>) => void) | null;
  postMessage(message: GuardMessage): void;
};

scope.onmessage = async ({ data: { job, shared } }) => {
  let failure: string | null = null;
  try {
    await run(job, new Float64Array(shared));
  } catch (error) {
    failure = String(error);
  }
  scope.postMessage({ kind: "ended", failure });
};

async function run(job: GuardedJob, seen: Float64Array): Promise<void> {
  const scheduler = new Scheduler();
  const network = new HttpNetwork({ scheduler, handler: () => new Response(null, { status: 503 }) });
  const decoder = new TextDecoder();
  const board = createBoard(scheduler, {
    device: "board-1",
    seed: job.seed,
    runtime: await loadMicroPythonRuntime(),
    network,
    onSerial: (bytes) => scope.postMessage({ kind: "serial", text: decoder.decode(bytes, { stream: true }) }),
  });
  for (const [path, content] of Object.entries(job.files)) board.flash.put(path, content);
  const begin = () => {
    seen[progress.atMs] = scheduler.nextMs ?? scheduler.nowMs;
    seen[progress.events] = (seen[progress.events] ?? 0) + 1;
  };
  begin();
  await board.powerOn();
  board.check();
  for (let nextMs = scheduler.nextMs; nextMs !== null && nextMs <= job.runMs; nextMs = scheduler.nextMs) {
    begin();
    await scheduler.step();
    board.check();
  }
  board.powerCut();
}
