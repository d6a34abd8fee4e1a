/**
 * A process to be killed: commits readings and windows to the store at `Deno.args[0]` (see `publishing.ts`), seals the
 * readings if there is a `Deno.args[1]`, publishes after every third commit, and writes `committed N` or `published N` (next offset) once it is so. Goes on where it
 * stopped.
 */
import { machineClock } from "../clock.ts";
import { openPublisher } from "../duckdb/publisher.ts";
import { openStore } from "../duckdb/store.ts";
import { changesAfter, commitsPerPublication, openWindows } from "./publishing.ts";

const [directory = "", seals] = Deno.args;
const sealedReadingsMin = seals === undefined ? Infinity : 1;
const store = await openStore({ directory, partition: 0, retentionMs: 30 * 86_400_000, sealedReadingsMin });
const publisher = await openPublisher(store);
const encoder = new TextEncoder();
const say = (text: string) => Deno.stdout.writeSync(encoder.encode(`${text}\n`));

let next = store.position?.nextOffset ?? 0;
for (let commits = 1;; commits++) {
  const changes = changesAfter(next);
  await store.commit(changes);
  next = changes.position.nextOffset;
  say(`committed ${next}`);
  if (commits % commitsPerPublication !== 0) continue;
  await publisher.publish(openWindows, machineClock.nowMs());
  say(`published ${next}`);
}
