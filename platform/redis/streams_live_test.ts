/** What is Redis's own about the log on Redis, on a real redis-server. The contract: `log_live_test.ts`. */
import assert from "node:assert/strict";
import { type Log, LogRefused, LogUnavailable } from "../../core/ports/log.ts";
import {
  joinAll,
  newRecord,
  newTick,
  readAll,
  readLimits,
  recordsOf,
} from "../../core/testing/log_contract.ts";
import type { Trace } from "../../core/ports/trace.ts";
import { machineClock } from "../clock.ts";
import { openRedisLog, type RedisLog, type RedisLogOptions } from "./log.ts";
import { AHEAD_MS_MAX } from "./scripts.ts";
import { follow, textOf, waitFor } from "../testing/following.ts";
import { type RedisServer, startRedis } from "../testing/redis_server.ts";
import { waitAofProxy } from "../testing/waitaof_proxy.ts";

let redis: RedisServer;
let logCount = 0;
const newName = () => `streams-${++logCount}`;

Deno.test.beforeAll(async () => {
  redis = await startRedis();
});
Deno.test.afterAll(async () => {
  await redis.remove();
});

function open(name: string, options: Partial<RedisLogOptions> = {}): Promise<RedisLog> {
  const { host, port } = redis;
  return openRedisLog({ host, port, name, partitions: 1, clock: machineClock, sessionMs: 1_500, ...options });
}

async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("it did not fail");
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await failure(promise);
  assert.ok(error instanceof LogRefused, `rejected with ${error}`);
  return error.message;
}

/** Appends until it fails. */
async function failureSoon(log: Log): Promise<Error> {
  for (let tries = 0; tries < 400; tries++) {
    const error = await log.writer.append([newRecord()]).then(() => null, (error: Error) => error);
    if (error !== null) return error;
    await machineClock.sleep(20);
  }
  throw new Error("appends go on");
}

const values = async (log: Log, partition = 0, offset = 0) =>
  (await readAll(log.reader, partition, offset)).map(({ value }) => textOf(value));

Deno.test("what lies in Redis can be read by any tool: a hash that says what it is, and a stream a partition", async () => {
  const name = newName();
  const log = await open(name, { partitions: 2 });
  await log.writer.append([
    newRecord({ partition: 1, key: "desk", value: '{"a":1}', headers: { isotherm: "1" } }),
    newTick(1),
  ]);
  const [[id, fields], [, tick]] = await redis.command("XRANGE", `${name}:1`, "-", "+") as [
    [string, string[]],
    [string, string[]],
  ];
  assert.match(id!, /^\d{13}-\d+$/);
  assert.deepEqual(fields, ["offset", "0", "key", "desk", "value", '{"a":1}', "h:isotherm", "1"]);
  assert.deepEqual(tick, ["offset", "1", "h:isotherm", "1", "h:isotherm-kind", "tick"]);
  const hash = await redis.command("HGETALL", name) as string[];
  const found = Object.fromEntries(hash.flatMap((field, i) => i % 2 === 0 ? [[field, hash[i + 1]!]] : []));
  assert.match(found.identity!, /^[0-9a-f]{32}$/);
  assert.deepEqual({ ...found, identity: "" }, {
    format: "1",
    identity: "",
    partitions: "2",
    kind: "log",
    "next:1": "2",
  });
  await log.close();
});

Deno.test("a server that would lose or evict records, or can't be used, is refused with what to do", async () => {
  const cases: [Record<string, string>, Record<string, string>, RegExp][] = [
    [{ appendonly: "no" }, { appendonly: "yes" }, /appendonly=no.*set appendonly yes and appendfsync always/],
    [
      { "maxmemory-policy": "allkeys-lru" },
      { "maxmemory-policy": "noeviction" },
      /allkeys-lru, so that streams would be evicted/,
    ],
    [{ requirepass: "x" }, {}, /NOAUTH.*put user and password into the address/],
  ];
  for (const [settings, back, sentence] of cases) {
    const name = newName();
    for (const [setting, value] of Object.entries(settings)) {
      await redis.command("CONFIG", "SET", setting, value);
    }
    const message = await refusal(open(name));
    if (Object.keys(back).length > 0) {
      for (const [setting, value] of Object.entries(back)) {
        await redis.command("CONFIG", "SET", setting, value);
      }
    }
    assert.match(message, sentence);
    assert.match(message, new RegExp(`log ${name} on Redis 127\\.0\\.0\\.1:`));
    if ("requirepass" in settings) {
      assert.match(await refusal(open(name, { password: "y" })), /WRONGPASS.*check the user and password/);
      const log = await open(name, { password: "x" });
      await joinAll(log.reader);
      await log.writer.append([newRecord()]);
      assert.equal((await readAll(log.reader)).length, 1);
      await log.close();
    }
  }
  await redis.stop("SIGKILL"); // one that still writes its first append-only file doesn't end in order
  await redis.start(); // without the password
});

Deno.test("a user with the rights that docs/redis.md lists can do all of it, one without is refused with a sentence", async () => {
  const name = newName();
  const text = await Deno.readTextFile(new URL("../../docs/redis.md", import.meta.url));
  const commands = /the commands `([^`]+)`/.exec(text)![1]!.split(" ");
  const keys = [`~${name}`, `~${name}:*`, `&${name}:appended`];
  const rights = commands.map((command) => `+${command.toLowerCase()}`);
  await redis.command("ACL", "SETUSER", "isotherm", "reset", "on", ">secret", ...keys, ...rights);
  const user = { username: "isotherm", password: "secret" };
  const log = await open(name, { ...user, retentionMs: 1 });
  await joinAll(log.reader);
  await log.writer.append([newRecord({ value: "a" }), newRecord({ value: "b" })]);
  await machineClock.sleep(1_200); // it is looked at, and its reader says that it is there
  log.reader.settled(0, 2);
  await until(async () => (await log.reader.range(0)).earliest === 1);
  assert.deepEqual(await values(log, 0, 1), ["b"]);
  assert.equal(log.writer.available(), true);
  await log.close();
  for (const command of ["config|get", "evalsha"]) {
    await redis.command("ACL", "SETUSER", "isotherm", `-${command}`);
    const refused = open(name, user).then((opened) => opened.writer.append([newRecord()]));
    assert.match(
      await refusal(refused),
      /NOPERM.*allow this user the commands and keys that docs\/redis\.md lists/,
    );
    await redis.command("ACL", "SETUSER", "isotherm", `+${command}`);
  }
  await redis.command("ACL", "DELUSER", "isotherm");
});

Deno.test("a log that is something else is refused, with what to do", async () => {
  const name = newName();
  await (await open(name)).close();
  assert.match(
    await refusal(open(name, { partitions: 3 })),
    /has 1 partitions, 3 are configured.*: configure 1, or/,
  );
  await redis.command("HSET", name, "format", "2");
  assert.match(await refusal(open(name)), /has format 2, this build reads 1: run the Isotherm that wrote it/);
  const other = newName();
  await redis.command("HSET", other, "colour", "red");
  assert.match(await refusal(open(other)), /is a hash but no Isotherm log: name another one/);
  await redis.command("SET", `${other}x`, "1");
  assert.match(await refusal(open(`${other}x`)), /something else has a key of the log's name/);
  await redis.command("XADD", `${other}y:0`, "*", "a", "b");
  assert.match(await refusal(open(`${other}y`)), /has streams but has lost its metadata, the key/);
  assert.match(
    await refusal(open(newName(), { replay: true })),
    /does not exist: name the log that holds the tape/,
  );
});

Deno.test("settings that change in use are met: no append-only file any more is refused", async () => {
  const sentences: string[] = [];
  const trace: Trace = {
    emit: (level, event, fields) =>
      event === "log.durability" ? sentences.push(`${level} ${fields?.sentence}`) : 0,
  } as Trace;
  const log = await open(newName(), { trace });
  await redis.command("CONFIG", "SET", "appendfsync", "everysec");
  await waitFor("the new meaning", () => sentences.length > 1, 5_000);
  await redis.command("CONFIG", "SET", "appendfsync", "always");
  await waitFor("the old meaning", () => sentences.length > 2, 5_000);
  assert.match(sentences.join("\n"), /^info .*appendfsync always.*\nwarn .*a power cut.*\ninfo /);
  await redis.command("CONFIG", "SET", "appendonly", "no");
  await waitFor("the refusal", () => !log.writer.available(), 5_000);
  assert.match(await refusal(log.writer.append([newRecord()])), /appendonly=no/);
  await redis.command("CONFIG", "SET", "appendonly", "yes");
  await until(async () =>
    /aof_rewrite_in_progress:0/.test(String(await redis.command("INFO", "persistence")))
  );
  await log.close();
});

Deno.test("any offset is found at once, also where the clock stood still and a thousand ids have one time", async () => {
  const name = newName();
  const log = await open(name);
  await joinAll(log.reader);
  for (let i = 0; i < 5; i++) {
    await log.writer.append(Array.from({ length: 300 }, (_, j) => newRecord({ value: `${i * 300 + j}` })));
    await machineClock.sleep(3);
  }
  const aheadMs = machineClock.nowMs() + AHEAD_MS_MAX - 60_000;
  await redis.command("XSETID", `${name}:0`, `${aheadMs}-7`);
  await log.writer.append(Array.from({ length: 1_500 }, (_, j) => newRecord({ value: `${1_500 + j}` })));
  for (const offset of [0, 1, 299, 300, 1_499, 1_500, 1_501, 2_048, 2_998, 2_999, 7]) {
    const [record] = recordsOf(await log.reader.read(0, offset, readLimits({ recordsMax: 1 })));
    assert.equal(textOf(record!.value), `${offset}`);
    if (offset >= 1_500) assert.equal(record!.appendMs, aheadMs);
  }
  assert.deepEqual(await values(log, 0, 2_990), [
    "2990",
    "2991",
    "2992",
    "2993",
    "2994",
    "2995",
    "2996",
    "2997",
    "2998",
    "2999",
  ]);
  await log.close();
});

Deno.test("an entry that somebody else has added is refused by who reads it, and after its removal all goes on", async () => {
  const name = newName();
  const log = await open(name);
  await joinAll(log.reader);
  await log.writer.append([newRecord({ value: "a" })]);
  const id = String(await redis.command("XADD", `${name}:0`, "*", "value", "somebody else's"));
  await log.writer.append([newRecord({ value: "b" })]);
  const message = await refusal(log.reader.read(0, 0, readLimits()));
  assert.match(
    message,
    new RegExp(`the entry ${id} in ${name}:0, which was not appended by Isotherm.*XDEL ${name}:0 ${id}`),
  );
  await log.close();
  await redis.command("XDEL", `${name}:0`, id);
  const again = await open(name);
  await joinAll(again.reader);
  assert.deepEqual(await values(again), ["a", "b"]);
  await again.close();
});

Deno.test("an id far ahead of the clock stops appends with what to do, and they go on by themselves", async () => {
  const name = newName();
  const log = await open(name);
  await log.writer.append([newRecord({ value: "a" })]);
  const [[last]] = await redis.command("XREVRANGE", `${name}:0`, "+", "-") as [[string]];
  const ahead = `${machineClock.nowMs() + AHEAD_MS_MAX + 60_000}-0`;
  await redis.command("XADD", `${name}:0`, ahead, "offset", "1", "value", "from the future");
  const error = await failure(log.writer.append([newRecord({ value: "b" })]));
  assert.ok(error instanceof LogUnavailable, `${error}`);
  assert.match(
    error.message,
    new RegExp(`has given the id ${ahead} in ${name}:0, which lies ahead of the clock of Redis`),
  );
  await redis.command("XDEL", `${name}:0`, ahead);
  await redis.command("XSETID", `${name}:0`, last);
  await waitFor("the writer", () => log.writer.available());
  await log.writer.append([newRecord({ value: "b" })]);
  await joinAll(log.reader);
  assert.deepEqual(await values(log), ["a", "b"]);
  await log.close();
});

Deno.test("a record that was removed by hand is a gap, told after what lies before it", async () => {
  const name = newName();
  const log = await open(name);
  await joinAll(log.reader);
  await log.writer.append(Array.from({ length: 6 }, (_, i) => newRecord({ value: `${i}` })));
  const entries = await redis.command("XRANGE", `${name}:0`, "-", "+") as [string][];
  await redis.command("XDEL", `${name}:0`, entries[2]![0], entries[3]![0]);
  assert.deepEqual(recordsOf(await log.reader.read(0, 0, readLimits())).map(({ offset }) => offset), [0, 1]);
  assert.deepEqual(await log.reader.read(0, 2, readLimits()), { kind: "expired", earliest: 4 });
  assert.deepEqual(recordsOf(await log.reader.read(0, 4, readLimits())).map(({ offset }) => offset), [4, 5]);
  await redis.command("XDEL", `${name}:0`, entries[5]![0]);
  assert.deepEqual(await log.reader.read(0, 5, readLimits()), { kind: "expired", earliest: 6 });
  assert.deepEqual(await log.reader.read(0, 6, readLimits()), { kind: "records", records: [] });
  await log.close();
});

Deno.test("a log that is flushed in use is refused by writer and reader, also when it was made anew", async () => {
  for (const anew of [false, true]) {
    const name = newName();
    const log = await open(name);
    await joinAll(log.reader);
    await log.writer.append([newRecord()]);
    await redis.command("FLUSHALL");
    if (anew) {
      const other = await open(name);
      await other.writer.append(Array.from({ length: 3 }, () => newRecord()));
      await other.close();
    }
    const pattern = anew
      ? /was deleted (or replaced|and made anew) while it was/
      : /was deleted (or replaced )?while it was/;
    assert.match(await refusal(log.reader.read(0, 1, readLimits({ waitMs: 5_000 }))), pattern);
    const error = await failureSoon(log);
    assert.ok(error instanceof LogRefused, `${error}`);
    assert.match(error.message, pattern);
    await log.close();
  }
});

Deno.test("a full memory refuses appends with what to do, and they are taken again when there is room", async () => {
  const name = newName();
  const log = await open(name);
  await joinAll(log.reader);
  await log.writer.append([newRecord({ value: "before" })]);
  await redis.command("CONFIG", "SET", "maxmemory", "1mb");
  const error = await failureSoon(log);
  assert.ok(error instanceof LogUnavailable, `${error}`);
  assert.match(error.message, /OOM.*has reached maxmemory: raise it, or keep less with retention_ms/);
  assert.equal(textOf(recordsOf(await log.reader.read(0, 0, readLimits()))[0]!.value), "before");
  await redis.command("CONFIG", "SET", "maxmemory", "0");
  await waitFor("the writer", () => log.writer.available());
  await log.writer.append([newRecord({ value: "after" })]);
  assert.equal((await values(log)).at(-1), "after");
  await log.close();
});

Deno.test("retention removes what is old and settled, never what isn't, and keeps the last settled record", async () => {
  const append = async (options: Partial<RedisLogOptions>) => {
    const log = await open(newName(), options);
    await joinAll(log.reader);
    await log.writer.append(Array.from({ length: 10 }, (_, i) => newRecord({ value: `${i}` })));
    await machineClock.sleep(20);
    return log;
  };
  const earliest = async (log: Log) => (await log.reader.range(0)).earliest;
  const old = await append({ retentionMs: 1 });
  old.reader.settled(0, 6);
  await until(async () => await earliest(old) === 5);
  assert.deepEqual(await values(old, 0, 5), ["5", "6", "7", "8", "9"]);
  await old.close();
  for (const options of [{}, { retentionMs: 60_000 }, { retentionMs: -1 }]) {
    const kept = await append(options);
    kept.reader.settled(0, 10);
    await machineClock.sleep(100);
    assert.equal(await earliest(kept), 0, JSON.stringify(options));
    await kept.close();
  }
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !await condition(); tries++) {
    assert.ok(tries < 200, "not within 4 s");
    await machineClock.sleep(20);
  }
}

Deno.test("a tail that the append-only file has lost is told as a log that ends before its reader", async () => {
  const name = newName();
  const log = await open(name);
  await log.writer.append([newRecord({ value: "kept" })]);
  for (let i = 0; i < 5; i++) await log.writer.append([newRecord({ value: "x".repeat(1_000) })]);
  await log.close();
  await redis.stop("SIGKILL");
  const folder = `${redis.folder}/appendonlydir`;
  const files = [...Deno.readDirSync(folder)].map((entry) => entry.name);
  const file = `${folder}/${files.find((each) => each.endsWith(".incr.aof"))}`;
  await Deno.truncate(file, (await Deno.stat(file)).size - 2_500);
  await redis.start();
  const again = await open(name);
  await joinAll(again.reader);
  const { next } = await again.reader.range(0);
  assert.ok(next > 0 && next < 6, `${next}`);
  assert.deepEqual(await again.reader.read(0, 6, readLimits()), { kind: "beyond_end", next });
  assert.equal((await values(again)).length, next);
  await again.close();
});

Deno.test("while workers come, go and vanish, every record is read once and in order", async () => {
  const name = newName();
  const writer = await open(name, { partitions: 4 });
  const workers = [await open(name, { partitions: 4, member: "a" })];
  const stored = new Map<number, string[]>();
  const events: string[] = [];
  follow(workers[0]!, stored, events, "a");
  let isWriting = true;
  let count = 0;
  const writing = (async () => {
    while (isWriting) {
      await writer.writer.append(
        [0, 1, 2, 3].map((partition) => newRecord({ partition, value: `${count}` })),
      );
      count++;
      await machineClock.sleep(5);
    }
  })();
  const reads = () => [...stored.values()].reduce((sum, each) => sum + each.length, 0);
  const more = async (what: string) => {
    const before = reads();
    await waitFor(what, () => reads() > before + 200);
  };
  await more("the first reads");
  workers.push(await open(name, { partitions: 4, member: "b" }));
  follow(workers[1]!, stored, events, "b");
  await waitFor("a share for each", () => events.includes("b gets 1,3") && events.includes("a loses 1,3"));
  await more("reads of two");
  workers[0]!.kill();
  await waitFor("the rest for the second", () => events.includes("b gets 0,2"));
  await more("reads of one");
  // Under the same name: nobody waits for the one that vanished.
  workers.push(await open(name, { partitions: 4, member: "c" }));
  follow(workers[2]!, stored, events, "c");
  await waitFor("the third worker's share", () => events.includes("c gets 1,3"));
  await workers[1]!.close();
  await waitFor("the rest for the third", () => events.includes("c gets 0,2"), 3_000);
  workers[2]!.kill();
  workers.push(await open(name, { partitions: 4, member: "c" }));
  follow(workers[3]!, stored, events, "c again");
  await waitFor("all for who has the name", () => events.includes("c again gets 0,1,2,3"), 1_400);
  isWriting = false;
  await writing;
  await waitFor("all of it", () => reads() === 4 * count);
  for (const partition of [0, 1, 2, 3]) {
    assert.deepEqual(stored.get(partition), Array.from({ length: count }, (_, i) => `${i}`));
  }
  for (const log of [writer, workers[3]!]) await log.close();
});

Deno.test("the share of a worker that is known to be dead goes to others without waiting for its session", async () => {
  const name = newName();
  const living = await open(name, { partitions: 2, member: "a", sessionMs: 60_000 });
  const events: string[] = [];
  follow(living, new Map(), events, "a");
  await waitFor("all for the first", () => events.includes("a gets 0,1"));
  const dead = await open(name, { partitions: 2, member: "b", sessionMs: 60_000 });
  follow(dead, new Map(), events, "b");
  await waitFor("a share for each", () => events.includes("a loses 1") && events.includes("b gets 1"));
  dead.kill();
  await living.reader.dismiss!("nobody");
  await machineClock.sleep(500);
  assert.ok(!events.includes("a gets 1"), `${events}`);
  await living.reader.dismiss!("b");
  await waitFor("all for the living one", () => events.includes("a gets 1"));
  await living.close();
});

Deno.test("a worker that was silent for too long was taken for gone, and starts over with its share", async () => {
  const name = newName();
  const log = await open(name, { sessionMs: 600 });
  const events: string[] = [];
  follow(log, new Map(), events, "a");
  await waitFor("the first share", () => events.length === 1);
  redis.freeze();
  await machineClock.sleep(1_000);
  redis.thaw();
  await waitFor("a new beginning", () => events.length === 3);
  assert.deepEqual(events, ["a gets 0", "a loses 0", "a gets 0"]);
  await log.close();
});

Deno.test("a killed Redis costs no acknowledged record, is known within the deadline, and is used again when it is back", async () => {
  const log = await open(newName(), { deadlineMs: 2_000 });
  const stored = new Map<number, string[]>();
  follow(log, stored, [], "a");
  const acknowledged: string[] = [];
  let isWriting = true;
  let count = 0;
  let slowestMs = 0;
  const writers = Array.from({ length: 4 }, async (_, writer) => {
    while (isWriting) {
      const value = `${writer}:${count++}`;
      const startMs = machineClock.monotonicMs();
      await log.writer.append([newRecord({ value })]).then(() => acknowledged.push(value), (error) => {
        assert.ok(error instanceof LogUnavailable, `${error}`);
      });
      slowestMs = Math.max(slowestMs, machineClock.monotonicMs() - startMs);
      await machineClock.sleep(10);
    }
  });
  await waitFor("some appends", () => acknowledged.length > 100);
  await redis.stop("SIGKILL");
  const killedMs = machineClock.monotonicMs();
  await waitFor("the writer to notice", () => !log.writer.available());
  const noticedMs = machineClock.monotonicMs() - killedMs;
  await machineClock.sleep(500);
  await redis.start();
  const upMs = machineClock.monotonicMs();
  await waitFor("the writer to come back", () => log.writer.available());
  const backMs = machineClock.monotonicMs() - upMs;
  const before = acknowledged.length;
  await waitFor("more appends", () => acknowledged.length > before + 100);
  isWriting = false;
  await Promise.all(writers);
  const found = () => new Set(stored.get(0) ?? []);
  await waitFor("the reader to catch up", () => acknowledged.every((value) => found().has(value)));
  assert.ok(slowestMs <= 5_000, `an append took ${slowestMs} ms`);
  console.log(`noticed after ${noticedMs.toFixed(0)} ms, back ${backMs.toFixed(0)} ms after it answered`);
  await log.close();
});

Deno.test("opened before Redis is there, the log waits; closed while it is gone, it ends", async () => {
  const name = newName();
  await redis.stop();
  const log = await open(name);
  assert.equal(log.writer.available(), false);
  await assert.rejects(log.writer.append([newRecord()]), LogUnavailable);
  const joined = joinAll(log.reader);
  await redis.start();
  await waitFor("the writer", () => log.writer.available());
  await joined;
  await log.writer.append([newRecord({ value: "here" })]);
  assert.deepEqual(await values(log), ["here"]);
  await redis.stop("SIGKILL");
  const closeMs = machineClock.monotonicMs();
  await log.close();
  assert.ok(machineClock.monotonicMs() - closeMs < 5_000);
  await redis.start();
});

Deno.test("with appendfsync everysec an append waits for WAITAOF, and fails when the disk doesn't answer", async () => {
  await redis.command("CONFIG", "SET", "appendfsync", "everysec");
  const proxy = await waitAofProxy(redis);
  const log = await openRedisLog({
    ...proxy.place,
    name: newName(),
    partitions: 1,
    clock: machineClock,
    deadlineMs: 1_500,
  });
  let isAcknowledged = false;
  const appended = log.writer.append([newRecord({ value: "a" })]).then(() => isAcknowledged = true);
  await waitFor("the wait for the disk", () => proxy.waiting() === 1);
  await machineClock.sleep(100);
  assert.equal(isAcknowledged, false);
  proxy.answer(1);
  await appended;
  const failed = failure(log.writer.append([newRecord({ value: "b" })]));
  await waitFor("the wait for the disk", () => proxy.waiting() === 1);
  proxy.answer(0);
  const error = await failed;
  assert.ok(error instanceof LogUnavailable, `${error}`);
  assert.match(error.message, /its disk did not answer within 1500 ms/);
  await log.close();
  await proxy.close();
  await redis.command("CONFIG", "SET", "appendfsync", "always");
});
