/** The end of a stream of bytes, of bounded length. */
export class ByteTail {
  readonly #bytesMax: number;
  readonly #parts: Uint8Array[] = [];
  #length = 0;
  /** Bytes that were dropped from the front. */
  dropped = 0;

  /** Keeps the last `bytesMax` bytes. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#parts.push(bytes);
    this.#length += bytes.length;
    // Rarely, and then half of it: one byte at a time would cost a copy each.
    if (this.#length >= 2 * this.#bytesMax || this.#parts.length >= PARTS_MAX) this.#pack();
  }

  bytes(): Uint8Array {
    this.#pack();
    return this.#parts[0] ?? new Uint8Array();
  }

  #pack(): void {
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    const kept = all.slice(Math.max(0, all.length - this.#bytesMax));
    this.dropped += all.length - kept.length;
    this.#parts.splice(0, this.#parts.length, kept);
    this.#length = kept.length;
  }
}

const PARTS_MAX = 65_536;
