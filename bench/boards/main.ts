/**
 * `deno task bench:boards [BOARDS] [HOURS]`: so many boards with the real firmware for so many simulated hours, half of
 * them on each of two cores. Prints wall time and what was sent; run it twice and the digests agree.
 */
import type { Share, ShareResult } from "./share_worker.ts";

const WORKERS = 2;
const [boards = 100, hours = 1] = Deno.args.map(Number);
if (!Number.isInteger(boards) || boards < 1 || !(hours > 0)) {
  console.error("usage: deno task bench:boards [BOARDS, a whole number from 1] [HOURS, above 0]");
  Deno.exit(2);
}

const started = performance.now();
const results = await Promise.all(Array.from({ length: WORKERS }, (_, worker) => {
  const first = 1 + Math.floor((boards * worker) / WORKERS);
  const count = Math.floor((boards * (worker + 1)) / WORKERS) + 1 - first;
  return runShare({ first, count, hours, everyMs: 10_000 });
}));
const seconds = (performance.now() - started) / 1_000;
const sum = (field: "readings" | "requests") => results.reduce((total, result) => total + result[field], 0);
console.log(
  `${boards} boards, ${hours} h, ${sum("readings")} readings in ${sum("requests")} requests: ${
    seconds.toFixed(1)
  } s, ` +
    `${Math.round((hours * 3_600) / seconds)} × real time`,
);
for (const { digest } of results) console.log(`digest ${digest}`);

function runShare(share: Share): Promise<ShareResult> {
  const worker = new Worker(new URL("./share_worker.ts", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    worker.addEventListener("message", (event: MessageEvent<ShareResult>) => {
      worker.terminate();
      resolve(event.data);
    });
    worker.addEventListener("error", (event) => reject(new Error(event.message)));
    worker.postMessage(share);
  });
}
