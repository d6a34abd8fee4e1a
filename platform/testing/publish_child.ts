/**
 * A process to be killed: commits readings and windows to the store at `Deno.args[0]`, publishes after every third
 * commit, and writes `committed N` or `published N` (next offset) once it is so. Goes on where it stopped.
 *
 * Each record is one reading with a value of its own; each window is revised by the record after it, so that wrong
 * sums, torn rows and old versions show.
 */
import {
  changes,
  channelRow,
  deviceRow,
  positionRow,
  readingRow,
  startMs,
  windowRow,
} from "../../core/testing/builders.ts";
import { machineClock } from "../clock.ts";
import { openPublisher } from "../duckdb_publisher.ts";
import { openStore } from "../duckdb_store.ts";

const MINUTE_MS = 60_000;
const RECORDS_PER_COMMIT = 40;

const [directory = ""] = Deno.args;
const store = await openStore({ directory, partition: 0, retentionMs: 30 * 86_400_000 });
const publisher = await openPublisher(store);
const encoder = new TextEncoder();
const say = (text: string) => Deno.stdout.writeSync(encoder.encode(`${text}\n`));

/** Minute `number` as closed by record `number`, or as revised by the one after. */
function minute(number: number, revision: 0 | 1) {
  return windowRow({
    device: `device-${number % 7}`,
    startMs: startMs + number * MINUTE_MS,
    readings: 1 + revision,
    temperature: channelRow(20_000 + number % 1_000, {
      count: 1 + revision,
      sum: (20_000 + number % 1_000) * (1 + revision),
    }),
    revision,
    replaces: revision === 0 ? null : 0,
  });
}

let next = store.position?.nextOffset ?? 0;
for (let commits = 1;; commits++) {
  const numbers = Array.from({ length: RECORDS_PER_COMMIT }, (_, index) => next + index);
  // A window's first version and its revision never come in one transaction.
  const older = numbers.map((number) => number - RECORDS_PER_COMMIT).filter((number) => number >= 0);
  next += RECORDS_PER_COMMIT;
  await store.commit(changes({
    position: positionRow({ nextOffset: next, appendHighMs: startMs + next }),
    readings: numbers.map((number) =>
      readingRow({
        device: `device-${number % 7}`,
        seq: number,
        tsMs: startMs + number,
        appendMs: startMs + number,
        offset: number,
        temperatureMilliC: number % 1_000,
      })
    ),
    windows: [...numbers.map((number) => minute(number, 0)), ...older.map((number) => minute(number, 1))],
    devices: [0, 1, 2, 3, 4, 5, 6].map((device) => deviceRow({ device: `device-${device}`, counted: next })),
  }));
  say(`committed ${next}`);
  if (commits % 3 !== 0) continue;
  await publisher.publish(
    [windowRow({ startMs: startMs - MINUTE_MS, closedBy: null })],
    machineClock.nowMs(),
  );
  say(`published ${next}`);
}
