import assert from "node:assert/strict";
import { Looks } from "./looks.ts";
import { Turns } from "./turn.ts";

async function turn(): Promise<void> {
  const turns = new Turns();
  await turns.next();
  turns.close();
}

/** Whether `promise` has resolved by now. */
async function isOver(promise: Promise<void>): Promise<boolean> {
  let over = false;
  void promise.then(() => over = true);
  await turn();
  return over;
}

Deno.test("virtual time waits for a reader when what it found would go, and not before", async () => {
  const looks = new Looks(300);
  const reader = Promise.withResolvers<void>();
  looks.add(1_000, reader.promise);
  assert.equal(await isOver(looks.mayBecome(1_299)), true);
  const waiting = looks.mayBecome(1_300);
  assert.equal(await isOver(waiting), false);
  reader.resolve();
  await waiting;
  assert.equal(await isOver(looks.mayBecome(9_000)), true);
});

Deno.test("of nine readers at one time the first has to be done", async () => {
  const looks = new Looks(300);
  const readers = Array.from({ length: 9 }, () => Promise.withResolvers<void>());
  for (const { promise } of readers.slice(0, 8)) looks.add(1_000, promise);
  assert.equal(await isOver(looks.mayBecome(1_000)), true);
  looks.add(1_000, readers[8]!.promise);
  const waiting = looks.mayBecome(1_000);
  assert.equal(await isOver(waiting), false);
  readers[0]!.resolve();
  await waiting;
  const all = looks.over();
  for (const { resolve } of readers.slice(0, 8)) resolve();
  assert.equal(await isOver(all), false);
  readers[8]!.resolve();
  await all;
});
