/** The disk fails inside of a call: at each statement and each step, before it or after it has done its work. */
import assert from "node:assert/strict";
import { StoreUnavailable } from "../../core/ports/store.ts";
import { changes, positionRow, readingRow, startMs, windowRow } from "../../core/testing/builders.ts";
import { dataPaths, readRecords } from "./published.ts";
import { type DuckdbPublisher, openPublisher } from "./publisher.ts";
import { Catalogue } from "./reader.ts";
import { type DuckdbStore, openStore } from "./store.ts";
import { commits, FailingDuckdb } from "../testing/failing_duckdb.ts";
import { FailingFiles } from "../testing/failing_files.ts";

const TRIES_MAX = 5;

interface World {
  readonly directory: string;
  readonly duckdb: FailingDuckdb;
  readonly files: FailingFiles;
  readonly store: DuckdbStore;
  readonly publisher: DuckdbPublisher;
  /** One more record of so many readings; resolves with how often that was refused. */
  commit(): Promise<number>;
  publish(): Promise<number>;
  /** Publishes once. */
  attempt(): Promise<unknown>;
}

async function inWorld(test: (world: World) => Promise<void>, readingsOfRecord = 10): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "isotherm-failing-" });
  const duckdb = new FailingDuckdb();
  const files = new FailingFiles(directory);
  const { create: createInstance } = duckdb;
  const retentionMs = 30 * 86_400_000;
  const store = await openStore({
    directory,
    partition: 0,
    retentionMs,
    createInstance,
    checkInBackground: false,
  });
  const publisher = await openPublisher(store, { mergeInline: true });
  let offset = 0;
  const publishOnce = () =>
    files.during(() => publisher.publish([windowRow({ closedBy: null })], startMs + offset));
  try {
    await test({
      ...{ directory, duckdb, files, store, publisher },
      commit() {
        const [from, next] = [offset * readingsOfRecord, ++offset];
        const readings = Array.from(
          { length: readingsOfRecord },
          (_, i) => readingRow({ seq: from + i, offset: next - 1, index: i, tsMs: startMs + from + i }),
        );
        const windows = [
          windowRow({ startMs: startMs + next * 60_000, endMs: startMs + (next + 1) * 60_000 }),
        ];
        const position = positionRow({ nextOffset: next });
        return tried(() => store.commit(changes({ position, readings, windows })));
      },
      publish: () => tried(publishOnce),
      attempt: publishOnce,
    });
    await assertWhole(store, offset * readingsOfRecord);
  } finally {
    await publisher.close();
    await store.close();
    await Deno.remove(directory, { recursive: true });
  }
}

/** Calls until it is not refused; how often it was. */
async function tried(call: () => Promise<unknown>): Promise<number> {
  for (let refused = 0;; refused++) {
    try {
      await call();
      return refused;
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || refused === TRIES_MAX) throw error;
    }
  }
}

/** Each reading once, none too few. */
async function assertWhole(store: DuckdbStore, count: number): Promise<void> {
  const [fromMs, toMs] = [0, startMs + 86_400_000];
  const { readings } = await store.lookup({
    readings: [{ device: readingRow().device, fromMs, toMs }],
    windows: [],
  });
  assert.deepEqual(readings.map(({ seq }) => seq), Array.from({ length: count }, (_, i) => i));
}

/** What a stranger reads: everything up to the last record, each reading once. */
async function assertPublished(directory: string, records: number): Promise<void> {
  const catalogue = await Catalogue.open(directory);
  const { rows } = await catalogue.query(
    "SELECT count(*), count(DISTINCT seq), (SELECT next_offset FROM log_position) FROM readings",
    1,
  );
  catalogue.close();
  assert.deepEqual(rows[0]!.map(Number), [records * 10, records * 10, records]);
}

/** Every file that the partition's record names is there. */
async function assertNamed(directory: string, step = ""): Promise<void> {
  const record = (await readRecords(dataPaths(directory, 0))).get(0);
  if (record === undefined) return;
  const found = [...Deno.readDirSync(`${directory}/published/segments/0`)].map(({ name }) => name);
  const named = [...record.segments, ...record.retired].map(({ path }) => path.split("/").at(-1)!);
  assert.deepEqual(named.filter((name) => !found.includes(name)), [], `what is named is there after ${step}`);
}

/** A small transaction is one statement, a large one has some for each table. */
const sizes = [["small", 10, 1], ["large", 600, 5]] as const;
for (const when of ["before", "after"] as const) {
  for (const isFatal of [false, true]) {
    for (const [size, readings, statementsMin] of sizes) {
      const how = `${when} it is made${isFatal ? ", for good" : ""}`;
      Deno.test(`a ${size} transaction of which each statement fails ${how} is kept once`, () =>
        inWorld(async ({ duckdb, commit, publish }) => {
          let failed = 0;
          for (let inStatements = 1; failed === inStatements - 1; inStatements++) {
            duckdb.plan({ inStatements, when, isFatal, onFailed: () => failed++ });
            const refused = await commit();
            // What was committed is a success, if the file can be asked at once.
            assert.ok(refused === (failed === inStatements ? 1 : 0) || (when === "after" && refused === 0));
            duckdb.repair();
          }
          assert.ok(failed >= statementsMin, `${failed} statements`);
          assert.equal(await publish(), 0);
        }, readings));
    }
  }
}

Deno.test("a COMMIT whose answer is lost with its instance is found in the file and not made again", () =>
  inWorld(async ({ duckdb, commit }) => {
    await commit();
    duckdb.plan({ inStatements: 1, only: commits, when: "after", isFatal: true });
    assert.ok(await commit() <= 1);
    await commit();
  }));

Deno.test("a COMMIT that fails for good and can't be looked for yet is not made again either", () =>
  inWorld(async ({ duckdb, commit }) => {
    await commit();
    // The file can't be opened again at once.
    const onFailed = () =>
      duckdb.plan({ inStatements: 1, only: /^SELECT coalesce/, when: "before", isFatal: false });
    duckdb.plan({ inStatements: 1, only: commits, when: "after", isFatal: true, onFailed });
    assert.ok(await commit() >= 1);
    await commit();
  }));

Deno.test("reading goes on in a new instance when DuckDB has given one up", () =>
  inWorld(async ({ duckdb, store, commit }) => {
    await commit();
    duckdb.plan({ inStatements: 1, when: "before", isFatal: true });
    const needs = {
      readings: [{ device: readingRow().device, fromMs: 0, toMs: startMs + 1_000 }],
      windows: [],
    };
    await assert.rejects(store.lookup(needs), StoreUnavailable);
    assert.equal((await store.lookup(needs)).readings.length, 10);
  }));

for (const when of ["before", "after"] as const) {
  Deno.test(`a publication of which each statement fails ${when} it is made, then for good, is made`, () =>
    inWorld(async ({ directory, duckdb, commit, publish }) => {
      let records = 0;
      for (const isFatal of [false, true]) {
        let failed = true;
        for (let inStatements = 1; failed; inStatements++) {
          await commit();
          failed = false;
          duckdb.plan({ inStatements, when, isFatal, onFailed: () => failed = true });
          await publish();
          duckdb.repair();
          await assertPublished(directory, ++records);
        }
        assert.ok(records >= 4, `${records} statements`);
      }
    }));

  Deno.test(`a publication of which each write, sync and rename fails ${when} it is made is made`, () =>
    inWorld(async ({ directory, files, commit, publish, attempt }) => {
      const steps: string[] = [];
      for (let inSteps = 1;; inSteps++) {
        await commit();
        const before = steps.length;
        files.plan({ inSteps, when, onFailed: (step) => steps.push(step) });
        // Whoever opens the folder after a crash here finds what the record names.
        await attempt().catch(() => {});
        await assertNamed(directory, steps.at(-1));
        await publish();
        files.repair();
        await assertPublished(directory, inSteps);
        if (steps.length === before) break;
      }
      const kinds = steps.map((step) =>
        `${step.split(" ")[0]} ${/segment|catalogue|manifest/.exec(step) ?? "record"}`
      );
      for (const file of ["segment", "record", "catalogue", "manifest"]) {
        for (const step of ["sync", "rename"]) {
          assert.ok(kinds.includes(`${step} ${file}`), `${step} ${file}`);
        }
      }
      for (const kind of ["write record", "copy catalogue", "write manifest"]) {
        assert.ok(kinds.includes(kind), kind);
      }
    }));
}
