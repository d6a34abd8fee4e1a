/** A year on a shelf, in scenarios: power, clock and flash at their worst. */
import assert from "node:assert/strict";
import { below } from "../../core/ports/random.ts";
import { seededRandom } from "../random.ts";
import { Flash } from "./flash.ts";
import { type Desk, HOUR_MS, MINUTE_MS, SECOND_MS, setUpDesk, START_MS } from "./testing/desk.ts";
import { type BootLedger, problem } from "./testing/receiver.ts";

const bootsOf = (
  desk: Desk,
  device = "board-1",
): BootLedger[] => [...desk.receiver.devices.get(device)?.values() ?? []];
const timesOf = (ledger: BootLedger | undefined) =>
  [...ledger?.slots ?? []].sort(([a], [b]) => a - b).map(([, reading]) =>
    (reading.tsMs as number) - START_MS
  );

async function cutAndRestart(desk: Desk, offMs = 0): Promise<void> {
  desk.board.powerCut();
  await desk.scheduler.runUntil(desk.scheduler.nowMs + offMs);
  await desk.board.powerOn();
}

// ---- the clock ----

Deno.test("slots from before the first sync are dated by the tick clock, to the millisecond or so", async () => {
  await using desk = await setUpDesk({
    surroundings: { accessPoint: (nowMs) => nowMs < START_MS + HOUR_MS ? "absent" : "open" },
  });
  await desk.board.powerOn();
  await desk.run(HOUR_MS + 2 * MINUTE_MS);
  desk.receiver.checkComplete("board-1");
  const times = timesOf(bootsOf(desk)[0]);
  for (let seq = 1; seq < 350; seq++) {
    assert.ok(Math.abs((times[seq] as number) - seq * 10_000) <= 20, `slot ${seq} at ${times[seq]}`);
  }
  assert.ok(times.slice(-5).every((time) => time % 10_000 === 0), "after the sync, the grid is the clock's");
});

Deno.test("boots that never learned the time end where the next one began, and are sent as not synced", async () => {
  const openFromMs = START_MS + 40 * MINUTE_MS;
  await using desk = await setUpDesk({
    surroundings: { accessPoint: (nowMs) => nowMs < openFromMs ? "absent" : "open" },
  });
  await desk.board.powerOn();
  await desk.run(10 * MINUTE_MS + SECOND_MS);
  await cutAndRestart(desk, 5 * MINUTE_MS);
  await desk.run(10 * MINUTE_MS + SECOND_MS);
  await cutAndRestart(desk, 5 * MINUTE_MS);
  await desk.run(20 * MINUTE_MS);
  desk.receiver.checkComplete("board-1");
  const [third, second, first] = bootsOf(desk);
  assert.deepEqual([first?.synced, second?.synced, third?.synced], [false, false, true]);
  assert.deepEqual([first?.slots.size, second?.slots.size], [61, 61]);
  const [firstTimes, secondTimes, thirdTimes] = [timesOf(first), timesOf(second), timesOf(third)];
  const bootedMs = (thirdTimes[0] as number) - 1500;
  assert.equal(secondTimes.at(-1), bootedMs, "the last slot of the second boot: when the third began");
  assert.equal(
    firstTimes.at(-1),
    bootedMs - 600_000,
    "the last slot of the first boot: when the second began",
  );
  assert.ok((firstTimes[0] as number) > 0, "no time from before its boot");
});

Deno.test("a drifting clock is corrected by at most 40 ms a slot, and no two slots change places", async () => {
  let ntpOffsetMs = 0;
  await using desk = await setUpDesk({
    network: { ntpMs: () => desk.scheduler.nowMs + ntpOffsetMs },
  });
  await desk.board.powerOn();
  await desk.run(30 * MINUTE_MS);
  ntpOffsetMs = -1500;
  await desk.run(HOUR_MS);
  ntpOffsetMs = 900;
  await desk.run(HOUR_MS);
  desk.receiver.checkComplete("board-1");
  desk.receiver.checkOrder();
  const times = timesOf(bootsOf(desk)[0]).slice(1);
  const gaps = times.slice(1).map((time, i) => time - (times[i] as number));
  assert.ok(
    gaps.every((gap) => gap >= 9950 && gap <= 10_050),
    `gaps from ${Math.min(...gaps)} to ${Math.max(...gaps)}`,
  );
  assert.equal(new Set(gaps).size > 1, true, "it was corrected");
});

Deno.test("a clock an hour ahead: the board starts a new boot with the right time, nothing is lost", async () => {
  let ntpOffsetMs = HOUR_MS;
  await using desk = await setUpDesk({ network: { ntpMs: () => desk.scheduler.nowMs + ntpOffsetMs } });
  await desk.board.powerOn();
  await desk.run(10 * MINUTE_MS);
  ntpOffsetMs = 0;
  await desk.run(HOUR_MS);
  assert.match(desk.serial(), /"event":"clock_ahead"/);
  desk.receiver.checkComplete("board-1");
  desk.receiver.checkOrder();
  const [ahead, right] = bootsOf(desk);
  assert.ok((timesOf(ahead)[0] as number) >= HOUR_MS);
  assert.ok(Math.abs((timesOf(right).at(-1) as number) - (desk.scheduler.nowMs - START_MS)) < 20_000);
});

Deno.test("a clock an hour behind steps forward", async () => {
  let ntpOffsetMs = -HOUR_MS;
  await using desk = await setUpDesk({ network: { ntpMs: () => desk.scheduler.nowMs + ntpOffsetMs } });
  await desk.board.powerOn();
  await desk.run(10 * MINUTE_MS);
  ntpOffsetMs = 0;
  await desk.run(HOUR_MS);
  desk.receiver.checkComplete("board-1");
  desk.receiver.checkOrder();
  assert.equal(bootsOf(desk).length, 1);
  assert.ok(
    Math.abs((timesOf(bootsOf(desk)[0]).at(-1) as number) - (desk.scheduler.nowMs - START_MS)) < 20_000,
  );
});

Deno.test("ticks_ms wraps in the middle of an outage: the times go on", async () => {
  await using desk = await setUpDesk({
    ticksStartMs: 2 ** 30 - 20 * MINUTE_MS,
    surroundings: { accessPoint: (nowMs) => nowMs < START_MS + HOUR_MS ? "absent" : "open" },
  });
  await desk.board.powerOn();
  await desk.run(HOUR_MS + 2 * MINUTE_MS);
  desk.receiver.checkComplete("board-1");
  desk.receiver.checkOrder();
  assert.equal(bootsOf(desk)[0]?.slots.size, 372);
});

// ---- power ----

Deno.test("brown-outs whenever the radio starts: five boots, then life goes on", async () => {
  let left = 5;
  await using desk = await setUpDesk({
    surroundings: {
      accessPoint: () => {
        if (left > 0 && desk.board.on) {
          left--;
          desk.scheduler.after(0, () => cutAndRestart(desk));
        }
        return "open";
      },
    },
  });
  await desk.board.powerOn();
  await desk.run(MINUTE_MS);
  assert.equal(desk.board.bootCount, 6);
  desk.receiver.checkComplete("board-1");
  assert.equal(bootsOf(desk).length, 1, "boots without a slot are as if they had never been");
});

Deno.test("a boot that was offline is not forgotten by the ones after it", async () => {
  let open = true;
  await using desk = await setUpDesk({ surroundings: { accessPoint: () => open ? "open" : "absent" } });
  await desk.board.powerOn();
  await desk.run(MINUTE_MS);
  open = false;
  for (let boot = 0; boot < 4; boot++) {
    await cutAndRestart(desk, SECOND_MS);
    await desk.run(MINUTE_MS);
  }
  open = true;
  await desk.run(2 * MINUTE_MS);
  desk.receiver.checkComplete("board-1");
  const boots = bootsOf(desk);
  assert.equal(boots.length, 5);
  assert.equal(
    boots.filter((boot) => boot.slotCount !== null).length,
    4,
    "each but the last is told by its successor",
  );
  for (const boot of boots) if (boot.slotCount !== null) assert.equal(boot.slots.size, boot.slotCount);
});

Deno.test("a server that never answers does not trip the watchdog", async () => {
  await using desk = await setUpDesk({ network: { fault: () => ({ kind: "silence" }) } });
  await desk.board.powerOn();
  await desk.run(HOUR_MS);
  assert.deepEqual(desk.board.causes, ["power"]);
  assert.equal(desk.events("sample").length, 360);
});

// ---- flash ----

Deno.test("the flash is erased: a new boot number, so nothing is taken for a duplicate", async () => {
  await using desk = await setUpDesk();
  await desk.board.powerOn();
  await desk.run(MINUTE_MS);
  const firmware = desk.board.flash.image();
  desk.board.powerCut();
  desk.board.flash.erase();
  for (const [path, content] of firmware) if (!path.startsWith("/ring")) desk.board.flash.put(path, content);
  await desk.board.powerOn();
  await desk.run(MINUTE_MS);
  const boots = bootsOf(desk);
  assert.equal(boots.length, 2);
  assert.ok(boots.every((boot) => boot.slots.size === 6 && boot.duplicateCount === 0));
  desk.receiver.checkComplete("board-1");
});

Deno.test("an old flash image is restored: what is sent again has the same content", async () => {
  await using desk = await setUpDesk();
  await desk.board.powerOn();
  await desk.run(5 * MINUTE_MS);
  const image = desk.board.flash.image();
  await desk.run(5 * MINUTE_MS);
  desk.board.powerCut();
  desk.board.flash.restore(image);
  await desk.board.powerOn();
  await desk.run(5 * MINUTE_MS);
  const [first, second] = bootsOf(desk);
  assert.ok((first?.duplicateCount ?? 0) > 0);
  assert.equal(first?.slots.size, 60);
  assert.equal(second?.slots.size, 30);
});

Deno.test("two boards with one name: both are received whole, under their own boots", async () => {
  await using desk = await setUpDesk();
  await using other = await setUpDesk({ seed: 2, handler: () => desk.receiver.handle });
  await desk.board.powerOn();
  await other.board.powerOn();
  await desk.run(MINUTE_MS);
  await other.run(MINUTE_MS);
  assert.deepEqual(bootsOf(desk).map((boot) => boot.slots.size), [6, 6]);
});

Deno.test("the ring overflows: the oldest slots go, and are reported as lost", async () => {
  await using desk = await setUpDesk({
    settings: { every_ms: 2000 },
    surroundings: { accessPoint: (nowMs) => nowMs < START_MS + 2 * HOUR_MS ? "absent" : "open" },
  });
  const main = new TextDecoder().decode(desk.board.flash.read("/main.py") as Uint8Array);
  desk.board.flash.put("/main.py", main.replace(/SEGMENTS_MAX = \d+/, "SEGMENTS_MAX = 10"));
  await desk.board.powerOn();
  await desk.run(2 * HOUR_MS + 5 * MINUTE_MS);
  desk.receiver.checkComplete("board-1");
  const [boot] = bootsOf(desk);
  assert.deepEqual(new Set(boot?.lost.values()), new Set(["backlog_full"]));
  assert.equal(boot?.lost.size, 1800, "9 segments of 200");
  assert.equal(Math.max(...boot?.lost.keys() ?? []), 1799);
  assert.ok([...boot?.slots.keys() ?? []].every((seq) => seq >= 1800));
});

Deno.test("a whole boot goes with the overflow: its loss is reported all the same", async () => {
  let open = false;
  await using desk = await setUpDesk({
    settings: { every_ms: 2000 },
    surroundings: { accessPoint: () => open ? "open" : "absent" },
  });
  const main = new TextDecoder().decode(desk.board.flash.read("/main.py") as Uint8Array);
  desk.board.flash.put("/main.py", main.replace(/SEGMENTS_MAX = \d+/, "SEGMENTS_MAX = 3"));
  await desk.board.powerOn();
  await desk.run(5 * MINUTE_MS);
  await cutAndRestart(desk);
  await desk.run(30 * MINUTE_MS);
  open = true;
  await desk.run(3 * MINUTE_MS);
  desk.receiver.checkComplete("board-1");
  const whole = bootsOf(desk).find((boot) => boot.slots.size === 0);
  assert.equal(whole?.lost.size, 149);
});

Deno.test("a server that refuses every report of lost slots still gets the slots", async () => {
  await using desk = await setUpDesk({
    settings: { every_ms: 2000 },
    surroundings: { accessPoint: (nowMs) => nowMs < START_MS + 30 * MINUTE_MS ? "absent" : "open" },
    handler: (receiver) => async (request) => {
      const { lost } = await request.clone().json();
      return lost.length > 0 ? problem(400, "no reports") : receiver.handle(request);
    },
  });
  const main = new TextDecoder().decode(desk.board.flash.read("/main.py") as Uint8Array);
  desk.board.flash.put("/main.py", main.replace(/SEGMENTS_MAX = \d+/, "SEGMENTS_MAX = 3"));
  await desk.board.powerOn();
  await desk.run(10 * MINUTE_MS);
  await cutAndRestart(desk);
  await desk.run(25 * MINUTE_MS);
  const boots = bootsOf(desk).filter((boot) => boot.slots.size > 0);
  assert.equal(boots.length, 1, "the first boot had only lost slots by then");
  const seqs = [...boots[0]?.slots.keys() ?? []];
  assert.equal(Math.max(...seqs) - Math.min(...seqs) + 1, seqs.length, "no gap");
  assert.ok(seqs.length > 500);
});

Deno.test("a report that is refused is sent again, once more slots have been taken", async () => {
  let open = false;
  let refusing = true;
  let refusedCount = 0;
  await using desk = await setUpDesk({
    settings: { every_ms: 2000 },
    surroundings: { accessPoint: () => open ? "open" : "absent" },
    handler: (receiver) => async (request) => {
      const { lost } = await request.clone().json();
      if (!refusing || lost.length === 0) return receiver.handle(request);
      refusedCount++;
      return problem(400, "no reports");
    },
  });
  const main = new TextDecoder().decode(desk.board.flash.read("/main.py") as Uint8Array);
  desk.board.flash.put("/main.py", main.replace(/SEGMENTS_MAX = \d+/, "SEGMENTS_MAX = 3"));
  await desk.board.powerOn();
  await desk.run(5 * MINUTE_MS);
  await cutAndRestart(desk);
  await desk.run(30 * MINUTE_MS);
  open = true;
  await desk.run(60 * MINUTE_MS);
  assert.match(desk.serial(), /"event":"report_refused","status":400,"again_after":4/);
  const lostCounts = () => bootsOf(desk).map((boot) => boot.lost.size).sort((a, b) => a - b);
  assert.ok(lostCounts().every((count) => count === 0), "nothing was reported yet");
  assert.ok(refusedCount >= 4 && refusedCount < 24, `asked ${refusedCount} times in an hour, of 1,800 slots`);
  refusing = false;
  await desk.run(30 * MINUTE_MS);
  const [whole = 0, part = 0] = lostCounts();
  assert.equal(whole, 149, "the first boot went whole");
  assert.ok(part > 0);
  desk.receiver.checkComplete("board-1");
});

Deno.test("a report that is refused outlives a restart", async () => {
  let open = false;
  let refusing = true;
  await using desk = await setUpDesk({
    settings: { every_ms: 2000 },
    surroundings: { accessPoint: () => open ? "open" : "absent" },
    handler: (receiver) => async (request) => {
      const { lost } = await request.clone().json();
      return refusing && lost.length > 0 ? problem(400, "no reports") : receiver.handle(request);
    },
  });
  const main = new TextDecoder().decode(desk.board.flash.read("/main.py") as Uint8Array);
  desk.board.flash.put("/main.py", main.replace(/SEGMENTS_MAX = \d+/, "SEGMENTS_MAX = 3"));
  await desk.board.powerOn();
  await desk.run(5 * MINUTE_MS);
  await cutAndRestart(desk);
  await desk.run(30 * MINUTE_MS);
  open = true;
  await desk.run(5 * MINUTE_MS);
  assert.match(desk.serial(), /"event":"report_refused","status":400,"again_after":4/);
  refusing = false;
  await cutAndRestart(desk);
  await desk.run(2 * MINUTE_MS);
  assert.equal(bootsOf(desk).find((boot) => boot.slots.size === 0)?.lost.size, 149);
  desk.receiver.checkComplete("board-1");
});

Deno.test("the flash is full: the oldest slots go, the newest stay", async () => {
  const flash = new Flash(200 * 1024);
  await using desk = await setUpDesk({
    flash,
    settings: { every_ms: 2000 },
    surroundings: { accessPoint: (nowMs) => nowMs < START_MS + 3 * HOUR_MS ? "absent" : "open" },
  });
  await desk.board.powerOn();
  await desk.run(3 * HOUR_MS + 5 * MINUTE_MS);
  desk.receiver.checkComplete("board-1");
  const [boot] = bootsOf(desk);
  assert.ok((boot?.lost.size ?? 0) > 0, "there was no room for all");
  assert.ok((boot?.slots.size ?? 0) > 1000);
});

Deno.test("a record that has rotted costs its slot, a header its segment; the rest arrives", async () => {
  let open = false;
  await using desk = await setUpDesk({
    settings: { every_ms: 2000 },
    surroundings: { accessPoint: () => open ? "open" : "absent" },
  });
  await desk.board.powerOn();
  await desk.run(30 * MINUTE_MS);
  desk.board.powerCut();
  const segments = desk.board.flash.paths().filter((path) => path.endsWith(".seg")).sort();
  assert.equal(segments.length, 5);
  const flip = (path: string, at: number) => {
    const content = (desk.board.flash.read(path) as Uint8Array).slice();
    content[at] = (content[at] as number) ^ 0x10;
    desk.board.flash.put(path, content);
  };
  flip(segments[1] as string, 64 + 20 * 7 + 3);
  flip(segments[2] as string, 9);
  open = true;
  await desk.board.powerOn();
  await desk.run(3 * MINUTE_MS);
  const old = bootsOf(desk).find((boot) => boot.slotCount !== null);
  assert.equal(old?.slotCount, 899);
  const missing = Array.from({ length: 899 }, (_, seq) => seq).filter((seq) => !old?.slots.has(seq));
  assert.deepEqual(missing, [207, ...Array.from({ length: 200 }, (_, i) => 400 + i)]);
});

// ---- settings ----

for (
  const [name, content, shows] of [
    ["settings.json is missing", null, /settings.json is missing: copy settings.example.json/],
    ["settings.json is not JSON", "{", /is not JSON: look for a missing comma or quote/],
    ["settings.json is a list", "[]", /must hold one object in braces/],
    [
      "an unknown name",
      '{"ingest_url":"http://x","evry_ms":1}',
      /evry_ms is unknown; known are device, every_ms/,
    ],
    [
      "an interval that is too short",
      '{"ingest_url":"http://x","every_ms":1999}',
      /every_ms must be a whole number from 2000/,
    ],
    [
      "an interval that is text",
      '{"ingest_url":"http://x","every_ms":"10000"}',
      /every_ms must be a whole number/,
    ],
    [
      "an address without a scheme",
      '{"ingest_url":"192.168.1.20:8080"}',
      /ingest_url must start with http:\/\/ or https/,
    ],
    ["an address without a host", '{"ingest_url":"http://:80"}', /ingest_url has no host name/],
    [
      "an address with a wrong port",
      '{"ingest_url":"http://x:99999"}',
      /ingest_url has a port outside of 1 to 65535/,
    ],
    ["no address", "{}", /ingest_url is missing: give the address that ingest prints/],
    [
      "a pin that isn't there",
      '{"ingest_url":"http://x","sensor_pin":40}',
      /sensor_pin must be a whole number from 0 to 39/,
    ],
  ] as const
) {
  Deno.test(`settings: ${name} is named on the serial port, with what to do`, async () => {
    await using desk = await setUpDesk();
    if (content === null) desk.board.flash.remove("/settings.json");
    else desk.board.flash.put("/settings.json", content);
    await desk.board.powerOn();
    await desk.run(MINUTE_MS);
    assert.match(desk.serial(), shows);
    assert.match(desk.serial(), /correct settings.json, then press reset/);
    assert.equal(desk.receiver.requests.length, 0);
  });
}

// ---- what a person sees ----

Deno.test("the lamp is lit while slots pile up, and a status line comes every hour", async () => {
  let open = true;
  const lamp: [number, number][] = [];
  await using desk = await setUpDesk({
    surroundings: { accessPoint: () => open ? "open" : "absent" },
    onPin: ({ pin, level, atUs }) =>
      pin === 2 ? lamp.push([Math.round(atUs / 1000) - START_MS, level]) : undefined,
  });
  await desk.board.powerOn();
  await desk.run(10 * MINUTE_MS);
  open = false;
  await desk.run(10 * MINUTE_MS);
  open = true;
  await desk.run(41 * MINUTE_MS);
  assert.deepEqual(lamp.map(([, level]) => level), [0, 1, 0]);
  assert.ok((lamp[1]?.[0] ?? 0) > 10 * MINUTE_MS && (lamp[1]?.[0] ?? 0) < 12 * MINUTE_MS);
  const [status] = desk.events("status");
  assert.equal(status?.uptime_s, 3600);
  assert.equal(status?.sent, 360);
  assert.equal(status?.pending, 0);
});

Deno.test("without a name in the settings, the board is called by its chip's address", async () => {
  await using desk = await setUpDesk({ settings: { device: "" } });
  await desk.board.powerOn();
  await desk.run(MINUTE_MS);
  const [name] = desk.receiver.devices.keys();
  assert.match(name ?? "", /^esp32-240ac4[0-9a-f]{6}$/);
});

// ---- answers ----

Deno.test("whatever bytes a server answers, the board goes on sampling, and sends again once it answers well", async () => {
  const random = seededRandom("answers", 1);
  const pieces = [
    "HTTP/1.1 202 Accepted\r\n",
    "HTTP/1.1 400 No\r\n",
    "HTTP/1.1 999 \r\n",
    "HTTP/1.0 200\r\n",
    "content-type: application/problem+json\r\n",
    "content-length: 40\r\n",
    "content-length: -1\r\n",
    "content-length: 99999999999999999999\r\n",
    "transfer-encoding: chunked\r\n",
    "retry-after: 99999999999\r\n",
    "date: Sun, 99 Foo -1 a:b:c GMT\r\n",
    "\r\n",
    "ffffffffffffffff\r\n",
    "-5\r\n",
    "5;x=y\r\nhello\r\n0\r\n\r\n",
    '{"accepted":1,"now":1e400,"credit":-1}',
    '{"accepted":1,"now":99999999999999999999999999,"credit":99999999999999999999999999}',
    '{"now":"x","credit":null}',
    "[".repeat(2_000),
    '{"a":'.repeat(500),
    "\u0000\u00ff\u00fe\u0080",
  ];
  const drawn = () => {
    const text = Array.from({ length: 1 + below(random, 9) }, () => pieces[below(random, pieces.length)])
      .join("");
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    for (let flips = below(random, 4); flips > 0; flips--) {
      bytes[below(random, bytes.length)] = below(random, 256);
    }
    return bytes;
  };
  for (const ntp of [true, false]) {
    let nonsense = true;
    let answers = 0;
    await using desk = await setUpDesk({
      settings: { every_ms: 2000 },
      network: {
        datagramArrives: (_, port) => port !== 123 || ntp,
        fault: () => {
          if (!nonsense) return null;
          answers++;
          return { kind: "bytes", bytes: drawn() };
        },
      },
    });
    await desk.board.powerOn();
    await desk.run(4 * HOUR_MS);
    assert.ok(answers > (ntp ? 200 : 20), `${answers} bad answers`);
    assert.ok(desk.events("sample").length >= 7199, "the grid is the clock's once it is known");
    nonsense = false;
    await desk.run(12 * MINUTE_MS);
    desk.receiver.checkOrder();
    const newestMs = Math.max(
      ...bootsOf(desk).flatMap(({ slots }) => [...slots.values()].map(({ tsMs }) => tsMs ?? 0)),
    );
    assert.ok(newestMs > desk.scheduler.nowMs - 10_000, "the newest slots arrive");
  }
});
