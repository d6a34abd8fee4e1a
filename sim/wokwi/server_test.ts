/** The server as its clients meet it: several at once, rude ones, and programs that never let go. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { machineClock } from "../../platform/clock.ts";
import { serve } from "./serve_command.ts";
import { parseServeOptions, serveHelp, type ServeOptions } from "./serve_options.ts";
import { serveWokwi, type WokwiServerOptions } from "./server.ts";

type Frame = Readonly<Record<string, unknown>>;
type Result = { readonly [name: string]: unknown };

/** A client: commands in, results out, all frames kept. */
class Client {
  readonly frames: Frame[] = [];
  readonly #socket: WebSocket;
  #id = 0;
  #onFrame: () => void = () => {};
  #isOver = false;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      this.frames.push(JSON.parse(String(data)));
      this.#onFrame();
    };
    socket.onclose = () => {
      this.#isOver = true;
      this.#onFrame();
    };
  }

  static open(url: string): Promise<Client> {
    const socket = new WebSocket(url);
    const client = new Client(socket);
    return new Promise((resolve, reject) => {
      socket.onopen = () => resolve(client);
      socket.onerror = () => reject(new Error("no connection"));
    });
  }

  /** The first frame, from `from` on, that `isIt`. */
  async frame(isIt: (frame: Frame) => boolean, from = 0): Promise<Frame> {
    for (;;) {
      const found = this.frames.slice(from).find(isIt);
      if (found !== undefined) return found;
      if (this.#isOver) throw new Error(`the connection is over: ${JSON.stringify(this.frames.at(-1))}`);
      await new Promise<void>((resolve) => this.#onFrame = resolve);
    }
  }

  async done(command: string, params: Frame = {}): Promise<Result> {
    const id = String(this.#id++);
    this.#socket.send(JSON.stringify({ type: "command", command, params, id }));
    const { error, result } = await this.frame((frame) => frame.type === "response" && frame.id === id);
    if (error === true) throw new Error(JSON.stringify(result));
    return result as Result;
  }

  /** Goes on until the next stop; the serial output since then. */
  async resume(params: Frame): Promise<string> {
    const from = this.frames.length;
    await this.done("sim:resume", params);
    await this.frame(({ event }) => event === "sim:pause", from);
    return this.serial(from);
  }

  serial(from = 0): string {
    const bytes = this.frames.slice(from).filter(({ event }) => event === "serial-monitor:data")
      .flatMap(({ payload }) => (payload as { bytes: number[] }).bytes);
    return new TextDecoder().decode(new Uint8Array(bytes));
  }

  async start(main: string): Promise<void> {
    await this.done("file:upload", { name: "main.py", text: main });
    await this.done("serial-monitor:listen");
    await this.done("sim:start", { firmware: "main.py", pause: true });
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  async close(): Promise<void> {
    this.#socket.close();
    while (!this.#isOver) await new Promise<void>((resolve) => this.#onFrame = resolve);
  }
}

interface Served {
  readonly url: string;
  readonly warnings: readonly string[];
  connectionCount(): number;
}

async function withServer(
  options: Partial<WokwiServerOptions>,
  test: (served: Served) => Promise<void>,
): Promise<void> {
  const warnings: string[] = [];
  const server = await serveWokwi({
    hostname: "127.0.0.1",
    port: 0,
    clock: machineClock,
    seed: 1,
    files: new Map(),
    weather: [],
    startMs: Date.UTC(2026, 5, 1),
    pace: "auto",
    hasInternet: false,
    onWarning: (sentence) => warnings.push(sentence),
    ...options,
  });
  try {
    await test({ url: server.url, warnings, connectionCount: () => server.connectionCount });
  } finally {
    await server.close();
    // A Worker's end takes a turn.
    await machineClock.sleep(0);
  }
}

const SECOND = 1e9;
const second = { pauseAfter: SECOND };

Deno.test("hello comes first; two clients at once have a board each", async () => {
  await withServer({}, async ({ url }) => {
    const [one, other] = await Promise.all([Client.open(url), Client.open(url)]);
    await Promise.all([one.start("print('one')"), other.start("print('other')")]);
    const [printed, others] = await Promise.all([one.resume(second), other.resume(second)]);
    assert.match(printed, /^one\r\n/);
    assert.match(others, /^other\r\n/);
    assert.equal(one.frames[0]?.type, "hello");
    await Promise.all([one.close(), other.close()]);
  });
});

Deno.test("a program that never lets go ends its own conversation, with a sentence, and nobody else's", async () => {
  await withServer({ hangMs: 6_000 }, async ({ url, warnings }) => {
    const [hung, other] = await Promise.all([Client.open(url), Client.open(url)]);
    await hung.start("while True: pass");
    await hung.done("sim:resume", {});
    await other.start("print('fine')");
    assert.match(await other.resume(second), /fine/);
    const { message } = await hung.frame(({ type }) => type === "error");
    assert.match(
      String(message),
      /has run for 6 s without waiting for anything; a loop needs a time.sleep/,
    );
    assert.deepEqual(warnings, [message]);
    assert.match(await other.resume(second), /^$/);
    await Promise.all([hung.close(), other.close()]);
  });
});

Deno.test("a client that vanishes while its board runs leaves nothing behind", async () => {
  await withServer({}, async ({ url, connectionCount }) => {
    const gone = await Client.open(url);
    await gone.start("while True: print('x' * 100)");
    await gone.done("pause-point:add", { id: "never", type: "time-absolute", nanos: 1e17 });
    await gone.done("sim:resume", {});
    await gone.close();
    while (connectionCount() > 0) await machineClock.sleep(5);
    const next = await Client.open(url);
    await next.start("print('next')");
    assert.match(await next.resume(second), /next/);
    await next.close();
  });
});

Deno.test("a file of 64 MiB arrives; one that is larger is refused with a sentence, and the conversation goes on", async () => {
  await withServer({}, async ({ url }) => {
    const client = await Client.open(url);
    const mib64 = 64 * 1024 * 1024;
    await client.done("file:upload", { name: "large.bin", binary: "A".repeat(Math.ceil(mib64 / 3) * 4) });
    await assert.rejects(
      client.done("file:upload", { name: "larger.bin", binary: "AAAA".repeat(mib64 / 3 + 2) }),
      /larger.bin is larger than 64 MiB/,
    );
    client.send("x".repeat(100 * 1024 * 1024));
    const { message } = await client.frame(({ type }) => type === "error");
    assert.equal(message, "a frame of 104857600 bytes is too large: a file may have 67108864 bytes");
    await assert.rejects(client.done("sim:start", { firmware: "large.bin" }), /16777216 bytes of flash/);
    // What is no firmware would lie in the board's file system, which has 2 MiB.
    await assert.rejects(client.start("print('too full')"), /67125248 bytes of flash; .* has 2097152/);
    await client.done("file:upload", { name: "large.bin", text: "small now" });
    await client.start("print('still here')");
    assert.match(await client.resume(second), /still here/);
    await client.close();
  });
});

Deno.test("one client above the bound is told so by a frame, and one that leaves makes room", async () => {
  await withServer({ sessionsMax: 1 }, async ({ url, connectionCount }) => {
    const first = await Client.open(url);
    await first.done("sim:status");
    const second = await Client.open(url);
    const { message } = await second.frame(({ type }) => type === "error");
    assert.equal(message, "1 simulations run, which is the most; end one");
    await second.close();
    await first.close();
    while (connectionCount() > 0) await machineClock.sleep(5);
    const third = await Client.open(url);
    await third.done("sim:status");
    await third.close();
  });
});

Deno.test("garbage is answered with an error frame", async () => {
  await withServer({}, async ({ url }) => {
    const client = await Client.open(url);
    for (const text of ["", "{", "[1]", '{"type":"command"}']) {
      const from = client.frames.length;
      client.send(text);
      await client.frame(({ type }) => type === "error", from);
    }
    assert.deepEqual(await client.done("sim:status"), { running: false, nanos: 0 });
    await client.close();
  });
});

Deno.test("files, weather, seed and start reach the board", async () => {
  const files = new Map([["helper.py", new TextEncoder().encode("TEXT = 'from beside'")]]);
  const main = "import helper, dht, machine, os, time\ns = dht.DHT22(machine.Pin(15))\ns.measure()\n" +
    "print(helper.TEXT, s.temperature(), os.urandom(4))";
  const run = async (options: Partial<WokwiServerOptions>): Promise<string> => {
    let printed = "";
    await withServer({ files, ...options }, async ({ url }) => {
      const client = await Client.open(url);
      await client.start(main);
      printed = await client.resume(second);
      await client.close();
    });
    return printed;
  };
  const printed = await run({});
  assert.match(printed, /^from beside 24.0 b'/);
  assert.equal(await run({}), printed);
  assert.notEqual(await run({ seed: 2 }), printed);
  assert.notEqual(await run({ startMs: 0 }), printed);
  assert.match(await run({ weather: [{ atNanos: 0, temperatureTenthsC: -75 }] }), /^from beside -7.5 /);
});

/** What a GET over a socket of the board's prints. */
const FETCH = `
import network, socket, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("Wokwi-GUEST", "")
while not wlan.isconnected():
    time.sleep_ms(100)
def get(host, port):
    try:
        s = socket.socket()
        s.connect(socket.getaddrinfo(host, port)[0][-1])
        s.send(b"GET / HTTP/1.0\\r\\n\\r\\n")
        print(host, s.recv(1000).split(b"\\r\\n")[-1])
    except OSError as error:
        print(host, "failed", error)
for host in ("host.wokwi.internal", "localhost", "127.0.0.1", "::1", "example.invalid", "10.255.255.1"):
    get(host, PORT)
`;

Deno.test("the board reaches this machine as host.wokwi.internal, and nothing else unless it may", async () => {
  const web = createServer((_request, response) => response.end("from this machine"));
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  const { port } = web.address() as AddressInfo;
  const reach = async (hasInternet: boolean, main: string): Promise<string> => {
    let printed = "";
    await withServer({ hasInternet }, async ({ url }) => {
      const client = await Client.open(url);
      await client.start(main.replace("PORT", String(port)));
      printed = await client.resume({ pauseAfter: 60 * SECOND });
      await client.close();
    });
    return printed;
  };
  try {
    const printed = await reach(false, FETCH);
    assert.match(printed, /host.wokwi.internal b'from this machine'/);
    assert.match(printed, /localhost b'from this machine'/);
    assert.match(printed, /127.0.0.1 b'from this machine'/);
    for (const host of ["::1", "example.invalid", "10.255.255.1"]) {
      assert.ok(printed.includes(`${host} failed [Errno 113] EHOSTUNREACH`), host);
    }
    const beyond = FETCH.replace(/for host in [^]*?:\n/, 'for host in ("127.0.0.2",):\n');
    assert.match(await reach(false, beyond), /127.0.0.2 failed \[Errno 113\] EHOSTUNREACH/);
    // Nobody listens there: it was asked, and refused.
    assert.match(await reach(true, beyond), /127.0.0.2 failed \[Errno 111\] ECONNREFUSED/);
  } finally {
    web.close();
    web.closeAllConnections();
  }
});

Deno.test("in real time, too, an answer from outside reaches a board that waits for nothing else", async () => {
  const web = createServer((_request, response) => response.end("answered"));
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  const { port } = web.address() as AddressInfo;
  try {
    await withServer({ pace: "real" }, async ({ url }) => {
      const client = await Client.open(url);
      await client.start(
        FETCH.replace(/for host in [^]*?:\n/, 'for host in ("localhost",):\n').replace("PORT", String(port)),
      );
      await client.done("pause-point:add", {
        id: "end",
        type: "serial-bytes",
        bytes: [...new TextEncoder().encode("answered")],
      });
      assert.match(await client.resume({ pauseAfter: 30 * SECOND }), /localhost b'answered$/);
      // Not at the end of the wait, when an event lets everything in.
      assert.ok(Number(client.frames.at(-1)?.nanos) < 20 * SECOND);
      await client.close();
    });
  } finally {
    web.close();
    web.closeAllConnections();
  }
});

Deno.test("by default a board that nobody waits for runs in real time, and at full speed for who waits", async () => {
  /** Runs freely until `nanos` have passed; how many did at which time on the wall. */
  const runUntil = async (pace: "auto" | "real" | "max", nanos: number) => {
    let seen = { nanos: 0, wallMs: 0 };
    await withServer({ pace }, async ({ url }) => {
      const client = await Client.open(url);
      await client.start("import time\nwhile True: time.sleep(1)");
      const fromMs = machineClock.monotonicMs();
      await client.done("sim:resume", {});
      while (seen.nanos < nanos) {
        await machineClock.sleep(20);
        const status = await client.done("sim:status");
        seen = { nanos: Number(status.nanos), wallMs: machineClock.monotonicMs() - fromMs };
      }
      await client.close();
    });
    return seen;
  };
  await runUntil("max", 3_600 * SECOND);
  for (const pace of ["auto", "real"] as const) {
    const { nanos, wallMs } = await runUntil(pace, 0.3 * SECOND);
    // Never ahead of the wall; how far behind is the machine's business.
    assert.ok(nanos <= (wallMs + 1) * 1e6, `${pace}: ${nanos} ns in ${wallMs} ms`);
  }
});

const options = (...args: string[]): ServeOptions => {
  const parsed = parseServeOptions(args);
  assert.ok(parsed.kind === "options", JSON.stringify(parsed));
  return parsed.options;
};

Deno.test("the command line: defaults, each option, and every problem at once", () => {
  const defaults: ServeOptions = {
    hostname: "127.0.0.1",
    port: 9177,
    project: "firmware",
    seed: 1,
    startMs: Date.UTC(2026, 5, 1, 12),
    weather: null,
    pace: "auto",
    hasInternet: false,
  };
  assert.deepEqual(options(), defaults);
  const cases: [string[], Partial<ServeOptions>][] = [
    [["--port", "0"], { port: 0 }],
    [["--host", "0.0.0.0"], { hostname: "0.0.0.0" }],
    [["--project", "blink"], { project: "blink" }],
    [["--seed", "7"], { seed: 7 }],
    [["--start", "2026-01-01T00:00:00Z"], { startMs: Date.UTC(2026, 0, 1) }],
    [["--start", "now"], { startMs: null }],
    [["--weather", "night.csv"], { weather: "night.csv" }],
    [["--pace", "max"], { pace: "max" }],
    [["--internet"], { hasInternet: true }],
  ];
  for (const [args, changed] of cases) {
    assert.deepEqual(options(...args), { ...defaults, ...changed }, args.join(" "));
    assert.ok(serveHelp.includes(args[0] as string));
  }
  const wrong = parseServeOptions(["--port", "65536", "--seed", "x", "--start", "soon", "--pace", "fast"]);
  assert.ok(wrong.kind === "problems");
  assert.equal(wrong.problems.length, 4);
  assert.deepEqual(parseServeOptions(["--help"]).kind, "help");
  for (const args of [["--speed", "2"], ["extra"]]) assert.equal(parseServeOptions(args).kind, "problems");
});

/** What the simulated world's time server says. */
const YEAR = `
import network, socket, struct, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("Wokwi-GUEST", "")
while not wlan.isconnected():
    time.sleep_ms(100)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b"\\x1b" + 47 * b"\\0", socket.getaddrinfo("pool.ntp.org", 123)[0][-1])
seconds = struct.unpack("!I", s.recv(48)[40:44])[0] - 3155673600
print("the year is", time.gmtime(seconds)[0])
`;

Deno.test("serve says where it is, takes the project's modules, and ends when told; what can't be read is told", async () => {
  const printed: string[] = [];
  const complaints: string[] = [];
  const run = (chosen: ServeOptions, signal: AbortSignal) =>
    serve(chosen, {
      clock: { ...machineClock, nowMs: () => Date.UTC(2033, 5, 1) },
      print: (line) => printed.push(line),
      complain: (line) => complaints.push(line),
      signal,
    });
  const stop = new AbortController();
  const running = run({ ...options("--start", "now"), port: 0, project: "firmware" }, stop.signal);
  while (printed.length < 3) await machineClock.sleep(5);
  assert.match(printed[1] ?? "", /WOKWI_CLI_SERVER=ws:\/\/127.0.0.1:\d+ /);
  assert.match(printed[2] ?? "", /\d+ files of firmware$/);
  const client = await Client.open(/WOKWI_CLI_SERVER=(\S+)/.exec(printed[1] ?? "")?.[1] ?? "");
  await client.start(YEAR);
  assert.match(await client.resume({ pauseAfter: 10 * SECOND }), /^the year is 2033\r\n/);
  await client.close();
  stop.abort();
  assert.equal(await running, 0);
  assert.equal(await run({ ...options(), port: 0, project: "nowhere" }, stop.signal), 1);
  assert.equal(await run({ ...options(), port: 0, weather: "nowhere.csv" }, stop.signal), 1);
  assert.equal(await run({ ...options(), port: 0, hostname: "192.0.2.1" }, stop.signal), 1);
  assert.match(
    complaints.join("\n"),
    /no folder nowhere[^]*nowhere.csv can't be read[^]*192.0.2.1:0 can't be listened on/,
  );
});
