/** Many workers on a real Kafka, each with private files of its own, one folder that they publish to. */
import assert from "node:assert/strict";
import { parseManifest } from "../core/manifest.ts";
import { partitionOf } from "../core/murmur2.ts";
import { noMetrics } from "../core/ports/metrics.ts";
import type { Log, NewRecord } from "../core/ports/log.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { machineClock } from "../platform/clock.ts";
import { openLogAt } from "../platform/log_address.ts";
import { machineRandom } from "../platform/random.ts";
import { type KafkaBroker, startKafka } from "../platform/testing/kafka_broker.ts";
import { seededRandom } from "../sim/random.ts";
import { below } from "../core/ports/random.ts";

const PARTITIONS = 4;
const DEVICES = 40;
const START_MS = 1_767_225_600_000;
const PERMISSIONS = ["read", "write", "net", "env", "ffi", "sys"].map((name) => `--allow-${name}`);

class Worker {
  readonly child: Deno.ChildProcess;

  constructor(broker: KafkaBroker, folder: string, name: string, publish: string, replay = false) {
    this.child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", ...PERMISSIONS, new URL("main.ts", import.meta.url).pathname],
      env: {
        ISOTHERM_LOG: `kafka://${broker.address}/readings`,
        ISOTHERM_PARTITIONS: String(PARTITIONS),
        ISOTHERM_DATA: `${folder}/${name}`,
        ISOTHERM_PUBLISH: publish,
        ISOTHERM_WORKER: name,
        ISOTHERM_AGGREGATOR_PORT: "0",
        ISOTHERM_PUBLISH_EVERY_MS: "300",
        ISOTHERM_REPLAY: replay ? "1" : "0",
        ISOTHERM_TRACE: "error",
      },
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
  }

  async end(signal: Deno.Signal): Promise<void> {
    this.child.kill("SIGCONT");
    this.child.kill(signal);
    await this.child.status;
  }
}

/** Position and digest of each partition; null where nothing is published. */
async function published(
  folder: string,
): Promise<Map<number, { next: number; epoch: number; digest: string }>> {
  const text = await Deno.readTextFile(`${folder}/published/manifest.json`).catch(() => null);
  if (text === null) return new Map();
  return new Map(
    parseManifest(text).partitions.map((each) => [
      each.partition,
      { next: each.nextOffset, epoch: each.epoch, digest: each.rowDigest },
    ]),
  );
}

async function until(what: string, isTrue: () => Promise<boolean>, msMax = 60_000): Promise<void> {
  for (const deadlineMs = Date.now() + msMax; !await isTrue();) {
    if (Date.now() > deadlineMs) throw new Error(`${what}: not within ${msMax} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

interface World {
  readonly broker: KafkaBroker;
  readonly log: Log;
  readonly folder: string;
  readonly publish: string;
  /** Appends one reading a device for each of so many slots. */
  send(slots: number): Promise<void>;
  /** Waits until everything appended is published. */
  drained(publish?: string): Promise<void>;
  worker(name: string): Worker;
  /** What one worker makes of the whole log from the beginning, alone. */
  reference(): Promise<string[]>;
}

async function withWorld(body: (world: World) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-workers-" });
  const broker = await startKafka({ folder: `${folder}/kafka` });
  const ports = { clock: machineClock, random: machineRandom, trace: silentTrace, metrics: noMetrics };
  const log = await openLogAt(`kafka://${broker.address}/readings`, PARTITIONS, ports);
  const publish = `${folder}/shared`;
  const workers: Worker[] = [];
  const ends = new Map<number, number>();
  let slot = 0;
  const world: World = {
    ...{ broker, log, folder, publish },
    async send(slots) {
      for (const until = slot + slots; slot < until; slot++) {
        const records: NewRecord[] = [];
        for (let i = 0; i < DEVICES; i++) {
          const device = `device-${i}`;
          const reading = {
            device,
            boot: 1,
            seq: slot,
            ts: START_MS + 10_000 * slot,
            temperature_c: (slot + i) % 30,
          };
          records.push({
            partition: partitionOf(device, PARTITIONS),
            key: device,
            value: new TextEncoder().encode(JSON.stringify(reading)),
            headers: {},
          });
        }
        for (const { partition, offset } of await log.writer.append(records)) ends.set(partition, offset + 1);
      }
    },
    drained: (where = publish) =>
      until("everything is published", async () => {
        const now = await published(where);
        return [...ends].every(([partition, end]) => (now.get(partition)?.next ?? 0) >= end);
      }),
    worker(name) {
      const worker = new Worker(broker, folder, name, publish);
      workers.push(worker);
      return worker;
    },
    async reference() {
      const alone = `${folder}/alone`;
      const worker = new Worker(broker, folder, "alone-private", alone);
      workers.push(worker);
      await world.drained(alone);
      await worker.end("SIGTERM");
      return digests(await published(alone));
    },
  };
  try {
    await body(world);
  } finally {
    for (const worker of workers) await worker.end("SIGKILL").catch(() => {});
    await log.close();
    await broker.remove();
    await Deno.remove(folder, { recursive: true });
  }
}

const digests = (all: Awaited<ReturnType<typeof published>>) =>
  [...all].sort(([a], [b]) => a - b).map(([partition, { digest }]) => `${partition} ${digest}`);

Deno.test("five rebalances with kills, joins and leaves lose nothing and double nothing: one digest with 1, 2 and 4 workers", async () => {
  await withWorld(async (world) => {
    const random = seededRandom(1);
    const running = [world.worker("a")];
    await world.send(50);
    await world.drained();
    for (const [round, count] of [2, 4, 2, 3, 1].entries()) {
      while (running.length > count) {
        const [worker] = running.splice(below(random, running.length), 1);
        await worker!.end(round % 2 === 0 ? "SIGKILL" : "SIGTERM");
      }
      while (running.length < count) running.push(world.worker(`w${round}-${running.length}`));
      await world.send(50);
    }
    await world.drained();
    for (const worker of running) await worker.end("SIGTERM");
    const many = digests(await published(world.publish));
    assert.equal(many.length, PARTITIONS);
    assert.deepEqual(many, await world.reference());
  });
});

Deno.test("a stopped process that wakes after its partitions have moved changes nothing that readers see", async () => {
  await withWorld(async (world) => {
    const first = world.worker("first");
    await world.send(50);
    await world.drained();
    first.child.kill("SIGSTOP");
    await world.send(50);
    const second = world.worker("second");
    await world.drained();
    const before = await published(world.publish);
    first.child.kill("SIGCONT");
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const after = await published(world.publish);
    for (const [partition, { epoch, next }] of before) {
      assert.ok(after.get(partition)!.epoch >= epoch, "no older owner's rows are shown");
      assert.ok(after.get(partition)!.next >= next, "nothing is taken back");
    }
    await world.send(10);
    await world.drained();
    for (const worker of [first, second]) await worker.end("SIGTERM");
    assert.deepEqual(digests(await published(world.publish)), await world.reference());
  });
});
