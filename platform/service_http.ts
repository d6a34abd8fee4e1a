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
import { AssertionFailed } from "../core/assert.ts";
import { type HttpLimits, httpLimitSpecs, limitValues } from "../core/limit_table.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Trace } from "../core/ports/trace.ts";
import { finished, type PlainAnswer, problemResponse, send, sendPlain } from "./http_answer.ts";
import { hasBody, linger, SenderGone, webRequest, wholeBody } from "./http_request.ts";

/** Bounds of the server, see the table for their consequences. */
export const httpLimits: HttpLimits = limitValues(httpLimitSpecs);

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
  /** Connections that have sent a request. */
  const lines = new Map<Socket, Line>();
  const serverOptions = {
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: 0, // `endIdle` looks after it: this would be a timer made and ended for every request
    connectionsCheckingInterval: limits.checkMs,
    noDelay: true,
  };
  const onRequest = (message: IncomingMessage, response: ServerResponse) => {
    active++;
    message.on("error", ignore); // a sender that went away; reading the body tells the handler
    response.on("error", ignore);
    const { socket } = message;
    let line = lines.get(socket);
    if (line === undefined) {
      line = { waiting: [], isBusy: false, looks: 0 };
      lines.set(socket, line);
      socket.once("close", () => lines.delete(socket));
    }
    if (line.isBusy) {
      line.waiting.push([message, response]);
      if (line.waiting.length >= limits.pipelinedMax) socket.pause();
      return;
    }
    line.isBusy = true;
    void serve(line, message, response);
  };

  /** Answers a request, and those that were pipelined behind it, one after the other as its reader takes them. */
  const serve = async (line: Line, first: IncomingMessage, firstResponse: ServerResponse) => {
    const { socket } = first;
    const { waiting } = line;
    let next: Exchange | undefined = [first, firstResponse];
    while (next !== undefined) {
      const [message, response]: Exchange = next;
      try {
        if (!socket.destroyed) await answer(message, response);
        if (waiting.length > 0 && !await finished(response, limits.writeMs, clock)) socket.destroy();
      } catch (error) {
        if (error instanceof AssertionFailed) options.broken?.(error);
        socket.destroy();
      }
      active--;
      next = waiting.shift();
      if (waiting.length === 0 && socket.isPaused()) socket.resume();
    }
    line.isBusy = false;
    line.looks = 0;
    if (active === 0) idle?.();
  };

  /** Ends connections on which nothing has come for `idleMs`, and looks again. */
  const endIdle = () => {
    for (const [socket, line] of lines) {
      if (!line.isBusy && ++line.looks > idleLooks) socket.destroy();
    }
    stopLooking = clock.after(limits.checkMs, endIdle);
  };
  const idleLooks = Math.ceil(limits.idleMs / limits.checkMs);
  let stopLooking = () => {};

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
    const isUnread = !message.complete && hasBody(message);
    if (closing || isUnread) response.shouldKeepAlive = false;
    const how = { headOnly: message.method === "HEAD", isHeld: isUnread, writeMs: limits.writeMs };
    await send(answered, response, how, clock);
    if (!isUnread) return;
    if (message.complete || await linger(message, limits, clock)) response.end();
    else message.socket.destroy();
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
  endIdle();
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
      stopLooking();
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

/** The requests of one connection. */
interface Line {
  /** Pipelined behind the one that is being answered. */
  readonly waiting: Exchange[];
  isBusy: boolean;
  /** How often it was seen idle since its last answer. */
  looks: number;
}

const ignore = () => {};

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

function fault(error: Error, requestId: string, trace: Trace): Response {
  if (error instanceof SenderGone) {
    return problemResponse("bad-request", "the request ended before its body was complete");
  }
  trace.emit("error", "http.fault", { requestId, message: error.message, stack: error.stack ?? "" });
  return problemResponse("internal", "the service could not answer; its trace says why", {}, requestId);
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
