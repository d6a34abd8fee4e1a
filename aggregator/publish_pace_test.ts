import assert from "node:assert/strict";
import { publishIntervalMsMax, PublishPace } from "./publish_pace.ts";

Deno.test("a publication that takes little comes when it is configured, after the first transaction", () => {
  const pace = new PublishPace(2_000);
  pace.committed(10_000);
  assert.equal(pace.waitMs(10_000), 2_000);
  pace.published(12_000, 12_400);
  pace.committed(12_100);
  assert.equal(pace.waitMs(12_400), 1_700);
  assert.equal(pace.intervalMs, 2_000);
});

Deno.test("one that takes long is followed by four times as long without", () => {
  const pace = new PublishPace(2_000);
  pace.committed(0);
  pace.published(2_000, 5_000);
  pace.committed(2_010);
  assert.equal(pace.intervalMs, 15_000);
  assert.equal(pace.waitMs(5_000), 12_000);
  pace.published(17_000, 17_100);
  pace.committed(17_010);
  assert.equal(pace.intervalMs, 2_000, "and no longer once it takes little again");
  assert.equal(pace.waitMs(17_100), 1_910);
});

Deno.test("whatever it takes, no more than a fifth of the time goes into it, within a minute", () => {
  for (const tookMs of [0, 1, 399, 400, 401, 1_000, 11_999, 12_000, 30_000, 90_000]) {
    const pace = new PublishPace(2_000);
    let [nowMs, spentMs] = [0, 0];
    for (let round = 0; round < 20; round++) {
      pace.committed(nowMs);
      nowMs += Math.max(0, pace.waitMs(nowMs));
      pace.published(nowMs, nowMs + tookMs);
      nowMs += tookMs;
      spentMs += tookMs;
    }
    nowMs += Math.max(0, pace.waitMs(nowMs));
    if (tookMs <= publishIntervalMsMax / 5) assert.ok(spentMs <= nowMs / 5, `${spentMs} of ${nowMs} ms`);
    else assert.equal(pace.intervalMs, publishIntervalMsMax);
  }
});

Deno.test("one that failed is tried again after its wait", () => {
  const pace = new PublishPace(2_000);
  pace.committed(0);
  pace.failed(2_500, 5_000);
  assert.equal(pace.waitMs(3_000), 4_500);
});
