import assert from "node:assert/strict";
import { goldenScenarios } from "./golden.ts";
import { differingRows, replayThroughEmbedded, replayThroughSim } from "./replay.ts";
import { digestOf, judgeLog } from "./oracle.ts";
import { firstDifference, shrinkTape } from "./shrink_tape.ts";
import { makeTape, readTape, writeTape } from "./tape.ts";
import { inAppendOrder, rowsText, tapeOf } from "./tape_main.ts";
import { generateLog } from "./generate.ts";
import { windowLine } from "../core/digest.ts";
import { machineClock } from "../platform/clock.ts";

const TAPES = new URL("./tapes/", import.meta.url);
const golden = async (name: string) => await readTape(await Deno.readFile(new URL(`${name}.tape.gz`, TAPES)));

for (const name of Object.keys(goldenScenarios)) {
  Deno.test(`the tape ${name} gives its rows again, in batches of 1, 7 and 5,000 records and with three workers`, async () => {
    const tape = await golden(name);
    assert.equal(rowsText(tape), await Deno.readTextFile(new URL(`${name}.rows.txt`, TAPES)));
    for (const [batchRecords, workers] of [[1, 1], [7, 3], [5_000, 1]] as const) {
      if (batchRecords === 1 && tape.records.length > 600) continue;
      const found = await replayThroughSim(tape, { batchRecords, workers });
      assert.deepEqual([found.digest, found.rows.length], [tape.digest, tape.closed]);
    }
    const windows = judgeLog(tape.records, tape.config, tape.partitions).flatMap((result) => result.windows);
    assert.equal(await digestOf(windows), tape.digest, "the oracle's digest");
  });
}

const INCIDENTS = new URL("./incidents/", import.meta.url);
const incidents = [...Deno.readDirSync(INCIDENTS)].filter(({ name }) => name.endsWith(".tape.gz"));

for (const { name } of incidents) {
  Deno.test(`the incident ${name} gives the rows that the oracle finds`, async () => {
    const tape = await readTape(await Deno.readFile(new URL(name, INCIDENTS)));
    assert.equal(firstDifference(tape), null);
    const { digest } = await replayThroughSim(tape, { batchRecords: 7, workers: 2 });
    assert.equal(digest, tape.digest);
  });
}

Deno.test("a slice from the middle of a log gives its digest through the simulated log", async () => {
  const { records, config, partitions } = await golden("clean_day");
  const slice = records.filter(({ offset }) => offset >= 100);
  const tape = await makeTape({ name: "slice", source: "test", records: slice, config, partitions });
  const { digest } = await replayThroughSim(tape, { batchRecords: 7, workers: 1 });
  assert.equal(digest, tape.digest);
});

Deno.test("a tape is shrunk to the records that matter, with the digest that the oracle gives", async () => {
  const tape = await golden("poisoned_clock");
  const isWanted = (offset: number) => offset === 17 || offset === 60;
  const found = await shrinkTape(
    tape,
    ({ records }) =>
      records.filter(({ partition, offset }) => partition === 0 && isWanted(offset)).length === 2,
  );
  assert.deepEqual(found?.records.map(({ offset }) => offset), [17, 60]);
  const windows = judgeLog(found!.records, tape.config, tape.partitions).flatMap((result) => result.windows);
  assert.equal(found?.digest, await digestOf(windows));
  assert.equal(await shrinkTape(tape), null, "nothing is wrong with it");
});

Deno.test("the simulator records the clean day as it did before", async () => {
  const tape = await tapeOf("clean_day", goldenScenarios.clean_day!);
  assert.equal(tape.digest, (await golden("clean_day")).digest);
});

Deno.test("one recorded log gives one digest through the simulated and the embedded log", async () => {
  const tape = await golden("poisoned_clock");
  const folder = await Deno.makeTempDir({ prefix: "isotherm-tape-test-" });
  try {
    const options = { batchRecords: 100, workers: 1 };
    const embedded = await replayThroughEmbedded(tape, `${folder}/log.sqlite`, machineClock, options);
    assert.equal(embedded.digest, tape.digest);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a tape keeps every kind of record as it was", async () => {
  const { records, config, partitions } = generateLog(4, {
    troubles: ["undecodable", "tombstone", "tick", "release", "foreign_key"],
  });
  const tape = await makeTape({ name: "odd", source: "test", records, config, partitions });
  assert.deepEqual(await readTape(await writeTape(tape)), tape);
});

Deno.test("records of two partitions become one list by append time, and a clock that is set back reorders none", () => {
  const at = (partition: number, offset: number, appendMs: number) => ({
    ...{ partition, offset, appendMs, key: null, value: null, headers: {} },
  });
  const records = [at(0, 0, 100), at(0, 1, 300), at(0, 2, 200), at(0, 3, 400), at(1, 0, 150), at(1, 1, 350)];
  assert.deepEqual(inAppendOrder(records).map(({ partition, offset }) => `${partition}/${offset}`), [
    ...["0/0", "1/0", "0/1", "0/2", "1/1", "0/3"],
  ]);
});

Deno.test("a tape of another format, or no tape at all, is refused with a sentence", async () => {
  await assert.rejects(readTape(new TextEncoder().encode("hello")), /this is no tape: it is not gzip/);
  const bytes = await new Response(
    new Blob(['{"isotherm_tape":2}\n']).stream().pipeThrough(new CompressionStream("gzip")),
  ).bytes();
  await assert.rejects(readTape(bytes), /the tape has version 2, this build reads 1/);
});

Deno.test("rows that differ are shown side by side", async () => {
  const tape = await golden("clean_day");
  const { rows } = await replayThroughSim(tape, { batchRecords: 100, workers: 1 });
  const [first, ...rest] = rows;
  const lines = differingRows(tape, [{ ...first!, readings: 61 }, ...rest], windowLine);
  assert.equal(lines.length, 2);
  assert.deepEqual(lines.map((line) => line.slice(0, 9)).sort(), ["expected ", "found    "]);
});
