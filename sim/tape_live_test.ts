/** The commands `tape record --from-log` and `replay --through kafka://…` on a real broker. Needs Java 17 and Maven. */
import assert from "node:assert/strict";
import { partitionOf } from "../core/murmur2.ts";
import { joinAll } from "../core/testing/log_contract.ts";
import { machineClock } from "../platform/clock.ts";
import { openKafkaLog } from "../platform/kafka/log.ts";
import { startKafka } from "../platform/testing/kafka_broker.ts";
import { Process, taskArgs } from "../platform/testing/process.ts";
import { readTape, writeTape } from "./tape.ts";

const PARTITIONS = 2;

async function run(
  task: "tape" | "replay",
  args: readonly string[],
): Promise<{ code: number; text: string }> {
  await using process = new Process({ args: [...await taskArgs(task), ...args] });
  const { code } = await process.end(120_000);
  return { code, text: process.text };
}

const digestIn = (text: string): string => /digest: ([0-9a-f]{64})/.exec(text)?.[1] ?? text;

Deno.test({
  name: "a slice of a real topic becomes a tape, and the tape gives its digest through every kind of log",
  // kafkajs's retries outlive a connection that was cut, for a few seconds.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "isotherm-tape-live-" });
    const broker = await startKafka();
    try {
      const halfMs = await fillTopic(broker.address);
      const address = `kafka://${broker.address}/readings`;
      const from = ["record", "--from-log", address, "--partitions", `${PARTITIONS}`, "--windows", "10s,1m"];
      const whole = await run("tape", [...from, "--to", `${folder}/whole.tape.gz`]);
      assert.equal(whole.code, 0, whole.text);
      const half = await run("tape", [
        ...[...from, "--until", new Date(halfMs).toISOString(), "--to", `${folder}/half.tape.gz`],
      ]);
      assert.equal(half.code, 0, half.text);
      const rest = await run("tape", [
        ...[...from, "--since", new Date(halfMs).toISOString(), "--to", `${folder}/rest.tape.gz`],
      ]);
      assert.equal(rest.code, 0, rest.text);
      const [tape, first, second] = await Promise.all(
        ["whole", "half", "rest"].map(async (name) =>
          await readTape(await Deno.readFile(`${folder}/${name}.tape.gz`))
        ),
      );
      assert.equal(tape!.records.length, 80);
      assert.deepEqual([first!.records.length, second!.records.length], [40, 40]);
      assert.ok(tape!.closed > 20, `${tape!.closed} closed windows`);
      assert.notEqual(digestIn(half.text), digestIn(whole.text));
      for (const [name, made] of [["whole", whole], ["half", half], ["rest", rest]] as const) {
        for (const through of ["sim", "embedded", `kafka://${broker.address}/again`]) {
          const file = `${folder}/${name}.tape.gz`;
          const replayed = await run("replay", [
            file,
            "--through",
            through,
            "--batch",
            "7",
            "--workers",
            "1",
          ]);
          assert.equal(replayed.code, 0, `${through}: ${replayed.text}`);
          assert.equal(digestIn(replayed.text), digestIn(made.text), through);
        }
      }
      await Deno.writeFile(`${folder}/wrong.tape.gz`, await writeTape({ ...tape!, digest: "0".repeat(64) }));
      const wrong = await run("replay", [
        `${folder}/wrong.tape.gz`,
        "--through",
        `kafka://${broker.address}/wrong`,
      ]);
      assert.equal(wrong.code, 1);
      assert.match(wrong.text, /the digest is [0-9a-f]{64}, the tape says 0{64}/);
    } finally {
      await broker.remove();
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** 40 batches of two devices, a pause, 40 more. Gives an append time between them. */
async function fillTopic(address: string): Promise<number> {
  const log = await openKafkaLog({
    ...{ brokers: [address], topic: "readings", partitions: PARTITIONS, group: "fill", clock: machineClock },
  });
  try {
    await joinAll(log.reader);
    const startMs = Math.floor(machineClock.nowMs() / 60_000) * 60_000 - 600_000;
    const send = async (from: number, to: number) => {
      for (let batch = from; batch < to; batch++) {
        const device = `desk-${batch % 2}`;
        const readings = Array.from({ length: 5 }, (_, i) => {
          const seq = (batch >> 1) * 5 + i;
          return { seq, ts: startMs + seq * 2_000, temperature_c: 20 + (seq % 50) / 10, humidity_pct: 40 };
        });
        const value = new TextEncoder().encode(
          JSON.stringify({ device, boot: 1, every_ms: 2_000, readings }),
        );
        await log.writer.append([{
          partition: partitionOf(device, PARTITIONS),
          key: device,
          value,
          headers: {},
        }]);
      }
    };
    await send(0, 40);
    await machineClock.sleep(50);
    const halfMs = Math.ceil(machineClock.nowMs());
    await machineClock.sleep(50);
    await send(40, 80);
    return halfMs;
  } finally {
    await log.close();
  }
}
