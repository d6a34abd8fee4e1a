/**
 * `deno task soak:gc [MINUTES]` (default 60): the store and its publications under forced garbage collection, with foreign
 * readers attached. Fails when the process crashes, a reader sees anything wrong, or memory grows.
 */
import { machineClock } from "./clock.ts";
import { startForeignReaders } from "./testing/foreign_readers.ts";
import { Process } from "./testing/process.ts";

interface Said {
  readonly collections: number;
  readonly commits: number;
  readonly publications: number;
  readonly lookups: number;
  readonly reads: number;
  readonly position: number;
  readonly rss: number;
  readonly heapUsed: number;
}

/** What the second half may take more than the first: allocators settle, and the folder grows meanwhile. */
const GROWTH_MIB_MAX = 64;

const minutes = Number(Deno.args[0] ?? "60");
if (!(minutes > 0 && minutes <= 24 * 60)) {
  console.error(`the minutes are ${JSON.stringify(Deno.args[0])}: use a number up to ${24 * 60}`);
  Deno.exit(2);
}
const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
const directory = await Deno.makeTempDir({ prefix: "isotherm-gc-" });
const child = new Process({
  args: ["run", "--v8-flags=--expose-gc", "--allow-all", "platform/testing/gc_child.ts", directory],
});
const said = () => child.lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as Said);
let isGood = true;
try {
  await child.line(/^\{/, 60_000);
  const readers = await startForeignReaders(directory);
  const endMs = machineClock.monotonicMs() + minutes * 60_000;
  for (let minute = 1; machineClock.monotonicMs() < endMs && child.isRunning; minute++) {
    const untilMs = Math.min(endMs, machineClock.monotonicMs() + 60_000);
    while (machineClock.monotonicMs() < untilMs && child.isRunning) await machineClock.sleep(500);
    const { rss, heapUsed, ...counts } = said().at(-1)!;
    console.log(`minute ${minute}: ${mib(rss)} MiB, heap ${mib(heapUsed)} MiB, ${JSON.stringify(counts)}`);
  }
  if (!child.isRunning) {
    throw new Error(`it ended by itself: ${JSON.stringify(await child.ended)}\n${child.text}`);
  }
  for (const reader of readers) {
    await reader.stop();
    console.log(`${reader.name} read ${reader.reads} times`);
  }
  const sizes = said().map(({ rss }) => rss);
  const half = Math.ceil(sizes.length / 2);
  const [before, after] = [sizes.slice(0, half), sizes.slice(half)].map((part) => mib(Math.max(...part)));
  console.log(`memory at most ${before} MiB in the first half, ${after} MiB in the second`);
  isGood = after! <= before! + GROWTH_MIB_MAX;
  console.log(isGood ? "no crash, no growth" : `memory grows by more than ${GROWTH_MIB_MAX} MiB`);
} finally {
  if (child.isRunning) await child.stop("SIGKILL");
  await Deno.remove(directory, { recursive: true });
}
Deno.exit(isGood ? 0 : 1);
