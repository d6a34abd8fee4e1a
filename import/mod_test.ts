import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { decodeBatchText } from "../core/schema.ts";
import type { Clock } from "../core/ports/clock.ts";
import { seededRandom } from "../sim/random.ts";
import { fleetCsv } from "./testing/fleet.ts";
import { importFile, ImportRefused } from "./mod.ts";
import { type ImportOptions, parseImportOptions } from "./options.ts";
import { outcomeOf, type SendOutcome } from "../ingest/client.ts";

const standing: Clock = {
  nowMs: () => 0,
  monotonicMs: () => 0,
  sleep: () => Promise.resolve(),
  after: () => () => {},
};

/** Takes what ingest takes and flags as the aggregator's range check does. */
function stubIngest() {
  const batches: { device: string; ts: (number | null)[] }[] = [];
  const post = (body: BodyInit): Promise<SendOutcome> => {
    const decoded = decodeBatchText(String(body));
    if (decoded.kind === "problems") return Promise.resolve(outcomeOf(400, null, '{"detail":""}'));
    const { device, readings } = decoded.batch;
    batches.push({ device, ts: readings.map(({ tsMs }) => tsMs) });
    const flagged = readings.flatMap((reading, index) =>
      reading.kind === "reading" && (reading.temperatureMilliC ?? 0) < -40_000
        ? [{ index, reason: "out_of_range" }]
        : []
    );
    const answer = { accepted: readings.length, flagged, now: 0, credit: 4_096 };
    return Promise.resolve(outcomeOf(202, null, JSON.stringify(answer)));
  };
  return { batches, post };
}

const options = (...more: string[]): ImportOptions => {
  const columns = [
    "--device",
    "ID_SENSOR",
    "--ts",
    "TIMESTAMP",
    "--temperature",
    "TEMPERATURE",
    "--humidity",
    "HUMIDITY",
  ];
  const parsed = parseImportOptions(["f.csv", "--url", "http://127.0.0.1:1", ...columns, ...more]);
  if (parsed.kind !== "options") throw new Error(JSON.stringify(parsed));
  return parsed.options;
};

async function* chunks(text: string, length = 4_096): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += length) {
    yield await Promise.resolve(bytes.subarray(at, at + length));
  }
}

async function run(text: string, asked: ImportOptions, post = stubIngest().post, chunkLength?: number) {
  const lines: string[] = [];
  const ports = {
    bytes: chunks(text, chunkLength),
    client: { post },
    clock: standing,
    random: seededRandom("import"),
    say: (line: string) => lines.push(line),
    progress: () => {},
  };
  const tally = await importFile(asked, ports, new AbortController().signal);
  return { tally, lines };
}

Deno.test("a fleet's file with faults and a step back of 83 days arrives whole and in order", async () => {
  const fleet = fleetCsv({ devices: 8, rowsPerDevice: 200, stepBackAtRow: 800, faultEvery: 50 });
  const ingest = stubIngest();
  const { tally, lines } = await run(fleet.text, options(), ingest.post);
  equal(tally.rows, 1_600);
  equal(tally.accepted, 1_600);
  deepEqual(tally.flagged.get("out_of_range")?.count, fleet.faults);
  const tsOf = new Map<string, (number | null)[]>();
  for (const { device, ts } of ingest.batches) tsOf.set(device, [...tsOf.get(device) ?? [], ...ts]);
  deepEqual(Object.fromEntries(tsOf), fleet.tsByDevice);
  match(
    lines.join("\n"),
    /1,600 rows read\n1,600 readings sent in 8 requests.*\n1,600 accepted: stored in the log\n/,
  );
  match(lines.join("\n"), /of them flagged out_of_range, first at line \d+\n/);
});

Deno.test("the chunks in which the file is read change nothing", async () => {
  const text = fleetCsv({ devices: 3, rowsPerDevice: 40, stepBackAtRow: 60, faultEvery: 7 }).text;
  const whole = stubIngest();
  await run(text, options(), whole.post);
  const pieces = stubIngest();
  await run(text, options(), pieces.post, 7);
  deepEqual(pieces.batches, whole.batches);
});

Deno.test("a bad row is told by line and column, and the import goes on", async () => {
  const text = "ID_SENSOR;TIMESTAMP;TEMPERATURE;HUMIDITY\n9;1606510591;21.0;40\n9;soon;21.0;40\n" +
    "9;1606510593;warm;40\n9;1606510594;21.0\n9;1606510595;21.5;41\n";
  const { tally, lines } = await run(text, options());
  deepEqual({ accepted: tally.accepted, rejected: tally.rejected }, { accepted: 2, rejected: 3 });
  match(lines[0] ?? "", /^line 3, column TIMESTAMP: "soon" is no time like/);
  equal(lines[1], 'line 4, column TEMPERATURE: "warm" is no decimal number');
  equal(lines[2], "line 5: has 3 fields, the header has 4");
  match(lines.at(-1) ?? "", /3 rejected/);
});

Deno.test("a flood of bad rows is counted, not printed", async () => {
  const bad = Array.from({ length: 500 }, () => "9;x;1;2").join("\n");
  const { tally, lines } = await run(`ID_SENSOR;TIMESTAMP;TEMPERATURE;HUMIDITY\n${bad}`, options());
  equal(tally.rejected, 500);
  equal(lines.filter((line) => line.startsWith("line ")).length, 20);
  ok(lines.includes("… more rejected rows are counted only"));
});

Deno.test("a file without the columns is refused before anything is sent", async () => {
  const ingest = stubIngest();
  await rejects(run("id;when\n1;2\n", options(), ingest.post), (error: Error) => {
    ok(error instanceof ImportRefused);
    match(error.message, /no column for --device "ID_SENSOR".*; its columns are "id", "when"$/);
    return true;
  });
  await rejects(run("", options(), ingest.post), /the file is empty/);
  equal(ingest.batches.length, 0);
});

Deno.test("a file that is not UTF-8 is refused with the way to convert it", async () => {
  async function* latin1() {
    yield await Promise.resolve(new Uint8Array([0x54, 0xb0, 0x0a]));
  }
  const ports = {
    bytes: latin1(),
    client: stubIngest(),
    clock: standing,
    random: seededRandom("import"),
    say: () => {},
    progress: () => {},
  };
  await rejects(importFile(options(), ports, new AbortController().signal), /not UTF-8: convert it/);
});

Deno.test("quoted fields and the delimiter given are understood", async () => {
  const text = '"ID_SENSOR","TIMESTAMP","TEMPERATURE","HUMIDITY"\n"green, house","1606510591","21,5","40"\n';
  const ingest = stubIngest();
  const { tally } = await run(text, options("--delimiter", ","), ingest.post);
  equal(tally.accepted, 1);
  equal(ingest.batches[0]?.device, "green, house");
});

Deno.test("what the zone decided is said", async () => {
  const row = (time: string) => `a;2026-${time};1;2\n`;
  const text = "ID_SENSOR;TIMESTAMP;TEMPERATURE;HUMIDITY\n" + row("03-29 02:30:00") + row("10-25 02:30:00") +
    row("10-25 02:30:00");
  const { lines } = await run(text, options("--zone", "Europe/Berlin"));
  match(
    lines.join("\n"),
    /2 local times of Europe\/Berlin happened twice \(clock set back\), first at line 3/,
  );
  match(
    lines.join("\n"),
    /1 local time of Europe\/Berlin never happened \(clock set forward\), first at line 2/,
  );
});

Deno.test("more devices than can wait still arrive in order", async () => {
  const header = "ID_SENSOR;TIMESTAMP;TEMPERATURE;HUMIDITY\n";
  const rows = Array.from({ length: 45_000 }, (_, i) => `d${i % 22_500};${1_600_000_000 + i};1;2\n`);
  const ingest = stubIngest();
  const { tally } = await run(header + rows.join(""), options(), ingest.post, 65_536);
  equal(tally.accepted, 45_000);
  const last = new Map<string, number>();
  for (const { device, ts } of ingest.batches) {
    for (const ms of ts) {
      ok((ms ?? 0) > (last.get(device) ?? 0));
      last.set(device, ms ?? 0);
    }
  }
});
