/** Answers to requests of `node:http`: in one piece where they are at hand, and within bounds where their reader is slow. */
import type { ServerResponse } from "node:http";
import type { Clock } from "../core/ports/clock.ts";
import { problemDocument, problemMediaType, type ProblemName } from "../core/problem.ts";

/** An answer of the server's own. */
export function problemResponse(
  name: ProblemName,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
  requestId?: string,
): Response {
  const document = problemDocument(name, detail, requestId === undefined ? {} : { requestId });
  return new Response(JSON.stringify(document), {
    status: document.status,
    headers: { "content-type": problemMediaType, ...headers },
  });
}

/** The answer of a plain route. The server adds date, length and what the connection needs. */
export interface PlainAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Sends head and body in one write. `response.end(body)` makes two pieces of them and gathers those: measured on Deno
 * 2.9.6, 5 µs of 40 for a request of 60 readings. So the body is put behind the head that node:http has ready, and goes
 * out with it; where there is no such text, or the body isn't ASCII, it goes the usual way.
 */
export function sendPlain({ status, headers, body }: PlainAnswer, response: ServerResponse): void {
  const isPlain = isAscii(body);
  const pairs: string[] = ["content-length", String(isPlain ? body.length : utf8.encode(body).length)];
  for (const name in headers) pairs.push(name, headers[name]!);
  response.writeHead(status, pairs);
  const ready = response as unknown as { _header?: unknown };
  if (isPlain && typeof ready._header === "string") {
    ready._header += body;
    response.end();
  } else response.end(body);
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}

const utf8 = new TextEncoder();

export interface SendOptions {
  /** The request was HEAD. */
  readonly headOnly: boolean;
  /** The answer is written whole but not ended, so that the connection stays: the caller ends it. */
  readonly isHeld: boolean;
  /** For a reader that takes nothing. */
  readonly writeMs: number;
}

/** Writes the response; a body of one chunk goes out with its length in one piece. A streamed one is always ended. */
export async function send(
  answered: Response,
  response: ServerResponse,
  { headOnly, isHeld, writeMs }: SendOptions,
  clock: Clock,
): Promise<void> {
  const headers: string[] = [];
  answered.headers.forEach((value, name) => headers.push(name, value));
  const whole = (bytes: Uint8Array) => {
    response.writeHead(answered.status, headers);
    if (!isHeld) response.end(bytes);
    else if (bytes.length > 0) response.write(bytes);
    else response.flushHeaders();
  };
  if (answered.body === null || headOnly) {
    await answered.body?.cancel();
    if (
      answered.body === null && answered.status >= 200 && answered.status !== 204 && answered.status !== 304
    ) {
      headers.push("content-length", "0");
    }
    return whole(EMPTY);
  }
  const stated = answered.headers.get("content-length");
  if (stated !== null && Number(stated) <= WHOLE_ANSWER_BYTES_MAX) {
    return whole(new Uint8Array(await answered.arrayBuffer()));
  }
  const reader = answered.body.getReader();
  const first = await reader.read();
  const second = reader.read();
  if (first.done || await endsAtOnce(second)) {
    const bytes = first.done ? EMPTY : first.value;
    if (!answered.headers.has("content-length")) headers.push("content-length", String(bytes.length));
    return whole(bytes);
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

/** Resolves to true when the system has taken the whole response, to false when it hasn't within `ms` or can't. */
export function finished(response: ServerResponse, ms: number, clock: Clock): Promise<boolean> {
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
