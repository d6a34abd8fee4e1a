/** Wokwi's serial monitor: what a board prints, for a client that listens, or comes to listen late. */

/** Output that nobody has listened to yet: the newest is kept. */
const UNHEARD_BYTES_MAX = 64 * 1024;

export class SerialMonitor {
  readonly #onData: (bytes: readonly number[]) => void;
  #isListening = false;
  #unheard: number[] = [];

  constructor(onData: (bytes: readonly number[]) => void) {
    this.#onData = onData;
  }

  /** From now on output goes to the client; the result tells it what it has missed. */
  listen(): () => void {
    this.#isListening = true;
    const unheard = this.#unheard.slice(-UNHEARD_BYTES_MAX);
    this.#unheard = [];
    return () => unheard.length > 0 ? this.#onData(unheard) : undefined;
  }

  /** The board has printed. */
  print(bytes: readonly number[]): void {
    if (this.#isListening) return this.#onData(bytes);
    for (const byte of bytes) this.#unheard.push(byte);
    // Rarely, and then half of it: one byte at a time would cost a copy each.
    if (this.#unheard.length > 2 * UNHEARD_BYTES_MAX) this.#unheard = this.#unheard.slice(-UNHEARD_BYTES_MAX);
  }

  /** Another board prints from now on. */
  forget(): void {
    this.#unheard = [];
  }
}
