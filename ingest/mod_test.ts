import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import type { IngestLimits } from "./limits.ts";
import { inWorld, START_MS } from "./testing/world.ts";

const READING = { seq: 0, ts: START_MS - 1_000, temperature_c: 21.4, humidity_pct: 48.2 };
const batch = (fields: Record<string, unknown> = {}) =>
  JSON.stringify({ device: "desk", boot: 7, readings: [READING], ...fields });

Deno.test("a batch is answered with 202 once it is in the log, byte for byte, under its device's key", async () => {
  await inWorld(async ({ accepted, records, values, scheduler }) => {
    const body = `  ${batch()}\n`;
    const answer = await accepted(body);
    assert.deepEqual(answer, { accepted: 1, flagged: [], now: scheduler.nowMs, credit: 4096 });
    assert.deepEqual(values(), [body]);
    const [record] = records();
    assert.equal(record!.key, "desk");
    assert.deepEqual(record!.headers, { isotherm: "1" });
  });
});

Deno.test("a record goes to its device's partition, as Kafka's own tools would send it", async () => {
  await inWorld(async ({ accepted, log }) => {
    for (const device of ["desk", "greenhouse-3", "Küche", "🌡"]) await accepted(batch({ device }));
    const keys = [0, 1, 2, 3].map((partition) => log.records(partition).map(({ key }) => key));
    assert.deepEqual(keys, [["desk"], ["greenhouse-3"], ["Küche"], ["🌡"]]);
  }, { partitions: 4 });
});

Deno.test("a plain reading of curl -d is a batch of one", async () => {
  await inWorld(async ({ accepted, values }) => {
    const body = '{"device":"desk","temperature_c":21.5,"humidity_pct":40}';
    const answer = await accepted(body, { "content-type": "application/x-www-form-urlencoded" });
    assert.equal(answer.accepted, 1);
    assert.deepEqual(values(), [body]);
  });
});

Deno.test("lines of NDJSON become a record each; blank lines and line ends don't matter", async () => {
  await inWorld(async ({ accepted, values }) => {
    const lines = [
      batch({ device: "a" }),
      batch({ device: "b", readings: [READING, READING] }),
      batch({ device: "c" }),
    ];
    const answer = await accepted(`${lines[0]}\r\n\n${lines[1]}\n  \n${lines[2]}`, {
      "content-type": "application/x-ndjson",
    });
    assert.equal(answer.accepted, 4);
    assert.deepEqual(values(), lines);
  });
});

Deno.test("bad readings are taken with the good ones of their batch and told apart in flagged", async () => {
  await inWorld(async ({ accepted, values }) => {
    const readings = [
      READING,
      { ...READING, seq: 1, temperature_c: -200 },
      { ...READING, seq: 2, ts: START_MS + 400_000 },
      { ...READING, seq: 3, ts: 1_000 },
      { ...READING, seq: 4, temperature_c: "warm" },
      { seq: 5, ts: START_MS, error: "checksum" },
    ];
    const body = batch({ readings });
    const answer = await accepted(body);
    assert.equal(answer.accepted, 6);
    assert.deepEqual(answer.flagged.map(({ index, reason }) => [index, reason]), [
      [1, "out_of_range"],
      [2, "future"],
      [3, "no_time"],
      [4, "malformed"],
    ]);
    assert.deepEqual(values(), [body]);
  });
});

Deno.test("the index of a flagged reading counts the readings of the whole request", async () => {
  await inWorld(async ({ accepted }) => {
    const bad = { ...READING, temperature_c: 300 };
    const lines = [batch({ readings: [READING, bad] }), batch({ readings: [bad] })].join("\n");
    const answer = await accepted(lines, { "content-type": "application/x-ndjson" });
    assert.deepEqual(answer.flagged.map(({ index }) => index), [1, 2]);
  });
});

for (
  const [type, bound] of [["application/json", "jsonBytesMax"], [
    "application/x-ndjson",
    "ndjsonBytesMax",
  ]] as const
) {
  Deno.test(`a body of ${type} has at most ${bound} bytes, also when its length isn't stated`, async () => {
    await inWorld(async ({ post }) => {
      const padded = (length: number) => batch().padEnd(length, " ");
      for (const [length, status] of [[499, 202], [500, 202], [501, 413]] as const) {
        const body = padded(length);
        const stated = { "content-type": type, "content-length": String(length) };
        assert.equal((await post(body, stated)).status, status, `${length} stated`);
        const streamed = new Blob([body]).stream();
        assert.equal((await post(streamed, { "content-type": type })).status, status, `${length} streamed`);
      }
    }, { limits: { jsonBytesMax: 1_000_000, ndjsonBytesMax: 1_000_000, [bound]: 500 } });
  });
}

Deno.test("an answer lists flagged readings up to a bound and counts the rest", async () => {
  await inWorld(async ({ accepted }) => {
    const bad = (count: number) =>
      batch({
        readings: Array.from({ length: count }, (_, seq) => ({ ...READING, seq, humidity_pct: 255 })),
      });
    const few = await accepted(bad(3));
    assert.equal(few.flagged.length, 3);
    assert.ok(!("flagged_more" in few));
    const many = await accepted(bad(5));
    assert.deepEqual(many.flagged.map(({ index }) => index), [0, 1, 2]);
    assert.equal(many.flagged_more, 2);
  }, { limits: { flaggedListedMax: 3 } });
});

Deno.test("a request id is the sender's if it is harmless, else one of ours", async () => {
  await inWorld(async ({ post }) => {
    const idOf = async (sent: string) => {
      const response = await post("nonsense", { "x-request-id": sent });
      const { request_id: id } = await response.json();
      assert.equal(response.headers.get("x-request-id"), id);
      return id;
    };
    for (const sent of ["a", "A-1.b:c_2", "x".repeat(64)]) assert.equal(await idOf(sent), sent);
    for (const sent of ["", "x".repeat(65), "a b", "<script>", 'a"b', "ä"]) {
      assert.match(await idOf(sent), /^[0-9a-f]{16}$/, sent);
    }
  });
});

Deno.test("one line that is no batch refuses the whole request, naming every problem by its line", async () => {
  await inWorld(async ({ post, records }) => {
    const body = [batch(), '{"device":"","boot":-1,"readings":[]}', "nonsense"].join("\n");
    const response = await post(body, { "content-type": "application/x-ndjson", "x-request-id": "r-1" });
    assert.equal(response.status, 400);
    assert.equal(response.headers.get("content-type"), "application/problem+json");
    const document = await response.json();
    assert.equal(document.type, "/reference#no-batch");
    assert.equal(document.request_id, "r-1");
    assert.deepEqual(document.problems.map(({ path }: { path: string }) => path), [
      "/1/device",
      "/1/boot",
      "/1/readings",
      "/2",
    ]);
    assert.deepEqual(records(), []);
  });
});

Deno.test("with the log down requests are refused at once with 503 and Retry-After, and taken again after", async () => {
  await inWorld(async ({ post, log, ingest, records, scheduler, clock }) => {
    log.setDown(true);
    assert.equal((await post(batch())).status, 503); // the writer finds out
    const beforeMs = scheduler.nowMs;
    const response = await post(batch());
    assert.equal(response.status, 503);
    assert.ok(Number(response.headers.get("retry-after")) >= 1);
    assert.equal((await response.json()).type, "/reference#log-down");
    assert.ok(scheduler.nowMs - beforeMs <= 100, `${scheduler.nowMs - beforeMs} ms`);
    assert.equal(ingest.ready(), "the log does not take records now: keep them and send them again");
    log.setDown(false);
    const backMs = scheduler.nowMs;
    while (ingest.ready() !== null) await clock.sleep(10);
    assert.ok(scheduler.nowMs - backMs <= 2_000);
    assert.equal((await post(batch())).status, 202);
    assert.equal(records().length, 1);
  });
});

for (const window of [{ windowRecordsMax: 1 }, { windowBytesMax: 1 }]) {
  Deno.test(
    `a device with many requests at once is refused above its share, the others are not: ${
      Object.keys(window)
    }`,
    () => floodIsRefused(window),
  );
}

async function floodIsRefused(limits: Partial<IngestLimits>) {
  await inWorld(async ({ post }) => {
    const flood = Array.from({ length: 20 }, () => post(batch({ device: "flood" })));
    const others = ["a", "b", "c"].map((device) => post(batch({ device })));
    const statuses = (await Promise.all(flood)).map(({ status }) => status);
    assert.equal(statuses.filter((status) => status === 202).length, 9); // 1 under way, 8 waiting
    assert.equal(statuses.filter((status) => status === 429).length, 11);
    assert.deepEqual((await Promise.all(others)).map(({ status }) => status), [202, 202, 202]);
  }, { limits });
}

Deno.test("a device goes first as long as it has had little, however much another sends at once", async () => {
  const orderWith = async (turnBytes: number) => {
    let order: string[] = [];
    await inWorld(async ({ post, log }) => {
      const large = `{"device":"b","readings":[${
        Array(500).fill(`{"ts":${START_MS},"temperature_c":1}`).join(",")
      }]}`;
      const small = '{"device":"a","temperature_c":1}';
      const first = post('{"device":"first","temperature_c":1}');
      await Promise.all([first, post(large), post(small), post(small), post(small)]);
      order = log.records(0).map(({ key }) => key!);
    }, { limits: { windowRecordsMax: 1, turnBytes } });
    return order;
  };
  assert.deepEqual(await orderWith(16_384), ["first", "a", "a", "a", "b"]);
  assert.deepEqual(await orderWith(1), ["first", "a", "b", "a", "a"]);
});

Deno.test("Retry-After grows with what waits at the measured rate", async () => {
  await inWorld(async ({ post, accepted }) => {
    const reading = `{"ts":${START_MS},"temperature_c":1}`;
    const large = (device: string) =>
      `{"device":"${device}","readings":[${Array(4_096).fill(reading).join(",")}]}`;
    const floodOf = async (body: (device: string) => string) => {
      const flood = ["a", "b"].flatMap((device) => Array.from({ length: 12 }, () => post(body(device))));
      const refused = (await Promise.all(flood)).filter(({ status }) => status === 429);
      assert.ok(refused.length >= 6);
      return refused.map(({ headers }) => Number(headers.get("retry-after")));
    };
    const small = await floodOf((device) => `{"device":"${device}","temperature_c":1}`);
    assert.ok(Math.max(...small) <= 2, `${small}`);
    // The last of them meet with 16 requests of 4,096 readings, 3.3 s at the 20,000/s that are supposed at first.
    const waiting = await floodOf(large);
    assert.ok(Math.max(...waiting) >= 3 && Math.max(...waiting) <= 7, `${waiting}`);
    await accepted(batch());
  }, { limits: { windowRecordsMax: 1 } });
});

Deno.test("Retry-After has a bound", async () => {
  await inWorld(async ({ post }) => {
    const body = batch({ readings: Array(4_096).fill(READING) });
    const all = await Promise.all(Array.from({ length: 40 }, () => post(body)));
    const seconds = all.filter(({ status }) => status === 429).map(({ headers }) =>
      Number(headers.get("retry-after"))
    );
    assert.ok(seconds.length >= 30);
    assert.ok(Math.max(...seconds) <= 1, `${seconds}`);
  }, { limits: { windowRecordsMax: 1, retryAfterMsMax: 1_000 } });
});

Deno.test("a fleet that is refused in one moment is asked back at different ones", async () => {
  await inWorld(async ({ post, log }) => {
    log.setDown(true);
    const all = await Promise.all(Array.from({ length: 40 }, (_, i) => post(batch({ device: `d${i}` }))));
    const seconds = all.map(({ headers }) => Number(headers.get("retry-after")));
    for (const value of [1, 2]) {
      const share = seconds.filter((each) => each === value).length;
      assert.ok(share >= 10, `${share} of 40 shall come back after ${value} s`);
    }
  });
});

Deno.test("a fleet that drains shares the credit, also when nobody waits at a moment", async () => {
  await inWorld(async ({ accepted, clock }) => {
    const send = (device: number) =>
      accepted(`{"device":"d${device}","readings":[{"ts":${START_MS},"temperature_c":1}]}`);
    for (let group = 0; group < 100; group++) {
      await Promise.all(Array.from({ length: 10 }, (_, i) => send(group * 10 + i)));
    }
    const { credit } = await send(0);
    assert.ok(credit * 1_000 * 100 <= 33_554_432 / 2, `${credit} for each of a thousand`);
    await clock.sleep(10_000);
    assert.equal((await send(0)).credit, 4_096, "alone again");
  });
});

Deno.test("a key that is needed is asked for, and a device outside its scope is refused", async () => {
  const authority = {
    check: (secret: string | null) =>
      secret === "right"
        ? { key: "k", isAdmin: false, allows: (device: string) => device.startsWith("green") }
        : null,
  };
  await inWorld(async ({ post, records }) => {
    const statusOf = async (device: string, headers: Record<string, string>) =>
      (await post(batch({ device }), headers)).status;
    assert.equal(await statusOf("greenhouse", {}), 401);
    assert.equal(await statusOf("greenhouse", { authorization: "Bearer wrong" }), 401);
    assert.equal(await statusOf("greenhouse", { authorization: "right" }), 401);
    assert.equal(await statusOf("desk", { authorization: "Bearer right" }), 403);
    assert.equal(records().length, 0);
    assert.equal(await statusOf("greenhouse", { authorization: "Bearer right" }), 202);
    assert.equal(await statusOf("greenhouse", { authorization: "Token right" }), 202);
    assert.equal(await statusOf("greenhouse", { "x-api-key": "right" }), 202);
    assert.equal(records().length, 3);
  }, { authority });
});

Deno.test("other paths and methods are answered with problem documents", async () => {
  await inWorld(async ({ ingest }) => {
    const nowhere = await ingest.app.request("/v2/readings", { method: "POST", body: "{}" });
    assert.equal(nowhere.status, 404);
    assert.equal((await nowhere.json()).type, "/reference#not-found");
    const get = await ingest.app.request("/v1/readings");
    assert.equal(get.status, 405);
    assert.equal(get.headers.get("allow"), "POST");
  });
});

Deno.test("stopping refuses new requests and waits for those that were taken", async () => {
  await inWorld(async ({ ingest, post, records }) => {
    const taken = post(batch());
    for (let turn = 0; turn < 100; turn++) await undefined;
    const stopped = ingest.stop();
    const late = await post(batch());
    assert.equal(late.status, 503);
    assert.equal((await taken).status, 202);
    await stopped;
    assert.equal(records().length, 1);
    assert.equal(ingest.ready(), "the service is stopping");
  });
});

Deno.test("a body that stops arriving is given up after its time", async () => {
  await inWorld(async ({ post, scheduler }) => {
    const beforeMs = scheduler.nowMs;
    const stalled = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode('{"device":')),
    });
    const response = await post(stalled, {});
    assert.equal(response.status, 408);
    assert.equal(scheduler.nowMs - beforeMs, 20_000);
  });
});

Deno.test("bodies of all requests together stay within their budget", async () => {
  await inWorld(async ({ post, scheduler, ingest, metrics }) => {
    const slow = () => {
      let sent = false;
      return new ReadableStream<Uint8Array>({
        pull(controller) {
          if (!sent) controller.enqueue(new Uint8Array(400));
          sent = true;
          return new Promise(() => {});
        },
      });
    };
    const held = [post(slow()), post(slow())];
    while (!metrics.text().includes("held_bytes 800")) {
      ingest.ready();
      await undefined;
    }
    const refused = await post(slow());
    assert.equal(refused.status, 503);
    assert.equal((await refused.json()).type, "/reference#busy");
    const statuses = (await Promise.all(held)).map(({ status }) => status);
    assert.deepEqual(statuses, [408, 408]);
    ingest.ready();
    assert.match(metrics.text(), /held_bytes 0\n/);
    assert.ok(scheduler.nowMs - START_MS >= 20_000);
  }, { limits: { heldBytesMax: 1_000 } });
});

Deno.test("what a body expands to counts in the budget, and is given back", async () => {
  await inWorld(async ({ post, ingest, metrics }) => {
    const zipped = (length: number) => new Uint8Array(gzipSync(batch().padEnd(length, " ")));
    const gzip = { "content-type": "application/json", "content-encoding": "gzip" };
    assert.equal((await post(zipped(1_000), gzip)).status, 202);
    const refused = await post(zipped(1_001), gzip);
    assert.equal(refused.status, 503);
    assert.equal((await refused.json()).type, "/reference#busy");
    ingest.ready();
    assert.match(metrics.text(), /held_bytes 0\n/);
    assert.equal((await post(zipped(1_000), gzip)).status, 202);
  }, { limits: { heldBytesMax: 1_000 } });
});
