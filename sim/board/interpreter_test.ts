/** The board as such, with small programs in the firmware's place. */
import assert from "node:assert/strict";
import { type DeskOptions, python, SECOND_MS, setUpDesk } from "./testing/desk.ts";
import { Stuck } from "./micropython_program.ts";

/** Runs `main` until it sleeps for ever, and gives what it printed. */
async function printed(main: string, options: DeskOptions = {}, ms = 60 * SECOND_MS): Promise<string> {
  await using desk = await setUpDesk({
    ...options,
    main: `${main}\nimport time\nwhile True: time.sleep(1000)\n`,
  });
  await desk.board.powerOn();
  await desk.run(ms);
  return desk.serial();
}

Deno.test("asyncio: run, gather, wait_for, cancel, Event and Lock", async () => {
  const main = `
import asyncio, time
async def nap(s, value):
    await asyncio.sleep(s)
    return value
async def main():
    start = time.ticks_ms()
    assert await asyncio.gather(nap(2, 'a'), nap(3, 'b')) == ['a', 'b']
    assert time.ticks_ms() - start == 3000
    try:
        await asyncio.wait_for(nap(60, 0), 5)
    except asyncio.TimeoutError:
        print('timeout', time.ticks_ms() - start)
    task = asyncio.create_task(nap(60, 0))
    await asyncio.sleep(1)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print('cancelled')
    event, lock = asyncio.Event(), asyncio.Lock()
    async def setter():
        async with lock:
            await asyncio.sleep(1)
            event.set()
    asyncio.create_task(setter())
    await event.wait()
    return 7
print(asyncio.run(main()))
async def bad():
    raise ValueError(3)
try:
    asyncio.run(bad())
except ValueError:
    print('raised')
`;
  assert.equal(await printed(main), "timeout 8000\ncancelled\n7\nraised\n");
});

Deno.test("time: the epoch is 2000, the clock starts at power-up, sleeping takes virtual time", async () => {
  const main = `
import time
print(time.gmtime(0)[:3], time.time())
time.sleep(3)
print(time.time(), time.ticks_ms())
`;
  assert.equal(await printed(main), "(2000, 1, 1) 0\n3 3000\n");
});

Deno.test("the real-time clock and its memory survive deep sleep and a reset, not the power", async () => {
  const main = `
import machine, time
rtc = machine.RTC()
cause = machine.reset_cause()
print(cause, time.time(), rtc.memory())
if cause == machine.PWRON_RESET and not rtc.memory():
    time.sleep(3)
    rtc.memory(b'abc')
    machine.deepsleep(5000)
if cause == machine.DEEPSLEEP_RESET:
    machine.reset()
`;
  await using desk = await setUpDesk({ main: `${main}\nwhile True: time.sleep(1000)\n` });
  await desk.board.powerOn();
  await desk.run(20 * SECOND_MS);
  desk.board.powerCut();
  await desk.board.powerOn();
  await desk.run(SECOND_MS);
  assert.equal(desk.serial(), "1 0 b''\n4 8 b'abc'\n2 8 b'abc'\n1 0 b''\n");
  assert.deepEqual(desk.board.causes, ["power", "deepSleep", "hard", "power"]);
});

Deno.test("the watchdog resets a board that stops feeding it", async () => {
  const main = `
import machine, time
if machine.reset_cause() == machine.WDT_RESET:
    print('back')
else:
    dog = machine.WDT(timeout=5000)
    time.sleep(4)
    dog.feed()
    time.sleep(100)
`;
  await using desk = await setUpDesk({ main: `${main}\nwhile True: time.sleep(1000)\n` });
  await desk.board.powerOn();
  await desk.run(8_999);
  assert.equal(desk.serial(), "");
  await desk.run(2);
  assert.equal(desk.serial(), "back\n");
});

Deno.test("flash: what is flushed or closed survives a power cut, what isn't does not", async () => {
  const main = `
import os, time
try:
    print(sorted(os.listdir('/')), open('/closed').read(), open('/flushed').read(), open('/moved').read())
except OSError as error:
    print('first boot', error.errno == 2)
with open('/closed', 'w') as f: f.write('one')
f = open('/flushed', 'w'); f.write('kept'); f.flush(); f.write('and more')
g = open('/unflushed', 'w'); g.write('lost')
with open('/new', 'w') as h: h.write('1')
os.rename('/new', '/moved')
time.sleep(1000)
`;
  await using desk = await setUpDesk({ main });
  await desk.board.powerOn();
  await desk.run(SECOND_MS);
  desk.board.powerCut();
  for (const path of desk.board.flash.paths()) {
    if (path.endsWith(".py") && path !== "/main.py" || path.endsWith(".json")) desk.board.flash.remove(path);
  }
  await desk.board.powerOn();
  await desk.run(SECOND_MS);
  assert.equal(desk.serial(), "first boot True\n['closed', 'flushed', 'main.py', 'moved'] one kept 1\n");
});

Deno.test("flash: a cut before, in the middle of and after a commit leaves the old, torn and new content", async () => {
  const main = "f = open('/a', 'w'); f.write('new content'); f.close()\nimport time; time.sleep(1000)";
  const left = async (point: "before" | "torn" | "after") => {
    await using desk = await setUpDesk({ main });
    desk.board.flash.put("/a", "old");
    desk.board.cutAtFlashOperation({ operation: 2, point });
    await desk.board.powerOn();
    assert.equal(desk.board.on, false);
    desk.board.check();
    return new TextDecoder().decode(desk.board.flash.read("/a") ?? new Uint8Array());
  };
  assert.deepEqual([await left("before"), await left("torn"), await left("after")], [
    "old",
    "new con",
    "new content",
  ]);
});

Deno.test("busy waiting on the clock ends", async () => {
  const main = `
import time
start = time.ticks_ms()
while time.ticks_diff(time.ticks_ms(), start) < 500:
    pass
print(time.ticks_diff(time.ticks_ms(), start) >= 500)
`;
  assert.equal(await printed(main), "True\n");
});

Deno.test("a loop that polls without waiting is a failed run with its traceback, whatever Python catches", async () => {
  const main = `
import network
wlan = network.WLAN()
def wait_for_link():
    while not wlan.isconnected():
        pass
while True:
    try:
        wait_for_link()
    except BaseException as error:
        import sys
        sys.print_exception(error)
`;
  await using desk = await setUpDesk({ main });
  await desk.board.powerOn();
  assert.throws(() => desk.board.check(), Stuck);
  assert.match(desk.serial(), /line 6, in wait_for_link/);
});

Deno.test("ticks_ms wraps at 2^30, and ticks_diff bears it", async () => {
  const main = `
import time
start = time.ticks_ms()
time.sleep(10)
print(start, time.ticks_ms(), time.ticks_diff(time.ticks_ms(), start))
`;
  assert.equal(await printed(main, { ticksStartMs: 2 ** 30 - 3000 }), "1073738824 7000 10000\n");
});

Deno.test("garbage is collected at safe points, and nothing that lives is freed", async () => {
  const main = `
import asyncio, gc
kept = [bytes([i]) * 200 for i in range(100)]
async def main():
    for i in range(5000):
        junk = [bytearray(500) for _ in range(20)]
        await asyncio.sleep_ms(10)
    print(sum(b[0] for b in kept))
asyncio.run(main())
`;
  await using desk = await setUpDesk({ main: `${main}\nimport time\nwhile True: time.sleep(1000)\n` });
  await desk.board.powerOn();
  await desk.run(60 * SECOND_MS);
  assert.equal(desk.serial(), "4950\n");
  assert.ok(python(desk.board).memoryBytes <= 17 * 1024 * 1024, "50 MB of garbage fit into the first 16 MiB");
});

Deno.test("a callback from C may block: its values are not collected", async () => {
  const main = `
import asyncio, gc, time
def key(x):
    gc.collect()
    time.sleep_ms(1)
    junk = [bytes([7]) * 16 for _ in range(200)]
    return x
async def main():
    for _ in range(3):
        assert sorted((i for i in range(49, -1, -1)), key=key) == list(range(50))
        await asyncio.sleep_ms(10)
asyncio.run(main())
print('done')
`;
  assert.equal(await printed(main, { python: { safePointsPerCollection: 1 } }), "done\n");
});

Deno.test("pins: levels are kept, and cleared by a reset", async () => {
  const main = `
import machine
led = machine.Pin(2, machine.Pin.OUT, value=1)
print(led.value(), machine.Pin(4).value())
led.off()
print(led())
`;
  assert.equal(await printed(main), "1 0\n0\n");
});
