/** Whatever a client sends, it gets one answer to each frame, and the simulator lives. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { commandNames } from "./commands.ts";
import { Talk } from "./testing/talk.ts";
import { defaultDiagram } from "./wiring.ts";

const MAIN = "import dht, machine, time\ns = dht.DHT22(machine.Pin(15))\nwhile True:\n    time.sleep(2)\n" +
  "    try:\n        s.measure()\n        print(s.temperature())\n    except Exception as error:\n        print(error)\n";

/** Values that fit somewhere, beside some that fit nowhere. */
const value = fc.oneof(
  fc.constantFrom(
    "main.py",
    "esp",
    "dht",
    "led",
    "2",
    "15",
    "SDA",
    "temperature",
    "fault",
    "power",
    "reset",
    "wifi",
  ),
  fc.constantFrom("time-absolute", "time-relative", "serial-bytes", "pin", "image", "press", "diagram.json"),
  fc.constantFrom(0, 1, -1, 2, 5, 0.5, 1e6, 2.5e9, 1e17, null, true, false),
  fc.array(fc.nat(300), { maxLength: 5 }),
  fc.constant([{ offset: 0, file: "main.py" }]),
  fc.jsonValue({ maxDepth: 2 }),
);
const key = fc.constantFrom(
  ..."name text binary firmware pause pauseAfter bytes id type nanos part pin value control listen x y event format"
    .split(" "),
);
const command = fc.record({
  type: fc.constant("command"),
  command: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...commandNames) }, {
    weight: 1,
    arbitrary: fc.string(),
  }),
  params: fc.dictionary(key, value, { maxKeys: 6 }),
});
/** Frames that are well formed run the most of the simulator. */
const sensible = fc.constantFrom(
  { command: "sim:start", params: { firmware: "main.py", pause: true } },
  { command: "sim:resume", params: { pauseAfter: 1.5e9 } },
  { command: "sim:resume", params: {} },
  { command: "sim:pause", params: {} },
  { command: "sim:restart", params: { pause: true } },
  { command: "pause-point:add", params: { id: "s", type: "serial-bytes", bytes: [46] } },
  { command: "pause-point:add", params: { id: "e", type: "pin", part: "dht", pin: "SDA", value: 0 } },
  { command: "pause-point:add", params: { id: "t", type: "time-relative", nanos: 2_268_100_000 } },
  { command: "control:set", params: { part: "esp", control: "power", value: 0 } },
  { command: "control:set", params: { part: "esp", control: "power", value: 1 } },
  { command: "control:set", params: { part: "esp", control: "reset", value: 1 } },
  { command: "control:set", params: { part: "dht", control: "fault", value: 2 } },
  { command: "serial-monitor:write", params: { bytes: [3, 13, 49, 13, 4] } },
  { command: "pin:listen", params: { part: "dht", pin: "SDA", listen: true } },
  { command: "sim:read-vcd", params: {} },
).map((frame) => ({ type: "command", ...frame }));
const frames = fc.array(
  fc.oneof({ weight: 3, arbitrary: sensible }, { weight: 3, arbitrary: command }, {
    weight: 1,
    arbitrary: fc.jsonValue({ maxDepth: 2 }),
  }),
  { minLength: 1, maxLength: 40 },
);

const isCommand = (frame: unknown): frame is { command: string } =>
  typeof frame === "object" && frame !== null && "command" in frame;

Deno.test("each frame gets one answer, whatever it holds, and the conversation goes on", async () => {
  await fc.assert(
    fc.asyncProperty(frames, fc.boolean(), async (sent, isPatient) => {
      await using talk = new Talk({ pace: "max" });
      await talk.done("file:upload", { name: "main.py", text: MAIN });
      const from = talk.frames.length;
      for (const [index, frame] of sent.entries()) {
        talk.session.receive(isCommand(frame) ? { ...frame, id: `f${index}` } : frame);
        if (isPatient) await talk.done("sim:status");
      }
      await talk.done("sim:pause");
      const answers = talk.frames.slice(from).filter((frame) =>
        frame.type === "error" || (frame.type === "response" && frame.id.startsWith("f"))
      );
      assert.equal(answers.length, sent.length);
      for (const frame of talk.frames) {
        if (frame.type === "event") assert.ok(Number.isFinite(frame.nanos) && frame.nanos >= 0);
        if (frame.type === "response" && frame.error) {
          assert.notEqual(frame.result.code, 500, JSON.stringify(frame));
        }
      }
      // A board comes up after all of that.
      await talk.done("file:upload", { name: "main.py", text: "print('alive')" });
      await talk.done("file:upload", { name: "diagram.json", text: defaultDiagram });
      await talk.done("serial-monitor:listen");
      await talk.done("sim:start", { firmware: "main.py", pause: true });
      // Pause points of before may stop it on its way.
      while ((await talk.resume(1e9)).nanos < 1e9);
      assert.match(talk.serial(), /alive\r\n/);
    }),
    { numRuns: 100 },
  );
});
