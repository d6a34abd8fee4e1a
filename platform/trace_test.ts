import assert from "node:assert/strict";
import type { Clock } from "../core/ports/clock.ts";
import { jsonTrace } from "./trace.ts";

const clock: Clock = {
  nowMs: () => Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  monotonicMs: () => 0,
  sleep: () => Promise.resolve(),
  after: () => () => {},
};

function collector() {
  let text = "";
  let release: (() => void) | null = null;
  let held: Promise<void> = Promise.resolve();
  return {
    hold: () => held = new Promise((resolve) => release = resolve),
    release: () => release?.(),
    text: () => text,
    async write(bytes: Uint8Array) {
      await held;
      return this.writeSync(bytes);
    },
    writeSync(bytes: Uint8Array) {
      const part = bytes.subarray(0, 100);
      text += new TextDecoder().decode(part);
      return part.length;
    },
  };
}

Deno.test("an entry is one line of JSON with its time, level, name and fields", async () => {
  const sink = collector();
  const trace = jsonTrace({ clock, sink, fields: { service: "ingest" } });
  trace.emit("warn", "log.down", { retryAfterMs: 1_000 });
  await trace.flush();
  assert.equal(
    sink.text(),
    '{"time":"2026-01-02T03:04:05.678Z","level":"warn","event":"log.down","service":"ingest","retryAfterMs":1000}\n',
  );
});

Deno.test("entries below the least level are not written", async () => {
  const sink = collector();
  const trace = jsonTrace({ clock, sink, levelMin: "warn" });
  trace.emit("info", "a");
  trace.emit("warn", "b");
  trace.emit("error", "c");
  await trace.flush();
  assert.deepEqual(sink.text().trim().split("\n").map((line) => JSON.parse(line).event), ["b", "c"]);
});

Deno.test("a reader that stops reading costs entries, which are counted, and never memory", async () => {
  const sink = collector();
  sink.hold();
  const trace = jsonTrace({ clock, sink });
  trace.emit("info", "first");
  for (let i = 0; i < 20_000; i++) trace.emit("info", "flood", { text: "x".repeat(100) });
  sink.release();
  await trace.flush();
  const events = sink.text().trim().split("\n").map((line) => JSON.parse(line));
  const written = events.filter((entry) => entry.event === "flood").length;
  const dropped = events.filter((entry) => entry.event === "trace.dropped");
  assert.equal(dropped.length, 1);
  assert.equal(written + dropped[0].entries, 20_000);
  assert.ok(written > 1_000 && written < 10_000, `${written} entries were written`);
});
