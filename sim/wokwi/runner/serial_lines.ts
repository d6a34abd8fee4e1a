/** Serial output by lines: a step may end in the middle of one, which is told when it is complete. */

/** A board that prints no newline gets one after so many bytes. */
const LINE_BYTES_MAX = 4_096;

export class SerialLines {
  readonly #onLine: (line: string) => void;
  #bytes: number[] = [];

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (byte === 10) this.#tell();
      else if (byte !== 13) this.#bytes.push(byte);
      if (this.#bytes.length >= LINE_BYTES_MAX) this.#tell();
    }
  }

  /** Nothing more comes: tells what is left. */
  end(): void {
    if (this.#bytes.length > 0) this.#tell();
  }

  #tell(): void {
    this.#onLine(new TextDecoder().decode(new Uint8Array(this.#bytes)));
    this.#bytes = [];
  }
}
