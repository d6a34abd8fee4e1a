/** Every frame of the protocol, in a table: what a client sends, and what it has to get. */
import assert from "node:assert/strict";
import { commandNames } from "./commands.ts";
import { readVcd } from "./runner/testing/vcd.ts";
import { bytesOf, Talk } from "./testing/talk.ts";

const SECOND = 1e9;
const MS = 1e6;

const diagram = JSON.stringify({
  version: 1,
  parts: [
    { type: "board-esp32-devkit-c-v4", id: "esp", attrs: { env: "micropython-20231227-v1.22.0" } },
    { type: "wokwi-dht22", id: "dht", attrs: { temperature: "23.5", humidity: "45.8" } },
    { type: "wokwi-led", id: "led" },
  ],
  connections: [
    ["esp:TX", "$serialMonitor:RX", "", []],
    ["esp:3V3", "dht:VCC", "red", []],
    ["esp:15", "dht:SDA", "green", []],
    ["esp:2", "led:A", "blue", []],
  ],
});

/** Blinks, and answers what is typed. */
const MAIN = `
import machine, sys, time
led = machine.Pin(2, machine.Pin.OUT)
button = machine.Pin(4, machine.Pin.IN, machine.Pin.PULL_UP)
print("ready")
while True:
    led.on()
    time.sleep_ms(500)
    led.off()
    print("blink")
    time.sleep_ms(500)
`;

type Row = readonly [command: string, params: Record<string, unknown> | undefined, result: unknown];

const low = { value: 0, voltage: 0, direction: "in", pullUp: false, pullDown: false };
const high = { ...low, value: 1, voltage: 3.3 };

/** In this order, in one conversation, paused. */
const rows: readonly Row[] = [
  ["sim:status", undefined, { running: false, nanos: 0 }],
  ["file:upload", { name: "diagram.json", text: diagram }, {}],
  ["file:upload", { name: "main.py", binary: btoa(MAIN) }, {}],
  ["file:upload", { name: "data.bin", binary: "AAH/" }, {}],
  ["file:download", { name: "diagram.json" }, { text: diagram }],
  ["file:download", { name: "data.bin" }, { binary: "AAH/" }],
  ["pin:read", { part: "esp", pin: "2" }, { pin: "2", ...low }],
  ["serial-monitor:write", { bytes: [1, 2] }, {}],
  ["sim:read-vcd", {}, { vcd: "", channelCount: 0, sampleCount: 0 }],
  ["control:set", { part: "dht", control: "temperature", value: 21.5 }, {}],
  ["serial-monitor:listen", undefined, {}],
  ["sim:start", {
    firmware: "main.py",
    elf: null,
    chips: [],
    pause: true,
    flashSize: 4,
    sdcards: [],
    more: 1,
  }, {}],
  ["file:download", { name: "/data.bin" }, { binary: "AAH/" }],
  ["sim:resume", { pauseAfter: 100 * MS }, {}],
  ["sim:status", {}, { running: false, nanos: 100 * MS }],
  ["pin:read", { part: "esp", pin: "2" }, { pin: "2", ...high, direction: "out" }],
  ["pin:read", { part: "esp", pin: 2 }, { pin: "2", ...high, direction: "out" }],
  ["pin:read", { part: "led", pin: "A" }, { pin: "A", ...high, direction: "out" }],
  ["pin:read", { part: "esp", pin: "4" }, { pin: "4", ...high, pullUp: true }],
  ["pin:read", { part: "esp", pin: "15" }, { pin: "15", ...high }],
  ["pin:read", { part: "dht", pin: "SDA" }, { pin: "SDA", ...high }],
  ["pin:read", { part: "esp", pin: "13" }, { pin: "13", ...low }],
  ["pin:read", { part: "esp", pin: "3V3" }, { pin: "3V3", ...high, direction: "out" }],
  ["pin:read", { part: "esp", pin: "5V" }, { pin: "5V", ...high, voltage: 5, direction: "out" }],
  ["pin:read", { part: "esp", pin: "GND.1" }, { pin: "GND.1", ...low, direction: "out" }],
  ["pin:read", { part: "dht", pin: "VCC" }, { pin: "VCC", ...high, direction: "out" }],
  ["pin:listen", { part: "esp", pin: "2", listen: true }, {}],
  ["pin:listen", { part: "esp", pin: "2", listen: false }, {}],
  ["pause-point:add", { id: "a", type: "time-absolute", nanos: 1e17 }, {}],
  ["pause-point:remove", { id: "a" }, {}],
  ["pause-point:remove", { id: "never added" }, {}],
  ["control:set", { part: "dht", control: "humidity", value: 66.9 }, {}],
  ["control:set", { part: "esp", control: "wifi", value: 0 }, {}],
  ["touch:event", { part: "led", x: 1, y: 2, event: "press", releaseAfter: 50 * MS }, {}],
  ["serial-monitor:write", { bytes: [112, 105, 110, 103] }, {}],
  ["sim:pause", undefined, {}],
  ["sim:pause", {}, {}],
  ["sim:restart", { pause: true }, {}],
  ["sim:status", {}, { running: false, nanos: 0 }],
];

Deno.test("every command is answered as its row says, with its own id and name", async () => {
  await using talk = new Talk();
  assert.deepEqual(talk.frames[0], {
    type: "hello",
    protocolVersion: 1,
    appName: "Isotherm's Wokwi simulator",
    appVersion: "1.0.0",
  });
  for (const [command, params, result] of rows) {
    const response = await talk.ask(command, params);
    const { id } = response;
    assert.deepEqual(response, { type: "response", command, id, result, error: false }, command);
    if (command === "sim:resume") {
      await talk.frame((frame) => frame.type === "event" && frame.event === "sim:pause");
    }
  }
  const { pins } = await talk.done("gpio:list");
  assert.deepEqual((pins as string[]).slice(0, 3), ["esp:GPIO0", "esp:GPIO1", "esp:GPIO2"]);
  assert.ok((pins as string[]).includes("esp:GPIO39"));
});

/** What can't be done, after a start, with the code and a part of the sentence. */
const refusals: readonly (readonly [string, Record<string, unknown> | undefined, number, RegExp])[] = [
  ["sim:reboot", {}, 404, /no command "sim:reboot"; known are file:upload, /],
  ["toString", {}, 404, /no command "toString"/],
  ["file:upload", { name: "a" }, 400, /either "text" or "binary"/],
  ["file:upload", { name: "a", text: "x", binary: "eA==" }, 400, /either "text" or "binary"/],
  ["file:upload", { text: "x" }, 400, /"name" must be text of 1 to 256 characters/],
  ["file:upload", { name: "a".repeat(257), text: "x" }, 400, /"name" must be/],
  ["file:upload", { name: "a", binary: "no base64!" }, 400, /no base64/],
  ["file:upload", { name: "a", text: 5 }, 400, /"text" must be text/],
  ["file:download", { name: "gone" }, 404, /no file gone/],
  [
    "sim:start",
    { firmware: "other.py" },
    404,
    /other.py was not uploaded; there are diagram.json and main.py/,
  ],
  ["sim:start", { firmware: 5 }, 400, /"firmware" must be a file's name, or a list/],
  ["sim:start", { firmware: [] }, 400, /"firmware" must/],
  ["sim:start", { firmware: [{ offset: -1, file: "main.py" }] }, 400, /"firmware" must/],
  ["sim:start", { firmware: "diagram.json" }, 501, /neither MicroPython nor a littlefs/],
  ["sim:start", { firmware: "main.py", pause: 1 }, 400, /"pause" must be true or false/],
  ["sim:resume", { pauseAfter: -1 }, 400, /"pauseAfter" must be a number of nanoseconds/],
  ["sim:resume", { pauseAfter: "1s" }, 400, /"pauseAfter" must/],
  ["serial-monitor:write", {}, 400, /"bytes" must be a list of 0 to 1048576 numbers/],
  ["serial-monitor:write", { bytes: [256] }, 400, /"bytes" must/],
  ["serial-monitor:write", { bytes: "ping" }, 400, /"bytes" must/],
  ["pause-point:add", { id: "x", type: "forever" }, 400, /"type" must be one of time-absolute, /],
  ["pause-point:add", { type: "time-absolute", nanos: 1 }, 400, /"id" must/],
  ["pause-point:add", { id: "x", type: "time-absolute" }, 400, /time-absolute needs "nanos"/],
  ["pause-point:add", { id: "x", type: "time-relative", nanos: null }, 400, /time-relative needs "nanos"/],
  ["pause-point:add", { id: "x", type: "serial-bytes" }, 400, /needs "bytes"/],
  [
    "pause-point:add",
    { id: "x", type: "serial-bytes", bytes: [] },
    400,
    /"bytes" must be a list of 1 to 4096/,
  ],
  [
    "pause-point:add",
    { id: "x", type: "pin", part: "esp", pin: "2" },
    400,
    /needs "part", "pin" and "value"/,
  ],
  ["pause-point:add", { id: "x", type: "pin", part: "esp", pin: "3V3", value: 1 }, 400, /is a supply/],
  [
    "control:set",
    { part: "led", control: "on", value: 1 },
    404,
    /led has no controls here; dht and esp have/,
  ],
  [
    "control:set",
    { part: "fan", control: "on", value: 1 },
    404,
    /no part "fan"; parts with controls are dht and esp/,
  ],
  [
    "control:set",
    { part: "dht", control: "warmth", value: 1 },
    404,
    /it has temperature, humidity and fault/,
  ],
  ["control:set", { part: "dht", control: "toString", value: 1 }, 404, /no control "toString"/],
  ["control:set", { part: "dht", control: "temperature", value: "warm" }, 400, /"value" must be a number/],
  ["control:set", { part: "dht", control: "temperature", value: 4000 }, 400, /takes -3276.7 to 3276.7/],
  ["control:set", { part: "dht", control: "humidity", value: -1 }, 400, /takes 0 to 6553.5; it was given -1/],
  [
    "control:set",
    { part: "dht", control: "fault", value: 6 },
    400,
    /fault of dht takes 0 \(none\), 1 \(unplugged\)/,
  ],
  ["control:set", { part: "dht", control: "fault", value: 0.5 }, 400, /fault of dht takes/],
  ["control:set", { part: "esp", control: "power", value: 2 }, 400, /power of esp takes 0 or 1/],
  ["control:set", { part: "esp", control: "reset", value: 0 }, 400, /reset of esp takes 1/],
  ["pin:read", { part: "esp", pin: "99" }, 404, /esp:99 is no pin of the board/],
  ["pin:read", { part: "esp", pin: "D4" }, 404, /esp:D4 is no pin/],
  ["pin:read", { part: "dht", pin: "NC" }, 404, /dht:NC is no pin of the board, and wired to none/],
  ["pin:read", { part: "fan", pin: "1" }, 404, /no part fan; there are esp, dht and led/],
  ["pin:listen", { part: "esp", pin: "GND.2", listen: true }, 400, /is a supply/],
  ["framebuffer:read", { id: "led" }, 501, /no part of this simulator has a display/],
  ["framebuffer:read", { id: "lcd" }, 404, /no part lcd/],
  ["touch:event", { part: "lcd", x: 1, y: 2, event: "press" }, 404, /no part lcd/],
  [
    "touch:event",
    { part: "led", x: 1, y: 2, event: "lick" },
    400,
    /"event" must be one of press, release and move/,
  ],
  ["sdcard:export", { format: "image" }, 501, /SD card/],
  ["sdcard:export", { format: "tar" }, 400, /"format" must be one of image and files/],
];

Deno.test("what can't be done is a failed reply with a code and a sentence, and the simulation goes on", async () => {
  await using talk = new Talk();
  await talk.start(MAIN, { "diagram.json": diagram });
  for (const [command, params, code, sentence] of refusals) {
    const refused = await talk.refused(command, params);
    assert.equal(refused.code, code, `${command} ${JSON.stringify(params)}: ${refused.message}`);
    assert.match(refused.message, sentence);
  }
  await talk.resume(SECOND);
  assert.equal(talk.serial(), "ready\r\nblink\r\n");
});

Deno.test("the tables hold every command", () => {
  const held = new Set([
    ...rows.map(([command]) => command),
    ...refusals.map(([command]) => command),
    "gpio:list",
  ]);
  assert.deepEqual(commandNames.filter((name) => !held.has(name)), []);
});

Deno.test("sim:pause tells the stop first, whatever the simulation does, and then replies", async () => {
  await using talk = new Talk();
  const told = async () => {
    const from = talk.frames.length;
    await talk.done("sim:pause");
    return talk.frames.slice(from).map((frame) =>
      frame.type === "event" ? [frame.event, frame.nanos, frame.payload] : [frame.type]
    );
  };
  const stop = (nanos: number) => [["sim:pause", nanos, {}], ["response"]];
  assert.deepEqual(await told(), stop(0));
  await talk.start(MAIN);
  assert.deepEqual(await told(), stop(0));
  await talk.resume(SECOND);
  assert.deepEqual(await told(), stop(SECOND));
});

Deno.test("before a start, what needs one is refused, and what is harmless is not", async () => {
  await using talk = new Talk();
  for (const command of ["sim:resume", "sim:restart"]) {
    const { code, message } = await talk.refused(command);
    assert.equal(code, 409);
    assert.match(message, /send sim:start first/);
  }
  assert.match((await talk.refused("sim:start")).message, /names no firmware/);
  for (const command of ["sim:pause", "sim:status", "gpio:list", "sim:read-vcd", "serial-monitor:listen"]) {
    await talk.done(command);
  }
});

Deno.test("a frame that is no command is told by an error frame, and the next one is handled", async () => {
  await using talk = new Talk();
  const frames = [
    "no json",
    "5",
    "[]",
    "null",
    { type: "event" },
    { type: "command", id: "1" },
    { type: "command", command: "", id: "1" },
    { type: "command", command: "x".repeat(65), id: "1" },
    { type: "command", command: "sim:status" },
    { type: "command", command: "sim:status", id: 7 },
    { type: "command", command: "sim:status", id: "1", params: [] },
  ];
  for (const frame of frames) talk.session.receive(frame);
  await talk.done("sim:status");
  const errors = talk.frames.filter(({ type }) => type === "error");
  assert.equal(errors.length, frames.length);
});

Deno.test("every event carries the simulated time, and says whether the simulation stands", async () => {
  await using talk = new Talk();
  await talk.start(MAIN, { "diagram.json": diagram });
  await talk.done("pin:listen", { part: "led", pin: "A", listen: true });
  await talk.resume(600 * MS);
  const events = talk.frames.filter((frame) => frame.type === "event")
    .map(({ event, nanos, paused }) => [event, nanos, paused]);
  assert.deepEqual(events, [
    ["pin:change", 0, false],
    ["serial-monitor:data", 0, false],
    ["pin:change", 500 * MS, false],
    ["serial-monitor:data", 500 * MS, false],
    ["sim:pause", 600 * MS, true],
  ]);
  assert.deepEqual(talk.events("pin:change")[1]?.payload, {
    part: "led",
    pin: "A",
    value: 0,
    direction: "out",
    pullUp: false,
    pullDown: false,
  });
});

Deno.test("the VCD has the datasheet's timing, and pin:read agrees with it at any nanosecond", async () => {
  await using talk = new Talk();
  const main =
    "import dht, machine, time\ns = dht.DHT22(machine.Pin(15))\ntime.sleep(1)\ns.measure()\nprint('done')";
  await talk.start(main, { "diagram.json": diagram });
  await talk.resume(2 * SECOND);
  const { vcd, channelCount, sampleCount } = await talk.done("sim:read-vcd");
  const lines = readVcd(String(vcd));
  assert.deepEqual([...lines.keys()], ["dht_SDA"]);
  assert.equal(channelCount, 1);
  const line = lines.get("dht_SDA") ?? [];
  // The level at the start; a start pulse, a response, 40 bits and the release, two edges each.
  assert.equal(line.length, 1 + 2 * (1 + 1 + 40) + 2);
  assert.equal(sampleCount, line.length - 1);
  const widths = line.slice(1).map(({ nanos }, index) => nanos - (line[index]?.nanos ?? 0)).slice(1);
  assert.deepEqual(widths.slice(0, 4), [18 * MS, 30_000, 80_000, 80_000]);
  const highs = widths.slice(3).filter((_, index) => index % 2 === 0).slice(1);
  const bits = highs.slice(0, 40).map((nanos) => nanos === 70_000 ? 1 : nanos === 26_000 ? 0 : NaN);
  const bytes = Array.from({ length: 5 }, (_, i) => parseInt(bits.slice(8 * i, 8 * i + 8).join(""), 2));
  // 45.8 % and 23.5 °C, in tenths, with their sum.
  assert.deepEqual(bytes, [0x01, 0xca, 0x00, 0xeb, 0xb6]);

  await talk.done("sim:restart", { pause: true });
  const edge = line[40]?.nanos ?? 0;
  for (const nanos of [edge - 1, edge, edge + 1]) {
    await talk.resume(nanos - Number((await talk.done("sim:status")).nanos));
    const { value } = await talk.done("pin:read", { part: "dht", pin: "SDA" });
    const before = line.findLast((change) => change.nanos <= nanos);
    assert.equal(value, before?.level, String(nanos));
  }
});

Deno.test("a pull-up lifts its pin when the program sets it, in the VCD as for pin:read", async () => {
  await using talk = new Talk();
  const [esp, dht] = JSON.parse(diagram).parts;
  const analyser = { type: "wokwi-logic-analyzer", id: "logic", attrs: { channelNames: "button, lamp" } };
  await talk.done("file:upload", {
    name: "diagram.json",
    text: JSON.stringify({
      parts: [esp, dht, analyser],
      connections: [["esp:4", "logic:D0", "", []], ["esp:2", "logic:D1", "", []], [
        "esp:15",
        "dht:SDA",
        "",
        [],
      ]],
    }),
  });
  const main =
    "import machine, time\ntime.sleep(1)\nb = machine.Pin(4, machine.Pin.IN, machine.Pin.PULL_UP)\n" +
    "machine.Pin(5, machine.Pin.IN)\nprint(b.value())\ntime.sleep(9)";
  await talk.start(main);
  await talk.resume(500 * MS);
  assert.equal((await talk.done("pin:read", { part: "logic", pin: "D0" })).value, 0);
  await talk.resume(SECOND);
  assert.equal((await talk.done("pin:read", { part: "logic", pin: "D0" })).value, 1);
  const { vcd, channelCount, sampleCount } = await talk.done("sim:read-vcd");
  assert.deepEqual([channelCount, sampleCount], [2, 1]);
  const lines = readVcd(String(vcd));
  assert.deepEqual(lines.get("button"), [{ nanos: 0, level: 0 }, { nanos: SECOND, level: 1 }]);
  assert.deepEqual(lines.get("lamp"), [{ nanos: 0, level: 0 }]);
});

Deno.test("the board's MAC address is Wokwi's, or what the diagram gives it", async () => {
  const main = "import machine\nprint(machine.unique_id().hex())";
  const [esp, dht] = JSON.parse(diagram).parts;
  const printed = async (attrs: Record<string, string>) => {
    await using talk = new Talk();
    const parts = [{ ...esp, attrs }, dht];
    await talk.start(main, { "diagram.json": JSON.stringify({ parts, connections: [] }) });
    await talk.resume(0);
    return talk.serial().split("\r\n")[0];
  };
  assert.equal(await printed({}), "240ac4000110");
  assert.equal(await printed({ macAddress: "24:0A:C4:00:00:2a" }), "240ac400002a");
  assert.equal(await printed({ macAddress: "mine" }), "240ac4000110");
});

Deno.test("a restart is the same run again, byte for byte, with its knobs where the diagram has them", async () => {
  await using talk = new Talk();
  const main =
    "import dht, machine, os\nprint(os.urandom(8))\ns = dht.DHT22(machine.Pin(15))\ns.measure()\nprint(s.temperature())";
  await talk.start(main, { "diagram.json": diagram });
  await talk.resume(SECOND);
  const first = talk.serial();
  assert.match(first, /23.5/);
  await talk.done("control:set", { part: "dht", control: "temperature", value: 3 });
  await talk.done("sim:restart", { pause: true });
  await talk.resume(SECOND);
  assert.equal(talk.serial(), first + first);
});

Deno.test("a custom chip is no error: its log says that it isn't simulated", async () => {
  await using talk = new Talk();
  await talk.done("file:upload", { name: "main.py", text: MAIN });
  await talk.done("sim:start", { firmware: "main.py", chips: ["inverter"], pause: true });
  await talk.done("sim:status");
  assert.deepEqual(talk.events("chips:log").map(({ payload }) => payload), [
    { chip: "inverter", message: "custom chips are not simulated here" },
  ]);
});

Deno.test("recursion without end is an error of the program, and none of the simulator", async () => {
  await using talk = new Talk();
  await talk.start(
    "def deeper(n):\n    return deeper(n + 1)\ntry:\n    deeper(0)\nexcept RuntimeError as error:\n    print(error)",
  );
  await talk.resume(SECOND);
  assert.match(talk.serial(), /^maximum recursion depth exceeded\r\n/);
  assert.deepEqual(talk.events("chips:log"), []);
});

Deno.test("without pause, a start and a restart run at once", async () => {
  await using talk = new Talk();
  await talk.done("file:upload", { name: "main.py", text: MAIN });
  await talk.done("serial-monitor:listen");
  await talk.done("pause-point:add", { id: "a", type: "serial-bytes", bytes: bytesOf("blink") });
  await talk.done("sim:start", { firmware: "main.py" });
  await talk.frame((frame) => frame.type === "event" && frame.event === "sim:pause");
  await talk.done("pause-point:add", { id: "b", type: "time-absolute", nanos: 700 * MS });
  await talk.done("sim:restart");
  const stop = await talk.frame((frame) => frame.type === "event" && frame.payload.pausePoint === "b");
  assert.equal(stop.type === "event" && stop.nanos, 700 * MS);
});
