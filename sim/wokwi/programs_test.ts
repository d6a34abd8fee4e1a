/** Programs as Wokwi users write them: what they may do on the board besides reading the sensor. */
import assert from "node:assert/strict";
import { bytesOf, Talk } from "./testing/talk.ts";

const SECOND = 1e9;

/** What `main` prints within `seconds`; `typed` is sent once it has printed "ready". */
async function run(
  main: string,
  seconds = 5,
  typed = "",
  more: Record<string, string> = {},
): Promise<string> {
  await using talk = new Talk();
  await talk.start(main, more);
  if (typed !== "") {
    await talk.done("pause-point:add", { id: "ready", type: "serial-bytes", bytes: bytesOf("ready") });
    await talk.resume();
    await talk.done("serial-monitor:write", { bytes: bytesOf(typed) });
  }
  await talk.resume(seconds * SECOND);
  return talk.serial();
}

Deno.test("a program reads its standard input: by character, by line, with input(), when poll() says so", async () => {
  const cases: [string, string, RegExp][] = [
    ["by character", "import sys\nprint('ready')\nprint(repr(sys.stdin.read(3)))", /'abc'/],
    ["by line", "import sys\nprint('ready')\nprint(repr(sys.stdin.readline()))", /'abcd\\n'/],
    ["with input()", "print('ready')\nprint(repr(input('name? ')))", /name\? abcd\r\n'abcd'/],
    [
      "with poll()",
      "import select, sys\np = select.poll()\np.register(sys.stdin, select.POLLIN)\nprint('ready')\n" +
      "while not p.poll(100): pass\nprint(repr(sys.stdin.read(1)), len(p.poll(0)))",
      /'a' 1/,
    ],
  ];
  for (const [what, main, printed] of cases) assert.match(await run(main, 5, "abcd\r"), printed, what);
});

Deno.test("Ctrl-C interrupts a program that waits for input", async () => {
  assert.match(await run("import sys\nprint('ready')\nsys.stdin.readline()", 1, "\x03"), /KeyboardInterrupt/);
});

Deno.test("a program that polls without sleeping lets time pass, so what it waits for comes", async () => {
  const wifi =
    "import network\nw = network.WLAN(network.STA_IF)\nw.active(True)\nw.connect('Wokwi-GUEST', '')\n" +
    "while not w.isconnected(): pass\nprint('joined')";
  assert.match(await run(wifi), /joined/);
  const clock =
    "import time\nstart = time.time()\nwhile time.time() - start < 3: pass\nprint('three seconds')";
  assert.match(await run(clock), /three seconds/);
});

Deno.test("a program that prints without end takes the time of the wire", async () => {
  const printed = await run("while True: print('0123456789')", 2);
  // 11,520 bytes a second at 115,200 baud.
  assert.ok(printed.length > 12_000 && printed.length < 45_000, String(printed.length));
});

Deno.test("a program that takes memory without end gets a MemoryError, and the board its prompt", async () => {
  const printed = await run(
    "kept = []\nwhile True:\n    kept.append(bytearray(1000000))\n    print(len(kept))",
  );
  assert.match(printed, /MemoryError/);
  assert.match(printed, />>> $/);
});

Deno.test("boot.py runs before main.py, and its mistakes stop nothing", async () => {
  assert.match(
    await run("print('main')", 1, "", { "boot.py": "print('boot')\n1 / 0" }),
    /^boot\r\n[^]*ZeroDivisionError[^]*\r\nmain\r\n/,
  );
});

Deno.test("uploads lie beside main.py in the flash, in folders of their own", async () => {
  const main = "import greeting, lib.deep\nprint(greeting.TEXT, lib.deep.TEXT, open('/data.txt').read())";
  const more = { "greeting.py": "TEXT = 'hello'", "lib/deep.py": "TEXT = 'below'", "data.txt": "data" };
  assert.match(await run(main, 1, "", more), /^hello below data\r\n/);
});

Deno.test("an exception at the top is printed, and the prompt follows", async () => {
  const printed = await run("print('start')\nraise ValueError('no')", 1);
  assert.match(printed, /^start\r\nTraceback[^]*ValueError: no\r\n[^]*MicroPython[^]*>>> $/);
});
