/**
 * Wokwi's own clients, as they are, against the server as users start it: npm `@wokwi/client` 0.26.0 and PyPI
 * `wokwi-client` 0.5.1 each run a whole scenario; mpremote works on a board through the serial monitor, as through
 * wokwi-cli's RFC2217 port. Needs Python 3 with venv.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { APIClient } from "@wokwi/client";
import { machineClock } from "../../platform/clock.ts";
import { levelAt, readVcd } from "./runner/testing/vcd.ts";
import { WebSocketTransport } from "./runner/transports.ts";

const SECOND = 1e9;
const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const DIAGRAM = path("../../firmware/diagram.json");
const MAIN = path("testing/main.py");
const PYTHON_PACKAGES = ["wokwi-client==0.5.1", "websockets==12.0"];
const FIRST_LINES = "DHT22 test!\r\nHumidity: 48.2%, temperature: 21.5 C\r\n";

/** Starts the task, and stops it. */
async function withServer(test: (url: string) => Promise<void>): Promise<void> {
  const server = spawn(Deno.execPath(), ["task", "wokwi", "serve", "--port", "0"], {
    cwd: path("../.."),
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  try {
    await test(await addressOf(server));
  } finally {
    // The whole group: the task's own process is a child of `deno task`.
    execFileSync("kill", ["-TERM", "--", `-${server.pid}`]);
    await ended;
  }
}

function addressOf(server: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    server.stdout?.on("data", (data: Uint8Array) => {
      text += new TextDecoder().decode(data);
      const url = /WOKWI_CLI_SERVER=(\S+)/.exec(text)?.[1];
      if (url !== undefined) resolve(url);
    });
    server.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${text}`)));
  });
}

/** The sensor's line carries frames with these tenths, one after the other. */
function measured(vcd: string): (readonly [humidity: number, temperature: number])[] {
  const line = readVcd(vcd).get("D0") ?? [];
  const highs = line.flatMap(({ nanos, level }, index) => {
    const next = line[index + 1];
    return level === 1 && next !== undefined ? [next.nanos - nanos] : [];
  });
  const bits = highs.filter((nanos) => nanos === 26_000 || nanos === 70_000).map((nanos) =>
    nanos > 48_000 ? 1 : 0
  );
  return Array.from({ length: Math.floor(bits.length / 40) }, (_, frame) => {
    const number = (from: number, length: number) =>
      parseInt(bits.slice(40 * frame + from, 40 * frame + from + length).join(""), 2);
    return [number(0, 16), (number(16, 1) === 1 ? -1 : 1) * number(17, 15)] as const;
  });
}

Deno.test("npm @wokwi/client: upload, start, serial, control, pins, pause points, VCD, restart", async () => {
  await withServer(async (url) => {
    const client = new APIClient(new WebSocketTransport({ url, token: "any-token", clock: machineClock }));
    await client.connected;
    let serial = "";
    client.listen("serial-monitor:data", (event) => {
      serial += new TextDecoder().decode(new Uint8Array((event.payload as { bytes: number[] }).bytes));
    });
    const bytes = (text: string) => new TextEncoder().encode(text);
    await client.fileUpload("diagram.json", readFileSync(DIAGRAM, "utf8"));
    await client.fileUpload("main.py", new Uint8Array(readFileSync(MAIN)));
    await client.fileUpload("data.bin", new Uint8Array([0, 1, 255]));
    assert.deepEqual(await client.fileDownload("data.bin"), new Uint8Array([0, 1, 255]));
    await client.serialMonitorListen();
    // As wokwi-cli does with its time-out: armed before the start.
    const timeout = await client.addPausePoint({ type: "time-absolute", nanos: 60 * SECOND });
    await client.simStart({ firmware: "main.py", elf: "main.py", pause: true });
    assert.deepEqual(await client.simStatus(), { running: false, nanos: 0 });

    await client.waitForSerialBytes(bytes("DHT22"));
    assert.equal(serial, "DHT22");
    await client.waitForSerialBytes(bytes("C\r\n"));
    assert.equal(serial, FIRST_LINES);
    await client.controlSet("dht", "temperature", -12.3);
    await client.controlSet("dht", "humidity", 66.9);
    await client.delay(2.1 * SECOND);
    assert.equal((await client.pinRead("led", "A")).value, 1);
    await client.waitForSerialBytes(bytes("-12.3 C"));
    assert.match(serial, /Humidity: 66.9%, temperature: -12.3 C$/);
    await client.serialMonitorWrite(bytes("ping\n"));
    await client.waitForSerialBytes(bytes("pong"));

    const nanos = client.lastNanos;
    await client.simResume(1.5 * SECOND);
    await client.pausedPromise;
    assert.equal(client.lastNanos, nanos + 1.5 * SECOND);
    const { vcd, channelCount, sampleCount } = await client.readVCD();
    assert.deepEqual([channelCount, sampleCount > 100], [1, true]);
    assert.deepEqual(measured(vcd).slice(0, 2), [[482, 215], [669, -123]]);
    const { value } = await client.pinRead("esp", "15");
    assert.equal(value, levelAt(readVcd(vcd).get("D0") ?? [], client.lastNanos));

    assert.equal(await client.removePausePoint(timeout), true);
    await assert.rejects(client.controlSet("dht", "warmth", 1), /404.*temperature, humidity and fault/);
    serial = "";
    await client.simRestart({ pause: true });
    await client.waitForSerialBytes(bytes("C\r\n"));
    assert.equal(serial, FIRST_LINES);
    client.close();
  });
});

Deno.test("PyPI wokwi-client: upload, start, serial, control, pins, pause, VCD, restart", async () => {
  const folder = mkdtempSync(`${tmpdir()}/isotherm-wokwi-`);
  try {
    execFileSync("python3", ["-m", "venv", `${folder}/venv`]);
    execFileSync(`${folder}/venv/bin/pip`, ["install", "--quiet", ...PYTHON_PACKAGES], { stdio: "inherit" });
    copyFileSync(DIAGRAM, `${folder}/diagram.json`);
    copyFileSync(MAIN, `${folder}/main.py`);
    await withServer(async (url) => {
      const { stdout } = await promisify(execFile)(
        `${folder}/venv/bin/python`,
        [path("testing/python_client.py"), folder],
        { env: { WOKWI_CLI_SERVER: url }, timeout: 60_000 },
      );
      const seen = JSON.parse(stdout);
      assert.deepEqual(seen, {
        hello: { version: "1.0.0" },
        download: true,
        at_3_s: [3 * SECOND, FIRST_LINES],
        gpios: ["esp:GPIO0", "esp:GPIO1", "esp:GPIO2"],
        lamp: { pin: "2", value: 0, voltage: 0, direction: "out", pullUp: false, pullDown: false },
        after_control: "Humidity: 66.9%, temperature: -12.3 C",
        answered: true,
        changes: [1, 0, 1, 0, 1, 0, 1],
        vcd: [1, seen.vcd[1]],
        again: [3 * SECOND, FIRST_LINES],
        refused: seen.refused,
      });
      assert.match(seen.refused, /404: dht has no control "warmth"/);
      assert.deepEqual(measured(readFileSync(`${folder}/python.vcd`, "utf8")).at(-1), [669, -123]);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

Deno.test("mpremote: exec, fs cp, ls and cat through the serial monitor, on MicroPython's own firmware", async () => {
  const folder = mkdtempSync(`${tmpdir()}/isotherm-wokwi-`);
  let bridge: ChildProcess | null = null;
  try {
    execFileSync("python3", ["-m", "venv", `${folder}/venv`]);
    execFileSync(`${folder}/venv/bin/pip`, ["install", "--quiet", "mpremote==1.29.0"], { stdio: "inherit" });
    await withServer(async (url) => {
      const board = [Deno.execPath(), "run", "-A", path("testing/serial_bridge.ts"), url];
      bridge = spawn("python3", [path("../board/testing/pty_bridge.py"), ...board], {
        cwd: path("../.."),
        stdio: ["pipe", "pipe", "inherit"],
      });
      const port = await firstLine(bridge);
      const mpremote = async (...args: string[]) => {
        const command = ["connect", port, ...args];
        const { stdout } = await promisify(execFile)(`${folder}/venv/bin/mpremote`, command, {
          timeout: 60_000,
        });
        return stdout.trim();
      };
      assert.equal(await mpremote("exec", "print(6 * 7)"), "42");
      assert.equal(await mpremote("exec", "import time; time.sleep(0.5); print('waited')"), "waited");
      await mpremote("fs", "cp", MAIN, ":program.py");
      assert.match(await mpremote("fs", "ls"), /program.py/);
      // A serial port ends lines with CR LF, on a real board as well.
      const shown = (await mpremote("fs", "cat", ":program.py")).replaceAll("\r\n", "\n");
      assert.equal(shown, readFileSync(MAIN, "utf8").trim());
      const read =
        "import dht, machine\ns = dht.DHT22(machine.Pin(15))\ns.measure()\nprint('%.1f' % s.temperature())";
      assert.equal(await mpremote("exec", read), "24.0");
    });
  } finally {
    (bridge as ChildProcess | null)?.kill();
    rmSync(folder, { recursive: true });
  }
});

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    child.stdout?.on("data", (data: Uint8Array) => {
      text += new TextDecoder().decode(data);
      if (text.includes("\n")) resolve(text.split("\n")[0] as string);
    });
  });
}
