import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { machineClock } from "../../platform/clock.ts";
import { type LiveBoardsOptions, runLiveBoards } from "./live.ts";
import { Receiver } from "./testing/receiver.ts";

/** A strict receiver behind a real HTTP server. */
async function realReceiver() {
  const receiver = new Receiver(() => machineClock.nowMs());
  const server: Server = createServer((request, response) => {
    const parts: Uint8Array[] = [];
    request.on("data", (part: Uint8Array) => parts.push(part));
    request.on("end", async () => {
      const headers = { "content-type": String(request.headers["content-type"]) };
      const body = new Uint8Array(parts.flatMap((part) => [...part]));
      const answer = await receiver.handle(
        new Request(`http://x${request.url}`, { method: "POST", headers, body }),
      );
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      response.end(await answer.text());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return { receiver, url, [Symbol.asyncDispose]: close };
}

/** Runs boards until `enough` says so, then stops them; returns how long stopping took. */
async function runUntil(
  enough: () => boolean,
  options: Omit<LiveBoardsOptions, "clock" | "signal" | "seed">,
) {
  const stop = new AbortController();
  const running = runLiveBoards({ ...options, clock: machineClock, seed: 1, signal: stop.signal });
  const endMs = machineClock.monotonicMs() + 30_000;
  while (!enough() && machineClock.monotonicMs() < endMs) {
    await Promise.race([machineClock.sleep(20), running]);
  }
  const askedMs = machineClock.monotonicMs();
  stop.abort();
  await running;
  return machineClock.monotonicMs() - askedMs;
}

Deno.test("a live board's first reading arrives within 3 s, and it stops within 500 ms", async () => {
  await using real = await realReceiver();
  const { receiver, url } = real;
  const startMs = machineClock.nowMs();
  const stoppedAfterMs = await runUntil(() => receiver.requests.length > 0, {
    devices: 1,
    startMs,
    url,
    everyMs: 2000,
  });
  const firstAfterMs = (receiver.requests[0]?.atMs ?? Infinity) - startMs;
  assert.ok(firstAfterMs < 5000, `${firstAfterMs} ms, of which 2 s at most are a busy machine's`);
  assert.ok(stoppedAfterMs < 500, `${stoppedAfterMs} ms`);
});

Deno.test("boards with a history catch up with the present and leave no gap", async () => {
  await using real = await realReceiver();
  const { receiver, url } = real;
  let caughtUp = false;
  const startMs = machineClock.nowMs() - 2 * 3_600_000;
  await runUntil(() => caughtUp && receiver.slotCount("board-2") >= 720, {
    devices: 2,
    startMs,
    url,
    onCaughtUp: () => caughtUp = true,
  });
  for (const device of ["board-1", "board-2"]) {
    assert.ok(receiver.slotCount(device) >= 720, `${device}: ${receiver.slotCount(device)}`);
    receiver.checkComplete(device);
  }
  receiver.checkOrder();
});

Deno.test("the next run goes on where the last one stopped: backlog and previous boot", async () => {
  const stateDir = mkdtempSync(`${tmpdir()}/isotherm-boards-`);
  try {
    const lines: string[] = [];
    const startMs = machineClock.nowMs() - 60_000;
    const nobody = "http://127.0.0.1:9";
    const onSerialLine = (_: string, line: string) => lines.push(line);
    const options = { devices: 1, startMs, everyMs: 2000, stateDir, onSerialLine };
    await runUntil(() => lines.filter((line) => line.includes('"sample"')).length >= 29, {
      ...options,
      url: nobody,
    });
    await using real = await realReceiver();
    const { receiver, url } = real;
    const bootCount = () => receiver.devices.get("board-1")?.size ?? 0;
    await runUntil(() => receiver.slotCount("board-1") >= 30 && bootCount() >= 2, { ...options, url });
    const [first, second] = receiver.devices.get("board-1")?.values() ?? [];
    assert.ok(first !== undefined && second !== undefined);
    assert.ok(first.slotCount !== null && first.slotCount >= 29);
    receiver.checkComplete("board-1");
  } finally {
    rmSync(stateDir, { recursive: true });
  }
});
