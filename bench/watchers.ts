/**
 * `deno task bench:watchers [WATCHERS [DEVICES [SECONDS]]]`: what `/live` costs, with a fleet of so many devices (1,000), each
 * heard of twice a second with an open window, and a closed window of one of 60 each second: without a watcher, with so
 * many (100) that each look at one device, and with as many that look at everything; and what resuming costs.
 */
import process from "node:process";
import { createLiveFeed } from "../aggregator/live_feed.ts";
import { createLiveHub } from "../aggregator/live_hub.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { deviceRow, startMs, windowRow } from "../core/testing/builders.ts";
import { machineClock } from "../platform/clock.ts";

const [watchers = 100, devices = 1_000, seconds = 10] = Deno.args.map(Number);
const names = Array.from({ length: devices }, (_, index) => `device-${index}`);
const TELL_MS = 500;
const RESUMED = 1_000;

const feed = createLiveFeed(silentTrace);
const hub = createLiveHub({
  feed,
  clock: machineClock,
  instance: "bench",
  views: () => [],
  positions: () => [],
});
let round = 0;

/** Half a second of the fleet. */
function tell(): void {
  round++;
  const endMs = startMs + round * TELL_MS;
  for (const [index, device] of names.entries()) {
    if ((index + round) % 120 === 0) {
      feed.emit({ kind: "window", row: windowRow({ device, startMs: endMs }), open: false });
    }
    if (!feed.isWatched()) continue;
    feed.emit({ kind: "device", row: deviceRow({ device, watermarkMs: endMs }), last: null });
    feed.emit({ kind: "window", row: windowRow({ device, startMs: endMs, closedBy: null }), open: true });
  }
}

interface Watched {
  bytes: number;
  end(): Promise<void>;
}

function watch(device: string | null): Watched {
  const stream = hub.open({ devices: device === null ? null : new Set([device]), windowSizes: null }, null)!;
  const reader = stream.getReader();
  const watched = { bytes: 0, end: () => reader.cancel() };
  (async () => {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      watched.bytes += read.value.length;
    }
  })();
  return watched;
}

async function measure(label: string, wanted: readonly (string | null)[]): Promise<void> {
  const clients = wanted.map(watch);
  const [startedMs, before] = [performance.now(), process.cpuUsage()];
  let longestMs = 0;
  while (performance.now() < startedMs + seconds * 1_000) {
    const toldMs = performance.now();
    tell();
    await machineClock.sleep(Math.max(0, toldMs + TELL_MS - performance.now()));
    longestMs = Math.max(longestMs, performance.now() - toldMs - TELL_MS);
  }
  const { user, system } = process.cpuUsage(before);
  const elapsedS = (performance.now() - startedMs) / 1_000;
  const bytes = clients.reduce((sum, each) => sum + each.bytes, 0);
  for (const client of clients) await client.end();
  console.log(
    `${label}: ${(100 * (user + system) / 1e6 / elapsedS).toFixed(1)} % of a core, ` +
      `${(bytes / elapsedS / 1e6).toFixed(2)} MB/s, late by ${longestMs.toFixed(0)} ms at the most`,
  );
}

await measure("warming up", [null]);
await measure("nobody", []);
await measure(`${watchers} that look at one device each`, names.slice(0, watchers));
await measure(`${watchers} that look at all ${devices}`, Array.from({ length: watchers }, () => null));

while (hub.status().ringEvents < RESUMED) tell();
const [instance, newest] = hub.status().newestId.split(".");
const since = `${instance}.${Number(newest) - RESUMED}`;
const beforeMs = performance.now();
let bytes = 0;
for (let client = 0; client < watchers; client++) {
  const reader = hub.open({ devices: null, windowSizes: null }, since)!.getReader();
  for (let versions = 0; versions < RESUMED;) {
    const { value } = await reader.read();
    bytes += value!.length;
    versions += new TextDecoder().decode(value).split("event: window").length - 1;
  }
  await reader.cancel();
}
console.log(
  `${watchers} that resume ${RESUMED} versions back: ${
    ((performance.now() - beforeMs) / watchers).toFixed(1)
  } ms and ` +
    `${(bytes / watchers / 1e3).toFixed(0)} kB each`,
);
console.log(`load ${Deno.loadavg()[0]!.toFixed(0)}`);
hub.close();
Deno.exit(0);
