import assert from "node:assert/strict";
import { timeOf } from "./endpoints.ts";
import { createLiveFeed } from "./live_feed.ts";
import { createLiveHub, type LiveLimits, liveLimits } from "./live_hub.ts";
import { MINUTE, reading, SECOND, T0, world } from "./testing/world.ts";
import { silentTrace } from "../core/ports/trace.ts";
import { windowRow } from "../core/testing/builders.ts";
import { virtualClock } from "../sim/clock.ts";
import { Scheduler } from "../sim/scheduler.ts";

type Json = Record<string, unknown>;
type Running = ReturnType<ReturnType<typeof world>["start"]>;

const ask = (running: Running, path: string, init: RequestInit = {}) =>
  Promise.resolve(running.endpoints.handle(new Request(`http://here${path}`, init))!);
const askJson = async (running: Running, path: string) =>
  await (await ask(running, path)).json() as Record<string, never>;

interface Event {
  readonly id: string | null;
  readonly event: string;
  readonly data: Json;
}

/** Reads what a stream has to give now. */
function reader(stream: ReadableStream<Uint8Array>) {
  const chunks: string[] = [];
  let ended = false;
  const source = stream.getReader();
  const decoder = new TextDecoder();
  void (async () => {
    for (;;) {
      const { done, value } = await source.read();
      if (done) break;
      chunks.push(decoder.decode(value));
    }
    ended = true;
  })();
  return {
    cancel: () => source.cancel(),
    ended: () => ended,
    text: () => chunks.splice(0).join(""),
    events(): Event[] {
      return this.text().split("\n\n").filter((text) => text !== "" && !text.startsWith(":")).map((text) => {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(text)?.[1] ?? null;
        return { id: field("id"), event: field("event")!, data: JSON.parse(field("data")!) as Json };
      });
    },
  };
}

const brief = ({ event, data }: Event) =>
  event === "window"
    ? `${data.open ? "open" : `closed r${data.revision}`} ${data.window_size} ${data.readings}`
    : event === "device"
    ? `device ${data.device} ${(data.last_reading as Json | null)?.temperature_c}`
    : event === "position"
    ? `position ${data.next_offset}`
    : `${event} ${data.reason ?? ""}`.trim();

Deno.test("a stream begins with reset and the present state, then tells open windows within a second and closed ones at once", async () => {
  const { append, start, passTime } = world();
  const running = start();
  void append(reading(0, T0));
  await passTime(SECOND);
  const live = reader((await ask(running, "/live")).body!);
  await passTime(SECOND);
  assert.deepEqual(live.events().map(brief), [
    "reset new",
    "device desk 20",
    "open 1m 1",
    "open 1h 1",
    "open 1d 1",
    "position 2",
  ]);
  void append(reading(1, T0 + 10 * SECOND));
  await passTime(SECOND);
  assert.deepEqual(live.events().map(brief), [
    "device desk 20",
    "open 1m 2",
    "open 1h 2",
    "open 1d 2",
    "position 3",
  ]);
  void append(reading(2, T0 + 2 * MINUTE));
  await passTime(SECOND);
  const closing = live.events();
  assert.deepEqual(closing.map(brief), [
    "closed r0 1m 2",
    "device desk 20",
    "open 1m 1",
    "open 1h 3",
    "open 1d 3",
    "position 4",
  ]);
  assert.deepEqual(closing.map(({ id }) => id), ["abc.1", "abc.1", "abc.1", "abc.1", "abc.1", "abc.1"]);
  await running.stop();
  assert.equal(live.ended(), true);
});

Deno.test("a client that comes back gets the versions that it has missed, then the present state, without a reset", async () => {
  const { append, start, passTime } = world();
  const running = start();
  for (const minute of [0, 1, 2, 3]) void append(reading(minute, T0 + minute * MINUTE));
  await passTime(SECOND);
  const events = async (since: string, headers: HeadersInit = {}) => {
    const live = reader((await ask(running, `/live?window_size=1m${since}`, { headers })).body!);
    await passTime(SECOND);
    await live.cancel();
    return live.events().map(brief);
  };
  const state = ["device desk 20", "open 1m 1", "open 1m 1", "position 5"];
  const missed = ["closed r0 1m 1", ...state];
  assert.deepEqual(await events("&since=abc.1"), missed);
  assert.deepEqual(await events("", { "last-event-id": "abc.1" }), missed);
  assert.deepEqual(await events("&since=abc.2"), state);
  assert.deepEqual(await events("&since=oldest"), [
    "reset new",
    ...Array(2).fill("closed r0 1m 1"),
    ...state,
  ]);
  assert.deepEqual(await events("&since=def.2"), ["reset restarted", ...state]);
  assert.deepEqual(await events("&since=abc.3"), ["reset unknown_id", ...state]);
  assert.deepEqual(await events("&since=2"), ["reset unknown_id", ...state]);
  assert.deepEqual(await events("&device=other"), ["reset new", "position 5"]);
  await running.stop();
});

function hubWorld(limits: Partial<LiveLimits> = {}) {
  const scheduler = new Scheduler({ startMs: T0 });
  const feed = createLiveFeed(silentTrace);
  const hub = createLiveHub(
    { feed, clock: virtualClock(scheduler), instance: "abc", views: () => [], positions: () => [] },
    { ...liveLimits, ...limits },
  );
  const version = (revision: number) =>
    feed.emit({ kind: "window", row: windowRow({ revision, startMs: T0 }), open: false });
  const everything = { devices: null, windowSizes: null };
  return { scheduler, feed, hub, version, everything };
}

Deno.test("the ring reaches back to its size and no further", async () => {
  const { hub, version, everything } = hubWorld({ ringMax: 3 });
  for (let revision = 1; revision <= 5; revision++) version(revision);
  const first = async (since: string) => {
    const live = reader(hub.open(everything, since)!);
    await new Promise((resolve) => queueMicrotask(() => queueMicrotask(() => resolve(null))));
    for (let turn = 0; turn < 20; turn++) await undefined;
    await live.cancel();
    return live.events().map(brief);
  };
  assert.deepEqual(await first("abc.2"), ["closed r3 1m 1", "closed r4 1m 1", "closed r5 1m 1"]);
  assert.deepEqual(await first("abc.1"), ["reset too_far_back"]);
  hub.close();
});

Deno.test("a client that doesn't keep up is told so and cut; the others go on", async () => {
  const { hub, version, everything } = hubWorld({ queueEventsMax: 3 });
  const slow = hub.open(everything, null)!; // not read yet
  const quick = reader(hub.open(everything, null)!);
  for (let revision = 1; revision <= 4; revision++) {
    version(revision);
    for (let turn = 0; turn < 20; turn++) await undefined;
  }
  assert.deepEqual(
    quick.events().map(brief),
    ["reset new", 1, 2, 3, 4].map((each) => typeof each === "number" ? `closed r${each} 1m 1` : each),
  );
  const late = reader(slow);
  for (let turn = 0; turn < 20; turn++) await undefined;
  const [last, ...more] = late.events();
  assert.deepEqual([last!.event, last!.data.queued, last!.id, more.length], ["slow", 4, null, 0]);
  assert.equal(late.ended(), true);
  assert.equal(hub.status().clients, 1);
  hub.close();
});

Deno.test("of an open window that waits only the newest state is sent, and silence is filled with heartbeats", async () => {
  const { scheduler, feed, hub, everything } = hubWorld();
  const stream = hub.open(everything, null)!;
  for (const readings of [1, 2, 3]) {
    feed.emit({ kind: "window", row: windowRow({ readings, closedBy: null, startMs: T0 }), open: true });
  }
  const live = reader(stream);
  for (let turn = 0; turn < 20; turn++) await undefined;
  assert.deepEqual(live.events().map(brief), ["reset new", "open 1m 3"]);
  await scheduler.runUntil(T0 + 31 * SECOND);
  assert.equal(live.text(), ": heartbeat\n\n");
  hub.close();
});

Deno.test("one client too many is refused, and one that leaves makes room", async () => {
  const { hub, everything } = hubWorld({ clientsMax: 1 });
  const first = hub.open(everything, null)!;
  assert.equal(hub.open(everything, null), null);
  await first.cancel();
  assert.notEqual(hub.open(everything, null), null);
  hub.close();
  assert.equal(hub.open(everything, null), null);
});

Deno.test("explain tells readings with their place, late ones, duplicates, quarantined ones, versions, and what closed it", async () => {
  const { append, start, passTime } = world();
  const running = start();
  await passTime(SECOND);
  const send = async (value: object) => {
    await Promise.all([append(value), passTime(SECOND)]);
  };
  await send(reading(0, T0 + 1));
  await send(reading(0, T0 + 1));
  await send({ ...reading(1, T0 + 2), temperature_c: -200 });
  await send(reading(2, T0 + 2 * MINUTE)); // record 4 closes it
  await send(reading(3, T0 + 30 * SECOND)); // record 5 is late
  const body = await askJson(running, `/explain?device=desk&window_start=2025-11-24T00:00:00Z`) as Json;
  assert.equal(body.state, "closed");
  assert.equal(
    body.sentence,
    "Closed by the device's own watermark with record 4 at 2025-11-24T00:00:04.001Z; revised once by late readings, " +
      "last with record 5 at 2025-11-24T00:00:05.002Z.",
  );
  const of = (name: string) => body[name] as Json[];
  assert.deepEqual(
    of("versions").map((row) => [row.revision, row.readings, row.late, row.changed_by_offset]),
    [
      [0, 1, 0, 4],
      [1, 2, 1, 5],
    ],
  );
  assert.deepEqual(of("readings").map((row) => [row.seq, row.ts, row.late, row.log_offset, row.log_index]), [
    [0, "2025-11-24T00:00:00.001Z", false, 1, 0],
    [3, "2025-11-24T00:00:30.000Z", true, 5, 0],
  ]);
  assert.deepEqual(of("quarantined").map((row) => [row.seq, row.reason, row.log_offset, row.in_window]), [
    [1, "out_of_range", 3, true],
  ]);
  const duplicates = body.duplicates as Json;
  assert.deepEqual([duplicates.device_total, duplicates.known_since], [1, null]);
  assert.deepEqual((duplicates.in_window as Json[]).map((row) => [row.seq, row.log_offset]), [[0, 2]]);
  assert.equal((body.row as Json).temperature_c_mean, 20);
  assert.deepEqual(body.log, { partition: 0, next_offset: 6, append_time: "2025-11-24T00:00:05.002Z" });
  await running.stop();
});

Deno.test("explain says why nothing is there, for every cause", async () => {
  const { append, start, passTime } = world();
  const running = start();
  const control = { "isotherm": "1", "isotherm-kind": "device" };
  const at = (seq: number, minute: number) => reading(seq, T0 + minute * MINUTE);
  void append({ ...at(0, -60), every_ms: 60_000 });
  void append(at(1, -59));
  void append({ ...at(4, -56), lost: [] });
  void append({ device: "desk", boot: 1, lost: [{ from: 2, to: 3 }], readings: [at(5, -55)] });
  void append(at(9, -51));
  void append({ device: "desk", boot: 1, seq: 10, ts: T0 - 50 * MINUTE, error: "timeout" });
  void append(at(15, -45));
  await passTime(SECOND);
  const absence = async (minute: number, device = "desk") => {
    const body = await askJson(
      running,
      `/explain?device=${device}&window_start=${T0 + minute * MINUTE}`,
    ) as Json;
    return body.absence;
  };
  assert.equal(await absence(-90), "before_first");
  assert.equal(await absence(-60), null);
  assert.equal(await absence(-58), "lost");
  assert.equal(await absence(-53), "never_heard");
  assert.equal(await absence(-50), "sensor_fault");
  assert.equal(await absence(-44), "not_due_yet");
  assert.equal(await absence(-53, "attic"), "unknown_device");
  await passTime(10 * MINUTE);
  void append(null);
  await passTime(SECOND);
  assert.equal(await absence(-44), "offline");
  void append({ action: "retire" }, control);
  await passTime(SECOND);
  assert.equal(await absence(-44), "retired");
  await running.stop();
});

Deno.test("explain of an open window shows what it would be", async () => {
  const { append, start, passTime } = world();
  const running = start();
  void append(reading(0, T0 + SECOND));
  await passTime(SECOND);
  const body = await askJson(running, `/explain?device=desk&window_size=1h&window_start=${T0}`) as Json;
  assert.equal(body.state, "open");
  assert.equal(
    body.sentence,
    "Still open: neither the device's own watermark nor silence has passed its end.",
  );
  assert.deepEqual([(body.row as Json).readings, (body.row as Json).open, body.versions], [1, true, []]);
  await running.stop();
});

Deno.test("what can't be answered is a problem document that says what could", async () => {
  const { start, passTime } = world();
  const running = start();
  await passTime(SECOND);
  const answer = async (path: string, init: RequestInit = {}) => {
    const response = await ask(running, path, init);
    return [response.status, (await response.json() as { detail: string }).detail];
  };
  assert.deepEqual(await answer("/explain?device=desk&window_size=5m&window_start=0"), [
    404,
    'there is no window size "5m"; there are 1m, 1h, 1d',
  ]);
  assert.deepEqual(await answer("/live?window_size=5m"), [
    404,
    'there is no window size "5m"; there are 1m, 1h, 1d',
  ]);
  assert.equal((await answer("/explain?window_start=0"))[0], 400);
  assert.equal((await answer("/explain?device=desk&window_start=noon"))[0], 400);
  assert.equal((await answer("/status", { method: "POST" }))[0], 405);
  assert.equal(running.endpoints.handle(new Request("http://here/other")), null);
  await running.stop();
  assert.deepEqual(await answer("/explain?device=desk&window_start=0"), [503, "partition 0 is released"]);
});

Deno.test("times may be ISO 8601 in any offset, or Unix milliseconds", () => {
  for (
    const text of [
      "2025-11-24T00:00:00Z",
      "2025-11-24 00:00:00",
      "2025-11-24",
      "2025-11-24T01:00+01:00",
      `${T0}`,
    ]
  ) {
    assert.equal(timeOf(text), T0, text);
  }
  for (const text of ["", "noon", "1e12", "-1", "99999999999999999", "2025-13-01", "24.11.2025"]) {
    assert.equal(timeOf(text), null, text);
  }
});

Deno.test("status tells lag, watermark and freshness of each partition", async () => {
  const { append, start, passTime } = world(2);
  const running = start();
  await passTime(SECOND);
  void append({ device: "office", ts: T0, temperature_c: 1 });
  await passTime(SECOND);
  const body = await askJson(running, "/status") as Json;
  const partitions = body.partitions as Json[];
  assert.deepEqual(
    partitions.map((each) => [each.partition, each.state, each.lag_records, each.next_offset]),
    [
      [0, "running", 0, 2],
      [1, "running", 0, 1],
    ],
  );
  assert.equal(body.ready, true);
  await running.stop();
});
