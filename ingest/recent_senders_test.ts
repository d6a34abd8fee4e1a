import assert from "node:assert/strict";
import { RecentSenders } from "./recent_senders.ts";

Deno.test("distinct senders of this period and the one before are counted", () => {
  const senders = new RecentSenders(1_000, 0);
  assert.equal(senders.count(0), 0);
  for (let i = 0; i < 30; i++) senders.note(`d${i % 10}`, 100);
  assert.equal(senders.count(999), 10);
  senders.note("d1", 1_000);
  assert.equal(senders.count(1_999), 10, "those of the period before");
  assert.equal(senders.count(2_000), 1);
  assert.equal(senders.count(3_000), 0);
});

Deno.test("a pause of several periods forgets all", () => {
  const senders = new RecentSenders(1_000, 0);
  senders.note("a", 0);
  assert.equal(senders.count(2_500), 0);
  senders.note("b", 2_600);
  assert.equal(senders.count(2_999), 1);
  assert.equal(senders.count(3_999), 1);
  assert.equal(senders.count(4_000), 0);
});

Deno.test("names are bounded", () => {
  const senders = new RecentSenders(1_000, 0);
  for (let i = 0; i < 50_000; i++) senders.note(`d${i}`, 0);
  assert.equal(senders.count(0), 20_000);
});
