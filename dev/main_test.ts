/** Each option changes what the real process does; the process runs as `deno task dev` runs it. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { machineClock } from "../platform/clock.ts";
import {
  freePort,
  peakMemoryOf,
  type Process,
  startProcess,
  taskArgs,
  until,
} from "../platform/testing/process.ts";
import { askNumber, askPublished, readManifest } from "../platform/testing/published.ts";

const minuteMs = 60_000;

async function dev(...args: string[]): Promise<Process> {
  return startProcess([...await taskArgs("dev"), ...args]);
}

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-dev-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Ingest's address, as the banner tells it. */
async function urlOf(process: Process): Promise<string> {
  const line = await process.line(/^ {2}ingest /);
  return /http:\S+/.exec(line)?.[0] ?? "";
}

/** On Linux all of 127/8 leads here, so another of its addresses stands for the network. */
function networkUrl(url: string): string {
  return Deno.build.os === "linux" ? url.replace("127.0.0.1", "127.0.0.2") : url;
}

async function post(url: string, body: string, headers: Record<string, string> = {}): Promise<number> {
  const response = await fetch(url, { method: "POST", body, headers });
  await response.body?.cancel();
  return response.status;
}

const published = (folder: string, sql: string, atLeast: number) =>
  until(`${sql} gives ${atLeast}`, async () => {
    if (await readManifest(folder) === null) return null;
    const count = await askNumber(folder, sql);
    return count >= atLeast && count;
  }, 60_000);

Deno.test("dev goes from the sensor to SQL in seconds, in less than 400 MiB, stops at once, and goes on", async () => {
  await withFolder(async (folder) => {
    let before: unknown[][];
    {
      await using first = await dev("--data", folder, "--port", "0");
      await first.line(/./);
      const firstLineMs = first.ageMs;
      await first.line(/^ {2}boards {6}board-1, board-2: .*, starting 10m \(board-2 1m\) back$/);
      await first.line(/^reading {2}\d\d:\d\d:\d\d {2}board-1 {2}-?\d+\.\d °C {2}\d+\.\d %/);
      await first.line(/^window 1m {2}.* board-1 {2}12 readings .* closed by watermark$/);
      // On an idle machine it takes 3 to 5 s; the aim is 10. Twice the aim, for machines that do other things too.
      ok(first.ageMs - firstLineMs < 20_000, `${first.ageMs} ms`);
      await published(folder, "SELECT count(*) FROM windows WHERE readings = 12", 8);
      await published(folder, "SELECT count(*) FROM readings WHERE device = 'board-1'", 115);
      // The neighbour starts a minute back, and makes nobody wait for a history.
      await published(folder, "SELECT count(*) FROM readings WHERE device = 'board-2'", 10);
      equal(
        await askNumber(folder, "SELECT max(counted) FROM ledger_arrivals WHERE device = 'board-2'") < 40,
        true,
      );
      const peakBytes = peakMemoryOf(first.pid) ?? 0;
      ok(peakBytes < 400 * 1_048_576, `${peakBytes} bytes`);
      const ended = await first.stop("SIGINT");
      deepEqual([ended.code, ended.signal], [0, null], first.text);
      ok(ended.tookMs < 4_000, `${ended.tookMs} ms`); // the aim is 2 s on an idle machine
      before = await askPublished(
        folder,
        "SELECT device, boot, seq, ts, temperature_c FROM readings ORDER BY ALL",
      );
    }
    await using second = await dev("--data", folder, "--port", "0");
    await second.line(/^ {2}boards {6}board-1, board-2: [^,]*, running [^,]*$/);
    await published(folder, "SELECT count(*) FROM ledger_slots WHERE heard", 4);
    await published(folder, "SELECT count(*) FROM readings", before.length + 1);
    equal((await second.stop()).code, 0);
    const after = await askPublished(
      folder,
      "SELECT device, boot, seq, ts, temperature_c FROM readings ORDER BY ALL",
    );
    const texts = after.map((row) => JSON.stringify(row.map(String)));
    for (const row of before) ok(texts.includes(JSON.stringify(row.map(String))), String(row));
    equal(new Set(texts).size, texts.length);
    equal(await askNumber(folder, "SELECT sum(missing + lost + quarantined) FROM ledger_slots"), 0);
  });
});

Deno.test("--devices, --history, --data and --port are followed", async () => {
  await withFolder(async (folder) => {
    const [data, port] = [`${folder}/a data folder`, freePort()];
    const args = ["--devices", "2", "--history", "16m", "--data", data, "--port", String(port)];
    await using process = await dev(...args);
    await process.line(/^Ctrl-C/);
    equal(await post(`http://127.0.0.1:${port}/v1/readings`, '{"device":"desk","temperature_c":21.5}'), 202);
    for (const device of ["board-1", "board-2"]) {
      await published(
        data,
        `SELECT count(*) FROM windows WHERE window_size = '1m' AND device = '${device}'`,
        14,
      );
    }
    const backMs = machineClock.nowMs() - await askNumber(data, "SELECT epoch_ms(min(ts)) FROM readings");
    ok(backMs > 15 * minuteMs && backMs < 18 * minuteMs, `${backMs} ms`);
    deepEqual(await askPublished(data, "SELECT device FROM devices ORDER BY device"), [
      ["board-1"],
      ["board-2"],
      ["desk"],
    ]);
    equal((await process.stop()).code, 0);
  });
});

Deno.test("--no-board, --lan and --for are followed", async () => {
  await withFolder(async (folder) => {
    const args = ["--no-board", "--lan", "--for", "5s", "--data", folder, "--port", "0"];
    let key: string;
    {
      await using process = await dev(...args);
      const url = await urlOf(process);
      await process.line(/^ {2}boards {6}none$/);
      const line = await process.line(
        /^A board on the desk sends to http:\/\/[\d.]+:\d+ with the key iso_dev_/,
      );
      key = /iso_dev_[a-z2-7]+/.exec(line)?.[0] ?? "";
      const network = networkUrl(url);
      const reading = '{"device":"desk","ts":1763950000123,"temperature_c":21.5}';
      equal(await post(network, reading), 401);
      equal(await post(network, reading, { authorization: "Bearer iso_dev_wrong" }), 401);
      equal(await post(network, reading, { authorization: `Bearer ${key}` }), 202);
      const ended = await process.end();
      equal(ended.code, 0, process.text);
      ok(process.ageMs > 5_000 && process.ageMs < 20_000, `${process.ageMs} ms`);
      match(process.text, /stopping \(--for\)/);
    }
    deepEqual(await askPublished(folder, "SELECT device, readings FROM devices"), [["desk", 1n]]);
    const { mode } = await Deno.stat(`${folder}/key`);
    equal((mode ?? 0) & 0o777, 0o600);
    await using again = await dev("--no-board", "--lan", "--data", folder, "--port", "0");
    await again.line(new RegExp(`with the key ${key}$`));
    await again.stop();
  });
});

Deno.test("without --lan only this machine is served, without a key", async () => {
  await withFolder(async (folder) => {
    await using process = await dev("--no-board", "--data", folder, "--port", "0");
    const url = await urlOf(process);
    const reading = '{"device":"desk","temperature_c":21.5}';
    if (networkUrl(url) !== url) {
      equal(await post(networkUrl(url), reading).catch(() => "refused"), "refused");
    }
    equal(await post(url, reading), 202);
    const taken = new URL(url).port;
    await using other = await dev("--no-board", "--data", `${folder}/other`, "--port", taken);
    equal((await other.end()).code, 1);
    match(other.text, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${taken}: another process listens there`));
    await process.stop();
  });
});

Deno.test("--log takes another log, and says so when it can't be had", async () => {
  await withFolder(async (folder) => {
    await using process = await dev(
      "--no-board",
      "--data",
      folder,
      "--log",
      "kafka://127.0.0.1:9",
      "--port",
      "0",
      "--for",
      "2s",
    );
    await process.end();
    match(process.text, /can't (connect|read)[^\n]*127\.0\.0\.1:9/);
  });
});

Deno.test("--help lists the options, and what can't be understood ends with status 2", async () => {
  await using help = await dev("--help");
  equal((await help.end()).code, 0);
  match(help.text, /--history TIME/);
  await using wrong = await dev("--devices", "many");
  equal((await wrong.end()).code, 2);
  match(wrong.text, /--devices is "many": use a whole number from 0 to 100/);
});
