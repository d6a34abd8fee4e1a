/** Reads HTTP/1.1 requests (RFC 9112) from a stream of bytes, one after the other. */

export interface HttpRequestHead {
  readonly method: string;
  /** As in the request line, e.g. `/v1/readings`. */
  readonly target: string;
  readonly headers: Headers;
  readonly keepAlive: boolean;
}

export type HttpReadOutcome =
  | { readonly kind: "more" }
  | { readonly kind: "request"; readonly head: HttpRequestHead; readonly body: Uint8Array }
  | { readonly kind: "broken"; readonly detail: string };

const MORE: HttpReadOutcome = { kind: "more" };

export class HttpRequestReader {
  #buffer: Uint8Array = new Uint8Array();

  /** Takes bytes in; gives the request that they complete, if any. A client waits for its answer before the next one. */
  push(bytes: Uint8Array): HttpReadOutcome {
    const joined = new Uint8Array(this.#buffer.length + bytes.length);
    joined.set(this.#buffer);
    joined.set(bytes, this.#buffer.length);
    this.#buffer = joined;
    const headEnd = indexOfBlankLine(joined);
    if (headEnd < 0) return MORE;
    const head = parseHead(new TextDecoder().decode(joined.subarray(0, headEnd)));
    if (head === null) return { kind: "broken", detail: "no HTTP request" };
    const length = Number(head.headers.get("content-length") ?? 0);
    if (!Number.isInteger(length) || length < 0) {
      return { kind: "broken", detail: "content-length is no number" };
    }
    const bodyStart = headEnd + 4;
    if (joined.length < bodyStart + length) return MORE;
    this.#buffer = joined.slice(bodyStart + length);
    return { kind: "request", head, body: joined.slice(bodyStart, bodyStart + length) };
  }
}

function indexOfBlankLine(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(13); at >= 0; at = bytes.indexOf(13, at + 1)) {
    if (bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at;
  }
  return -1;
}

function parseHead(text: string): HttpRequestHead | null {
  const [requestLine = "", ...lines] = text.split("\r\n");
  const match = /^([A-Z]+) (\S+) HTTP\/1\.([01])$/.exec(requestLine);
  if (match === null) return null;
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon <= 0) return null;
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const connection = headers.get("connection")?.toLowerCase();
  const keepAlive = match[3] === "1" ? connection !== "close" : connection === "keep-alive";
  return { method: match[1] as string, target: match[2] as string, headers, keepAlive };
}
