/** The model's sockets: one datagram there and back, and HTTP over a kept connection, at the firmware's pace. */
import { errno } from "../errno.ts";
import { type BoardHost, poll } from "../host.ts";
import { sleep, type Task } from "./loop.ts";

/** What an OSError is to the firmware. */
export class SocketError extends Error {
  constructor(readonly errno: number) {
    super(`errno ${errno}`);
  }
}
/** The kept connection had ended before a byte of an answer came. */
class Closed extends SocketError {}

const NO_SUCH_NAME = -202;
const POLL_MS = 20;
const POLL_MS_MAX = 160;
const DATAGRAM_POLL_MS = 4;
const DATAGRAM_MS = 3_000;
const CONNECT_MS = 10_000;
const ANSWER_MS = 15_000;
const HEAD_BYTES_MAX = 2_048;

function* untilReady(
  host: BoardHost,
  id: number,
  events: number,
  endMs: number,
  firstMs = POLL_MS,
): Task<void> {
  let waitMs = firstMs;
  while (host.sockets.ready(id, events | poll.error | poll.hangUp) === 0) {
    if (host.clock.ticksMs() >= endMs) throw new SocketError(errno.ETIMEDOUT);
    yield sleep(waitMs);
    waitMs = Math.min(POLL_MS_MAX, waitMs + Math.floor(waitMs / 2));
  }
}

/** Sends `query` and gives the answer. */
export function* datagram(
  host: BoardHost,
  address: string,
  port: number,
  query: Uint8Array,
): Task<Uint8Array> {
  const id = host.sockets.open("datagram");
  try {
    if (host.sockets.sendTo(id, query, address, port) < 0) throw new SocketError(errno.EHOSTUNREACH);
    yield* untilReady(host, id, poll.in, host.clock.ticksMs() + DATAGRAM_MS, DATAGRAM_POLL_MS);
    const answer = host.sockets.receive(id, 512);
    if (typeof answer === "number") throw new SocketError(-answer);
    return answer;
  } finally {
    host.sockets.close(id);
  }
}

/** Looks a name up. `number` is the query's. */
export function* lookUp(host: BoardHost, name: string, number: number): Task<string> {
  const labels = name.split(".").flatMap((label) => [label.length, ...new TextEncoder().encode(label)]);
  const header = [number >> 8, number & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  const answer = yield* datagram(host, "10.0.0.1", 53, new Uint8Array([...header, ...labels, 0, 0, 1, 0, 1]));
  if (((answer[3] ?? 3) & 15) !== 0) throw new SocketError(NO_SUCH_NAME);
  return answer.slice(-4).join(".");
}

/** Unix milliseconds by an NTP server, at the moment at which the answer came. */
export function* askTime(host: BoardHost, address: string): Task<{ unixMs: number; uptimeMs: number }> {
  const query = new Uint8Array(48);
  query[0] = 0x23;
  const sentMs = host.clock.ticksMs();
  const answer = yield* datagram(host, address, 123, query);
  const uptimeMs = host.clock.ticksMs();
  const view = new DataView(answer.buffer, answer.byteOffset);
  const seconds = view.getUint32(40) + (view.getUint32(40) < 0xd5000000 ? 2 ** 32 : 0);
  const ms = Number((BigInt(view.getUint32(44)) * 1000n) >> 32n);
  const unixMs = (seconds - 2_208_988_800) * 1000 + ms + Math.floor((uptimeMs - sentMs) / 2);
  return { unixMs, uptimeMs };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

export interface HttpTarget {
  readonly host: string;
  readonly port: number;
  readonly resolve: (name: string) => Task<string>;
}

export class ModelHttp {
  readonly #host: BoardHost;
  readonly #target: HttpTarget;
  #address: string | null = null;
  #id: number | null = null;

  constructor(host: BoardHost, target: HttpTarget) {
    this.#host = host;
    this.#target = target;
  }

  *request(method: string, path: string, headers: string, body: string): Task<Answer> {
    if (this.#id !== null) {
      try {
        return yield* this.#exchange(method, path, headers, body);
      } catch (error) {
        if (!(error instanceof Closed)) throw error;
      }
    }
    yield* this.#connect();
    return yield* this.#exchange(method, path, headers, body);
  }

  close(): void {
    if (this.#id !== null) this.#host.sockets.close(this.#id);
    this.#id = null;
  }

  *#connect(): Task<void> {
    this.close();
    const { sockets, clock } = this.#host;
    try {
      this.#address ??= yield* this.#target.resolve(this.#target.host);
      this.#id = sockets.open("stream");
      const failed = sockets.connect(this.#id, this.#address, this.#target.port);
      if (failed !== 0) throw new SocketError(failed);
      yield* untilReady(this.#host, this.#id, poll.out, clock.ticksMs() + CONNECT_MS);
    } catch (error) {
      this.#address = null;
      this.close();
      throw error;
    }
  }

  *#exchange(method: string, path: string, headers: string, body: string): Task<Answer> {
    const endMs = this.#host.clock.ticksMs() + ANSWER_MS;
    const bytes = new TextEncoder().encode(body);
    const { host, port } = this.#target;
    const head =
      `${method} ${path} HTTP/1.1\r\nhost: ${host}:${port}\r\n${headers}content-length: ${bytes.length}\r\n\r\n`;
    try {
      yield* this.#send(new TextEncoder().encode(head), endMs);
      yield* this.#send(bytes, endMs);
      const { answer, isKept } = yield* this.#receive(endMs);
      if (!isKept) this.close();
      return answer;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  *#send(bytes: Uint8Array, endMs: number): Task<void> {
    let rest = bytes;
    while (rest.length > 0) {
      yield* untilReady(this.#host, this.#id as number, poll.out, endMs);
      const sent = this.#host.sockets.send(this.#id as number, rest);
      if (sent < 0) throw new Closed(-sent);
      rest = rest.subarray(sent);
      this.#check(endMs);
    }
  }

  #check(endMs: number): void {
    if (this.#host.clock.ticksMs() >= endMs) throw new SocketError(errno.ETIMEDOUT);
  }

  *#receive(endMs: number): Task<{ answer: Answer; isKept: boolean }> {
    let text = "";
    while (!text.includes("\r\n\r\n")) {
      const more = yield* this.#more(endMs);
      if (more === "") throw text === "" ? new Closed(errno.ECONNRESET) : new SocketError(errno.EIO);
      text += more;
      if (text.length > HEAD_BYTES_MAX && !text.includes("\r\n\r\n")) throw new SocketError(errno.EIO);
    }
    const [head = "", ...parts] = text.split("\r\n\r\n");
    const parsed = parseHead(head);
    if (parsed === null) throw new SocketError(errno.EIO);
    let body = parts.join("\r\n\r\n");
    const length = parsed.headers.get("content-length");
    if (length === null) return { answer: { ...parsed, body: "" }, isKept: false };
    while (body.length < Number(length)) {
      const more = yield* this.#more(endMs);
      if (more === "") throw new SocketError(errno.EIO);
      body += more;
    }
    return { answer: { ...parsed, body }, isKept: parsed.headers.get("connection") !== "close" };
  }

  /** Latin-1 keeps one character a byte; "" is the end of the stream. */
  *#more(endMs: number): Task<string> {
    yield* untilReady(this.#host, this.#id as number, poll.in, endMs);
    const bytes = this.#host.sockets.receive(this.#id as number, 512);
    if (typeof bytes === "number") throw new SocketError(-bytes);
    return String.fromCharCode(...bytes);
  }
}

function parseHead(head: string): { status: number; headers: Headers } | null {
  const [first = "", ...lines] = head.split("\r\n");
  const match = /^HTTP\/1\.\S* (\d{3})( |$)/.exec(first);
  if (match === null) return null;
  const headers = new Headers();
  for (const line of lines) {
    headers.append(line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim());
  }
  return { status: Number(match[1]), headers };
}
