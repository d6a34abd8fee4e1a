/**
 * What goes wrong on a shelf: each fault by name, with what the user sees on the serial port. After every one of them the
 * ledger has to close: each slot is received, or reported as lost with its reason.
 */
import assert from "node:assert/strict";
import { encodeFrame, type SensorFault } from "./dht22.ts";
import type { HttpFault, HttpNetworkOptions } from "./http_network.ts";
import type { AccessPointState } from "./radio.ts";
import { type Desk, type DeskOptions, MINUTE_MS, setUpDesk, START_MS } from "./testing/desk.ts";
import { problem, type Receiver } from "./testing/receiver.ts";

interface Fault {
  readonly name: string;
  readonly options: DeskOptions | ((during: () => boolean) => DeskOptions);
  /** How long the fault lasts (from power-up), and how long the board then has to recover. Default: 2 min each. */
  readonly faultMs?: number;
  readonly calmMs?: number;
  /** A line that the user sees on the serial port. */
  readonly shows?: RegExp;
  /** A line that must not be there. */
  readonly showsNot?: RegExp;
  /** During the fault. */
  readonly act?: (desk: Desk) => Promise<void> | void;
  readonly check?: (desk: Desk, receiver: Receiver) => void;
}

const sensor = (fault: (nowMs: number) => SensorFault | null): DeskOptions => ({
  surroundings: { sensorFault: fault },
});
const stuckAt = (temperatureTenthsC: number, humidityTenthsPct: number): DeskOptions =>
  sensor(() => ({ kind: "stuck", frame: encodeFrame({ temperatureTenthsC, humidityTenthsPct }) }));
const wifi = (state: AccessPointState) => (during: () => boolean): DeskOptions => ({
  surroundings: { accessPoint: () => during() ? state : "open" },
});
const server = (fault: HttpFault) => (during: () => boolean): DeskOptions => ({
  network: { fault: () => during() ? fault : null },
});
const answers = (make: () => Response) => (during: () => boolean): DeskOptions => ({
  handler: (receiver) => (request) => during() ? make() : receiver.handle(request),
});
const net = (options: (during: () => boolean) => Partial<HttpNetworkOptions>) => (during: () => boolean) => ({
  network: options(during),
});

const first = (receiver: Receiver) => {
  const [ledger] = receiver.devices.get("board-1")?.values() ?? [];
  assert.ok(ledger !== undefined);
  return ledger;
};
const faultsOf = (receiver: Receiver) =>
  new Set([...first(receiver).slots.values()].map((reading) => reading.fault));
const flagsOf = (receiver: Receiver) =>
  new Set([...first(receiver).slots.values()].map((reading) => reading.flag));
const bytes = (text: string) => new TextEncoder().encode(text);

const faults: readonly Fault[] = [
  // ---- the sensor ----
  {
    name: "sensor unplugged",
    options: sensor((nowMs) => nowMs < START_MS + 60_000 ? { kind: "silent" } : null),
    shows: /"event":"sample","seq":0,"error":"timeout"/,
    check: (_, receiver) => assert.deepEqual(faultsOf(receiver), new Set(["timeout", null])),
  },
  {
    name: "sensor misses its first read after power-up",
    options: sensor((nowMs) => nowMs < START_MS + 3_000 ? { kind: "silent" } : null),
    shows: /"seq":0,"temperature_c"/,
    check: (_, receiver) => assert.deepEqual(faultsOf(receiver), new Set([null])),
  },
  {
    name: "sensor stops in the middle of a frame",
    options: sensor(() => ({ kind: "short", bitCount: 17 })),
    shows: /"error":"timeout"/,
  },
  {
    name: "one bit arrives inverted",
    options: sensor(() => ({ kind: "flippedBits", bits: [12] })),
    shows: /"error":"checksum"/,
    check: (_, receiver) => assert.deepEqual(faultsOf(receiver), new Set(["checksum"])),
  },
  {
    name: "an edge is so late that a 0 reads as a 1",
    options: sensor(() => ({ kind: "lateEdge", bit: 0, us: 60 })),
    shows: /"error":"checksum"/,
  },
  {
    name: "an edge never comes",
    options: sensor(() => ({ kind: "lateEdge", bit: 20, us: 130 })),
    shows: /"error":"timeout"/,
  },
  {
    name: "sensor sends -200.0 °C with a good checksum",
    options: stuckAt(-2000, 400),
    shows: /"error":"out_of_range"/,
    check: (_, receiver) => assert.deepEqual(faultsOf(receiver), new Set(["out_of_range"])),
  },
  {
    name: "sensor is stuck at one frame",
    options: stuckAt(215, 482),
    faultMs: 70 * MINUTE_MS,
    shows: /"flag":"stuck"/,
    check: (_, receiver) => assert.deepEqual(flagsOf(receiver), new Set([null, "stuck"])),
  },
  {
    name: "humidity is saturated at 99.9 %",
    options: stuckAt(120, 999),
    shows: /"humidity_pct":99.9,"flag":"saturated"/,
    check: (_, receiver) => assert.deepEqual(flagsOf(receiver), new Set(["saturated"])),
  },
  {
    name: "the 1 °C / 1 % frame",
    options: stuckAt(10, 10),
    shows: /"temperature_c":1.0,"humidity_pct":1.0,"flag":"reset_frame"/,
    check: (_, receiver) => assert.deepEqual(flagsOf(receiver), new Set(["reset_frame"])),
  },
  {
    name: "sensor hangs until its power is cut",
    options: () => {
      let powered = true;
      let hung = true;
      return {
        settings: { sensor_power_pin: 4 },
        surroundings: { sensorFault: () => hung ? { kind: "silent" } : null },
        onPin: ({ pin, level }) => {
          if (pin !== 4) return;
          if (powered && level === 0) hung = false;
          powered = level === 1;
        },
      };
    },
    shows: /"event":"sensor_power_cycle"/,
    check: (_, receiver) => assert.deepEqual(faultsOf(receiver), new Set(["timeout", null])),
  },
  // ---- Wi-Fi ----
  { name: "no Wi-Fi at boot", options: wifi("absent"), shows: /the network was not found: check wifi_ssid/ },
  { name: "wrong Wi-Fi password", options: wifi("refuses"), shows: /the password is wrong: check wifi_key/ },
  { name: "no lease", options: wifi("noLease"), shows: /no address within 20 s/ },
  { name: "the radio's driver is busy", options: wifi("busy"), shows: /the radio is busy/ },
  {
    name: "the access point restarts",
    options: {
      surroundings: {
        accessPoint: (nowMs) => Math.abs(nowMs - START_MS - 90_000) < 30_000 ? "absent" : "open",
      },
    },
    shows: /"event":"wifi_down"/,
  },
  {
    name: "the lease is lost",
    options: {
      surroundings: {
        accessPoint: (nowMs) => Math.abs(nowMs - START_MS - 90_000) < 30_000 ? "noLease" : "open",
      },
    },
    shows: /"event":"wifi_down"/,
  },
  {
    name: "Wi-Fi comes and goes every few seconds",
    options: (during) => ({
      surroundings: { accessPoint: (nowMs) => during() && nowMs % 14_000 < 6_000 ? "absent" : "open" },
    }),
    calmMs: 3 * MINUTE_MS,
  },
  // ---- names and time ----
  {
    name: "the name server does not answer",
    options: net((during) => ({ datagramArrives: (_, port) => port !== 53 || !during() })),
    shows: /"event":"ntp","why":"pool.ntp.org does not answer"/,
  },
  {
    name: "the server's name does not exist",
    options: net((during) => ({ nameExists: (name) => name !== "ingest.sim" || !during() })),
    shows: /"event":"no_answer","why":"the name was not found/,
  },
  {
    name: "NTP is blocked: the server's answers tell the time",
    options: net(() => ({ datagramArrives: (_, port) => port !== 123 })),
    shows: /"event":"clock","unix_ms":\d+,"source":"http"/,
    check: (_, receiver) => assert.equal(first(receiver).synced, true),
  },
  {
    name: "NTP is blocked and the server is down: who knows no time says why it sends nothing",
    options: net((during) => ({
      datagramArrives: (_, port) => port !== 123,
      accepts: () => during() ? "refused" : "yes",
    })),
    shows: /"event":"no_answer","why":"ECONNREFUSED","asked_for":"the time"/,
    calmMs: 4 * MINUTE_MS,
  },
  {
    name: "NTP says 1970",
    options: net(() => ({ ntpMs: () => 12_345_000 })),
    shows: /"event":"clock","unix_ms":17\d+,"source":"http"/,
  },
  // ---- the server ----
  {
    name: "connection refused",
    options: net((during) => ({ accepts: () => during() ? "refused" : "yes" })),
    shows: /ECONNREFUSED/,
  },
  {
    name: "host unreachable",
    options: net((during) => ({ accepts: () => during() ? "unreachable" : "yes" })),
    shows: /EHOSTUNREACH/,
  },
  {
    name: "connecting is never answered",
    options: net((during) => ({ accepts: () => during() ? null : "yes" })),
    shows: /ETIMEDOUT/,
  },
  { name: "the server accepts and never answers", options: server({ kind: "silence" }), shows: /ETIMEDOUT/ },
  {
    name: "the connection breaks before the server has read",
    options: server({ kind: "reset", handled: false }),
    shows: /ECONNRESET/,
  },
  {
    name: "the answer is lost: slots are sent again with the same content",
    options: server({ kind: "reset", handled: true }),
    shows: /ECONNRESET/,
    check: (_, receiver) => assert.ok(first(receiver).duplicateCount > 0),
  },
  { name: "the server takes 14 s", options: server({ kind: "delay", ms: 14_000 }), showsNot: /no_answer/ },
  { name: "the server takes 20 s", options: server({ kind: "delay", ms: 20_000 }), shows: /ETIMEDOUT/ },
  {
    name: "half an answer",
    options: server({ kind: "bytes", bytes: bytes("HTTP/1.1 202 Acc") }),
    shows: /no_answer/,
  },
  {
    name: "not HTTP at all",
    options: server({ kind: "bytes", bytes: bytes("SSH-2.0-OpenSSH_9.2\r\n\r\n") }),
    shows: /no_answer/,
  },
  {
    name: "an endless head",
    options: server({ kind: "bytes", bytes: bytes("HTTP/1.1 202 A\r\n" + "x: y\r\n".repeat(9999)) }),
    shows: /no_answer/,
  },
  { name: "500", options: answers(() => problem(500, "broken")), shows: /"why":"HTTP 500"/ },
  {
    name: "503 without Retry-After",
    options: answers(() => problem(503, "down")),
    shows: /"why":"HTTP 503"/,
  },
  {
    name: "503 with Retry-After: 30",
    options: answers(() => problem(503, "down", { "retry-after": "30" })),
    shows: /"event":"not_accepted","why":"HTTP 503","retry_ms":3\d{4}/,
  },
  {
    name: "429 with Retry-After: 20",
    options: answers(() => problem(429, "slowly", { "retry-after": "20" })),
    shows: /"event":"not_accepted","why":"HTTP 429","retry_ms":2\d{4}/,
  },
  {
    name: "404 of another server",
    options: answers(() => new Response("no", { status: 404 })),
    shows: /"why":"HTTP 404"/,
  },
  {
    name: "400 for a batch: reported as refused, and on it goes",
    options: answers(() => problem(400, "no batch")),
    shows: /"event":"refused","status":400/,
    check: (_, receiver) => assert.ok([...first(receiver).lost.values()].includes("refused")),
  },
  {
    name: "400 of a proxy loses nothing",
    options: answers(() => new Response("<html>Bad Request", { status: 400 })),
    shows: /"event":"not_ingest","why":"HTTP 400/,
    check: (_, receiver) => assert.equal(first(receiver).lost.size, 0),
  },
  {
    name: "400 with words that are no UTF-8",
    options: answers(() =>
      new Response(Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d), {
        status: 400,
        headers: { "content-type": "application/problem+json" },
      })
    ),
    shows: /"event":"refused","status":400/,
  },
  {
    name: "a date that is no UTF-8, while NTP is blocked",
    options: (during) => ({
      network: {
        datagramArrives: (_, port) => port !== 123,
        fault: () =>
          during()
            ? {
              kind: "bytes",
              bytes: Uint8Array.of(...bytes("HTTP/1.1 405 No\r\ndate: "), 0xff, 0xfe, 13, 10, 13, 10),
            }
            : null,
      },
    }),
    shows: /"event":"clock","unix_ms":\d+,"source":"http"/,
    calmMs: 5 * MINUTE_MS,
  },
  {
    name: "413: smaller batches",
    options: (during) => ({
      handler: (receiver) => async (request) => {
        const copy = await request.clone().json();
        return during() || copy.readings.length > 2 ? problem(413, "too large") : receiver.handle(request);
      },
    }),
    faultMs: 1,
    check: (_, receiver) => assert.equal(first(receiver).lost.size, 0),
  },
  {
    name: "401: a wrong key is named and loses nothing",
    options: answers(() => problem(401, "no key")),
    shows: /the key in settings.json is missing or wrong/,
    check: (_, receiver) => assert.equal(first(receiver).lost.size, 0),
  },
  {
    name: "captive portal: 200 with a web page",
    options: answers(() => new Response("<html>Welcome! Please accept our terms.")),
    shows: /is this a captive portal/,
    check: (_, receiver) => assert.equal(first(receiver).lost.size, 0),
  },
  {
    name: "captive portal: 302",
    options: answers(() => new Response(null, { status: 302, headers: { location: "http://portal/" } })),
    shows: /"why":"HTTP 302"/,
  },
  {
    name: "the server closes the kept connection between two slots",
    options: net(() => ({ idleMsMax: 3_000 })),
    showsNot: /no_answer/,
  },
  {
    name: "the kept connection is half open",
    options: {},
    act: async (desk) => {
      await desk.run(MINUTE_MS);
      desk.network.forgetConnections();
    },
    shows: /ETIMEDOUT/,
  },
  {
    name: "the server asks for one reading a request",
    options: wifi("absent"),
    act: (desk) => {
      desk.receiver.credit = 1;
    },
    check: (_, receiver) => {
      assert.ok(receiver.requests.slice(1).every(({ seqs }) => seqs.length <= 1));
    },
  },
];

for (const fault of faults) {
  Deno.test(`fault: ${fault.name}`, async () => {
    const { faultMs = 2 * MINUTE_MS, calmMs = 2 * MINUTE_MS } = fault;
    let during = true;
    const options = typeof fault.options === "function" ? fault.options(() => during) : fault.options;
    await using desk = await setUpDesk(options);
    await desk.board.powerOn();
    await fault.act?.(desk);
    await desk.run(START_MS + faultMs - desk.scheduler.nowMs);
    during = false;
    await desk.run(calmMs);
    if (fault.shows) assert.match(desk.serial(), fault.shows);
    if (fault.showsNot) assert.doesNotMatch(desk.serial(), fault.showsNot);
    desk.receiver.checkComplete("board-1");
    desk.receiver.checkOrder();
    const newestMs = Math.max(...[...desk.receiver.devices.get("board-1")?.values() ?? []]
      .flatMap(({ slots }) => [...slots.values()].map(({ tsMs }) => tsMs ?? 0)));
    assert.ok(newestMs > desk.scheduler.nowMs - 25_000, "the newest slots have arrived");
    fault.check?.(desk, desk.receiver);
  });
}
