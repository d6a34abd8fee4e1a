import assert from "node:assert/strict";
import { bytesOf, Talk } from "./testing/talk.ts";

const SECOND = 1e9;
const READER = `
import dht, machine, time
sensor = dht.DHT22(machine.Pin(15))
print("DHT22 test!")
while True:
    time.sleep(2)
    try:
        sensor.measure()
        print("Humidity: %.1f%%  Temperature: %.1f C" % (sensor.humidity(), sensor.temperature()))
    except OSError as error:
        print("no answer", error)
    except Exception as error:
        print(error)
`;

Deno.test("a plain main.py reads the DHT22 that the diagram has, and a control turns its knobs", async () => {
  await using talk = new Talk();
  await talk.start(READER);
  await talk.resume(3 * SECOND);
  assert.equal(talk.serial(), "DHT22 test!\r\nHumidity: 40.0%  Temperature: 24.0 C\r\n");
  await talk.done("control:set", { part: "dht", control: "temperature", value: -20 });
  await talk.done("control:set", { part: "dht", control: "humidity", value: 66.9 });
  await talk.resume(2 * SECOND);
  assert.match(talk.serial(), /66.9%\s+Temperature: -20.0 C\r\n$/);
});

Deno.test("a serial pause point stops at the very byte, and what is behind it comes after the resume", async () => {
  await using talk = new Talk();
  await talk.start("print('aaab rest')\nprint('next')");
  await talk.done("pause-point:add", { id: "p", type: "serial-bytes", bytes: bytesOf("aab") });
  const stop = await talk.resume();
  assert.deepEqual(stop.payload, { pausePoint: "p", pausePointInfo: {} });
  assert.equal(talk.serial(), "aaab");
  await talk.resume(SECOND);
  assert.match(talk.serial(), /^aaab rest\r\nnext\r\n/);
});
