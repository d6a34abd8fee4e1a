/**
 * Frames of the WebSocket protocol as a server reads and writes them (RFC 6455, section 5): bytes in, messages out.
 *
 * A message beyond the bound is not kept but read past to its end, so that its sender can be told in a sentence; Deno's
 * own server cuts the connection instead (measured on 2.9.6: "Frame too large" at 64 MiB, whatever one would rather do).
 */
import { Buffer } from "node:buffer";

/** Kinds of frames, RFC 6455, section 5.2. */
export const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Why a connection ends, RFC 6455, section 7.4.1. */
export const closeCode = { normal: 1000, goingAway: 1001, protocol: 1002, notText: 1007 } as const;

export type Incoming =
  | { readonly kind: "message"; readonly text: string }
  /** A message of `bytes` that was read past. */
  | { readonly kind: "tooLarge"; readonly bytes: number }
  | { readonly kind: "ping"; readonly payload: Uint8Array }
  | { readonly kind: "pong" }
  | { readonly kind: "close" }
  /** The other side breaks the protocol; the connection ends with `code`. Nothing is read after it. */
  | { readonly kind: "broken"; readonly code: number; readonly why: string };

const CONTROL_BYTES_MAX = 125;

interface Header {
  readonly isLast: boolean;
  readonly code: number;
  readonly mask: Uint8Array;
  readonly payloadBytes: number;
}

export class FrameReader {
  readonly #messageBytesMax: number;
  /** What has come of the next header. */
  #head: Uint8Array = new Uint8Array();
  #frame: Header | null = null;
  /** Payload bytes of the frame that have come. */
  #got = 0;
  /** The message so far, unmasked; null outside of one. */
  #message: { readonly parts: Uint8Array[]; bytes: number } | null = null;
  #control: number[] = [];
  #isBroken = false;

  /** `messageBytesMax`: the largest message that is kept, its frames together. */
  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax;
  }

  /** Takes bytes as they come and gives what they complete. They are unmasked in place. */
  *push(bytes: Uint8Array): Generator<Incoming> {
    let rest = bytes;
    while (!this.#isBroken) {
      if (this.#frame === null) {
        const joined = this.#head.length === 0 ? rest : Buffer.concat([this.#head, rest]);
        const header = readHeader(joined);
        if (header === null) {
          this.#head = new Uint8Array(joined);
          return;
        }
        this.#head = new Uint8Array();
        const problem = typeof header === "string" ? header : this.#begin(header.frame);
        if (problem !== null) {
          yield this.#broken(closeCode.protocol, problem);
          return;
        }
        rest = joined.subarray(typeof header === "string" ? 0 : header.length);
      }
      const frame = this.#frame as unknown as Header;
      const part = rest.subarray(0, frame.payloadBytes - this.#got);
      rest = rest.subarray(part.length);
      this.#take(frame, part);
      if (this.#got < frame.payloadBytes) return;
      this.#frame = null;
      const incoming = frame.code >= opcode.close ? this.#endControl(frame) : this.#endData(frame);
      if (incoming !== null) yield incoming;
    }
  }

  /** A frame's header is complete; null, or what is wrong with it. */
  #begin(frame: Header): string | null {
    const isControl = frame.code >= opcode.close;
    if (isControl && (!frame.isLast || frame.payloadBytes > CONTROL_BYTES_MAX)) {
      return "a control frame is whole and short";
    }
    const isFirst = frame.code === opcode.text || frame.code === opcode.binary;
    if (isFirst && this.#message !== null) return "a message begins inside another one";
    if (frame.code === opcode.continuation && this.#message === null) {
      return "a message goes on that never began";
    }
    if (isFirst) this.#message = { parts: [], bytes: 0 };
    this.#frame = frame;
    this.#got = 0;
    this.#control = [];
    return null;
  }

  #take(frame: Header, part: Uint8Array): void {
    const from = this.#got;
    this.#got += part.length;
    const message = this.#message;
    const isControl = frame.code >= opcode.close;
    if (!isControl && message !== null) {
      message.bytes += part.length;
      if (message.bytes > this.#messageBytesMax) {
        message.parts.length = 0;
        return;
      }
    }
    unmask(part, frame.mask, from);
    if (isControl) this.#control.push(...part);
    else if (part.length > 0) message?.parts.push(part);
  }

  #endData(frame: Header): Incoming | null {
    const message = this.#message;
    if (!frame.isLast || message === null) return null;
    this.#message = null;
    if (message.bytes > this.#messageBytesMax) return { kind: "tooLarge", bytes: message.bytes };
    try {
      const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
        Buffer.concat(message.parts),
      );
      return { kind: "message", text };
    } catch {
      return this.#broken(closeCode.notText, "a message is no UTF-8");
    }
  }

  #endControl(frame: Header): Incoming {
    if (frame.code === opcode.ping) return { kind: "ping", payload: new Uint8Array(this.#control) };
    return { kind: frame.code === opcode.pong ? "pong" : "close" };
  }

  #broken(code: number, why: string): Incoming {
    this.#isBroken = true;
    this.#message = null;
    return { kind: "broken", code, why };
  }
}

interface HeaderRead {
  readonly frame: Header;
  /** Bytes that the header takes. */
  readonly length: number;
}

/** The header at the start of `bytes`; null if more bytes are needed; a sentence if it breaks the protocol. */
function readHeader(bytes: Uint8Array): HeaderRead | string | null {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) return null;
  const code = first & 0x0f;
  if ((first & 0x70) !== 0) return "no extension was agreed on";
  if (!Object.values<number>(opcode).includes(code)) return `there is no frame of kind ${code}`;
  if ((second & 0x80) === 0) return "a client masks its frames";
  const short = second & 0x7f;
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
  const length = 2 + lengthBytes + 4;
  if (bytes.length < length) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const payloadBytes = lengthBytes === 0
    ? short
    : lengthBytes === 2
    ? view.getUint16(2)
    : Number(view.getBigUint64(2));
  if (payloadBytes > Number.MAX_SAFE_INTEGER) return "no frame is that long";
  const mask = new Uint8Array(bytes.subarray(length - 4, length));
  return { frame: { isLast: (first & 0x80) !== 0, code, mask, payloadBytes }, length };
}

/** Four bytes at a time where they lie on a word; `from` is how much of the payload came before. */
function unmask(bytes: Uint8Array, mask: Uint8Array, from: number): void {
  const at = (index: number) => mask[(from + index) & 3] as number;
  let index = 0;
  for (; index < bytes.length && ((bytes.byteOffset + index) & 3) !== 0; index++) {
    bytes[index] = (bytes[index] as number) ^ at(index);
  }
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + index & ~3, (bytes.length - index) >> 2);
  const word =
    new Int32Array(new Uint8Array([at(index), at(index + 1), at(index + 2), at(index + 3)]).buffer)[0];
  for (let i = 0; i < words.length; i++) words[i] = (words[i] as number) ^ (word as number);
  for (index += words.length * 4; index < bytes.length; index++) {
    bytes[index] = (bytes[index] as number) ^ at(index);
  }
}

/** A whole, unmasked frame, as a server sends it. */
export function frameOf(code: number, payload: Uint8Array): Uint8Array {
  const size = payload.length;
  const head = size < 126
    ? new Uint8Array([0x80 | code, size])
    : size < 0x10000
    ? new Uint8Array([0x80 | code, 126, size >> 8, size & 255])
    : longHead(code, size);
  return Buffer.concat([head, payload]);
}

function longHead(code: number, size: number): Uint8Array {
  const head = new Uint8Array(10);
  head[0] = 0x80 | code;
  head[1] = 127;
  new DataView(head.buffer).setBigUint64(2, BigInt(size));
  return head;
}

/** The payload of a close frame. */
export function closePayload(code: number, reason: string): Uint8Array {
  const text = new TextEncoder().encode(reason).subarray(0, CONTROL_BYTES_MAX - 2);
  return new Uint8Array([code >> 8, code & 255, ...text]);
}
