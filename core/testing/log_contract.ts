/**
 * What every log has to do: one suite over `platform/sqlite_log.ts`, `platform/kafka/log.ts`, `platform/redis/log.ts` and
 * `sim/log.ts`, and the builders of records. A log that can't do something states its reason; the case is then shown as
 * ignored, with it.
 */
import assert from "node:assert/strict";
import { limits } from "../limits.ts";
import type { Clock } from "../ports/clock.ts";
import {
  type Appended,
  type Log,
  type LogReader,
  type LogRecord,
  LogUnavailable,
  type NewRecord,
  queuedBytes,
  type ReadLimits,
  type ReadOutcome,
} from "../ports/log.ts";

const encoder = new TextEncoder();

/** A record to append; text becomes UTF-8. */
export function newRecord(
  fields: Partial<Omit<NewRecord, "value">> & { readonly value?: string | Uint8Array | null } = {},
): NewRecord {
  const { partition = 0, key = "desk", value = "{}", headers = {} } = fields;
  return { partition, key, value: typeof value === "string" ? encoder.encode(value) : value, headers };
}

/** A tick: neither key nor value. */
export function newTick(partition = 0): NewRecord {
  return newRecord({
    partition,
    key: null,
    value: null,
    headers: { isotherm: "1", "isotherm-kind": "tick" },
  });
}

/** A record as a log would give it. */
export function logRecord(fields: Partial<LogRecord> = {}): LogRecord {
  const { partition = 0, offset = 0, appendMs = 1_767_225_600_000, key = "desk", headers = {} } = fields;
  const value = fields.value === undefined ? encoder.encode("{}") : fields.value;
  return { partition, offset, appendMs, key, value, headers };
}

/** How a place's log is opened. */
export interface PlaceOptions {
  readonly partitions: number;
  /** Bound of the writer's queue. */
  readonly queueBytesMax: number;
}

/** A fresh place for one log, for one case. */
export interface LogPlace {
  /** The clock that the log's waiting goes by. */
  readonly clock: Clock;
  /** Opens the log, the first time as a new one. */
  open(): Promise<Log>;
  /** Lets go of an open log without closing it, as a killed process does. */
  abandon(log: Log): Promise<void>;
  /** Makes appends impossible until {@link repair}. */
  breakDown(): Promise<void>;
  repair(): Promise<void>;
  /** Removes the records of the partition below `offset`, as retention does. */
  expire(partition: number, offset: number): Promise<void>;
  /** Commits made so far, if they can be counted. */
  commits(): number | null;
  remove(): Promise<void>;
}

/** One implementation under the suite. */
export interface LogUnderTest {
  readonly name: string;
  create(options: PlaceOptions): Promise<LogPlace>;
  /** Longest that an append to a log that is down may take to say so. */
  readonly deadlineMs: number;
  /** Longest until a repaired log is available again, untouched. */
  readonly recoveryMs: number;
  /** Surrounds a case, for a log that lives in virtual time. */
  readonly run?: (body: () => Promise<void>) => Promise<void>;
  /** Cases that can't hold, with the reason. */
  readonly deviations?: Readonly<Partial<Record<CaseName, string>>>;
}

/** Reads everything from `offset` on, in small fetches, until a wait of `waitMs` brings nothing. */
export async function readAll(
  reader: LogReader,
  partition = 0,
  offset = 0,
  waitMs = 0,
): Promise<LogRecord[]> {
  const all: LogRecord[] = [];
  for (let next = offset;;) {
    const { next: end } = await reader.range(partition);
    const records = recordsOf(await reader.read(partition, next, readLimits({ recordsMax: 7, waitMs })));
    all.push(...records);
    next = (records.at(-1)?.offset ?? next - 1) + 1;
    if (next >= end) return all;
  }
}

/** Limits with the defaults of the tests: 1,000 records, 1 MB, no wait. */
export function readLimits(fields: Partial<ReadLimits> = {}): ReadLimits {
  return { recordsMax: 1_000, bytesMax: 1_000_000, waitMs: 0, ...fields };
}

/** The records of an outcome that has to have some or none. */
export function recordsOf(outcome: ReadOutcome): readonly LogRecord[] {
  assert.equal(outcome.kind, "records");
  return outcome.kind === "records" ? outcome.records : [];
}

/** Joins and waits until the partitions are ours. */
export function joinAll(reader: LogReader): Promise<readonly number[]> {
  return new Promise((resolve, reject) => {
    const ours = new Set<number>();
    reader.join({
      assigned(partitions) {
        for (const partition of partitions) ours.add(partition);
        if (ours.size === reader.partitions) resolve([...ours].sort((a, b) => a - b));
        return Promise.resolve();
      },
      revoked(partitions) {
        for (const partition of partitions) ours.delete(partition);
        return Promise.resolve();
      },
    }).catch(reject);
  });
}

const text = (record: LogRecord) => record.value === null ? null : new TextDecoder().decode(record.value);
const placeOf = ({ partition, offset, appendMs }: LogRecord | Appended) => ({ partition, offset, appendMs });

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  let result: unknown = "it resolved";
  await promise.then(() => {}, (error) => result = error);
  return result;
}

interface Opened {
  readonly log: Log;
  readonly place: LogPlace;
  readonly test: LogUnderTest;
}

/** The suite: name of a case → its body, on a place with 3 partitions that is open and joined. */
const cases = {
  async "a new log is empty, starts at offset 0, and reading it at its end is no error"({ log }: Opened) {
    for (const partition of [0, 1, 2]) {
      assert.deepEqual(await log.reader.range(partition), { earliest: 0, next: 0 });
      assert.deepEqual(await log.reader.read(partition, 0, readLimits()), { kind: "records", records: [] });
    }
    assert.equal(log.writer.partitions, 3);
    assert.equal(log.reader.partitions, 3);
    assert.equal(log.writer.available(), true);
  },

  async "records come back as they were appended: order, keys, values, headers, nulls and empty values"(
    { log }: Opened,
  ) {
    const appended = [
      newRecord({ key: "greenhouse-3", value: '{"device":"greenhouse-3"}', headers: { isotherm: "1" } }),
      newTick(),
      newRecord({
        key: "Küche 🌡",
        value: new Uint8Array([0, 255, 128, 10]),
        headers: { ort: "Süd", leer: "" },
      }),
      newRecord({ key: "", value: new Uint8Array() }),
      newRecord({ key: null, value: "{}" }),
      newRecord({ key: "desk", value: null }),
    ];
    await log.writer.append(appended);
    const read = await readAll(log.reader);
    assert.deepEqual(
      read.map(({ key, value, headers }) => ({ key, value: value === null ? null : [...value], headers })),
      appended.map(({ key, value, headers }) => ({
        key,
        value: value === null ? null : [...value],
        headers,
      })),
    );
  },

  async "an append tells the place of each record, and that is where it is read again"({ log }: Opened) {
    const first = await log.writer.append([
      newRecord({ partition: 2 }),
      newRecord(),
      newRecord({ partition: 2 }),
    ]);
    const second = await log.writer.append([newRecord({ partition: 2 })]);
    assert.deepEqual(first.map((at) => at.partition), [2, 0, 2]);
    const read = await readAll(log.reader, 2);
    assert.deepEqual(read.map(placeOf), [first[0], first[2], second[0]].map((at) => placeOf(at!)));
    assert.deepEqual((await readAll(log.reader, 0)).map(placeOf), [placeOf(first[1]!)]);
    assert.deepEqual(await readAll(log.reader, 1), []);
  },

  async "the append time is the log's own clock's, whole milliseconds"({ log, place }: Opened) {
    const beforeMs = place.clock.nowMs();
    await log.writer.append([newRecord()]);
    await place.clock.sleep(30);
    const betweenMs = place.clock.nowMs();
    await log.writer.append([newRecord()]);
    const afterMs = place.clock.nowMs();
    const [first, second] = (await readAll(log.reader)).map((record) => record.appendMs);
    assert.ok(Number.isInteger(first) && Number.isInteger(second));
    assert.ok(beforeMs <= first! && first! <= betweenMs, `${beforeMs} ≤ ${first} ≤ ${betweenMs}`);
    assert.ok(betweenMs <= second! && second! <= afterMs, `${betweenMs} ≤ ${second} ≤ ${afterMs}`);
  },

  async "records of concurrent callers are all there once, each caller's in its order"({ log }: Opened) {
    const callers = Array.from({ length: 64 }, async (_, caller) => {
      for (let i = 0; i < 5; i++) {
        const value = `${caller}:${i}`;
        const places = await log.writer.append(
          [0, 1].map((half) => newRecord({ partition: caller % 3, value: value + half })),
        );
        assert.equal(places.length, 2);
        assert.ok(places[0]!.offset < places[1]!.offset);
      }
    });
    await Promise.all(callers);
    const seen = new Map<number, string[]>();
    for (const partition of [0, 1, 2]) {
      for (const record of await readAll(log.reader, partition)) {
        const [caller, rest] = text(record)!.split(":");
        assert.equal(Number(caller) % 3, partition);
        seen.set(Number(caller), [...(seen.get(Number(caller)) ?? []), rest!]);
      }
    }
    assert.equal(seen.size, 64);
    for (const values of seen.values()) {
      assert.deepEqual(values, ["00", "01", "10", "11", "20", "21", "30", "31", "40", "41"]);
    }
  },

  async "appends that arrive together share a commit"({ log, place }: Opened) {
    await log.writer.append([newRecord()]);
    const before = place.commits();
    assert.ok(before !== null);
    await Promise.all(Array.from({ length: 200 }, () => log.writer.append([newRecord()])));
    const made = place.commits()! - before;
    assert.ok(made <= 20, `200 appends at once took ${made} commits`);
  },

  async "a record goes to the partition it names, whatever its key"({ log }: Opened) {
    await log.writer.append([0, 1, 2].map((partition) => newRecord({ partition, key: "same" })));
    await log.writer.append([0, 1, 2].map((partition) => newTick(partition)));
    for (const partition of [0, 1, 2]) {
      const read = await readAll(log.reader, partition);
      assert.deepEqual(read.map((record) => record.key), ["same", null]);
      assert.ok(read.every((record) => record.partition === partition));
    }
  },

  async "the largest value that a batch may have fits"({ log }: Opened) {
    const value = new Uint8Array(limits.batchBytesMax).fill(120);
    await log.writer.append([newRecord({ value }), newRecord({ value })]);
    const sizes = (await readAll(log.reader, 0, 0, 1_000)).map((record) => record.value?.length);
    assert.deepEqual(sizes, [limits.batchBytesMax, limits.batchBytesMax]);
  },

  async "a read stops at its number of records and after the record that reaches its bytes"({ log }: Opened) {
    await log.writer.append(Array.from({ length: 10 }, (_, i) => newRecord({ value: `${i}`.repeat(100) })));
    const offsets = async (offset: number, fields: Partial<ReadLimits>) =>
      recordsOf(await log.reader.read(0, offset, readLimits({ waitMs: 2_000, ...fields }))).map((
        { offset },
      ) => offset);
    const all = (await readAll(log.reader)).map(({ offset }) => offset);
    assert.deepEqual(await offsets(0, { recordsMax: 3 }), all.slice(0, 3));
    assert.deepEqual(await offsets(all[3]!, { recordsMax: 1 }), all.slice(3, 4));
    assert.deepEqual(await offsets(all[4]!, { bytesMax: 1 }), all.slice(4, 5));
    assert.deepEqual(await offsets(all[5]!, { bytesMax: 200 }), all.slice(5, 7));
    assert.deepEqual(await offsets(all[5]!, { bytesMax: 201 }), all.slice(5, 8));
  },

  async "a waiting read is woken by an append to its partition"({ log, place }: Opened) {
    const startMs = place.clock.monotonicMs();
    const read = log.reader.read(1, 0, readLimits({ waitMs: 20_000 }));
    await place.clock.sleep(50);
    await log.writer.append([newRecord({ partition: 1, value: "woken" })]);
    const records = recordsOf(await read);
    assert.deepEqual(records.map(text), ["woken"]);
    const tookMs = place.clock.monotonicMs() - startMs;
    assert.ok(tookMs < 5_000, `the read came back after ${tookMs} ms`);
  },

  async "a read that waited in vain returns nothing, and an abort ends it early"({ log, place }: Opened) {
    const startMs = place.clock.monotonicMs();
    assert.deepEqual(recordsOf(await log.reader.read(0, 0, readLimits({ waitMs: 100 }))), []);
    const waitedMs = place.clock.monotonicMs() - startMs;
    assert.ok(waitedMs >= 90 && waitedMs < 3_000, `waited ${waitedMs} ms of 100`);
    const abort = new AbortController();
    const read = log.reader.read(0, 0, readLimits({ waitMs: 20_000, signal: abort.signal }));
    await place.clock.sleep(20);
    abort.abort();
    assert.deepEqual(recordsOf(await read), []);
    assert.deepEqual(
      recordsOf(await log.reader.read(0, 0, readLimits({ waitMs: 20_000, signal: abort.signal }))),
      [],
    );
    const tookMs = place.clock.monotonicMs() - startMs;
    assert.ok(tookMs < 5_000, `all of it took ${tookMs} ms`);
  },

  async "any kept offset can be read again, and its record is the same"({ log }: Opened) {
    await log.writer.append(Array.from({ length: 30 }, (_, i) => newRecord({ value: `${i}` })));
    const all = await readAll(log.reader);
    for (const at of [29, 0, 17, 16, 18, 0]) {
      const offset = all[at]!.offset;
      const again = recordsOf(await log.reader.read(0, offset, readLimits({ recordsMax: 2, waitMs: 2_000 })));
      assert.deepEqual(again[0], all[at]);
    }
    assert.deepEqual(await readAll(log.reader), all);
  },

  async "an offset beyond the end is told, with the end"({ log }: Opened) {
    await log.writer.append([newRecord(), newRecord()]);
    const { next } = await log.reader.range(0);
    assert.deepEqual(await log.reader.read(0, next, readLimits()), { kind: "records", records: [] });
    assert.deepEqual(await log.reader.read(0, next + 1, readLimits()), { kind: "beyond_end", next });
    assert.deepEqual(await log.reader.read(1, 5, readLimits({ waitMs: 5_000 })), {
      kind: "beyond_end",
      next: 0,
    });
    assert.equal((await readAll(log.reader)).length, 2);
  },

  async "an expired offset is told, with the first that is kept"({ log, place }: Opened) {
    await log.writer.append(Array.from({ length: 10 }, (_, i) => newRecord({ value: `${i}` })));
    const all = await readAll(log.reader);
    const kept = all[6]!.offset;
    await place.expire(0, kept);
    assert.deepEqual(await log.reader.range(0), { earliest: kept, next: all[9]!.offset + 1 });
    assert.deepEqual(await log.reader.read(0, 0, readLimits()), { kind: "expired", earliest: kept });
    assert.deepEqual(await log.reader.read(0, kept - 1, readLimits({ waitMs: 5_000 })), {
      kind: "expired",
      earliest: kept,
    });
    assert.deepEqual((await readAll(log.reader, 0, kept)).map(text), ["6", "7", "8", "9"]);
    const [added] = await log.writer.append([newRecord()]);
    assert.ok(added!.offset > all[9]!.offset);
  },

  async "everything is still there when the log is opened again, and offsets go on"({ log, place }: Opened) {
    await log.writer.append([newRecord({ value: "1" }), newTick(1)]);
    const before = [await readAll(log.reader, 0), await readAll(log.reader, 1)];
    await log.close();
    const again = await place.open();
    await joinAll(again.reader);
    assert.deepEqual([await readAll(again.reader, 0), await readAll(again.reader, 1)], before);
    const [added] = await again.writer.append([newRecord({ value: "2" })]);
    assert.ok(added!.offset > before[0]![0]!.offset);
    assert.deepEqual((await readAll(again.reader)).map(text), ["1", "2"]);
    await again.close();
  },

  async "what was acknowledged is there after the process vanished"({ log, place }: Opened) {
    const appended = await log.writer.append(
      Array.from({ length: 50 }, (_, i) => newRecord({ value: `${i}` })),
    );
    await place.abandon(log);
    const again = await place.open();
    await joinAll(again.reader);
    const read = await readAll(again.reader, 0, 0, 2_000);
    assert.deepEqual(read.map(placeOf), appended.map(placeOf));
    await again.close();
  },

  async "a log that is down says so within its deadline, keeps what it acknowledged, and comes back by itself"(
    { log, place, test }: Opened,
  ) {
    const { clock } = place;
    await log.writer.append([newRecord({ value: "before" })]);
    await place.breakDown();
    const startMs = clock.monotonicMs();
    const error = await rejection(log.writer.append([newRecord({ value: "during" })]));
    assert.ok(error instanceof LogUnavailable, `rejected with ${error}`);
    assert.ok(error.retryAfterMs > 0);
    const tookMs = clock.monotonicMs() - startMs;
    assert.ok(tookMs <= test.deadlineMs, `said so after ${tookMs} ms, may take ${test.deadlineMs}`);
    assert.equal(log.writer.available(), false);
    const againMs = clock.monotonicMs();
    assert.ok(await rejection(log.writer.append([newRecord({ value: "during" })])) instanceof LogUnavailable);
    assert.ok(clock.monotonicMs() - againMs <= 100, "known to be down, it says so within 100 ms");
    await place.repair();
    const repairedMs = clock.monotonicMs();
    while (!log.writer.available()) {
      await clock.sleep(20);
      const downMs = clock.monotonicMs() - repairedMs;
      assert.ok(downMs <= test.recoveryMs, `not available ${downMs} ms after the repair`);
    }
    await log.writer.append([newRecord({ value: "after" })]);
    // The reader may be back later than the writer, and be given its partition again then.
    const isRead = async () => {
      const outcome = await log.reader.read(0, 0, readLimits({ recordsMax: 1 })).catch((error) => {
        assert.ok(error instanceof LogUnavailable, `rejected with ${error}`);
        return null;
      });
      return outcome !== null && outcome.kind !== "revoked";
    };
    for (let tries = 0; !await isRead(); tries++) {
      assert.ok(tries < 500, "not assigned again within 10 s");
      await clock.sleep(20);
    }
    const values = (await readAll(log.reader, 0, 0, 2_000)).map(text);
    assert.equal(values[0], "before");
    assert.equal(values.at(-1), "after");
    assert.ok(values.slice(1, -1).every((value) => value === "during"));
  },

  async "the queue is bounded: what doesn't fit is refused at once, the rest becomes durable"(
    { log }: Opened,
  ) {
    const record = newRecord({ value: new Uint8Array(10_000) });
    const fits = Math.floor(QUEUE_BYTES_MAX / queuedBytes(record));
    const sent = 2 * fits;
    let highest = 0;
    const results = Array.from({ length: sent }, () => {
      const result = log.writer.append([record]).then(() => "durable", (error) => error);
      highest = Math.max(highest, log.writer.pendingBytes());
      return result;
    });
    assert.ok(highest > QUEUE_BYTES_MAX / 2 && highest <= QUEUE_BYTES_MAX, `${highest} bytes waited`);
    const settled = await Promise.all(results);
    const durable = settled.filter((result) => result === "durable").length;
    assert.ok(durable >= fits - 1 && durable < sent, `${durable} of ${sent} became durable, ${fits} fit`);
    for (const result of settled) {
      assert.ok(result === "durable" || result instanceof LogUnavailable, `${result}`);
    }
    assert.equal((await log.reader.range(0)).next, durable);
    assert.equal(log.writer.pendingBytes(), 0);
    await log.writer.append([record]);
  },

  async "closing makes durable what waits, refuses what comes later, and may be repeated"(
    { log, place }: Opened,
  ) {
    const waiting = Array.from({ length: 20 }, (_, i) => log.writer.append([newRecord({ value: `${i}` })]));
    const read = log.reader.read(1, 0, readLimits({ waitMs: 20_000 }));
    const startMs = place.clock.monotonicMs();
    await log.close();
    assert.equal((await Promise.all(waiting)).length, 20);
    assert.deepEqual(await read, { kind: "revoked" });
    assert.equal(log.writer.available(), false);
    assert.ok(await rejection(log.writer.append([newRecord()])) instanceof LogUnavailable);
    assert.deepEqual(await log.reader.read(0, 0, readLimits()), { kind: "revoked" });
    await log.close();
    assert.ok(place.clock.monotonicMs() - startMs < 5_000);
    const again = await place.open();
    await joinAll(again.reader);
    assert.equal((await readAll(again.reader, 0, 0, 2_000)).length, 20);
    await again.close();
  },

  async "a partition that was never assigned is not read, and reading works from within `assigned`"(
    { log, place }: Opened,
  ) {
    await log.writer.append([newRecord({ value: "first" })]);
    await log.close();
    const again = await place.open();
    assert.deepEqual(await again.reader.read(0, 0, readLimits({ waitMs: 5_000 })), { kind: "revoked" });
    const values = await new Promise((resolve, reject) =>
      again.reader.join({
        async assigned() {
          const outcome = await again.reader.read(0, 0, readLimits({ waitMs: 5_000 }));
          resolve(recordsOf(outcome).map(text));
        },
        revoked: () => Promise.resolve(),
      }).catch(reject)
    );
    assert.deepEqual(values, ["first"]);
    await again.close();
  },

  async "an append of nothing is done at once, and a hint never fails"({ log }: Opened) {
    assert.deepEqual(await log.writer.append([]), []);
    log.reader.hint(0, 5);
    log.reader.hint(2, 0);
    assert.deepEqual(await log.reader.range(0), { earliest: 0, next: 0 });
  },
};

export type CaseName = keyof typeof cases;
const QUEUE_BYTES_MAX = 4_000_000;

/** Registers the suite for one implementation; `register` is `Deno.test` or something like it. */
export function logContract(
  test: LogUnderTest,
  register: (definition: { name: string; ignore: boolean; fn: () => Promise<void> }) => void,
): void {
  const { deviations = {}, run = (body) => body() } = test;
  for (const [name, body] of Object.entries(cases)) {
    const deviation = deviations[name as CaseName];
    const title = `${test.name}: ${name}`;
    register({
      name: deviation === undefined ? title : `${title} (deviates: ${deviation})`,
      ignore: deviation !== undefined,
      fn: () =>
        run(async () => {
          const place = await test.create({ partitions: 3, queueBytesMax: QUEUE_BYTES_MAX });
          try {
            const log = await place.open();
            try {
              await joinAll(log.reader);
              await body({ log, place, test });
            } finally {
              await log.close();
            }
          } finally {
            await place.remove();
          }
        }),
    });
  }
}
