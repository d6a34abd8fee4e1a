import assert from "node:assert/strict";
import { defaultConfig } from "../core/config.ts";
import { MemoryDisk } from "../core/testing/memory_store.ts";
import type { SimLog } from "../sim/log.ts";
import type { AggregatorConfig } from "./config.ts";
import { configHash } from "./hashes.ts";
import { MINUTE, reading, SECOND, T0, world } from "./testing/world.ts";

const minutesOf = (disk: MemoryDisk) =>
  [...disk.windows.values()].filter((row) => row.windowSize === "1m").map((
    row,
  ) => [row.readings, row.closedBy]);

Deno.test("a silent partition's window is closed by a tick of its owner, at its due time plus a second", async () => {
  const { log, disks, append, start, passTime } = world();
  const worker = start();
  void append(reading(0, T0));
  await passTime(6 * MINUTE);
  assert.deepEqual(minutesOf(disks[0]!), []);
  assert.equal(log.records(0).length, 2); // the owner record, the reading
  await passTime(2 * SECOND);
  assert.deepEqual(minutesOf(disks[0]!), [[1, "silence"]]);
  assert.equal(log.records(0).at(-1)!.headers["isotherm-kind"], "tick");
  await passTime(10 * MINUTE);
  assert.equal(log.records(0).length, 3, "nothing more is due before the hour ends");
  await worker.stop();
});

Deno.test("in replay nothing is appended", async () => {
  const { log, append, start, passTime } = world();
  void append(reading(0, T0));
  await passTime(SECOND);
  const worker = start({ replay: true });
  await passTime(10 * MINUTE);
  await worker.stop();
  assert.equal(log.records(0).length, 1);
});

Deno.test("a restart goes on at the stored position, and counts nothing twice", async () => {
  const { disks, append, start, passTime } = world();
  for (let run = 0; run < 3; run++) {
    const worker = start();
    void append(reading(run, T0 + run * SECOND));
    await passTime(2 * SECOND);
    await worker.stop();
  }
  const desk = disks[0]!.devices.get("desk")!;
  assert.deepEqual([desk.counted, desk.duplicates, disks[0]!.readings.length], [3, 0, 3]);
});

Deno.test("a full disk is waited for, and the transaction is kept once there is room", async () => {
  const { disks, append, start, passTime } = world();
  const worker = start();
  await passTime(SECOND);
  disks[0]!.commitsToRefuse = 3;
  void append(reading(0, T0));
  await passTime(SECOND);
  assert.equal(worker.aggregator.status()[0]!.state, "waiting");
  assert.match(worker.aggregator.status()[0]!.sentence ?? "", /disk is full/);
  await passTime(5 * SECOND);
  assert.equal(worker.aggregator.status()[0]!.state, "running");
  assert.equal(disks[0]!.devices.get("desk")!.counted, 1);
  await worker.stop();
});

Deno.test("another log in the place of the old one is refused, whatever is different", async (t) => {
  const cases: [string, (log: SimLog) => void, RegExp][] = [
    ["a log that ends earlier", (log) => log.truncate(0, 1), /ends at 1, but rows up to 2 are stored/],
    [
      "expired records",
      (log) => log.expire(0, 3),
      /records 2 to 2 of partition 0 have expired .* --accept-gap/,
    ],
  ];
  for (const [name, damage, sentence] of cases) {
    await t.step(name, async () => {
      const { log, append, start, passTime } = world();
      const first = start();
      void append(reading(0, T0));
      await passTime(2 * SECOND);
      await first.stop();
      if (name === "expired records") {
        void append(reading(1, T0));
        await passTime(SECOND);
      }
      damage(log);
      const second = start();
      await passTime(2 * SECOND);
      assert.match(second.failure() ?? "", sentence);
      await second.stop();
    });
  }
});

Deno.test("a record that differs from the one the rows end with is refused", async () => {
  const one = world();
  const first = one.start();
  void one.append(reading(0, T0));
  await one.passTime(2 * SECOND);
  await first.stop();

  const other = world();
  other.disks[0] = one.disks[0]!;
  void other.append(null);
  void other.append(reading(0, T0 + 1));
  void other.append(reading(1, T0 + 2));
  await other.passTime(SECOND);
  const second = other.start();
  await other.passTime(2 * SECOND);
  assert.match(second.failure() ?? "", /is not the one that the stored rows end with: this is another log/);
  await second.stop();
});

Deno.test("an expired gap is skipped with --accept-gap", async () => {
  const { log, disks, append, start, passTime } = world();
  void append(reading(0, T0));
  void append(reading(1, T0));
  await passTime(SECOND);
  log.expire(0, 1);
  const worker = start({ acceptGap: true });
  await passTime(2 * SECOND);
  assert.equal(disks[0]!.devices.get("desk")!.counted, 1);
  assert.deepEqual(disks[0]!.gaps, [{ partition: 0, fromOffset: 0, toOffset: 0, appendMs: 0 }]);
  await worker.stop();
});

Deno.test("rows of another configuration or partition count are refused with what is different", async () => {
  const one = world();
  const first = one.start();
  void one.append(reading(0, T0));
  await one.passTime(2 * SECOND);
  await first.stop();

  const second = one.start({ judge: { ...defaultConfig, idleMs: 60_000 } });
  await one.passTime(2 * SECOND);
  assert.match(second.failure() ?? "", /made with another configuration of windows or bounds/);
  await second.stop();

  const wider = world(2);
  wider.disks[0] = one.disks[0]!;
  const third = wider.start();
  await wider.passTime(2 * SECOND);
  assert.match(third.aggregator.status()[0]!.sentence ?? "", /a log of 1 partitions, this one has 2/);
  await third.stop();
});

Deno.test("rows of another configuration are made anew if the log has its first record, else refused with what to do", async () => {
  const { log, disks, append, start, passTime } = world();
  const other = configHash({ ...defaultConfig, idleMs: 60_000 }, 1);
  void append(reading(0, T0));
  void append(reading(1, T0));
  await passTime(SECOND);
  const whole = start({}, other);
  await passTime(2 * SECOND);
  assert.equal(whole.failure(), null);
  assert.equal(disks[0]!.devices.get("desk")!.counted, 2);
  await whole.stop();

  log.expire(0, 1);
  const refused = start({}, other);
  await passTime(2 * SECOND);
  assert.equal(
    refused.failure(),
    "the stored rows were made with another configuration of windows or bounds, and can't be made anew from the log, " +
      "which no longer has its first 1 records: go back to that configuration, or start with a new data folder " +
      "(ISOTHERM_DATA) and --accept-gap, which makes rows of what the log still has while the old ones stay readable",
  );
  await refused.stop();
  // As the sentence says.
  disks[0] = new MemoryDisk();
  const anew = start({ acceptGap: true });
  await passTime(2 * SECOND);
  assert.equal(disks[0]!.devices.get("desk")!.counted, 1);
  await anew.stop();

  const ofTwo = start({}, configHash(defaultConfig, 2));
  await passTime(2 * SECOND);
  assert.match(
    ofTwo.failure() ?? "",
    /a log of 2 partitions, this one has 1: devices would change their partition/,
  );
  await ofTwo.stop();
});

Deno.test("a worker that reads another's newer owner record stops before what follows it", async () => {
  const { disks, append, start, passTime } = world();
  const worker = start();
  await passTime(SECOND);
  const owner = { "isotherm": "1", "isotherm-kind": "owner" };
  void append({ worker: "another" }, owner);
  void append(reading(0, T0));
  await passTime(2 * SECOND);
  const { state, sentence } = worker.aggregator.status()[0]!;
  assert.deepEqual([state, sentence], ["superseded", "it was taken by another worker (owner record 1)"]);
  assert.equal(disks[0]!.devices.size, 0);
  await worker.stop();
});

Deno.test("a partition that the log still assigns to a superseded worker is taken again, so that somebody has it", async () => {
  const { disks, append, start, passTime } = world();
  const worker = start();
  await passTime(SECOND);
  void append({ worker: "a zombie whose append was slow" }, { "isotherm": "1", "isotherm-kind": "owner" });
  void append(reading(0, T0));
  await passTime(9 * SECOND);
  assert.equal(disks[0]!.devices.size, 0);
  await passTime(3 * SECOND);
  assert.equal(disks[0]!.devices.get("desk")?.counted, 1);
  assert.equal(worker.aggregator.status()[0]!.state, "running");
  assert.equal(worker.failure(), null);
  await worker.stop();
});

Deno.test("a superseded worker to whom the log gives its partition anew takes it at once, before or after", async () => {
  for (const isBefore of [true, false]) {
    const { disks, append, start, passTime } = world();
    const worker = start();
    await passTime(SECOND);
    if (isBefore) void worker.giveAnew();
    void append({ worker: "it is late" }, { "isotherm": "1", "isotherm-kind": "owner" });
    void append(reading(0, T0));
    await passTime(SECOND);
    if (!isBefore) void worker.giveAnew();
    await passTime(2 * SECOND);
    assert.equal(disks[0]!.devices.get("desk")?.counted, 1);
    await worker.stop();
  }
});

Deno.test("waits for a partition don't add up over the calm between", async () => {
  const { disks, append, start, passTime } = world();
  const worker = start();
  for (let seq = 0; seq < 3; seq++) {
    await passTime(60 * SECOND);
    void append({ worker: `late ${seq}` }, { "isotherm": "1", "isotherm-kind": "owner" });
    void append(reading(seq, T0 + seq * SECOND));
    await passTime(12 * SECOND);
    assert.equal(disks[0]!.devices.get("desk")?.counted, seq + 1);
  }
  await worker.stop();
});

Deno.test("an unknown version stops the partition with a sentence, after what came before it", async () => {
  const { disks, append, start, passTime } = world();
  const worker = start();
  await passTime(SECOND);
  void append(reading(0, T0));
  void append(reading(1, T0), { isotherm: "2" });
  void append(reading(2, T0));
  await passTime(2 * SECOND);
  assert.match(worker.failure() ?? "", /has version "2", this build reads 1/);
  assert.equal(disks[0]!.devices.get("desk")!.counted, 1);
  await worker.stop();
});

/** Commits that it takes to catch up with 600 readings, which are all there in the end. */
async function commitsToCatchUp(config: Partial<AggregatorConfig>): Promise<number> {
  const { disks, append, start, passTime } = world();
  for (let seq = 0; seq < 600; seq++) void append(reading(seq, T0 + seq * 10));
  await passTime(10 * SECOND);
  const worker = start({ replay: true, recordsPerReadMax: 50, commitEveryMs: 60 * SECOND, ...config });
  await passTime(20 * SECOND);
  await worker.stop();
  assert.equal(disks[0]!.devices.get("desk")!.counted, 600);
  assert.deepEqual(disks[0]!.readings.map(({ seq }) => seq), Array.from({ length: 600 }, (_, seq) => seq));
  return disks[0]!.commits;
}

Deno.test("while the log is ahead a transaction takes in several reads, within its bounds", async () => {
  assert.equal(await commitsToCatchUp({}), 1);
  assert.equal(await commitsToCatchUp({ recordsPerCommitMax: 120 }), 5);
  assert.equal(await commitsToCatchUp({ rowsPerCommitMax: 120 }), 6);
  assert.equal(await commitsToCatchUp({ rowsPerCommitMax: 40 }), 12); // a read of 50 comes alone
  assert.equal(await commitsToCatchUp({ commitEveryMs: 0 }), 12);
});

Deno.test("who is asked to stop while it catches up keeps what it has folded", async () => {
  const { disks, append, start, passTime } = world();
  for (let seq = 0; seq < 600; seq++) void append(reading(seq, T0 + seq * 10));
  await passTime(10 * SECOND);
  const worker = start({ replay: true, recordsPerReadMax: 50, commitEveryMs: 60 * SECOND });
  // Reading takes no time here: a few turns of promises are a few reads.
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
  assert.equal(disks[0]!.commits, 0);
  await worker.stop();
  assert.equal(disks[0]!.commits, 1);
  const { nextOffset } = disks[0]!.position!;
  assert.ok(nextOffset >= 50 && nextOffset < 600, `stopped at ${nextOffset}`);
  assert.equal(disks[0]!.readings.length, nextOffset);
});

/** Appends a reading a second, so many of them. */
async function sendEverySecond({ append, passTime }: ReturnType<typeof world>, seconds: number) {
  for (let seq = 0; seq < seconds; seq++) {
    void append(reading(seq, T0 + seq * SECOND));
    await passTime(SECOND);
  }
}

Deno.test("publications that take a second are five seconds apart, and it is told", async () => {
  const all = world();
  all.group.hasPublished = false;
  all.publishing.takesMs = SECOND;
  const worker = all.start({ publishEveryMs: 2 * SECOND });
  await sendEverySecond(all, 30);
  const { begun } = all.publishing;
  assert.ok(begun.length >= 5 && begun.length <= 7, `${begun.length} publications`);
  for (const [at, ms] of begun.slice(1).entries()) assert.ok(ms - begun[at]! >= 5 * SECOND, begun.join());
  assert.equal(worker.aggregator.status()[0]!.publishEveryMs, 5 * SECOND);
  all.publishing.takesMs = 0;
  await sendEverySecond(all, 20);
  assert.equal(worker.aggregator.status()[0]!.publishEveryMs, 2 * SECOND);
  await worker.stop();
});

Deno.test("nothing is folded while the open windows of a publication are drawn, and it goes on before its end", async () => {
  const all = world();
  all.group.hasPublished = false;
  all.publishing.drawsMs = 3 * SECOND;
  all.publishing.takesMs = MINUTE;
  const worker = all.start({ publishEveryMs: 2 * SECOND });
  await sendEverySecond(all, 12);
  const { begun, drawn } = all.publishing;
  assert.equal(begun.length, 1);
  // Of the minute, the hour and the day; the readings that came while they were drawn are not among them.
  const before = Math.floor(begun[0]! / SECOND) + 1;
  assert.deepEqual(drawn, [3 * before], `begun after ${begun[0]} ms`);
  assert.equal(all.disks[0]!.devices.get("desk")!.counted, 12, "and what came meanwhile is folded now");
  await all.passTime(2 * MINUTE);
  await worker.stop();
});
