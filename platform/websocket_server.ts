/**
 * A WebSocket server on `node:http`, for programs that talk to programs. What a service of ours needs and `Deno.serve` with
 * `Deno.upgradeWebSocket` can't give: a message that is too large is told to its sender instead of cutting the connection
 * (see `websocket_frames.ts`), and connections are bounded.
 *
 * Pages in a browser are refused: they always send an `Origin`, programs don't. So no web page can reach a server on
 * loopback through its visitor's browser.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Clock } from "../core/ports/clock.ts";
import { closeCode, closePayload, frameOf, FrameReader, opcode } from "./websocket_frames.ts";

/** One conversation. */
export interface ServerSocket {
  send(text: string): void;
  /** Says goodbye; what was sent before still arrives. */
  close(code: number, reason: string): void;
}

/** What happens to a conversation. */
export interface SocketEvents {
  message(text: string): void;
  /** A message of so many bytes was thrown away. */
  tooLarge(bytes: number): void;
  /** The other side is gone, for whatever reason; called once. */
  closed(): void;
}

export interface WebSocketServerOptions {
  readonly hostname: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly messageBytesMax: number;
  /** One more is refused with 503. */
  readonly connectionsMax: number;
  readonly clock: Clock;
  readonly accept: (socket: ServerSocket) => SocketEvents;
  /** Answer to a plain HTTP request: what this is. */
  readonly about: string;
}

export interface WebSocketServer {
  /** `ws://host:port`, as seen from this machine. */
  readonly url: string;
  readonly port: number;
  readonly connectionCount: number;
  /** Ends all conversations and stops listening. */
  close(): Promise<void>;
}

/** What RFC 6455, section 1.3, has a server append to the client's key. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** Who says nothing gets a ping so often; who doesn't answer one until the next is gone. */
const PING_MS = 30_000;
/** Bytes on their way to somebody who doesn't read; then the connection is cut. */
const UNREAD_BYTES_MAX = 256 * 1024 * 1024;
/** For the goodbye of the other side. */
const CLOSE_MS = 2_000;
const HEADERS_MS = 10_000;

/** Listens; resolves when it does, rejects when it can't. */
export async function serveWebSockets(options: WebSocketServerOptions): Promise<WebSocketServer> {
  const { hostname, port, connectionsMax, about } = options;
  const open = new Set<Connection>();
  const server = createServer(
    { requestTimeout: HEADERS_MS, headersTimeout: HEADERS_MS, connectionsCheckingInterval: HEADERS_MS },
    (_request, response) => {
      response.writeHead(426, { "content-type": "text/plain; charset=utf-8", upgrade: "websocket" });
      response.end(`${about}\n`);
    },
  );
  server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Uint8Array) => {
    const refused = open.size >= connectionsMax ? [503, "too many connections"] as const : problemOf(request);
    if (refused !== null) return refuse(socket, ...refused);
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Accept: ${acceptOf(String(request.headers["sec-websocket-key"]))}\r\n\r\n`,
    );
    open.add(new Connection(socket, head, options, (connection) => open.delete(connection)));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host: hostname }, resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname === "0.0.0.0" ? "127.0.0.1" : hostname;
  return {
    url: `ws://${host}:${bound}`,
    port: bound,
    get connectionCount() {
      return open.size;
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const connection of [...open]) connection.end();
      server.closeAllConnections();
      await closed;
    },
  };
}

function problemOf({ method, headers }: IncomingMessage): readonly [number, string] | null {
  if (headers.origin !== undefined) return [403, "pages in a browser are not served"];
  const isUpgrade = method === "GET" && headers.upgrade?.toLowerCase() === "websocket";
  if (!isUpgrade) return [400, "this is no WebSocket handshake"];
  if (headers["sec-websocket-version"] !== "13") return [426, "WebSocket version 13 is spoken here"];
  const isKey = /^[A-Za-z0-9+/]{22}==$/.test(String(headers["sec-websocket-key"]));
  return isKey ? null : [400, "Sec-WebSocket-Key has to be 16 bytes in base64"];
}

function refuse(socket: Socket, status: number, why: string): void {
  socket.on("error", () => {}); // whoever was refused may be gone already
  const version = status === 426 ? "Sec-WebSocket-Version: 13\r\n" : "";
  socket.end(
    `HTTP/1.1 ${status} Refused\r\n${version}Content-Type: text/plain\r\nContent-Length: ${why.length}\r\n` +
      `Connection: close\r\n\r\n${why}`,
  );
}

const acceptOf = (key: string) => createHash("sha1").update(key + GUID).digest("base64");

class Connection implements ServerSocket {
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #events: SocketEvents;
  readonly #clock: Clock;
  readonly #onEnd: (connection: Connection) => void;
  #cancelPing: () => void = () => {};
  #isAnswered = true;
  #isClosing = false;
  #isEnded = false;

  constructor(
    socket: Socket,
    head: Uint8Array,
    options: WebSocketServerOptions,
    onEnd: (connection: Connection) => void,
  ) {
    this.#socket = socket;
    this.#clock = options.clock;
    this.#onEnd = onEnd;
    this.#reader = new FrameReader(options.messageBytesMax);
    this.#events = options.accept(this);
    socket.setNoDelay(true);
    socket.on("data", (bytes: Uint8Array) => this.#receive(bytes));
    socket.on("close", () => this.end());
    socket.on("error", () => this.end());
    this.#ping();
    if (head.length > 0) this.#receive(head);
  }

  send(text: string): void {
    if (!this.#isClosing) this.#write(frameOf(opcode.text, new TextEncoder().encode(text)));
  }

  close(code: number, reason: string): void {
    if (this.#isClosing || this.#isEnded) return;
    this.#write(frameOf(opcode.close, closePayload(code, reason)));
    this.#isClosing = true;
    this.#cancelPing();
    this.#cancelPing = this.#clock.after(CLOSE_MS, () => this.end());
  }

  /** Cuts. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = this.#isClosing = true;
    this.#cancelPing();
    this.#socket.destroy();
    this.#onEnd(this);
    this.#events.closed();
  }

  #write(frame: Uint8Array): void {
    if (this.#isEnded) return;
    this.#socket.write(frame);
    if (this.#socket.writableLength > UNREAD_BYTES_MAX) this.end();
  }

  #receive(bytes: Uint8Array): void {
    this.#isAnswered = true;
    for (const incoming of this.#reader.push(bytes)) {
      if (this.#isEnded) return;
      switch (incoming.kind) {
        case "message":
          if (!this.#isClosing) this.#events.message(incoming.text);
          break;
        case "tooLarge":
          if (!this.#isClosing) this.#events.tooLarge(incoming.bytes);
          break;
        case "ping":
          if (!this.#isClosing) this.#write(frameOf(opcode.pong, incoming.payload));
          break;
        case "pong":
          break;
        case "close":
          return this.#goodbye(closeCode.normal, "");
        case "broken":
          return this.#goodbye(incoming.code, incoming.why);
      }
    }
  }

  /** The last frame, after which the connection ends. */
  #goodbye(code: number, reason: string): void {
    if (!this.#isClosing) this.#write(frameOf(opcode.close, closePayload(code, reason)));
    this.#isClosing = true;
    this.#cancelPing();
    this.#cancelPing = this.#clock.after(CLOSE_MS, () => this.end());
    this.#socket.end(() => this.end());
  }

  #ping(): void {
    this.#cancelPing = this.#clock.after(PING_MS, () => {
      if (!this.#isAnswered) return this.end();
      this.#isAnswered = false;
      this.#write(frameOf(opcode.ping, new Uint8Array()));
      this.#ping();
    });
  }
}
