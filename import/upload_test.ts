import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import type { Clock } from "../core/ports/clock.ts";
import { seededRandom } from "../sim/random.ts";
import { createIngestClient } from "../ingest/client.ts";
import { createTally, type Rejection } from "./tally.ts";
import { batchesInFlightMax, createUploader, firstTriesMax, triesMax } from "./upload.ts";
import type { ImportBatch } from "./batches.ts";

interface Sent {
  readonly device: string;
  readonly lines: readonly number[];
}
type Script = (sent: Sent, request: number) => Answer | Error | Promise<Answer>;

interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: string;
}

const accepted = (count: number, more: object = {}): Answer => ({
  status: 202,
  retryAfter: null,
  body: JSON.stringify({ accepted: count, flagged: [], now: 0, credit: 4_096, ...more }),
});
const refused = (status: number, title: string, retryAfter: string | null = null): Answer => ({
  status,
  retryAfter,
  body: JSON.stringify({ type: "about:blank", title, status, detail: `detail of ${title}` }),
});

const batch = (device: string, ...lines: number[]): ImportBatch => ({
  device,
  readings: lines.map((line) => ({ line, device, json: `{"ts":${line},"temperature_c":1}` })),
});

/** An uploader before an ingest that follows `script`; sleeping takes no time and is written down. */
function rig(script: Script) {
  const sent: Sent[] = [];
  const sleptMs: number[] = [];
  const rejected: Rejection[] = [];
  const waited: string[] = [];
  const clock: Clock = {
    nowMs: () => 0,
    monotonicMs: () => 0,
    sleep: (ms) => {
      sleptMs.push(ms);
      return Promise.resolve();
    },
    after: () => () => {},
  };
  const tally = createTally();
  const stop = new AbortController();
  const request: typeof fetch = async (_url, init) => {
    const { device, readings } = JSON.parse(String(init?.body)) as {
      device: string;
      readings: { ts: number }[];
    };
    const one: Sent = { device, lines: readings.map(({ ts }) => ts) };
    sent.push(one);
    const answer = await script(one, sent.length);
    if (answer instanceof Error) throw answer;
    const headers = answer.retryAfter === null ? {} : { "retry-after": answer.retryAfter };
    return new Response(answer.body, { status: answer.status, headers });
  };
  const uploader = createUploader(
    {
      client: createIngestClient({ url: "http://127.0.0.1:1", key: null, clock, fetch: request }),
      clock,
      random: seededRandom("upload"),
      reject: (rejection) => rejected.push(rejection),
      waiting: (reason) => waited.push(reason),
    },
    tally,
    stop.signal,
  );
  return { uploader, sent, sleptMs, rejected, waited, tally, stop };
}

Deno.test("a device's batches arrive in file order, however slow one is", async () => {
  const gates: (() => void)[] = [];
  const { uploader, sent, tally } = rig((one) =>
    new Promise((resolve) => gates.push(() => resolve(accepted(one.lines.length))))
  );
  await uploader.send(batch("a", 1, 2));
  await uploader.send(batch("b", 3));
  await uploader.send(batch("a", 4));
  const finished = uploader.finish();
  for (let turn = 0; turn < 100; turn++) {
    await undefined;
    if (turn % 10 === 9) gates.pop()?.();
  }
  await finished;
  deepEqual(sent.filter(({ device }) => device === "a").map(({ lines }) => lines), [[1, 2], [4]]);
  deepEqual({ sent: tally.sent, accepted: tally.accepted, requests: tally.requests }, {
    sent: 4,
    accepted: 4,
    requests: 3,
  });
});

Deno.test("at most a few batches are on their way", async () => {
  const gates: (() => void)[] = [];
  const { uploader, sent } = rig((one) =>
    new Promise((resolve) => gates.push(() => resolve(accepted(one.lines.length))))
  );
  let taken = 0;
  const sending = (async () => {
    for (let i = 0; i < 20; i++) {
      await uploader.send(batch(`device-${i}`, i + 1));
      taken++;
    }
  })();
  for (let turn = 0; turn < 200; turn++) await undefined;
  equal(taken, batchesInFlightMax);
  equal(sent.length, batchesInFlightMax);
  for (let turn = 0; turn < 2_000 && taken < 20; turn++) {
    gates.shift()?.();
    await undefined;
  }
  await sending;
  for (const gate of gates) gate();
  await uploader.finish();
  equal(sent.length, 20);
});

Deno.test("credit bounds a device's next requests", async () => {
  const { uploader, sent } = rig((one) =>
    accepted(one.lines.length, { credit: one.device === "a" ? 2 : 4_096 })
  );
  await uploader.send(batch("a", 1, 2, 3));
  await uploader.send(batch("a", 4, 5, 6, 7, 8));
  await uploader.send(batch("b", 9, 10, 11));
  await uploader.finish();
  deepEqual(sent.filter(({ device }) => device === "a").map(({ lines }) => lines), [
    [1, 2, 3],
    [4, 5],
    [6, 7],
    [8],
  ]);
  deepEqual(sent.filter(({ device }) => device === "b").map(({ lines }) => lines), [[9, 10, 11]]);
});

Deno.test("Retry-After is honoured to the second, up to a minute", async () => {
  const { uploader, sent, sleptMs, tally } = rig((one, request) =>
    request === 1
      ? refused(429, "busy", "7")
      : request === 2
      ? refused(503, "away", "90")
      : accepted(one.lines.length)
  );
  await uploader.send(batch("a", 1));
  await uploader.finish();
  deepEqual(sleptMs, [7_000, 60_000]);
  equal(sent.length, 3);
  deepEqual({ sent: tally.sent, accepted: tally.accepted, retries: tally.retries }, {
    sent: 1,
    accepted: 1,
    retries: 2,
  });
});

/** Answers the first request, then fails `failures` times, then answers again. */
const outage = (failures: number): Script => (one, request) =>
  request > 1 && request <= failures + 1 ? new Error("connection refused") : accepted(one.lines.length);

Deno.test("without Retry-After the pauses grow, with jitter, up to a bound", async () => {
  const { uploader, sleptMs, waited } = rig(outage(triesMax - 1));
  await uploader.send(batch("a", 1));
  await uploader.send(batch("a", 2));
  await uploader.finish();
  equal(sleptMs.length, triesMax - 1);
  sleptMs.forEach((ms, i) => {
    const full = Math.min(500 * 2 ** i, 20_000);
    ok(ms >= full / 2 && ms <= full, `pause ${i} is ${ms} ms`);
  });
  deepEqual(waited, ["ingest can't be reached (connection refused): waiting for it"]);
});

Deno.test("retries are bounded, and the end says how to go on", async () => {
  const { uploader, sent } = rig(outage(Infinity));
  await uploader.send(batch("a", 1));
  await uploader.send(batch("a", 2));
  await rejects(uploader.finish(), (error: Error) => {
    match(error.message, /can't be reached \(connection refused\), 12 times in a row: .* same command again/);
    return true;
  });
  equal(sent.length, 1 + triesMax);
});

Deno.test("an ingest that never answered is given up sooner", async () => {
  const { uploader, sent } = rig(() => new Error("connection refused"));
  await uploader.send(batch("a", 1));
  await rejects(uploader.finish(), /4 times in a row/);
  equal(sent.length, firstTriesMax);
});

Deno.test("what is flagged is counted by reason, with the first line", async () => {
  const { uploader, tally } = rig((one) => {
    const flagged = one.lines.flatMap((line, index) =>
      line % 2 === 0 ? [{ index, reason: "out_of_range" }] : []
    );
    return accepted(one.lines.length, { flagged });
  });
  await uploader.send(batch("a", 11, 12, 13, 14));
  await uploader.send(batch("b", 6, 7));
  await uploader.finish();
  deepEqual([...tally.flagged], [["out_of_range", { count: 3, firstLine: 6 }]]);
  equal(tally.accepted, 6);
});

Deno.test("a batch that is too large is halved until it fits", async () => {
  const { uploader, sent, rejected, tally } = rig((one) =>
    one.lines.length > 2 || one.lines.includes(3) ? refused(413, "too large") : accepted(one.lines.length)
  );
  await uploader.send(batch("a", 1, 2, 3, 4, 5));
  await uploader.finish();
  deepEqual(sent.map(({ lines }) => lines.length), [5, 3, 2, 2, 1, 1, 1]);
  deepEqual(rejected, [{
    line: 3,
    column: null,
    message: "ingest answered 413 (too large: detail of too large)",
  }]);
  deepEqual({ accepted: tally.accepted, rejected: tally.rejected }, { accepted: 4, rejected: 1 });
});

Deno.test("a batch that ingest refuses is told by its lines, and the rest goes on", async () => {
  const { uploader, rejected, tally } = rig((one) =>
    one.device === "bad" ? refused(400, "no batch") : accepted(one.lines.length)
  );
  await uploader.send(batch("bad", 2, 3));
  await uploader.send(batch("good", 4));
  await uploader.finish();
  deepEqual(rejected.map(({ line }) => line), [2, 3]);
  deepEqual({ accepted: tally.accepted, rejected: tally.rejected }, { accepted: 1, rejected: 2 });
});

Deno.test("what retrying can't mend stops the import with a sentence", async () => {
  const cases: [Answer, RegExp][] = [
    [refused(401, "no key"), /401 \(no key: detail of no key\): give a key that may write with --key/],
    [refused(403, "not yours"), /403 .* --key/],
    [refused(404, "no such page"), /404 .* does --url name an ingest service/],
    [
      { status: 200, retryAfter: null, body: "<h1>Welcome to the hotel</h1>" },
      /answered 200: does --url name an ingest service/,
    ],
  ];
  for (const [answer, message] of cases) {
    const { uploader, sent } = rig(() => answer);
    await uploader.send(batch("a", 1));
    await rejects(uploader.finish(), (error: Error) => message.test(error.message) || error);
    equal(sent.length, 1);
  }
});

Deno.test("after a stop nothing more is sent", async () => {
  const { uploader, sent } = rig(() => refused(401, "no key"));
  await uploader.send(batch("a", 1));
  await rejects(uploader.finish());
  await rejects(uploader.send(batch("b", 2)), /401/);
  equal(sent.length, 1);
});
