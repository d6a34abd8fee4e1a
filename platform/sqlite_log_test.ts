import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type Log, LogRefused, LogUnavailable } from "../core/ports/log.ts";
import {
  joinAll,
  logContract,
  type LogUnderTest,
  newRecord,
  readAll,
  readLimits,
  recordsOf,
} from "../core/testing/log_contract.ts";
import type { Clock } from "../core/ports/clock.ts";
import { machineClock } from "./clock.ts";
import { SMALL_EVERY_MS } from "./small_answers.ts";
import { openSqliteLog, type SqliteLog, type SqliteLogOptions } from "./sqlite_log.ts";

const embedded: LogUnderTest = {
  name: "the embedded log",
  deadlineMs: 1_000,
  recoveryMs: 2_000,
  async create({ partitions, queueBytesMax }) {
    const folder = await Deno.makeTempDir({ prefix: "isotherm-log-" });
    const path = `${folder}/log.sqlite`;
    const opened: SqliteLog[] = [];
    let blocker: DatabaseSync | null = null;
    return {
      clock: machineClock,
      async open() {
        const log = await openSqliteLog({
          path,
          partitions,
          queueBytesMax,
          clock: machineClock,
          deadlineMs: 200,
        });
        opened.push(log);
        return log;
      },
      abandon: () => Promise.resolve(),
      breakDown() {
        blocker = new DatabaseSync(path);
        blocker.exec("BEGIN IMMEDIATE");
        return Promise.resolve();
      },
      repair() {
        blocker?.close();
        return Promise.resolve();
      },
      expire(partition, offset) {
        const other = new DatabaseSync(path);
        other.prepare("DELETE FROM records WHERE partition = ? AND offset < ?").run(partition, offset);
        other.prepare("UPDATE partitions SET earliest = ? WHERE partition = ?").run(offset, partition);
        other.close();
        return Promise.resolve();
      },
      commits: () => opened.reduce((sum, log) => sum + log.commits(), 0),
      async remove() {
        for (const log of opened) await log.close();
        await Deno.remove(folder, { recursive: true });
      },
    };
  },
};

logContract(embedded, (definition) => Deno.test(definition));

async function inFolder(body: (path: string, open: Opener) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-log-" });
  const path = `${folder}/data/log.sqlite`;
  const opened: Log[] = [];
  const open: Opener = async (options = {}) => {
    const log = await openSqliteLog({ path, partitions: 1, clock: machineClock, ...options });
    opened.push(log);
    return log;
  };
  try {
    await body(path, open);
  } finally {
    for (const log of opened) await log.close();
    await Deno.remove(folder, { recursive: true });
  }
}
type Opener = (options?: Partial<SqliteLogOptions>) => Promise<SqliteLog>;

async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof LogRefused, `rejected with ${error}`);
    return error.message;
  }
  throw new Error("it was not refused");
}

Deno.test("the embedded log: a killed process loses no append that was acknowledged, and doubles none", async () => {
  await inFolder(async (path, open) => {
    const script = new URL("./testing/append_child.ts", import.meta.url).pathname;
    const acknowledged = new Map<string, string>();
    for (let run = 0; run < 5; run++) {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-lock", "--allow-read", "--allow-write", script, path, `${run}`],
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      let output = "";
      let killAt = 2_000 + run * 7_001;
      for await (const bytes of child.stdout) {
        output += new TextDecoder().decode(bytes);
        if (output.length < killAt) continue;
        killAt = Infinity;
        child.kill("SIGKILL");
      }
      await child.status;
      for (const line of output.split("\n").slice(0, -1)) {
        const [partition, offset, value] = line.split(" ");
        acknowledged.set(`${partition} ${offset}`, value!);
      }
    }
    assert.ok(acknowledged.size > 1_000, `${acknowledged.size} acknowledged`);
    const log = await open({ partitions: 2 });
    await joinAll(log.reader);
    const stored = [...await readAll(log.reader, 0), ...await readAll(log.reader, 1)];
    const found = new Map(
      stored.map((
        { partition, offset, value },
      ) => [`${partition} ${offset}`, new TextDecoder().decode(value!)]),
    );
    for (const [place, value] of acknowledged) assert.equal(found.get(place), value);
    assert.equal(new Set(found.values()).size, stored.length);
    assert.ok(
      stored.length - acknowledged.size <= 5 * 4,
      `${stored.length} stored, ${acknowledged.size} acknowledged`,
    );
  });
});

Deno.test("the embedded log: two processes share a file, and a waiting read sees the other's append", async () => {
  await inFolder(async (_path, open) => {
    const [ingest, aggregator] = [await open(), await open()];
    assert.equal(ingest.identity, aggregator.identity);
    await joinAll(aggregator.reader);
    const read = aggregator.reader.read(0, 0, readLimits({ waitMs: 10_000 }));
    const startMs = performance.now();
    await ingest.writer.append([newRecord({ value: "from ingest" })]);
    assert.equal(recordsOf(await read).length, 1);
    assert.ok(performance.now() - startMs < 1_000);
    const places = await Promise.all(
      Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? ingest : aggregator).writer.append([newRecord()])),
    );
    const offsets = places.map((place) => place[0]!.offset).sort((a, b) => a - b);
    assert.deepEqual(offsets, Array.from({ length: 100 }, (_, i) => i + 1));
  });
});

Deno.test("the embedded log: opened by many at once where there is none, it is created once", async () => {
  await inFolder(async (_path, open) => {
    const logs = await Promise.all(Array.from({ length: 8 }, () => open()));
    assert.equal(new Set(logs.map((log) => log.identity)).size, 1);
  });
});

Deno.test("the embedded log: a full disk refuses appends, keeps what is stored, and recovers by itself", async () => {
  await inFolder(async (path, open) => {
    const log = await open({ fileBytesMax: 1_000_000 });
    await joinAll(log.reader);
    const record = newRecord({ value: new Uint8Array(100_000) });
    let stored = 0;
    let failure: unknown = null;
    while (failure === null && stored < 20) {
      await log.writer.append([record]).then(() => stored++, (error) => failure = error);
    }
    assert.ok(failure instanceof LogUnavailable);
    assert.match(failure.message, /make room on the disk/);
    assert.equal(log.writer.available(), false);
    assert.ok(stored >= 7 && stored <= 9, `${stored} records fit`);
    assert.deepEqual(await log.reader.range(0), { earliest: 0, next: stored });
    const other = new DatabaseSync(path);
    other.exec("DELETE FROM records");
    other.close();
    for (let i = 0; i < 100 && !log.writer.available(); i++) await machineClock.sleep(20);
    assert.deepEqual((await log.writer.append([record])).map(({ offset }) => offset), [stored]);
  });
});

Deno.test("the embedded log: what isn't our log is refused with a sentence, and left as it was", async () => {
  await inFolder(async (path, open) => {
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")));
    const foreign = new DatabaseSync(path);
    foreign.exec("CREATE TABLE recipes (name TEXT)");
    foreign.close();
    const before = await Deno.readFile(path);
    assert.match(
      await refusal(open()),
      /is a SQLite database but no Isotherm log: move it away or choose another/,
    );
    assert.deepEqual(await Deno.readFile(path), before);
    await Deno.writeTextFile(path, "Dear diary, ".repeat(1_000));
    assert.match(
      await refusal(open()),
      /damaged or no Isotherm log: restore it, or choose another data folder/,
    );
    await Deno.remove(path);
    await Deno.mkdir(path);
    assert.match(await refusal(open()), /is not a file/);
  });
});

Deno.test("the embedded log: another version and another number of partitions are refused with a sentence", async () => {
  await inFolder(async (path, open) => {
    await (await open({ partitions: 3 })).close();
    assert.match(
      await refusal(open({ partitions: 4 })),
      /has 3 partitions, 4 are configured.*: configure 3, or start/,
    );
    const other = new DatabaseSync(path);
    other.exec("PRAGMA user_version = 2");
    other.close();
    assert.match(
      await refusal(open({ partitions: 3 })),
      /has version 2, this build reads 1: run the Isotherm that wrote/,
    );
  });
});

Deno.test("the embedded log: a file that is moved away while it is open swallows no append", async () => {
  await inFolder(async (path, open) => {
    const log = await open();
    await log.writer.append([newRecord()]);
    for (const suffix of ["", "-wal", "-shm"]) await Deno.rename(path + suffix, `${path}.old${suffix}`);
    assert.match(await refusal(log.writer.append([newRecord()])), /was removed while it was open/);
    const another = await open();
    assert.notEqual(another.identity, log.identity);
    assert.match(await refusal(log.writer.append([newRecord()])), /was removed while it was open/);
    assert.deepEqual(await another.reader.range(0), { earliest: 0, next: 0 });
  });
});

Deno.test("the embedded log: retention removes what is older, never more, and tells a reader that comes too late", async () => {
  await inFolder(async (_path, open) => {
    let nowMs = 1_000_000;
    const clock = { ...machineClock, nowMs: () => nowMs, monotonicMs: () => nowMs };
    const log = await open({ clock, retentionMs: 60_000, partitions: 2 });
    await joinAll(log.reader);
    await log.writer.append([newRecord(), newRecord({ partition: 1 })]);
    nowMs += 60_000;
    await log.writer.append([newRecord()]);
    assert.deepEqual(await log.reader.range(0), { earliest: 0, next: 2 });
    nowMs += 10_001;
    await log.writer.append([newRecord()]);
    assert.deepEqual(await log.reader.range(0), { earliest: 1, next: 3 });
    assert.deepEqual(await log.reader.range(1), { earliest: 1, next: 1 });
    assert.deepEqual(await log.reader.read(0, 0, readLimits()), { kind: "expired", earliest: 1 });
    await log.writer.append([newRecord({ partition: 1 })]);
    assert.deepEqual(await log.reader.range(1), { earliest: 1, next: 2 });
  });
});

Deno.test("the embedded log: a commit is bounded, so a large backlog leaves the thread to others", async () => {
  await inFolder(async (_path, open) => {
    const log = await open();
    const records = Array.from({ length: 20_000 }, () => newRecord({ value: "x".repeat(100) }));
    let turns = 0;
    let done = false;
    const appended = log.writer.append(records).then((places) => {
      done = true;
      return places;
    });
    while (!done) {
      turns++;
      await machineClock.sleep(0);
    }
    assert.deepEqual((await appended).map(({ offset }) => offset), records.map((_, i) => i));
    assert.equal(log.commits(), 10);
    assert.ok(turns >= 5, `others ran ${turns} times meanwhile`);
  });
});

Deno.test("the embedded log: who follows its end gets records in groups, who catches up is never held up", async () => {
  await inFolder(async (_path, open) => {
    let timers = 0;
    const after: Clock["after"] = (ms, task) => {
      timers++;
      return machineClock.after(ms, task);
    };
    const log = await open({ clock: { ...machineClock, after } });
    await joinAll(log.reader);
    const startedMs = machineClock.monotonicMs();
    const appending = (async () => {
      for (let i = 0; i < 100; i++) {
        await log.writer.append([newRecord()]);
        await machineClock.sleep(3);
      }
    })();
    let [next, answers] = [0, 0];
    for (; next < 100; answers++) {
      next += recordsOf(await log.reader.read(0, next, readLimits({ waitMs: 2_000 }))).length;
    }
    const groups = (machineClock.monotonicMs() - startedMs) / SMALL_EVERY_MS;
    assert.ok(answers <= groups + 2, `${answers} answers in the time of ${groups.toFixed(1)} groups`);
    await appending;

    timers = 0;
    const full = readLimits({ recordsMax: 10, waitMs: 2_000 });
    for (next = 0; next < 100; next += 10) {
      assert.equal(recordsOf(await log.reader.read(0, next, full)).length, 10);
    }
    // Again what the last small answer ended with: it isn't what comes after it.
    assert.equal(recordsOf(await log.reader.read(0, 99, readLimits({ waitMs: 2_000 }))).length, 1);
    assert.equal(timers, 0);
  });
});

Deno.test("the embedded log: a read that is held up ends with its signal, and with the log", async () => {
  await inFolder(async (_path, open) => {
    const log = await open({ clock: { ...machineClock, monotonicMs: () => 0, after: () => () => {} } });
    await joinAll(log.reader);
    await log.writer.append([newRecord()]);
    const limits = readLimits({ waitMs: 60_000 });
    assert.equal(recordsOf(await log.reader.read(0, 0, limits)).length, 1);
    const abort = new AbortController();
    const aborted = log.reader.read(0, 1, { ...limits, signal: abort.signal });
    abort.abort();
    assert.deepEqual(recordsOf(await aborted), []);
    const closed = log.reader.read(0, 1, limits);
    await log.reader.close();
    assert.deepEqual(await closed, { kind: "revoked" });
  });
});
