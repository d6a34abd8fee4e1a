import assert from "node:assert/strict";
import { publishIntervalMsMax, PublishPace } from "./publish_pace.ts";

Deno.test("a publication that takes little comes when it is configured, after the first transaction", () => {
  const pace = new PublishPace(2_000);
  pace.committed(10_000, true);
  assert.equal(pace.waitMs(10_000), 2_000);
  pace.published(12_000, 12_400);
  pace.committed(12_100, true);
  assert.equal(pace.waitMs(12_400), 1_700);
  assert.equal(pace.intervalMs, 2_000);
});

Deno.test("one that takes long is followed by four times as long without", () => {
  const pace = new PublishPace(2_000);
  pace.committed(0, true);
  pace.published(2_000, 5_000);
  pace.committed(2_010, true);
  assert.equal(pace.intervalMs, 15_000);
  pace.committed(16_000, false);
  assert.equal(pace.waitMs(5_000), 12_000);
  pace.published(17_000, 17_100);
  pace.committed(17_010, true);
  assert.equal(pace.intervalMs, 2_000, "and no longer once it takes little again");
  assert.equal(pace.waitMs(17_100), 1_910);
});

Deno.test("whatever it takes, no more than a fifth of the time goes into it, within a minute", () => {
  for (const tookMs of [0, 1, 399, 400, 401, 1_000, 11_999, 12_000, 30_000, 90_000]) {
    const pace = new PublishPace(2_000);
    let [nowMs, spentMs] = [0, 0];
    for (let round = 0; round < 20; round++) {
      pace.committed(nowMs, true);
      while (pace.waitMs(nowMs) > 0) pace.committed(nowMs += Math.min(100, pace.waitMs(nowMs)), false);
      pace.published(nowMs, nowMs + tookMs);
      nowMs += tookMs;
      spentMs += tookMs;
    }
    while (pace.waitMs(nowMs) > 0) pace.committed(nowMs += Math.min(100, pace.waitMs(nowMs)), false);
    if (tookMs <= publishIntervalMsMax / 5) assert.ok(spentMs <= nowMs / 5, `${spentMs} of ${nowMs} ms`);
    else assert.equal(pace.intervalMs, publishIntervalMsMax);
  }
});

Deno.test("the last rows wait for twice as long as a publication takes, while others come for longer", () => {
  const pace = new PublishPace(100);
  pace.published(0, 3_000);
  pace.committed(3_100, true);
  assert.equal(pace.intervalMs, 15_000);
  assert.equal(pace.waitMs(3_100), 6_000);
  pace.committed(6_000, false);
  assert.equal(pace.waitMs(6_000), 6_000, "counted from the newest");
  pace.committed(14_000, false);
  assert.equal(pace.waitMs(14_000), 1_000);
  const quick = new PublishPace(100);
  quick.published(0, 100);
  quick.committed(150, true);
  assert.equal(quick.waitMs(150), 250, "and a moment at least");
});

Deno.test("one that failed is tried again after its wait", () => {
  const pace = new PublishPace(2_000);
  pace.committed(0, true);
  pace.failed(2_500, 5_000);
  assert.equal(pace.waitMs(3_000), 4_500);
});
