/** Requests of `node:http`: as the web knows them, and their bodies within bounds. */
import type { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { HttpLimits } from "../core/limit_table.ts";
import type { Clock } from "../core/ports/clock.ts";
import { problemResponse } from "./http_answer.ts";

/** The sender closed before its request was complete; nobody is there to answer. */
export class SenderGone extends Error {
  override name = "SenderGone";
}

export const hasBody = (message: IncomingMessage): boolean =>
  message.headers["transfer-encoding"] !== undefined || Number(message.headers["content-length"] ?? 0) > 0;

/** The request as the web knows it, or the answer when it can't be one. */
export async function webRequest(
  message: IncomingMessage,
  limits: Pick<HttpLimits, "wholeBodyBytesMax">,
): Promise<Request | Response> {
  const { method = "GET", url = "/" } = message;
  if (!/^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$/.test(method)) {
    return problemResponse("method-not-allowed", `${method} does nothing here`, {
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

/** A body of a stated length in one piece. Rejects with {@link SenderGone} when it doesn't come. */
export function wholeBody(message: IncomingMessage, length: number): Promise<Uint8Array<ArrayBuffer>> {
  let body: Uint8Array<ArrayBuffer> | null = null;
  let filled = 0;
  return new Promise((resolve, reject) => {
    message.on("data", (chunk: Buffer<ArrayBuffer>) => {
      if (chunk.length === length && chunk.buffer.byteLength === length) {
        // Nearly always: the parser hands the whole body on, in memory of its own.
        body = new Uint8Array(chunk.buffer);
        return;
      }
      body ??= new Uint8Array(length);
      body.set(chunk, filled);
      filled += chunk.length;
    });
    message.on("end", () => resolve(body ?? new Uint8Array(length)));
    const gone = () => reject(new SenderGone());
    message.on("aborted", gone);
    message.on("error", gone);
  });
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

/**
 * Reads on and throws away what the sender still sends, within bounds, so that it comes to read the answer: a connection
 * that is closed with bytes unread is reset, and the answer with it. True when the request has come to its end.
 */
export function linger(
  message: IncomingMessage,
  limits: Pick<HttpLimits, "lingerBytesMax" | "lingerMs">,
  clock: Clock,
): Promise<boolean> {
  return new Promise((resolve) => {
    let bytes = 0;
    const end = (isWhole: boolean) => {
      cancel();
      resolve(isWhole);
    };
    const cancel = clock.after(limits.lingerMs, () => end(false));
    message.removeAllListeners("data");
    message.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > limits.lingerBytesMax) end(false);
    });
    message.once("end", () => end(true));
    message.once("close", () => end(message.complete));
    message.resume();
  });
}
