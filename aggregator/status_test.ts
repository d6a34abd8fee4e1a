import assert from "node:assert/strict";
import type { WorkerState, WorkerStatus } from "./partition_worker.ts";
import { readiness } from "./status.ts";

const worker = (partition: number, state: WorkerState, sentence: string | null = null): WorkerStatus => ({
  partition,
  state,
  sentence,
  nextOffset: 0,
  appendHighMs: 0,
  openWindows: 0,
  epoch: 0,
  endOffset: 0,
  devices: 0,
  watermarkMs: null,
  committedMs: null,
  published: null,
  publishEveryMs: 2_000,
});

Deno.test("ready is who works on every partition that it holds, and a full disk is told", () => {
  assert.equal(readiness([worker(0, "running"), worker(1, "running")]), null);
  assert.equal(readiness([]), "no partition is assigned yet");
  assert.equal(readiness([worker(0, "running"), worker(1, "starting")]), "partition 1 is starting");
  assert.equal(
    readiness([worker(0, "running"), worker(2, "waiting", "the disk is full")]),
    "partition 2 is waiting: the disk is full",
  );
});
