/** The files that a client has sent, by name, within bounds. */
import { Buffer } from "node:buffer";
import { type Refusal, refusal } from "./refusal.ts";

export const uploadLimits = {
  /** One file: the largest flash that an ESP32 is sold with is 16 MiB, four of them fit. */
  fileBytesMax: 64 * 1024 * 1024,
  /** All files of one client together: a firmware is often sent twice, as `firmware` and as `elf`. */
  bytesMax: 128 * 1024 * 1024,
  filesMax: 1_000,
} as const;

const mib = (bytes: number) => `${bytes / 1024 / 1024} MiB`;

interface Upload {
  readonly bytes: Uint8Array;
  readonly isText: boolean;
}

export class Uploads {
  readonly #files = new Map<string, Upload>();
  readonly #limits: typeof uploadLimits;
  #totalBytes = 0;

  constructor(limits: Partial<Record<keyof typeof uploadLimits, number>> = {}) {
    this.#limits = { ...uploadLimits, ...limits } as typeof uploadLimits;
  }

  /** Names in the order in which they came. */
  names(): string[] {
    return [...this.#files.keys()];
  }

  get(name: string): Uint8Array | null {
    return this.#files.get(name)?.bytes ?? null;
  }

  text(name: string): string | null {
    const bytes = this.get(name);
    return bytes === null ? null : new TextDecoder().decode(bytes);
  }

  /** As it was sent: text stays text. */
  asSent(name: string): { readonly text: string } | { readonly binary: string } | null {
    const file = this.#files.get(name);
    if (file === undefined) return null;
    return file.isText
      ? { text: new TextDecoder().decode(file.bytes) }
      : { binary: Buffer.from(file.bytes).toString("base64") };
  }

  /** Takes a file in place of one of the same name; null, or why not. */
  put(name: string, { text, binary }: { text: string | null; binary: string | null }): Refusal | null {
    if ((text === null) === (binary === null)) {
      return refusal(400, 'file:upload takes either "text" or "binary" (base64)');
    }
    const { fileBytesMax, bytesMax, filesMax } = this.#limits;
    if (sizeOf(text, binary) > fileBytesMax) {
      return refusal(413, `${name} is larger than ${mib(fileBytesMax)}, the most for one file`);
    }
    const bytes = text !== null ? new TextEncoder().encode(text) : decodeBase64(binary as string);
    if (bytes === null) return refusal(400, `${name}: "binary" is no base64`);
    const old = this.#files.get(name)?.bytes.length ?? 0;
    if (this.#totalBytes - old + bytes.length > bytesMax) {
      return refusal(413, `with ${name}, the files are larger than ${mib(bytesMax)} together`);
    }
    if (!this.#files.has(name) && this.#files.size >= filesMax) {
      return refusal(413, `there are ${filesMax} files already, which is the most`);
    }
    this.#totalBytes += bytes.length - old;
    this.#files.set(name, { bytes, isText: text !== null });
    return null;
  }
}

/** Bytes, without decoding; for base64 up to two more than there are. */
function sizeOf(text: string | null, binary: string | null): number {
  return text !== null ? Buffer.byteLength(text) : Math.floor((binary as string).length / 4) * 3 - 2;
}

function decodeBase64(text: string): Uint8Array | null {
  const bytes = Buffer.from(text, "base64");
  const length = text.replace(/=+$/, "").length;
  // Node's decoder skips what it doesn't know; then fewer bytes come out than the text stands for.
  return bytes.length === Math.floor(length * 3 / 4) ? new Uint8Array(bytes) : null;
}
