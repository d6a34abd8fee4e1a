/**
 * HTTP inside the simulation: boards' TCP bytes become `Request`s for a handler (the production app's `fetch`, say), and
 * its `Response`s become bytes again. Keep-alive as in HTTP/1.1; latency and faults are drawn by the caller.
 */
import type { Scheduler } from "../scheduler.ts";
import { type HttpRequestHead, HttpRequestReader } from "./http_request_reader.ts";
import type { Connection, ConnectionEvents, Network } from "./network.ts";
import { WorldServices } from "./world_services.ts";

/** Who sends, and when it arrives. */
export interface HttpSender {
  readonly device: string;
  readonly nowMs: number;
}

/** Null: the server's process has died over the request, and its connection is reset. */
export type HttpHandler = (
  request: Request,
  from: HttpSender,
) => Promise<Response | null> | Response | null;

/** What may go wrong with one exchange. */
export type HttpFault =
  /** The server takes the request and never answers. The handler doesn't see it. */
  | { readonly kind: "silence" }
  /** The connection breaks; `handled`: only after the handler has done its work, so the answer is lost. */
  | { readonly kind: "reset"; readonly handled: boolean }
  /** The answer comes `ms` later. */
  | { readonly kind: "delay"; readonly ms: number }
  /** Somebody else answers: a proxy, a captive portal. */
  | { readonly kind: "answer"; readonly response: Response }
  /** These bytes come back, and the connection ends. */
  | { readonly kind: "bytes"; readonly bytes: Uint8Array };

export interface HttpNetworkOptions {
  readonly scheduler: Scheduler;
  readonly handler: HttpHandler;
  /**
   * The handler takes virtual time (it waits for a simulated log, say): the event in which a request arrives ends without
   * it, and the answer leaves when the handler has made it. Whoever steps the scheduler lets {@link HttpNetwork.underWay}
   * requests come to rest between events.
   */
  readonly takesTime?: boolean;
  /** One way, in milliseconds (default: 15). Asked for each packet. */
  readonly latencyMs?: (device: string) => number;
  /** Asked when a board connects (default: always answered). Null: nobody answers, not even with a refusal. */
  readonly accepts?: (device: string, host: string, port: number) => "yes" | "refused" | "unreachable" | null;
  /** Asked for each request (default: no fault). */
  readonly fault?: (
    exchange: { readonly device: string; readonly head: HttpRequestHead },
  ) => HttpFault | null;
  /** Asked for each datagram (default: delivered). */
  readonly datagramArrives?: (device: string, port: number) => boolean;
  /** What the NTP server takes for the time (default: the simulated time). */
  readonly ntpMs?: () => number;
  /** Which names exist (default: all). */
  readonly nameExists?: (name: string) => boolean;
  /** The server ends a connection that has been idle for so long (default: 75 s, nginx's default). */
  readonly idleMsMax?: number;
}

const LATENCY_MS = 15;
const IDLE_MS = 75_000;

export class HttpNetwork implements Network {
  readonly #options: HttpNetworkOptions;
  readonly #services: WorldServices;
  readonly #forgets = new Set<() => void>();
  /** Requests in the handler's hands. */
  underWay = 0;
  /** Connections open at this moment. */
  openCount = 0;

  constructor(options: HttpNetworkOptions) {
    this.#options = options;
    const { scheduler, ntpMs = () => scheduler.nowMs } = options;
    this.#services = new WorldServices(ntpMs, options.nameExists);
  }

  /** The server forgets its connections without a word, as one does that was switched off: they are half open now. */
  forgetConnections(): void {
    for (const forget of this.#forgets) forget();
    this.#forgets.clear();
  }

  resolve(name: string): string | null {
    return this.#services.resolve(name);
  }

  datagram(
    device: string,
    host: string,
    port: number,
    bytes: Uint8Array,
    answer: (bytes: Uint8Array) => void,
  ): void {
    void host;
    if (this.#options.datagramArrives?.(device, port) === false) return;
    this.#after(device, () => {
      const reply = this.#services.answer(port, bytes);
      if (reply !== null) this.#after(device, () => answer(reply));
    });
  }

  connect(device: string, host: string, port: number, events: ConnectionEvents): Connection {
    const name = this.#services.nameOf(host);
    const { accepts = () => "yes" } = this.#options;
    const accepted = accepts(device, name, port);
    if (accepted === "yes") return this.#serve(device, `http://${name}:${port}`, events);
    if (accepted !== null) this.#after(device, () => events.failed(accepted));
    return { send() {}, close() {} };
  }

  async #handle(request: Request, device: string): Promise<Response | null> {
    this.underWay++;
    try {
      return await this.#options.handler(request, { device, nowMs: this.#options.scheduler.nowMs });
    } finally {
      this.underWay--;
    }
  }

  #after(device: string, task: () => void | Promise<void>): void {
    this.#options.scheduler.after(this.#options.latencyMs?.(device) ?? LATENCY_MS, task);
  }

  #serve(device: string, origin: string, events: ConnectionEvents): Connection {
    const { scheduler, idleMsMax = IDLE_MS } = this.#options;
    const reader = new HttpRequestReader();
    let open = true;
    let usedAtMs = scheduler.nowMs;
    const end = () => {
      if (!open) return;
      open = false;
      this.#forgets.delete(end);
      this.openCount--;
    };
    const checkIdle = () => {
      if (!open) return;
      if (scheduler.nowMs - usedAtMs < idleMsMax) return void scheduler.at(usedAtMs + idleMsMax, checkIdle);
      end();
      events.ended();
    };
    this.openCount++;
    this.#forgets.add(end);
    this.#after(device, () => open ? events.connected() : undefined);
    scheduler.after(idleMsMax, checkIdle);
    // TCP keeps the order: what is sent later arrives later, whatever latency was drawn.
    let arrivesMs = scheduler.nowMs;
    const arrival = (extraMs = 0) => {
      arrivesMs = Math.max(
        arrivesMs,
        scheduler.nowMs + (this.#options.latencyMs?.(device) ?? LATENCY_MS) + extraMs,
      );
      return arrivesMs;
    };
    const deliver = (bytes: Uint8Array, thenEnd: boolean, extraMs = 0) => {
      scheduler.at(arrival(extraMs), () => {
        if (!open) return;
        usedAtMs = scheduler.nowMs;
        events.received(bytes);
        if (!thenEnd) return;
        end();
        events.ended();
      });
    };
    const reset = () => {
      scheduler.at(arrival(), () => {
        if (!open) return;
        end();
        events.failed("reset");
      });
    };
    const serve = async (head: HttpRequestHead, body: Uint8Array) => {
      const fault = this.#options.fault?.({ device, head }) ?? null;
      if (fault?.kind === "silence") return;
      if (fault?.kind === "bytes") return deliver(fault.bytes, true);
      if (fault?.kind === "reset" && !fault.handled) return reset();
      const handle = () => this.#handle(requestOf(origin, head, body), device);
      const response = fault?.kind === "answer" ? fault.response : await handle();
      if (response === null) return reset();
      const bytes = await responseBytes(dated(response, scheduler.nowMs), head.keepAlive);
      if (fault?.kind === "reset") return reset();
      deliver(bytes, !head.keepAlive, fault?.kind === "delay" ? fault.ms : 0);
    };
    return {
      send: (bytes) => {
        scheduler.at(arrival(), async () => {
          if (!open) return;
          usedAtMs = scheduler.nowMs;
          const outcome = reader.push(bytes);
          if (outcome.kind === "request") {
            const served = serve(outcome.head, outcome.body);
            if (this.#options.takesTime !== true) await served;
          }
          if (outcome.kind === "broken") {
            deliver(await responseBytes(new Response(null, { status: 400 }), false), true);
          }
        });
      },
      close: end,
    };
  }
}

function requestOf(origin: string, head: HttpRequestHead, body: Uint8Array): Request {
  const hasBody = head.method !== "GET" && head.method !== "HEAD";
  return new Request(new URL(head.target, origin), {
    method: head.method,
    headers: head.headers,
    ...(hasBody ? { body: body as BodyInit } : {}),
  });
}

/** As HTTP servers do, whatever their handler says (RFC 9110, 6.6.1). */
function dated(response: Response, nowMs: number): Response {
  if (response.headers.has("date")) return response;
  const { status, statusText } = response;
  const headers = new Headers(response.headers);
  headers.set("date", new Date(nowMs).toUTCString());
  return new Response(response.body, { status, statusText, headers });
}

async function responseBytes(response: Response, keepAlive: boolean): Promise<Uint8Array> {
  const body = new Uint8Array(await response.arrayBuffer());
  const lines = [`HTTP/1.1 ${response.status} ${response.statusText}`];
  for (const [name, value] of response.headers) {
    if (name !== "content-length" && name !== "connection") lines.push(`${name}: ${value}`);
  }
  lines.push(`content-length: ${body.length}`, `connection: ${keepAlive ? "keep-alive" : "close"}`, "", "");
  const head = new TextEncoder().encode(lines.join("\r\n"));
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}
