/** Ingest as a real process on a real Kafka broker, while both are killed. */
import assert from "node:assert/strict";
import { defaultConfig } from "../core/config.ts";
import type { LogRecord } from "../core/ports/log.ts";
import { machineClock } from "../platform/clock.ts";
import { openKafkaLog } from "../platform/kafka/log.ts";
import { type KafkaBroker, startKafka } from "../platform/testing/kafka_broker.ts";
import { foldPartition } from "../sim/fold_run.ts";
import { createIngestClient, type SendOutcome } from "./client.ts";
import { type IngestProcess, startIngest } from "./testing/process.ts";

const PARTITIONS = 3;
let broker: KafkaBroker;
Deno.test.beforeEach(async () => {
  broker = await startKafka();
});
Deno.test.afterEach(async () => {
  await broker.remove();
});

const onKafka = (topic: string, more: Record<string, string> = {}) =>
  startIngest({
    ISOTHERM_LOG: `kafka://${broker.address}/${topic}`,
    ISOTHERM_PARTITIONS: String(PARTITIONS),
    ISOTHERM_TRACE: "error",
    ...more,
  });

interface Attempt {
  readonly sentMs: number;
  readonly tookMs: number;
  readonly status: number;
}

/** A fleet that sends until it is told to stop: a reading at a time for each device, again until it is acknowledged. */
function startFleet(url: () => string, devices: number) {
  const stop = new AbortController();
  const attempts: Attempt[] = [];
  const acknowledged = new Map<string, number>();
  const run = async (device: string) => {
    for (let seq = 0; !stop.signal.aborted;) {
      const client = createIngestClient({ url: url(), key: null, clock: machineClock, answerMsMax: 10_000 });
      const sentMs = machineClock.monotonicMs();
      const reading = { seq, ts: machineClock.nowMs(), temperature_c: 20 + seq % 10, humidity_pct: 50 };
      const outcome: SendOutcome | null = await client.send({ device, boot: 1, readings: [reading] }).catch(
        () => null,
      );
      const status = outcome === null ? 0 : outcome.kind === "accepted" ? 202 : outcome.status;
      attempts.push({ sentMs, tookMs: machineClock.monotonicMs() - sentMs, status });
      if (status === 202) acknowledged.set(device, seq++);
      await machineClock.sleep(20);
    }
  };
  const running = Promise.all(Array.from({ length: devices }, (_, i) => run(`device-${i}`)));
  return {
    attempts,
    acknowledged,
    async stop() {
      stop.abort();
      await running;
    },
  };
}

async function recordsOf(topic: string): Promise<LogRecord[]> {
  const log = await openKafkaLog({
    brokers: [broker.address],
    topic,
    partitions: PARTITIONS,
    clock: machineClock,
    group: `check-${topic}`,
  });
  const records: LogRecord[] = [];
  await log.reader.join({
    async assigned(partitions) {
      for (const partition of partitions) {
        const { next } = await log.reader.range(partition);
        for (let offset = 0; offset < next;) {
          const read = await log.reader.read(partition, offset, {
            recordsMax: 5_000,
            bytesMax: 8e6,
            waitMs: 1_000,
          });
          assert.ok(read.kind === "records");
          records.push(...read.records);
          offset = (records.at(-1)?.offset ?? offset) + 1;
        }
      }
      done.resolve();
    },
    revoked: () => Promise.resolve(),
  });
  await done.promise;
  await log.close();
  return records;
}
let done = Promise.withResolvers<void>();

/** Everything acknowledged is in the log, and counted once. */
async function checkLog(topic: string, acknowledged: ReadonlyMap<string, number>) {
  done = Promise.withResolvers();
  const records = await recordsOf(topic);
  const seqs = new Map<string, Set<number>>();
  for (const { key, value } of records) {
    const { readings } = JSON.parse(new TextDecoder().decode(value!)) as { readings: { seq: number }[] };
    const seen = seqs.get(key!) ?? new Set();
    for (const { seq } of readings) seen.add(seq);
    seqs.set(key!, seen);
  }
  for (const [device, last] of acknowledged) {
    for (let seq = 0; seq <= last; seq++) {
      assert.ok(seqs.get(device)?.has(seq), `${device} ${seq} is not in the log`);
    }
  }
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { rows } = foldPartition(records, defaultConfig, partition, PARTITIONS, { batchRecords: 1_000 });
    const counted = new Set(rows.readings.map(({ device, seq }) => `${device} ${seq}`));
    assert.equal(counted.size, rows.readings.length, "no reading is counted twice");
    for (const [device, last] of acknowledged) {
      if (!rows.devices.has(device)) continue;
      for (let seq = 0; seq <= last; seq++) {
        assert.ok(counted.has(`${device} ${seq}`), `${device} ${seq} isn't counted`);
      }
    }
  }
  return records.length;
}

const percentile = (values: readonly number[], share: number) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length * share)] ?? NaN;

const statusOf = async (url: string) => {
  const response = await fetch(url).catch(() => null);
  await response?.body?.cancel();
  return response?.status ?? 0;
};

Deno.test("with the broker killed, requests are refused within 100 ms, and taken again after its return", async () => {
  await using ingest = await onKafka("away");
  const fleet = startFleet(() => ingest.url, 20);
  await machineClock.sleep(1_500);
  assert.equal(await statusOf(`${ingest.url}/readyz`), 200);
  await broker.stop("SIGKILL");
  const killedMs = machineClock.monotonicMs();
  while (await statusOf(`${ingest.url}/readyz`) !== 503 && machineClock.monotonicMs() - killedMs < 10_000) {
    await machineClock.sleep(10);
  }
  const seenMs = machineClock.monotonicMs();
  // kafkajs alone takes 1.7 s of retries.
  assert.ok(seenMs - killedMs < 1_200, `seen to be away after ${seenMs - killedMs} ms`);
  assert.equal(await statusOf(`${ingest.url}/readyz`), 503);
  await machineClock.sleep(2_000);
  const away = fleet.attempts.filter(({ sentMs }) => sentMs > seenMs);
  assert.ok(away.length > 50);
  assert.deepEqual(new Set(away.map(({ status }) => status)), new Set([503]));
  // The median: with a broker, a fleet and a test on two cores, the slowest of them wait for a core.
  const tookToRefuseMs = percentile(away.map(({ tookMs }) => tookMs), 0.5);
  assert.ok(tookToRefuseMs <= 100, `refused after ${tookToRefuseMs} ms`);
  await broker.start();
  const backMs = machineClock.monotonicMs();
  const isBack = () => fleet.attempts.some(({ sentMs, status }) => sentMs > killedMs && status === 202);
  while (!isBack() && machineClock.monotonicMs() - backMs < 20_000) await machineClock.sleep(20);
  const tookMs = machineClock.monotonicMs() - backMs;
  assert.equal(await statusOf(`${ingest.url}/readyz`), 200);
  await fleet.stop();
  console.log(
    `seen to be away after ${(seenMs - killedMs).toFixed(0)} ms; refused after ${
      tookToRefuseMs.toFixed(0)
    } ms (median of ${away.length}); a reading was taken ` +
      `${tookMs.toFixed(0)} ms after the broker accepted connections again`,
  );
  // A broker that listens isn't one that leads its partitions yet; Kafka takes about 3 s for that after a kill.
  assert.ok(tookMs < 8_000, `back after ${tookMs} ms`);
  await checkLog("away", fleet.acknowledged);
  assert.equal((await ingest.stop("SIGTERM")).code, 0);
});

Deno.test("a broker that hangs is given up by the deadline, then refused at once", async () => {
  await using ingest = await onKafka("hangs");
  const fleet = startFleet(() => ingest.url, 10);
  await machineClock.sleep(1_000);
  broker.freeze();
  const frozenMs = machineClock.monotonicMs();
  await machineClock.sleep(5_000);
  const late = fleet.attempts.filter(({ sentMs }) => sentMs > frozenMs + 3_500);
  broker.thaw();
  assert.ok(late.length > 20, "requests are answered while the broker hangs");
  assert.ok(percentile(late.map(({ tookMs }) => tookMs), 0.5) <= 100);
  const thawedMs = machineClock.monotonicMs();
  const isBack = () => fleet.attempts.some(({ sentMs, status }) => sentMs > thawedMs && status === 202);
  while (!isBack() && machineClock.monotonicMs() - thawedMs < 10_000) await machineClock.sleep(20);
  const tookMs = machineClock.monotonicMs() - thawedMs;
  assert.ok(tookMs < 5_000, `back after ${tookMs} ms`);
  await fleet.stop();
  await checkLog("hangs", fleet.acknowledged);
});

/** CPU seconds that a process has taken. By `cat`: Deno itself reads /proc only with all rights. */
async function cpuSecondsOf(pid: number): Promise<number> {
  const { stdout } = await new Deno.Command("cat", { args: [`/proc/${pid}/stat`] }).output();
  const text = new TextDecoder().decode(stdout);
  const fields = text.slice(text.indexOf(") ") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

Deno.test("an idle ingest takes next to nothing of a core", async () => {
  await using ingest = await onKafka("idle");
  await machineClock.sleep(2_000);
  const [beforeSeconds, startMs] = [await cpuSecondsOf(ingest.pid), machineClock.monotonicMs()];
  await machineClock.sleep(10_000);
  const seconds = (machineClock.monotonicMs() - startMs) / 1_000;
  const share = (await cpuSecondsOf(ingest.pid) - beforeSeconds) / seconds;
  console.log(`idle: ${(share * 100).toFixed(2)} % of a core`);
  assert.ok(share < 0.05, `${(share * 100).toFixed(1)} % of a core`);
});

/** In CI 5; `deno task soak:ingest` sets 50. */
const KILLS = Number(Deno.env.get("ISOTHERM_KILLS") ?? 5);

Deno.test(`ingest and broker killed ${KILLS} times under load: what is acknowledged is in the log, counted once`, async () => {
  let ingest: IngestProcess = await onKafka("kills");
  const port = new URL(ingest.url).port;
  const fleet = startFleet(() => ingest.url, 20);
  for (let kill = 0; kill < KILLS; kill++) {
    await machineClock.sleep(500 + 130 * (kill % 7));
    if (kill % 5 === 4) {
      await broker.stop("SIGKILL");
      await broker.start();
      continue;
    }
    await ingest.stop("SIGKILL");
    ingest = await onKafka("kills", { ISOTHERM_PORT: port });
  }
  const before = fleet.attempts.length;
  const isBack = () => fleet.attempts.slice(before).some(({ status }) => status === 202);
  for (let tries = 0; tries < 600 && !isBack(); tries++) await machineClock.sleep(50);
  await fleet.stop();
  const acknowledged = [...fleet.acknowledged.values()].reduce((sum, last) => sum + last + 1, 0);
  assert.ok(acknowledged > 60 * KILLS, `${acknowledged} readings were acknowledged`);
  const records = await checkLog("kills", fleet.acknowledged);
  console.log(
    `${KILLS} kills, ${fleet.attempts.length} requests, ${acknowledged} acknowledged, ${records} records`,
  );
  await ingest.stop("SIGTERM");
});
