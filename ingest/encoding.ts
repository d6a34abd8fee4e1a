/**
 * Compressed bodies: gzip (also as `x-gzip`) and zstd. What comes out is bounded before it is made, so a bomb costs what
 * an honest body of the largest size costs.
 *
 * zstd needs a look of our own: Deno's decoder (2.9.6) gives the beginning of a frame that is cut off without a word, and
 * takes windows of 128 MiB. RFC 9659 bounds windows of the content coding to 8 MiB.
 */
import { constants, gunzipSync, zstdDecompressSync } from "node:zlib";
import { type Refusal, refused } from "./answers.ts";

export type Encoding = "identity" | "gzip" | "zstd";

const encodings: Readonly<Record<string, Encoding>> = {
  "": "identity",
  "identity": "identity",
  "gzip": "gzip",
  "x-gzip": "gzip",
  "zstd": "zstd",
};

/** The encoding of a `Content-Encoding`. */
export function encodingOf(
  header: string | null,
): { readonly kind: "encoding"; readonly encoding: Encoding } | Refusal {
  const name = (header ?? "").trim().toLowerCase();
  if (Object.hasOwn(encodings, name)) return { kind: "encoding", encoding: encodings[name]! };
  const detail = `the encoding ${JSON.stringify(name.slice(0, 40))} isn't known: send gzip, zstd or none`;
  return refused("unknown-format", detail, { headers: { "accept-encoding": "gzip, zstd" } });
}

export type Expanded = { readonly kind: "expanded"; readonly bytes: Uint8Array } | Refusal;

/** Expands a body to at most `bytesMax` bytes. */
export function expand(encoding: Encoding, body: Uint8Array, bytesMax: number): Expanded {
  if (encoding === "identity") return { kind: "expanded", bytes: body };
  const broken = (why: string) => refused("bad-request", `the body is not ${encoding}: ${why}`);
  if (encoding === "zstd") {
    const why = zstdProblem(body);
    if (why !== null) return broken(why);
  }
  try {
    const options = { maxOutputLength: bytesMax };
    const bytes = encoding === "gzip"
      ? gunzipSync(body, options)
      : zstdDecompressSync(body, { ...options, params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX } });
    return { kind: "expanded", bytes };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ERR_BUFFER_TOO_LARGE") {
      return refused("too-large", `the body expands to more than ${bytesMax} bytes: send smaller batches`);
    }
    return broken(message);
  }
}

const WINDOW_LOG_MAX = 23;
const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;

/** Walks the frames (RFC 8878, section 3.1) without expanding them; what is wrong with them, or null. */
export function zstdProblem(body: Uint8Array): string | null {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const cut = "it is cut off";
  let at = 0;
  if (body.length === 0) return cut;
  while (at < body.length) {
    if (at + 5 > body.length) return cut;
    const magic = view.getUint32(at, true);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
      if (at + 8 > body.length) return cut;
      at += 8 + view.getUint32(at + 4, true);
      if (at > body.length) return cut;
      continue;
    }
    if (magic !== FRAME_MAGIC) return "a frame starts with other bytes";
    const descriptor = body[at + 4]!;
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const hasChecksum = (descriptor & 0x04) !== 0;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
    const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
    at += 5;
    if (!isSingleSegment) {
      if (at >= body.length) return cut;
      const windowLog = 10 + (body[at]! >> 3);
      if (windowLog > WINDOW_LOG_MAX || (windowLog === WINDOW_LOG_MAX && (body[at]! & 7) !== 0)) {
        return "its window is larger than the 8 MiB of RFC 9659";
      }
      at++;
    }
    at += dictionaryBytes + sizeBytes;
    for (let isLast = false; !isLast;) {
      if (at + 3 > body.length) return cut;
      const header = body[at]! | (body[at + 1]! << 8) | (body[at + 2]! << 16);
      isLast = (header & 1) !== 0;
      const type = (header >> 1) & 3;
      at += 3 + (type === 1 ? 1 : header >> 3);
    }
    if (hasChecksum) at += 4;
    if (at > body.length) return cut;
  }
  return null;
}
