/** Every control, by what a program on the board notices of it. */
import assert from "node:assert/strict";
import type { HttpHandler } from "../board/mod.ts";
import { accessPoints, sensorFaults } from "./controls.ts";
import { START_MS, Talk } from "./testing/talk.ts";
import { worldOf } from "./world.ts";

const SECOND = 1e9;

const READER = `
import dht, machine, time
s = dht.DHT22(machine.Pin(15))
while True:
    time.sleep(2)
    try:
        s.measure()
        print("%.1f %.1f" % (s.temperature(), s.humidity()))
    except Exception as error:
        print(error)
`;

/** What the next read prints once `control` is set. */
async function nextRead(talk: Talk, control: string, value: number): Promise<string> {
  await talk.done("control:set", { part: "dht", control, value });
  const before = talk.serial().length;
  await talk.resume(2.3 * SECOND);
  return talk.serial().slice(before).trim();
}

Deno.test("temperature and humidity: what the next read gives, in tenths, beyond the sensor's range as well", async () => {
  await using talk = new Talk();
  await talk.start(READER);
  assert.equal(await nextRead(talk, "temperature", 21.5), "21.5 40.0");
  assert.equal(await nextRead(talk, "humidity", 66.9), "21.5 66.9");
  assert.equal(await nextRead(talk, "temperature", -20), "-20.0 66.9");
  assert.equal(await nextRead(talk, "temperature", -0.04), "0.0 66.9");
  assert.equal(await nextRead(talk, "temperature", 3276.7), "3276.7 66.9");
  assert.equal(await nextRead(talk, "humidity", 6553.5), "3276.7 6553.5");
});

Deno.test("fault: each number is what its name says, and 0 heals", async () => {
  await using talk = new Talk();
  await talk.start(READER);
  const seen = [];
  for (const number of [...sensorFaults.keys(), 0]) seen.push(await nextRead(talk, "fault", number));
  assert.deepEqual(sensorFaults.map(({ name }) => name), [
    "none",
    "unplugged",
    "wrong checksum",
    "breaks off after 20 bits",
    "a late edge in bit 10",
    "stuck at 1 °C, 1 %",
  ]);
  assert.deepEqual(seen, [
    "24.0 40.0",
    "[Errno 110] ETIMEDOUT",
    "checksum error",
    "[Errno 110] ETIMEDOUT",
    "checksum error",
    "1.0 1.0",
    "24.0 40.0",
  ]);
});

Deno.test("a control that was set before the start holds after it", async () => {
  await using talk = new Talk();
  for (const value of [9, 5]) {
    await talk.done("control:set", { part: "dht", control: "temperature", value });
  }
  await talk.start(READER);
  await talk.resume(3 * SECOND);
  assert.equal(talk.serial(), "5.0 40.0\r\n");
});

Deno.test("weather holds from its time on, each channel by itself; a hand on a knob outweighs it", async () => {
  await using talk = new Talk({
    weather: [
      { atNanos: 0, temperatureTenthsC: 10 },
      { atNanos: 3 * SECOND, humidityTenthsPct: 700 },
      { atNanos: 5 * SECOND, temperatureTenthsC: -30 },
    ],
  });
  await talk.start(READER);
  await talk.resume(7 * SECOND);
  assert.equal(talk.serial(), "1.0 40.0\r\n1.0 70.0\r\n-3.0 70.0\r\n");
  assert.equal(await nextRead(talk, "temperature", 9), "9.0 70.0");
});

const STATUS = `
import network, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
last = None
while True:
    try:
        if wlan.status() != last:
            last = wlan.status()
            print(last)
        if last == network.STAT_IDLE:
            wlan.connect("Wokwi-GUEST", "")
    except OSError as error:
        if last != str(error):
            last = str(error)
            print(last)
    time.sleep_ms(100)
`;

Deno.test("wifi: the access point in every state, as MicroPython's status tells it", async () => {
  const seen = [];
  for (const number of accessPoints.keys()) {
    await using talk = new Talk();
    await talk.start(STATUS);
    await talk.done("control:set", { part: "esp", control: "wifi", value: number });
    await talk.resume(3 * SECOND);
    seen.push(talk.serial().trim().split("\r\n"));
  }
  assert.deepEqual(accessPoints.map(({ name }) => name), [
    "gone",
    "open",
    "refuses",
    "gives no address",
    "driver busy",
  ]);
  assert.deepEqual(seen.map((lines) => lines.at(-1)), ["201", "1010", "202", "1001", "Wifi Internal Error"]);
});

/** Asks a web server and a time server every 2 s. */
const ASKER = `
import network, socket, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("Wokwi-GUEST", "")
while not wlan.isconnected():
    time.sleep_ms(100)
def web():
    try:
        s = socket.socket()
        s.settimeout(1)
        s.connect(socket.getaddrinfo("server", 80)[0][-1])
        s.send(b"GET / HTTP/1.1\\r\\nHost: server\\r\\n\\r\\n")
        return s.recv(12)
    except OSError as error:
        return error
    finally:
        s.close()
def ntp():
    try:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(1)
        s.sendto(b"\\x1b" + 47 * b"\\0", (socket.getaddrinfo("pool.ntp.org", 123)[0][-1]))
        return len(s.recv(48))
    except OSError as error:
        return error
    finally:
        s.close()
while True:
    print(web(), ntp())
    time.sleep(2)
`;

Deno.test("ntp and internet: time server and everything behind the access point, away and back", async () => {
  const handler: HttpHandler = () => new Response("hello");
  await using talk = new Talk({ makeWorld: () => worldOf(START_MS, handler) });
  await talk.start(ASKER);
  const after = async (control: string, value: number): Promise<string | undefined> => {
    await talk.done("control:set", { part: "esp", control, value });
    await talk.resume(12 * SECOND);
    return talk.serial().trim().split("\r\n").at(-1);
  };
  assert.equal(await after("ntp", 1), "b'HTTP/1.1 200' 48");
  assert.equal(await after("ntp", 0), "b'HTTP/1.1 200' [Errno 110] ETIMEDOUT");
  assert.equal(await after("ntp", 1), "b'HTTP/1.1 200' 48");
  // No name is found, which getaddrinfo says with -202.
  assert.equal(await after("internet", 0), "-202 -202");
  assert.equal(await after("internet", 1), "b'HTTP/1.1 200' 48");
});

Deno.test("internet: a connection that is open when the way is cut hears nothing more", async () => {
  const main = `
import network, socket, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("Wokwi-GUEST", "")
while not wlan.isconnected():
    time.sleep_ms(100)
s = socket.socket()
s.settimeout(1)
s.connect(socket.getaddrinfo("server", 80)[0][-1])
while True:
    try:
        s.send(b"GET / HTTP/1.1\\r\\nHost: server\\r\\n\\r\\n")
        s.recv(1000)
        print("answered")
    except OSError as error:
        print(error)
    time.sleep(2)
`;
  await using talk = new Talk({ makeWorld: () => worldOf(START_MS, () => new Response("hello")) });
  await talk.start(main);
  await talk.resume(5 * SECOND);
  assert.match(talk.serial(), /answered\r\nanswered\r\n$/);
  await talk.done("control:set", { part: "esp", control: "internet", value: 0 });
  await talk.resume(6 * SECOND);
  assert.match(talk.serial(), /answered\r\n\[Errno 110\] ETIMEDOUT\r\n\[Errno 110\] ETIMEDOUT\r\n/);
});

Deno.test("power: the board is dark, its pins fall, and its flash is what it was when it comes back", async () => {
  await using talk = new Talk();
  const main =
    "import machine, os\nled = machine.Pin(2, machine.Pin.OUT)\nled.on()\nprint(sorted(os.listdir()), machine.reset_cause())\n" +
    "open('/kept.txt', 'w').close()\nimport time\ntime.sleep(1000)";
  await talk.start(main);
  await talk.resume(SECOND);
  assert.equal((await talk.done("pin:read", { part: "esp", pin: "2" })).value, 1);
  await talk.done("control:set", { part: "esp", control: "power", value: 0 });
  assert.equal((await talk.done("pin:read", { part: "esp", pin: "2" })).value, 0);
  assert.equal((await talk.done("pin:read", { part: "dht", pin: "SDA" })).value, 0);
  await talk.done("control:set", { part: "esp", control: "power", value: 0 });
  await talk.done("control:set", { part: "esp", control: "power", value: 1 });
  await talk.done("control:set", { part: "esp", control: "power", value: 1 });
  await talk.resume(SECOND);
  assert.equal(talk.serial(), "['main.py'] 1\r\n['kept.txt', 'main.py'] 1\r\n");
  assert.equal((await talk.done("pin:read", { part: "dht", pin: "SDA" })).value, 1);
});
