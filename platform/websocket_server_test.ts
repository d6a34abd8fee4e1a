import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { connect } from "node:net";
import fc from "fast-check";
import { machineClock } from "./clock.ts";
import { closeCode, closePayload, frameOf, FrameReader, type Incoming, opcode } from "./websocket_frames.ts";
import { serveWebSockets, type WebSocketServer } from "./websocket_server.ts";

/** A frame as a client sends it: masked. */
function masked(first: number, payload: Uint8Array, mask = [1, 2, 3, 4]): Uint8Array {
  const plain = frameOf(0, payload);
  const head = plain.slice(0, plain.length - payload.length);
  head[0] = first;
  head[1] = (head[1] as number) | 0x80;
  return Buffer.concat([
    head,
    new Uint8Array(mask),
    payload.map((byte, i) => byte ^ (mask[i & 3] as number)),
  ]);
}

const text = (value: string, first = 0x80 | opcode.text) => masked(first, new TextEncoder().encode(value));
const read = (bytes: Uint8Array, bytesMax = 1_000) => [...new FrameReader(bytesMax).push(bytes)];

Deno.test("a message arrives whole, however its bytes and frames are cut", () => {
  const inFrames = Buffer.concat([
    text("héllo ", opcode.text),
    masked(0x80 | opcode.ping, new Uint8Array([7])),
    text("wör", opcode.continuation),
    text("ld", 0x80 | opcode.continuation),
  ]);
  const expected: Incoming[] = [
    { kind: "ping", payload: new Uint8Array([7]) },
    { kind: "message", text: "héllo wörld" },
  ];
  fc.assert(fc.property(fc.array(fc.nat(inFrames.length), { maxLength: 10 }), (cuts) => {
    const reader = new FrameReader(1_000);
    const found: Incoming[] = [];
    const bounds = [0, ...cuts.sort((a, b) => a - b), inFrames.length];
    for (let i = 1; i < bounds.length; i++) {
      // A copy: what is pushed is unmasked in place.
      found.push(...reader.push(new Uint8Array(inFrames.subarray(bounds[i - 1], bounds[i]))));
    }
    assert.deepEqual(
      found.map((each) => each.kind === "ping" ? { ...each, payload: new Uint8Array(each.payload) } : each),
      expected,
    );
  }));
});

Deno.test("lengths of every size are read", () => {
  for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 100_000]) {
    const value = "x".repeat(length);
    assert.deepEqual(read(text(value), 100_000), [{ kind: "message", text: value }], String(length));
  }
});

Deno.test("a message at the bound is kept; one above, in one frame or many, is read past", () => {
  assert.equal(read(text("x".repeat(1_000)))[0]?.kind, "message");
  assert.deepEqual(read(Buffer.concat([text("x".repeat(1_001)), text("next")])), [
    { kind: "tooLarge", bytes: 1_001 },
    { kind: "message", text: "next" },
  ]);
  const parts = [
    text("x".repeat(600), opcode.text),
    text("x".repeat(600), 0x80 | opcode.continuation),
    text("next"),
  ];
  assert.deepEqual(read(Buffer.concat(parts)), [
    { kind: "tooLarge", bytes: 1_200 },
    { kind: "message", text: "next" },
  ]);
});

Deno.test("what breaks the protocol ends the connection, with the code of RFC 6455", () => {
  const long = new Uint8Array(126);
  const cases: [string, Uint8Array, number][] = [
    ["no mask", frameOf(opcode.text, new Uint8Array([65])), closeCode.protocol],
    ["a reserved bit", text("a", 0xc0 | opcode.text), closeCode.protocol],
    ["an unknown kind", text("a", 0x83), closeCode.protocol],
    ["a ping in parts", text("a", opcode.ping), closeCode.protocol],
    ["a long ping", masked(0x80 | opcode.ping, long), closeCode.protocol],
    ["a continuation of nothing", text("a", 0x80 | opcode.continuation), closeCode.protocol],
    ["a message in a message", Buffer.concat([text("a", opcode.text), text("b")]), closeCode.protocol],
    ["no UTF-8", masked(0x80 | opcode.text, new Uint8Array([0xff])), closeCode.notText],
    [
      "a length beyond all",
      new Uint8Array([0x81, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4]),
      closeCode.protocol,
    ],
  ];
  for (const [what, bytes, code] of cases) {
    const [first, ...more] = read(Buffer.concat([bytes, text("ignored")]));
    assert.ok(first?.kind === "broken", what);
    assert.equal(first.code, code, what);
    assert.deepEqual(more, [], what);
  }
});

Deno.test("no bytes make the reader throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void read(bytes)));
});

interface Served {
  readonly server: WebSocketServer;
  readonly closed: number[];
}

/** A server that echoes; `test` gets it. */
async function withServer(test: (served: Served) => Promise<void>, connectionsMax = 4): Promise<void> {
  const closed: number[] = [];
  let count = 0;
  const server = await serveWebSockets({
    hostname: "127.0.0.1",
    port: 0,
    messageBytesMax: 10_000,
    connectionsMax,
    clock: machineClock,
    about: "an echo",
    accept: (socket) => {
      const number = count++;
      return {
        message: (said) => said === "bye" ? socket.close(1008, "as you like") : socket.send(said),
        tooLarge: (bytes) => socket.send(`${bytes} bytes are too many`),
        closed: () => closed.push(number),
      };
    },
  });
  try {
    await test({ server, closed });
  } finally {
    await server.close();
  }
}

function open(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url);
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Error("refused"));
  });
}

const said = (socket: WebSocket) =>
  new Promise<string>((resolve) => socket.onmessage = ({ data }) => resolve(String(data)));
const ended = (socket: WebSocket) => new Promise<CloseEvent>((resolve) => socket.onclose = resolve);

/** Sends `request` over TCP; what comes back until the other side ends. */
function raw(port: number, request: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(request));
    let answer = "";
    socket.on("data", (data: Uint8Array) => answer += new TextDecoder().decode(data));
    socket.on("close", () => resolve(answer));
  });
}

Deno.test("a client and the server talk; too large a message is told; both can say goodbye", async () => {
  await withServer(async ({ server, closed }) => {
    const socket = await open(server.url);
    for (const message of ["", "hello", "é".repeat(5_000)]) {
      const answer = said(socket);
      socket.send(message);
      assert.equal(await answer, message);
    }
    const answer = said(socket);
    socket.send("x".repeat(10_001));
    assert.equal(await answer, "10001 bytes are too many");
    const goodbye = ended(socket);
    socket.send("bye");
    const { code, reason } = await goodbye;
    assert.deepEqual([code, reason], [1008, "as you like"]);

    const other = await open(server.url);
    const end = ended(other);
    other.close(1000);
    assert.equal((await end).code, 1000);
    while (closed.length < 2) await machineClock.sleep(5);
    assert.deepEqual(closed, [0, 1]);
    assert.equal(server.connectionCount, 0);
  });
});

Deno.test("pages in a browser and what is no handshake are refused; plain HTTP is told what this is", async () => {
  await withServer(async ({ server }) => {
    const handshake = (headers: readonly string[]) =>
      raw(server.port, ["GET / HTTP/1.1", "Host: x", ...headers, "", ""].join("\r\n"));
    const good = [
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    assert.match(await handshake([...good, "Origin: http://evil.example"]), /^HTTP\/1.1 403 /);
    assert.match(
      await handshake(good.map((line) => line.replace("13", "8"))),
      /^HTTP\/1.1 426 [^]*Sec-WebSocket-Version: 13/,
    );
    assert.match(await handshake(good.map((line) => line.replace("dGhl", "!"))), /^HTTP\/1.1 400 /);
    assert.match(
      await handshake(good.map((line) => line.replace(": websocket", ": h2c"))),
      /^HTTP\/1.1 400 /,
    );
    const plain = await fetch(server.url.replace("ws:", "http:"));
    assert.deepEqual([plain.status, await plain.text()], [426, "an echo\n"]);
  });
});

Deno.test("the handshake's answer is that of RFC 6455, section 1.3", async () => {
  await withServer(async ({ server }) => {
    const request = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    const goodbye = masked(0x80 | opcode.close, closePayload(1000, ""), [0, 0, 0, 0]);
    const answer = await raw(server.port, request + String.fromCharCode(...goodbye.slice(0, 6)) + "\x03\x68");
    assert.match(answer, /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
  });
});

Deno.test("a connection above the bound is refused, and one that ends makes room", async () => {
  await withServer(async ({ server }) => {
    const first = await open(server.url);
    await assert.rejects(open(server.url), /refused/);
    const end = ended(first);
    first.close();
    await end;
    while (server.connectionCount > 0) await machineClock.sleep(5);
    const next = await open(server.url);
    const nextEnd = ended(next);
    next.close();
    await nextEnd;
  }, 1);
});

Deno.test("a client that is gone without a word ends its conversation once", async () => {
  await withServer(async ({ server, closed }) => {
    const request = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    await new Promise<void>((resolve) => {
      const socket = connect(server.port, "127.0.0.1", () => socket.write(request));
      socket.once("data", () => {
        socket.resetAndDestroy();
        resolve();
      });
    });
    while (closed.length === 0) await machineClock.sleep(5);
    assert.deepEqual(closed, [0]);
  });
});
