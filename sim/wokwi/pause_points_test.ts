/** How a simulation stops: where, in which order, and once. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { ServerFrame } from "./frames.ts";
import { PausePoints, SequenceMatcher } from "./pause_points.ts";
import { bytesOf, Talk } from "./testing/talk.ts";

const SECOND = 1e9;
const MS = 1e6;

const add = (talk: Talk, id: string, point: Record<string, unknown>) =>
  talk.done("pause-point:add", { id, ...point });
const serial = (text: string) => ({ type: "serial-bytes", bytes: bytesOf(text) });
const at = (nanos: number) => ({ type: "time-absolute", nanos });
const after = (nanos: number) => ({ type: "time-relative", nanos });

/** A line at 0 s, 1 s, 2 s … */
const TICKER = "import time\nn = 0\nwhile True:\n    print('tick', n)\n    n += 1\n    time.sleep(1)\n";

Deno.test("a sequence is found wherever it begins, and as often as it occurs", () => {
  const found = (sequence: string, stream: string) => {
    const matcher = new SequenceMatcher(bytesOf(sequence));
    return bytesOf(stream).map((byte, index) => matcher.push(byte) ? index : -1).filter((index) =>
      index >= 0
    );
  };
  assert.deepEqual(found("aab", "aaab"), [3]);
  assert.deepEqual(found("abab", "abababab"), [3, 5, 7]);
  assert.deepEqual(found("a", "xaax"), [1, 2]);
  assert.deepEqual(found("abcd", "abcabcd"), [6]);
  assert.deepEqual(found("abcd", "abc"), []);
});

Deno.test("a sequence is found at exactly the places where the text has it", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(text, fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 60 }), (sequence, stream) => {
      const matcher = new SequenceMatcher(bytesOf(sequence));
      const found = bytesOf(stream).map((byte) => matcher.push(byte));
      const expected = [...stream].map((_, index) => stream.slice(0, index + 1).endsWith(sequence));
      assert.deepEqual(found, expected);
    }),
  );
});

Deno.test("at one instant, what was added first fires first, whatever its kind; each fires once", () => {
  const points = new PausePoints();
  points.add("timeout", { type: "time", atNanos: 5, isRelative: false });
  points.add("bytes", { type: "serial", bytes: [1] });
  points.add("delay", { type: "time", atNanos: 5, isRelative: true });
  points.add("edge", { type: "pin", gpio: 2, level: 1 });
  assert.equal(points.takeDue(4), null);
  assert.equal(points.serialByte(0), false);
  assert.equal(points.serialByte(1), true);
  assert.equal(points.edge(2, 0), false);
  assert.equal(points.edge(3, 1), false);
  assert.equal(points.edge(2, 1), true);
  assert.deepEqual([1, 2, 3, 4, 5].map(() => points.takeDue(5)), ["timeout", "bytes", "delay", "edge", null]);
});

Deno.test("there is a bound on pause points, and a name is taken once", () => {
  const points = new PausePoints();
  const point = { type: "time", atNanos: 1, isRelative: false } as const;
  for (let n = 0; n < 1_000; n++) assert.equal(points.add(String(n), point), null);
  assert.match(points.add("one more", point)?.message ?? "", /1000 pause points, which is the most/);
  points.remove("0");
  assert.match(points.add("1", point)?.message ?? "", /1 exists/);
  assert.equal(points.add("one more", point), null);
});

Deno.test("a pause point that comes before the start survives it, and counts from the start", async () => {
  await using talk = new Talk();
  await add(talk, "early", at(1.5 * SECOND));
  await talk.start(TICKER);
  const stop = await talk.resume();
  assert.deepEqual([stop.nanos, stop.payload.pausePoint], [1.5 * SECOND, "early"]);
  assert.equal(talk.serial(), "tick 0\r\ntick 1\r\n");
});

Deno.test("an add and a resume may arrive back to back; each is answered before the stop is told", async () => {
  await using talk = new Talk();
  await talk.start(TICKER);
  const from = talk.frames.length;
  talk.send("pause-point:add", { id: "now", ...after(0) });
  talk.send("sim:resume", {});
  await talk.frame((frame) => frame.type === "event" && frame.event === "sim:pause");
  const seen = talk.frames.slice(from).map((frame) =>
    frame.type === "response" ? frame.command : frame.type === "event" ? frame.event : frame.type
  );
  assert.deepEqual(seen.filter((name) => name !== "serial-monitor:data"), [
    "pause-point:add",
    "sim:resume",
    "sim:pause",
  ]);
});

Deno.test("the byte that completes a sequence is the last one out; data and stop have one time", async () => {
  await using talk = new Talk();
  await talk.start(TICKER);
  await add(talk, "wait", serial("k 1"));
  const stop = await talk.resume();
  assert.equal(talk.serial(), "tick 0\r\ntick 1");
  const [data, pause] = talk.frames.slice(-2);
  assert.deepEqual(
    [data, pause].map((frame) => frame?.type === "event" && [frame.event, frame.nanos, frame.paused]),
    [
      ["serial-monitor:data", SECOND, false],
      ["sim:pause", SECOND, true],
    ],
  );
  assert.equal(stop.payload.pausePoint, "wait");
  await talk.resume(0);
  assert.equal(talk.serial(), "tick 0\r\ntick 1\r\n");
});

Deno.test("only what comes after the add counts: two equal waits in a row need two occurrences", async () => {
  await using talk = new Talk();
  await talk.start(TICKER);
  await add(talk, "a", serial("tick"));
  await talk.resume();
  await add(talk, "b", serial("tick"));
  assert.equal((await talk.resume()).nanos, SECOND);
  // "tick 1" has begun; its rest alone is no "tick".
  await add(talk, "c", serial(" 1\r\n"));
  assert.equal((await talk.resume()).nanos, SECOND);
});

Deno.test("a point fires once; the others stay armed and fire in their turn", async () => {
  await using talk = new Talk();
  await talk.start(TICKER);
  await add(talk, "a", serial("tick"));
  await add(talk, "b", serial("tick 0"));
  await add(talk, "c", at(500 * MS));
  const stops = [];
  for (let n = 0; n < 4; n++) {
    const { payload, nanos } = await talk.resume(2 * SECOND);
    stops.push([payload.pausePoint, nanos]);
  }
  assert.deepEqual(stops, [["a", 0], ["b", 0], ["c", 500 * MS], [undefined, 2.5 * SECOND]]);
});

Deno.test("two sequences that one byte completes stop twice, without a byte in between", async () => {
  await using talk = new Talk();
  await talk.start(TICKER);
  await add(talk, "long", serial("tick"));
  await add(talk, "short", serial("k"));
  assert.equal((await talk.resume()).payload.pausePoint, "long");
  assert.equal((await talk.resume()).payload.pausePoint, "short");
  assert.equal(talk.serial(), "tick");
});

Deno.test("a delay that ends with the time-out gives the time-out, which was added first; then the delay", async () => {
  await using talk = new Talk();
  await add(talk, "timeout", at(5 * SECOND));
  await talk.start(TICKER);
  await add(talk, "delay", after(5 * SECOND));
  assert.equal((await talk.resume()).payload.pausePoint, "timeout");
  const { payload, nanos } = await talk.resume();
  assert.deepEqual([payload.pausePoint, nanos], ["delay", 5 * SECOND]);
});

Deno.test("what the board does at a nanosecond comes before a stop at it", async () => {
  await using talk = new Talk();
  await add(talk, "timeout", at(SECOND));
  await talk.start(TICKER);
  await add(talk, "wait", serial("tick 1"));
  assert.equal((await talk.resume()).payload.pausePoint, "wait");
  assert.equal((await talk.resume()).payload.pausePoint, "timeout");
  assert.equal(talk.serial(), "tick 0\r\ntick 1\r\n");
});

Deno.test("pauseAfter ends in a stop without a name, and any other stop ends it", async () => {
  await using talk = new Talk();
  await talk.start(TICKER);
  const stop = await talk.resume(1.25 * SECOND);
  assert.deepEqual([stop.nanos, stop.payload], [1.25 * SECOND, {}]);
  await add(talk, "first", after(SECOND));
  assert.equal((await talk.resume(SECOND)).payload.pausePoint, "first");
  await add(talk, "later", after(3 * SECOND));
  assert.equal((await talk.resume()).nanos, 5.25 * SECOND);
});

Deno.test("a stopped simulation stays stopped: no byte and no nanosecond passes", async () => {
  await using talk = new Talk();
  await talk.start("while True: print('x' * 50)");
  await talk.resume(10 * MS);
  const printed = talk.serial();
  for (let n = 0; n < 20; n++) await talk.done("sim:status");
  assert.deepEqual(await talk.done("sim:status"), { running: false, nanos: 10 * MS });
  assert.equal(talk.serial(), printed);
});

Deno.test("times beyond 2^53 are far away and break nothing", async () => {
  await using talk = new Talk();
  await add(talk, "never", at(1e17));
  await talk.start(TICKER);
  assert.equal((await talk.resume(SECOND)).nanos, SECOND);
});

Deno.test("a time that has passed stops at once when the simulation goes on", async () => {
  await using talk = new Talk();
  await talk.start(TICKER);
  await talk.resume(2 * SECOND);
  await add(talk, "past", at(SECOND));
  const { nanos, payload } = await talk.resume();
  assert.deepEqual([nanos, payload.pausePoint], [2 * SECOND, "past"]);
});

Deno.test("a removed point doesn't fire", async () => {
  await using talk = new Talk();
  await talk.start(TICKER);
  await add(talk, "gone", at(SECOND));
  await talk.done("pause-point:remove", { id: "gone" });
  assert.equal((await talk.resume(2 * SECOND)).nanos, 2 * SECOND);
});

Deno.test("the program stands at the byte, too: what it does next sees what was done meanwhile", async () => {
  await using talk = new Talk();
  const main =
    "import dht, machine\ns = dht.DHT22(machine.Pin(15))\nprint('measuring')\ns.measure()\nprint(s.temperature())";
  await talk.start(main);
  await add(talk, "before", serial("measuring"));
  await talk.resume();
  await talk.done("control:set", { part: "dht", control: "temperature", value: -7.5 });
  await talk.resume(SECOND);
  assert.match(talk.serial(), /^measuring\r\n-7.5\r\n/);
});

Deno.test("a pin point stops at the edge: of the program, and of the sensor in the middle of a bit", async () => {
  await using talk = new Talk();
  const main =
    "import dht, machine\nled = machine.Pin(2, machine.Pin.OUT)\nled.on()\nled.off()\nprint('off')\n" +
    "s = dht.DHT22(machine.Pin(15))\ns.measure()\n";
  await talk.start(main);
  await add(talk, "on", { type: "pin", part: "esp", pin: "2", value: 1 });
  assert.equal((await talk.resume()).nanos, 0);
  assert.equal((await talk.done("pin:read", { part: "esp", pin: "2" })).value, 1);
  assert.equal(talk.serial(), "");
  await add(talk, "answer", { type: "pin", part: "dht", pin: "SDA", value: 0 });
  assert.equal((await talk.resume()).nanos, 250 * MS);
  await add(talk, "released", { type: "pin", part: "dht", pin: "SDA", value: 1 });
  assert.equal((await talk.resume()).nanos, 268 * MS);
  await add(talk, "response", { type: "pin", part: "dht", pin: "SDA", value: 0 });
  assert.equal((await talk.resume()).nanos, 268 * MS + 30_000);
  assert.equal((await talk.done("pin:read", { part: "dht", pin: "SDA" })).value, 0);
});

Deno.test("the power may go at a byte, and come back", async () => {
  await using talk = new Talk();
  await talk.start(TICKER);
  await add(talk, "wait", serial("tick 2"));
  await talk.resume();
  await talk.done("control:set", { part: "esp", control: "power", value: 0 });
  await talk.resume(5 * SECOND);
  assert.equal(talk.serial(), "tick 0\r\ntick 1\r\ntick 2");
  await talk.done("control:set", { part: "esp", control: "power", value: 1 });
  await talk.resume(0);
  assert.match(talk.serial(), /tick 2tick 0\r\n$/);
});

Deno.test("the reset button starts the program again, at a byte as well", async () => {
  await using talk = new Talk();
  await talk.start("import machine\nprint('cause', machine.reset_cause())\n" + TICKER);
  await add(talk, "wait", serial("tick 1"));
  await talk.resume();
  await talk.done("control:set", { part: "esp", control: "reset", value: 1 });
  await talk.resume(0);
  assert.equal(talk.serial(), "cause 1\r\ntick 0\r\ntick 1cause 2\r\ntick 0\r\n");
});

Deno.test("the same frames give the same frames, byte for byte, however long the client thinks", async () => {
  const conversation = async (): Promise<readonly ServerFrame[]> => {
    await using talk = new Talk();
    await talk.start(
      "import dht, machine, os, time\ns = dht.DHT22(machine.Pin(15))\nwhile True:\n" +
        "    time.sleep_ms(2000 + os.urandom(1)[0])\n    s.measure()\n    print(s.humidity(), time.ticks_ms())\n",
    );
    for (let n = 0; n < 5; n++) {
      await add(talk, `p${n}`, serial("."));
      await talk.resume();
      await talk.done("control:set", { part: "dht", control: "humidity", value: n + 0.5 });
    }
    await talk.resume(SECOND + 1);
    await talk.done("sim:read-vcd");
    return talk.frames;
  };
  assert.deepEqual(await conversation(), await conversation());
});
