import assert from "node:assert/strict";
import type { Log, LogRecord } from "../core/ports/log.ts";
import { LogUnavailable } from "../core/ports/log.ts";
import {
  joinAll,
  logContract,
  type LogUnderTest,
  newRecord,
  readAll,
  readLimits,
  recordsOf,
} from "../core/testing/log_contract.ts";
import { virtualClock } from "./clock.ts";
import { SimLog, type SimLogEnds } from "./log.ts";
import { noLogFaults, type SimLogFaults } from "./log_faults.ts";
import { seededRandom } from "./random.ts";
import { Scheduler } from "./scheduler.ts";

const START_MS = Date.UTC(2026, 0, 1);

/** Runs `body`, letting virtual time pass whenever it waits. */
async function inVirtualTime(scheduler: Scheduler, body: () => Promise<void>): Promise<void> {
  let isDone = false;
  const running = body().finally(() => isDone = true);
  running.catch(() => {});
  for (;;) {
    for (let turn = 0; turn < 200 && !isDone; turn++) await undefined;
    if (isDone) return running;
    if (!(await scheduler.step())) throw new Error("nothing is planned, yet the case waits");
  }
}

let scheduler = new Scheduler();
const simulated: LogUnderTest = {
  name: "the simulated log",
  deadlineMs: 1_000,
  recoveryMs: 1_000,
  run(body) {
    scheduler = new Scheduler({ startMs: START_MS });
    return inVirtualTime(scheduler, body);
  },
  create({ partitions, queueBytesMax }) {
    const clock = virtualClock(scheduler);
    const log = new SimLog({ partitions, queueBytesMax, clock, random: seededRandom(1, "log") });
    const opened = new Map<Log, SimLogEnds>();
    return Promise.resolve({
      clock,
      open() {
        const ends = log.open();
        opened.set(ends, ends);
        return Promise.resolve(ends);
      },
      abandon(ends) {
        opened.get(ends)?.kill();
        return Promise.resolve();
      },
      breakDown: () => Promise.resolve(log.setDown(true)),
      repair: () => Promise.resolve(log.setDown(false)),
      expire: (partition, offset) => Promise.resolve(log.expire(partition, offset)),
      commits: () => log.commits(),
      remove: () => Promise.resolve(),
    });
  },
};

logContract(simulated, (definition) => Deno.test(definition));

const wild: SimLogFaults = {
  refused: 50,
  cutOff: 50,
  unanswered: 50,
  doubled: 50,
  slow: 50,
  slowAnswer: 50,
  slowMsMax: 8_000,
  clockStep: 50,
  clockStepMsMax: 600_000,
  refusedRead: 50,
  shortRead: 300,
  rebalance: 30,
  zombie: 300,
};

/** Four writers that retry until acknowledged and two workers that start from a stored position at each assignment. */
async function wildRun(seed: number) {
  const scheduler = new Scheduler({ startMs: START_MS });
  const clock = virtualClock(scheduler);
  const log = new SimLog({ partitions: 2, clock, random: seededRandom(seed, "log"), faults: wild });
  const ends = [log.open(), log.open()];
  const stored: LogRecord[][] = [[], []];
  const acknowledged: string[] = [];
  const events: string[] = [];

  const worker = (name: string, { reader }: Log) => {
    const epochs = new Map<number, number>();
    const follow = async (partition: number, epoch: number) => {
      const mine = stored[partition]!;
      let next = mine.length;
      while (epochs.get(partition) === epoch) {
        try {
          const outcome = await reader.read(partition, next, readLimits({ waitMs: 1_000 }));
          if (outcome.kind === "revoked") return;
          for (const record of recordsOf(outcome)) {
            // A zombie folds what another has taken: the same records, so the same state.
            if (record.offset === mine.length) mine.push(record);
            else assert.deepEqual(record, mine[record.offset]);
            next = record.offset + 1;
          }
        } catch (error) {
          assert.ok(error instanceof LogUnavailable, `${error}`);
          await clock.sleep(100);
        }
      }
    };
    let epoch = 0;
    return reader.join({
      assigned(partitions) {
        events.push(`${scheduler.nowMs - START_MS} ${name} gets ${partitions}`);
        for (const partition of partitions) {
          epochs.set(partition, ++epoch);
          void follow(partition, epoch);
        }
        return Promise.resolve();
      },
      revoked(partitions) {
        events.push(`${scheduler.nowMs - START_MS} ${name} loses ${partitions}`);
        for (const partition of partitions) epochs.delete(partition);
        return Promise.resolve();
      },
    });
  };

  const write = async (name: string, { writer }: Log) => {
    for (let i = 0; i < 60; i++) {
      const records = [0, 1].map((partition) => newRecord({ partition, value: `${name}${i}` }));
      for (let tries = 0;; tries++) {
        assert.ok(tries < 1_000, "a log that never takes it");
        try {
          await writer.append(records);
          acknowledged.push(`${name}${i}`);
          break;
        } catch (error) {
          assert.ok(error instanceof LogUnavailable, `${error}`);
          await clock.sleep(300);
        }
      }
    }
  };

  await inVirtualTime(scheduler, async () => {
    void worker("A", ends[0]!);
    void worker("B", ends[1]!);
    await Promise.all(["p", "q", "r", "s"].map((name, i) => write(name, ends[i % 2]!)));
    log.setFaults(noLogFaults);
    await clock.sleep(60_000);
    for (const end of ends) await end.close();
  });
  const texts = stored.map((records) => records.map(({ value }) => new TextDecoder().decode(value!)));
  return { log, stored, texts, acknowledged, events, counts: log.faultCounts(), nowMs: scheduler.nowMs };
}

Deno.test("the simulated log: with every fault, nothing acknowledged is missing, and readers see one history", async () => {
  const happened = new Set<string>();
  for (let seed = 1; seed <= 5; seed++) {
    const { log, stored, texts, acknowledged, counts } = await wildRun(seed);
    Object.keys(counts).forEach((fault) => happened.add(fault));
    assert.equal(acknowledged.length, 240);
    for (const partition of [0, 1]) {
      assert.deepEqual(stored[partition], log.records(partition));
      for (const value of acknowledged) assert.ok(texts[partition]!.includes(value), `${value} is missing`);
    }
  }
  const faults = Object.keys(noLogFaults).filter((name) => !name.endsWith("MsMax"));
  assert.deepEqual([...happened].sort(), faults.sort());
});

Deno.test("the simulated log: the same seed gives the same history, to the millisecond", async () => {
  const [one, same, other] = [await wildRun(7), await wildRun(7), await wildRun(8)];
  assert.deepEqual(same.stored, one.stored);
  assert.deepEqual(same.events, one.events);
  assert.deepEqual(same.counts, one.counts);
  assert.equal(same.nowMs, one.nowMs);
  assert.notDeepEqual(other.stored, one.stored);
});

Deno.test("the simulated log: an append that was refused can still come, after its own retry", async () => {
  const scheduler = new Scheduler({ startMs: START_MS });
  const clock = virtualClock(scheduler);
  const faults = { ...noLogFaults, slow: 1_000, slowMsMax: 1 };
  const log = new SimLog({ partitions: 1, clock, random: seededRandom(1), faults, deadlineMs: 1 });
  const { writer } = log.open();
  await inVirtualTime(scheduler, async () => {
    await assert.rejects(writer.append([newRecord({ value: "early" })]), LogUnavailable);
    assert.deepEqual(log.range(0), { earliest: 0, next: 0 });
    await clock.sleep(1_000);
  });
  assert.deepEqual(log.range(0), { earliest: 0, next: 1 });
});

Deno.test("the simulated log: partitions are spread over the members and given back when one leaves", async () => {
  const scheduler = new Scheduler({ startMs: START_MS });
  const log = new SimLog({ partitions: 3, clock: virtualClock(scheduler), random: seededRandom(1) });
  const [a, b] = [log.open(), log.open()];
  const events: string[] = [];
  const note = (name: string) => ({
    assigned: (partitions: readonly number[]) =>
      Promise.resolve(void events.push(`${name} gets ${partitions}`)),
    revoked: (partitions: readonly number[]) =>
      Promise.resolve(void events.push(`${name} loses ${partitions}`)),
  });
  await a.reader.join(note("a"));
  await b.reader.join(note("b"));
  assert.deepEqual(await a.reader.read(1, 0, readLimits()), { kind: "revoked" });
  assert.deepEqual(await b.reader.read(1, 0, readLimits()), { kind: "records", records: [] });
  await a.close();
  await log.rebalance();
  assert.deepEqual(events, [
    "a gets 0,1,2",
    "a loses 0,1,2",
    "a gets 0,2",
    "b gets 1",
    "b loses 1",
    "b gets 0,1,2",
    "b loses 0,1,2",
    "b gets 0,1,2",
  ]);
});

Deno.test("the simulated log: a tape is played with its offsets and append times, and goes on behind it", async () => {
  const scheduler = new Scheduler({ startMs: START_MS });
  const clock = virtualClock(scheduler);
  const source = new SimLog({ partitions: 1, clock, random: seededRandom(1) });
  const copy = new SimLog({ partitions: 1, clock, random: seededRandom(2) });
  await inVirtualTime(scheduler, async () => {
    const { writer } = source.open();
    for (let i = 0; i < 10; i++) await writer.append([newRecord({ value: `${i}` })]);
    source.expire(0, 4);
    copy.load(0, source.records(0));
    const ends = copy.open();
    await joinAll(ends.reader);
    assert.deepEqual(await ends.reader.read(0, 3, readLimits()), { kind: "expired", earliest: 4 });
    assert.deepEqual(await readAll(ends.reader, 0, 4), source.records(0));
    assert.deepEqual((await ends.writer.append([newRecord()])).map(({ offset }) => offset), [10]);
  });
});

Deno.test("the simulated log: a truncated and a re-created log end before their reader", async () => {
  const scheduler = new Scheduler({ startMs: START_MS });
  const log = new SimLog({ partitions: 1, clock: virtualClock(scheduler), random: seededRandom(1) });
  await inVirtualTime(scheduler, async () => {
    const { writer, reader } = log.open();
    await joinAll(reader);
    await writer.append([newRecord(), newRecord(), newRecord()]);
    log.truncate(0, 2);
    assert.deepEqual(await reader.read(0, 3, readLimits()), { kind: "beyond_end", next: 2 });
    log.recreate();
    assert.deepEqual(await reader.read(0, 2, readLimits()), { kind: "beyond_end", next: 0 });
  });
});
