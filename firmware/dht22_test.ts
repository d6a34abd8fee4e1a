/** The driver, in MicroPython, over every code that the wire can carry. */
import assert from "node:assert/strict";
import { PythonDesk } from "./testing/python_desk.ts";

Deno.test("all 65,536 temperature codes and all 65,536 humidity codes are right, or out of range", async () => {
  const python = await PythonDesk.create();
  python.run(`
import dht22
frame = bytearray(5)
good = bad = 0
def check(humidity, raw):
    global good, bad
    frame[0] = humidity >> 8
    frame[1] = humidity & 255
    frame[2] = raw >> 8
    frame[3] = raw & 255
    frame[4] = (frame[0] + frame[1] + frame[2] + frame[3]) & 255
    temperature = -(raw - 32768) if raw >= 32768 else raw
    in_range = -400 <= temperature <= 800 and humidity <= 1000
    expected = (0, temperature, humidity) if in_range else (dht22.OUT_OF_RANGE, 0, 0)
    assert dht22.decode(frame) == expected, (humidity, raw)
    if in_range: good += 1
    else: bad += 1
def temperatures(first):
    for raw in range(first, first + 1024): check(500, raw)
def humidities(first):
    for humidity in range(first, first + 1024): check(humidity, 215)
`);
  // In portions: this interpreter collects garbage only between calls from outside.
  for (let code = 0; code < 65_536; code += 1024) python.run(`temperatures(${code})`);
  python.run("temperatures = good, bad\ngood = bad = 0");
  for (let code = 0; code < 65_536; code += 1024) python.run(`humidities(${code})`);
  python.run("print(temperatures, (good, bad))");
  // 0 and -0, 1 … 800, -1 … -400: 1,202 codes are temperatures; 0 … 1000 are humidities.
  assert.equal(python.printed(), "(1202, 64334) (1001, 64535)\n");
});

Deno.test("of flipped bits, every single one is seen; of double ones, so many pass the checksum", async () => {
  const python = await PythonDesk.create();
  const frames = 1000;
  python.run(`
import dht22
state = 12345
def number(bound):
    global state
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return (state >> 8) % bound
frame = bytearray(5)
def flip(bit): frame[bit >> 3] ^= 128 >> (bit & 7)
singles = doubles = seen_single = 0
outcomes = [0, 0, 0, 0]
def frame_number():
    global singles, doubles, seen_single
    temperature, humidity = number(1201) - 400, number(1001)
    raw = temperature if temperature >= 0 else -temperature | 32768
    frame[0] = humidity >> 8
    frame[1] = humidity & 255
    frame[2] = raw >> 8
    frame[3] = raw & 255
    frame[4] = (frame[0] + frame[1] + frame[2] + frame[3]) & 255
    for first in range(40):
        flip(first)
        singles += 1
        if dht22.decode(frame)[0] == dht22.CHECKSUM: seen_single += 1
        for second in range(first + 1, 40):
            flip(second)
            doubles += 1
            outcomes[dht22.decode(frame)[0]] += 1
            flip(second)
        flip(first)
`);
  for (let frame = 0; frame < frames; frame++) python.run("frame_number()");
  python.run(
    "print(singles, seen_single, doubles, outcomes[dht22.CHECKSUM], outcomes[dht22.OUT_OF_RANGE], outcomes[0])",
  );
  const counts = python.printed().split(" ").map(Number);
  // 2.6 % of the double flips pass unseen: one bit goes up, the same bit of another byte goes down.
  assert.deepEqual(counts, [40_000, 40_000, 780_000, 737_674, 21_944, 20_382]);
});
