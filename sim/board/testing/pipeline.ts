/** Boards before the production ingest on a simulated log; what is in the log then goes through the production fold. */
import { defaultConfig } from "../../../core/config.ts";
import { noMetrics } from "../../../core/ports/metrics.ts";
import { createIngest } from "../../../ingest/mod.ts";
import { silentTrace } from "../../../core/ports/trace.ts";
import { virtualClock } from "../../clock.ts";
import { Partition } from "../../../core/partition.ts";
import { openPublisher } from "../../../platform/duckdb/publisher.ts";
import { Catalogue, type ResultCell } from "../../../platform/duckdb/reader.ts";
import { openStore } from "../../../platform/duckdb/store.ts";
import { foldLog } from "../../fold_run.ts";
import { SimLog } from "../../log.ts";
import { MemoryRows } from "../../memory_rows.ts";
import { seededRandom } from "../../random.ts";
import { Scheduler } from "../../scheduler.ts";

import type { Board } from "../board.ts";
import { createBoard, type CreateBoardOptions } from "../create_board.ts";
import { HttpNetwork, type HttpNetworkOptions } from "../http_network.ts";
import { loadMicroPythonRuntime } from "../micropython_program.ts";
import { START_MS } from "./desk.ts";

const runtime = loadMicroPythonRuntime();

export interface Pipeline {
  readonly scheduler: Scheduler;
  readonly network: HttpNetwork;
  readonly log: SimLog;
  board(options: Partial<CreateBoardOptions> & { readonly device: string }): Promise<Board>;
  /** Lets virtual time pass. */
  run(ms: number): Promise<void>;
  /** The rows of everything in the log. */
  fold(): MemoryRows;
  /** The same through the DuckDB store, published: `ask` queries the files as anybody would. */
  inDuckdb(look: (ask: Ask) => Promise<void>): Promise<void>;
}

type Ask = (sql: string) => Promise<readonly (readonly ResultCell[])[]>;

const BATCH_RECORDS = 500;
const ROWS_MAX = 100_000;

/** Runs `test` with a pipeline of one partition, and takes the boards' power afterwards. */
export async function withPipeline(
  network: Partial<HttpNetworkOptions>,
  test: (pipeline: Pipeline) => Promise<void>,
): Promise<void> {
  const { nextTurn, close } = turns();
  try {
    const scheduler = new Scheduler({ startMs: START_MS });
    const clock = virtualClock(scheduler);
    const log = new SimLog({ partitions: 1, clock, random: seededRandom("pipeline", "log") });
    const ends = log.open();
    const ports = { log: ends.writer, clock, trace: silentTrace, metrics: noMetrics };
    const ingest = createIngest({ ...ports, random: seededRandom("pipeline", "ingest") });
    const http = new HttpNetwork({ scheduler, handler: ingest.handler, takesTime: true, ...network });
    const boards: Board[] = [];
    await test({
      scheduler,
      network: http,
      log,
      async board(options) {
        const board = createBoard(scheduler, { seed: 1, runtime: await runtime, network: http, ...options });
        boards.push(board);
        return board;
      },
      async run(ms) {
        const endMs = scheduler.nowMs + ms;
        for (let nextMs = scheduler.nextMs; nextMs !== null && nextMs <= endMs; nextMs = scheduler.nextMs) {
          await scheduler.step();
          if (http.underWay > 0) await nextTurn();
        }
        await scheduler.runUntil(endMs);
        for (const board of boards) board.check();
      },
      fold: () => {
        const tape = { records: log.records(0), config: defaultConfig, partitions: 1 };
        return foldLog(tape, { batchRecords: BATCH_RECORDS })[0]?.rows ?? new MemoryRows();
      },
      inDuckdb: (look) => withPublished(log, scheduler.nowMs, look),
    });
    for (const board of boards) if (board.on) board.powerCut();
    await nextTurn();
  } finally {
    close();
  }
}

/** `nextTurn` resolves when every microtask that can run has run: what a request has started is at rest then. */
function turns(): { nextTurn: () => Promise<void>; close: () => void } {
  const channel = new MessageChannel();
  const waiting: (() => void)[] = [];
  channel.port2.onmessage = () => waiting.shift()?.();
  return {
    nextTurn: () =>
      new Promise((resolve) => {
        waiting.push(resolve);
        channel.port1.postMessage(null);
      }),
    close: () => channel.port1.close(),
  };
}

/** Folds the log into a DuckDB store in a folder of its own, publishes it and lets `look` ask. */
async function withPublished(log: SimLog, nowMs: number, look: (ask: Ask) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "isotherm-boards-" });
  try {
    const store = await openStore({ directory, partition: 0, retentionMs: defaultConfig.retentionMs });
    const publisher = await openPublisher(store, { mergeInline: true });
    try {
      const fold = new Partition(defaultConfig, 0, 1);
      const records = log.records(0);
      for (let from = 0; from < records.length; from += BATCH_RECORDS) {
        const prepared = fold.prepare(records.slice(from, from + BATCH_RECORDS));
        fold.apply(prepared, await store.lookup(prepared.needs));
        await store.commit(fold.takeChanges(null, ""));
      }
      await publisher.publish(fold.openWindows(), nowMs);
    } finally {
      await publisher.close();
      await store.close();
    }
    const catalogue = await Catalogue.open(directory);
    try {
      await look(async (sql) => (await catalogue.query(sql, ROWS_MAX)).rows);
    } finally {
      catalogue.close();
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
