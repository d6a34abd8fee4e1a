/** One share of the fleet: boards with the real firmware under one scheduler, in a worker of its own. */
import { createHash } from "node:crypto";
import { decodeBatch } from "../../core/schema.ts";
import { createBoard, HttpNetwork, loadMicroPythonRuntime } from "../../sim/board/mod.ts";
import { Scheduler } from "../../sim/scheduler.ts";

/** What a worker is asked to run. */
export interface Share {
  /** Numbers of its boards. */
  readonly first: number;
  readonly count: number;
  readonly hours: number;
  readonly everyMs: number;
}

export interface ShareResult {
  readonly readings: number;
  readonly requests: number;
  /** SHA-256 over every request body with its virtual time, in order. */
  readonly digest: string;
}

/** 2025-11-24T16:00:00Z. */
const START_MS = 1_764_000_000_000;

async function run({ first, count, hours, everyMs }: Share): Promise<ShareResult> {
  const scheduler = new Scheduler({ startMs: START_MS });
  const runtime = await loadMicroPythonRuntime();
  const hash = createHash("sha256");
  let [readings, requests] = [0, 0];
  const network = new HttpNetwork({
    scheduler,
    handler: async (request) => {
      const body = new Uint8Array(await request.arrayBuffer());
      const decoded = decodeBatch(body);
      if (decoded.kind === "problems") return new Response(JSON.stringify(decoded.problems), { status: 400 });
      readings += decoded.batch.readings.length;
      requests++;
      hash.update(`${scheduler.nowMs} `).update(body);
      const answer = {
        accepted: decoded.batch.readings.length,
        flagged: [],
        now: scheduler.nowMs,
        credit: 100,
      };
      return Response.json(answer, { status: 202 });
    },
  });
  const boards = Array.from({ length: count }, (_, i) =>
    createBoard(scheduler, {
      device: `board-${first + i}`,
      seed: first + i,
      network,
      runtime,
      settings: { every_ms: everyMs },
    }));
  for (const board of boards) await board.powerOn();
  await scheduler.runUntil(START_MS + hours * 3_600_000);
  for (const board of boards) {
    board.check();
    board.powerCut();
  }
  return { readings, requests, digest: hash.digest("hex") };
}

// The compiler knows the window's scope only; a worker's has these.
const worker = globalThis as unknown as {
  onmessage: (event: MessageEvent<Share>) => void;
  postMessage(result: ShareResult): void;
};
worker.onmessage = async ({ data }) => worker.postMessage(await run(data));
