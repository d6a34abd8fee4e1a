/**
 * `deno run -A bench/live_sender.ts ADDRESS SECONDS PER_SECOND DEVICES`: sends single readings to Kafka at a steady rate,
 * for `bench/live.ts`. A reading's `ts` is the moment of its send.
 */
import { noMetrics } from "../core/ports/metrics.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { machineClock } from "../platform/clock.ts";
import { openLogAt } from "../platform/log_address.ts";
import { machineRandom } from "../platform/random.ts";

const [address, seconds, perSecond, devices] = Deno.args;
const EVERY_MS = 5;

const ports = { clock: machineClock, random: machineRandom, trace: silentTrace, metrics: noMetrics };
const log = await openLogAt(`kafka://${address}/readings`, 1, ports);
const encoder = new TextEncoder();
const waiting = new Set<Promise<unknown>>();
let sent = 0;
const startedMs = performance.now();
for (;;) {
  const elapsedMs = performance.now() - startedMs;
  if (elapsedMs > Number(seconds) * 1_000) break;
  const due = Math.floor(elapsedMs / 1_000 * Number(perSecond));
  const records = [];
  for (; sent < due; sent++) {
    const device = `device-${sent % Number(devices)}`;
    const seq = Math.floor(sent / Number(devices));
    const reading = { boot: 1, seq, ts: Date.now(), temperature_c: 20 + sent % 10 };
    const value = encoder.encode(JSON.stringify({ device, ...reading }));
    records.push({ partition: 0, key: device, value, headers: {} });
  }
  if (records.length > 0) {
    const appended = log.writer.append(records);
    waiting.add(appended);
    appended.finally(() => waiting.delete(appended));
  }
  await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
}
await Promise.all(waiting);
await log.close();
console.log(sent);
Deno.exit(0);
