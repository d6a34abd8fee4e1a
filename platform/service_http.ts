/**
 * The HTTP/1.1 server of every service: `node:http` behind the web's `Request` and `Response`.
 *
 * Why not `Deno.serve`: measured on Deno 2.9.6, it keeps a connection open for ever whose headers never end (41 s when
 * watched), takes headers of 300 KB, and can't bound connections. `node:http` has all these bounds and serves 54,000
 * small requests a second where `Deno.serve` serves 90,000, both far above the need. Rejected as well: a parser of our
 * own (request smuggling is nothing to learn by doing).
 *
 * What every service gets: bounded headers, connections and times (`httpLimits`), a response that is always complete
 * (a body that nobody read is read and thrown away for a while, so that the sender sees the answer and not a reset),
 * slow readers cut off, HEAD, certificates that can be changed while running, and an end within a deadline.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Buffer } from "node:buffer";
import { AssertionFailed } from "../core/assert.ts";
import { httpLimitSpecs, limitValues } from "../core/limit_table.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Trace } from "../core/ports/trace.ts";
import { problemDocument, problemMediaType, type ProblemName } from "../core/problem.ts";

/** Bounds of the server, see the table for their consequences. */
export const httpLimits = limitValues(httpLimitSpecs);

type HttpLimits = typeof httpLimits;

export type Handler = (
  request: Request,
  client: { readonly address: string },
) => Response | Promise<Response>;

/** A request of a {@link PlainRoute}. */
export interface PlainRequest {
  /** A header's value, several joined by a comma; null if it isn't there. `name` in lower case. */
  header(name: string): string | null;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** The answer to one. The server adds date, length and what the connection needs. */
export interface PlainAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * A route for many small requests: a POST with a short body of a stated length is answered without the web's `Request`
 * and `Response`, which cost as much as the parser. All others to the same path take the handler's way, so that must
 * answer alike.
 */
export interface PlainRoute {
  readonly path: string;
  handle(request: PlainRequest): Promise<PlainAnswer>;
}

export interface HttpOptions {
  readonly handler: Handler;
  readonly plain?: PlainRoute;
  /** 127.0.0.1 unless the service is meant for the network. */
  readonly hostname?: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** PEM texts; with them it speaks HTTPS. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly limits?: Partial<HttpLimits>;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly metrics: Metrics;
  /** Called with a broken guarantee of ours: the service must end. Other faults of the handler are answered with 500. */
  readonly broken?: (error: AssertionFailed) => void;
}

export interface HttpServer {
  readonly hostname: string;
  readonly port: number;
  /** `http://host:port` or `https://…`, as seen from this machine. */
  readonly url: string;
  /** Takes new certificates for new connections. */
  renew(tls: { readonly cert: string; readonly key: string }): void;
  /** Takes no new connection, lets running requests end for at most `deadlineMs`, then cuts. True if none was cut. */
  close(deadlineMs: number): Promise<boolean>;
}

/** Starts to serve. Rejects with the reason when the address can't be taken. */
export async function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const { hostname = "127.0.0.1", port, tls, clock, trace, metrics } = options;
  const limits: HttpLimits = { ...httpLimits, ...options.limits };
  let closing = false;
  let faults = 0;
  let active = 0;
  let idle: (() => void) | null = null;
  /** Connections with a request that is being answered, and what was pipelined behind it. */
  const lines = new Map<Socket, Exchange[]>();
  const serverOptions = {
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.idleMs,
    connectionsCheckingInterval: limits.checkMs,
    noDelay: true,
  };
  const onRequest = (message: IncomingMessage, response: ServerResponse) => {
    active++;
    message.on("error", () => {}); // a sender that went away; reading the body tells the handler
    response.on("error", () => {});
    const { socket } = message;
    const line = lines.get(socket);
    if (line === undefined) {
      lines.set(socket, []);
      void serve(message, response);
      return;
    }
    line.push([message, response]);
    if (line.length >= limits.pipelinedMax) socket.pause();
  };

  /** Answers a request, and those that were pipelined behind it, one after the other as its reader takes them. */
  const serve = async (first: IncomingMessage, firstResponse: ServerResponse) => {
    const { socket } = first;
    const line = lines.get(socket)!;
    let next: Exchange | undefined = [first, firstResponse];
    while (next !== undefined) {
      const [message, response]: Exchange = next;
      try {
        if (!socket.destroyed) await answer(message, response);
        if (line.length > 0 && !await finished(response, limits.writeMs, clock)) socket.destroy();
      } catch (error) {
        if (error instanceof AssertionFailed) options.broken?.(error);
        socket.destroy();
      }
      active--;
      next = line.shift();
      if (line.length === 0 && socket.isPaused()) socket.resume();
    }
    lines.delete(socket);
    if (active === 0) idle?.();
  };

  const answer = async (message: IncomingMessage, response: ServerResponse) => {
    const startedMs = clock.monotonicMs();
    const settled = (status: number) => {
      metrics.count("isotherm_http_requests_total", 1, { status: String(status) });
      metrics.observe("isotherm_http_request_seconds", (clock.monotonicMs() - startedMs) / 1_000);
    };
    let answered: Response;
    try {
      const { plain } = options;
      const length = plain === undefined ? null : plainLength(message, plain, limits);
      if (plain !== undefined && length !== null) {
        const { headers } = message;
        const answer = await plain.handle({
          header: (name) => valueOf(headers[name]),
          body: await wholeBody(message, length),
        });
        settled(answer.status);
        if (closing) response.shouldKeepAlive = false;
        return sendPlain(answer, response);
      }
      const request = await webRequest(message, limits);
      answered = request instanceof Request
        ? await options.handler(request, { address: message.socket.remoteAddress ?? "" })
        : request;
    } catch (error) {
      const sent = message.headers["x-request-id"];
      const requestId = typeof sent === "string" && /^[\w.:-]{1,64}$/.test(sent)
        ? sent
        : `fault-${clock.nowMs().toString(36)}-${++faults}`;
      answered = fault(error as Error, requestId, trace);
      if (error instanceof AssertionFailed) options.broken?.(error);
    }
    settled(answered.status);
    const unread = !message.complete && hasBody(message);
    if (closing || unread) response.shouldKeepAlive = false;
    await send(answered, message.method === "HEAD", response, limits.writeMs, clock);
    if (unread && !message.complete) await linger(message, limits, clock);
  };

  const server: Server = tls === undefined
    ? createServer(serverOptions, onRequest)
    : createTlsServer({ ...serverOptions, ...tls }, onRequest);
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => refuse(error, socket));
  server.on("tlsClientError", (_error: Error, socket: Socket) => socket.destroy());
  let connections = 0;
  // Not `maxConnections`: in Deno 2.9.6 it drops without telling.
  server.on("connection", (socket: Socket) => {
    if (connections >= limits.connectionsMax) {
      metrics.count("isotherm_http_connections_dropped_total", 1);
      socket.destroy();
      return;
    }
    metrics.gauge("isotherm_http_connections", ++connections);
    socket.once("close", () => metrics.gauge("isotherm_http_connections", --connections));
  });

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, hostname, limits.connectionsMax, () => {
      server.off("error", reject);
      resolve();
    });
  }).catch((error: NodeJS.ErrnoException) => {
    const hint = error.code === "EADDRINUSE"
      ? "another process listens there: choose another port"
      : error.message;
    throw new Error(`cannot listen on ${hostname}:${port}: ${hint}`);
  });
  const address = server.address() as AddressInfo;
  const shown = hostname === "0.0.0.0" || hostname === "::" ? "127.0.0.1" : hostname;
  return {
    hostname,
    port: address.port,
    url: `${tls === undefined ? "http" : "https"}://${
      shown.includes(":") ? `[${shown}]` : shown
    }:${address.port}`,
    renew(next) {
      (server as unknown as TlsServer).setSecureContext(next);
    },
    async close(deadlineMs) {
      closing = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const over = new AbortController();
      const finished = new Promise<void>((resolve) => active === 0 ? resolve() : idle = resolve);
      await Promise.race([finished, clock.sleep(deadlineMs, over.signal)]);
      over.abort();
      const clean = active === 0;
      server.closeAllConnections();
      await Promise.race([closed, clock.sleep(1_000)]);
      return clean;
    },
  };
}

type Exchange = readonly [IncomingMessage, ServerResponse];

/** Resolves to true when the system has taken the whole response, to false when it hasn't within `ms` or can't. */
function finished(response: ServerResponse, ms: number, clock: Clock): Promise<boolean> {
  if (response.writableFinished) return Promise.resolve(true);
  if (response.destroyed) return Promise.resolve(false);
  return new Promise((resolve) => {
    const end = (isFinished: boolean) => {
      cancel();
      response.off("finish", onFinish);
      response.off("close", onClose);
      resolve(isFinished);
    };
    const onFinish = () => end(true);
    const onClose = () => end(response.writableFinished);
    const cancel = clock.after(ms, () => end(false));
    response.once("finish", onFinish);
    response.once("close", onClose);
  });
}

const hasBody = (message: IncomingMessage) =>
  message.headers["transfer-encoding"] !== undefined || Number(message.headers["content-length"] ?? 0) > 0;

/** The length of a body that goes the plain way, or null: another path, no stated length, none, or a long one. */
function plainLength(
  { method, url, headers }: IncomingMessage,
  plain: PlainRoute,
  limits: HttpLimits,
): number | null {
  if (method !== "POST" || url !== plain.path || headers["transfer-encoding"] !== undefined) return null;
  const length = Number(headers["content-length"] ?? 0);
  return length > 0 && length <= limits.wholeBodyBytesMax ? length : null;
}

const valueOf = (value: string | readonly string[] | undefined): string | null =>
  value === undefined ? null : typeof value === "string" ? value : value.join(", ");

/** Head and body as one text, which goes out in one piece. */
function sendPlain({ status, headers, body }: PlainAnswer, response: ServerResponse): void {
  const pairs: string[] = ["content-length", String(utf8Length(body))];
  for (const name in headers) pairs.push(name, headers[name]!);
  response.writeHead(status, pairs);
  response.end(body);
}

/** Answers are ASCII but for what a sender wrote itself. */
function utf8Length(text: string): number {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return utf8.encode(text).length;
  return text.length;
}

const utf8 = new TextEncoder();

/** The request as the web knows it, or the answer when it can't be one. */
async function webRequest(message: IncomingMessage, limits: HttpLimits): Promise<Request | Response> {
  const { method = "GET", url = "/" } = message;
  if (!/^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$/.test(method)) {
    return problem("method-not-allowed", `${method} does nothing here`, {
      allow: "GET, HEAD, POST, OPTIONS",
    });
  }
  const target = url.startsWith("/") ? url : new URL(url, "http://unknown").pathname;
  const headers: [string, string][] = [];
  const { rawHeaders } = message;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) headers.push([rawHeaders[i]!, rawHeaders[i + 1]!]);
  const init: RequestInit = { method, headers };
  if (method !== "GET" && method !== "HEAD" && hasBody(message)) {
    const length = Number(message.headers["content-length"] ?? NaN);
    init.body = length <= limits.wholeBodyBytesMax ? await wholeBody(message, length) : bodyStream(message);
  }
  return new Request(`http://${SERVICE_HOST}${target}`, init);
}

/** The URL's host is ours, not the sender's word; who needs that reads the header `Host`. */
const SERVICE_HOST = "isotherm";

function wholeBody(message: IncomingMessage, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const body = new Uint8Array(length);
  let filled = 0;
  return new Promise((resolve, reject) => {
    message.on("data", (chunk: Buffer) => {
      body.set(chunk, filled);
      filled += chunk.length;
    });
    message.on("end", () => resolve(body));
    const gone = () => reject(new SenderGone());
    message.on("aborted", gone);
    message.on("error", gone);
  });
}

/** The sender closed before its request was complete; nobody is there to answer. */
class SenderGone extends Error {
  override name = "SenderGone";
}

function bodyStream(message: IncomingMessage): ReadableStream<Uint8Array<ArrayBuffer>> {
  message.pause();
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      message.on("data", (chunk: Buffer) => {
        controller.enqueue(new Uint8Array(chunk));
        if ((controller.desiredSize ?? 0) <= 0) message.pause();
      });
      message.on("end", () => controller.close());
      const gone = () => controller.error(new SenderGone());
      message.on("aborted", gone);
      message.on("error", gone);
      message.pause();
    },
    pull() {
      message.resume();
    },
    cancel() {
      message.removeAllListeners("data");
      message.removeAllListeners("end");
    },
  }, new ByteLengthQueuingStrategy({ highWaterMark: 65_536 }));
}

function fault(error: Error, requestId: string, trace: Trace): Response {
  if (error instanceof SenderGone) {
    return problem("bad-request", "the request ended before its body was complete");
  }
  trace.emit("error", "http.fault", { requestId, message: error.message, stack: error.stack ?? "" });
  return problem("internal", "the service could not answer; its trace says why", {}, requestId);
}

function problem(
  name: ProblemName,
  detail: string,
  headers: Record<string, string> = {},
  requestId?: string,
): Response {
  const document = problemDocument(name, detail, requestId === undefined ? {} : { requestId });
  return new Response(JSON.stringify(document), {
    status: document.status,
    headers: { "content-type": problemMediaType, ...headers },
  });
}

/** What the parser refused, before there was a request. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const status = error.code === "HPE_HEADER_OVERFLOW"
    ? "431 Request Header Fields Too Large"
    : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
    ? "408 Request Timeout"
    : "400 Bad Request";
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

/** Writes the response; a body of one chunk goes out with its length in one piece. */
async function send(
  answered: Response,
  headOnly: boolean,
  response: ServerResponse,
  writeMs: number,
  clock: Clock,
): Promise<void> {
  const headers: string[] = [];
  answered.headers.forEach((value, name) => headers.push(name, value));
  if (answered.body === null || headOnly) {
    await answered.body?.cancel();
    if (
      answered.body === null && answered.status >= 200 && answered.status !== 204 && answered.status !== 304
    ) {
      headers.push("content-length", "0");
    }
    response.writeHead(answered.status, headers);
    response.end();
    return;
  }
  const stated = answered.headers.get("content-length");
  if (stated !== null && Number(stated) <= WHOLE_ANSWER_BYTES_MAX) {
    response.writeHead(answered.status, headers);
    response.end(new Uint8Array(await answered.arrayBuffer()));
    return;
  }
  const reader = answered.body.getReader();
  const first = await reader.read();
  const second = reader.read();
  if (first.done || await endsAtOnce(second)) {
    const bytes = first.done ? EMPTY : first.value;
    if (!answered.headers.has("content-length")) headers.push("content-length", String(bytes.length));
    response.writeHead(answered.status, headers);
    response.end(bytes);
    return;
  }
  response.writeHead(answered.status, headers);
  await pour(first.value, second, reader, response, writeMs, clock);
}

const EMPTY = new Uint8Array();
/** Answers that state a length up to this are made whole before they are sent, which is faster than as a stream. */
const WHOLE_ANSWER_BYTES_MAX = 1_048_576;
/** Turns of the microtask queue in which a body that is at hand tells its end; measured: 3. */
const AT_ONCE_TURNS = 16;

/** True if the body ends without waiting for anything; the next chunk of a live stream may come in an hour. */
async function endsAtOnce(next: Promise<ReadableStreamReadResult<Uint8Array>>): Promise<boolean> {
  let done: boolean | undefined;
  next.then((result) => done = result.done, () => done = false);
  for (let turn = 0; turn < AT_ONCE_TURNS && done === undefined; turn++) await undefined;
  return done === true;
}

async function pour(
  first: Uint8Array,
  second: Promise<ReadableStreamReadResult<Uint8Array>>,
  reader: ReadableStreamDefaultReader<Uint8Array>,
  response: ServerResponse,
  writeMs: number,
  clock: Clock,
): Promise<void> {
  let gone = false;
  const leave = () => {
    gone = true;
    reader.cancel().catch(() => {});
  };
  response.once("close", leave);
  try {
    let next: ReadableStreamReadResult<Uint8Array> = { done: false, value: first };
    let pending: Promise<ReadableStreamReadResult<Uint8Array>> | null = second;
    while (!next.done && !gone) {
      if (!response.write(next.value) && !await drained(response, writeMs, clock)) {
        response.destroy();
        break;
      }
      next = await (pending ?? reader.read());
      pending = null;
    }
    response.off("close", leave);
    if (gone) return;
    response.end();
  } catch (error) {
    response.off("close", leave);
    response.destroy();
    throw error;
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Resolves to true when the reader has taken enough, to false when it hasn't within `writeMs` or has gone. */
function drained(response: ServerResponse, writeMs: number, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (taken: boolean) => {
      cancel();
      response.off("drain", onDrain);
      response.off("close", onClose);
      resolve(taken);
    };
    const onDrain = () => end(true);
    const onClose = () => end(false);
    const cancel = clock.after(writeMs, () => end(false));
    response.once("drain", onDrain);
    response.once("close", onClose);
  });
}

/** Reads on and throws away what the sender still sends, within bounds, so that it comes to read the answer. */
function linger(message: IncomingMessage, limits: HttpLimits, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0;
    const end = () => {
      cancel();
      message.socket.destroy();
      resolve();
    };
    const cancel = clock.after(limits.lingerMs, end);
    message.removeAllListeners("data");
    message.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > limits.lingerBytesMax) end();
    });
    message.once("end", end);
    message.once("close", end);
    message.resume();
  });
}
