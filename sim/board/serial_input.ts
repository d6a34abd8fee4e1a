/**
 * Bytes on their way to the interactive interpreter, or to a program that reads its standard input. In the raw REPL a host may ask for raw-paste mode (Ctrl-E A Ctrl-A);
 * that reads standard input inside C, which can't be done here, so the request is declined (`R`, 0) and the host goes on
 * in plain raw mode.
 */
export const CTRL_A = 1;
const CTRL_B = 2;
export const CTRL_C = 3;
const CTRL_E = 5;
const RAW_PASTE = [CTRL_E, 0x41, CTRL_A] as const;
const RETURN = 13;
const NEWLINE = 10;
/** Bytes that wait; a tool that sends a program does so in portions of 256. */
const BYTES_MAX = 1 << 20;
const DECLINED = new Uint8Array([0x52, 0]);

export class SerialInput {
  /** The interpreter is in raw mode. */
  raw = false;
  #queue: number[] = [];

  /** The interpreter begins to take bytes; `bytes` come first. What was typed before is forgotten. */
  start(bytes: readonly number[]): void {
    this.#queue = [...bytes];
  }

  /** Beyond the bound bytes are lost, as on a real port. */
  push(byte: number): void {
    if (this.#queue.length < BYTES_MAX) this.#queue.push(byte);
  }

  /** True if there is something to read for a program. */
  get hasBytes(): boolean {
    return this.#queue.length > 0;
  }

  /** What a program reads from its standard input; a carriage return ends a line there, as on the ESP32. */
  read(bytesMax: number): Uint8Array {
    return Uint8Array.from(this.#queue.splice(0, bytesMax), (byte) => byte === RETURN ? NEWLINE : byte);
  }

  /** The next byte for the interpreter, an answer to the host, or null: nothing (yet). */
  take(): number | Uint8Array | null {
    const [first] = this.#queue;
    if (first === undefined) return null;
    if (this.raw && first === CTRL_E) {
      const asked = RAW_PASTE.every((byte, i) => this.#queue[i] === byte);
      if (asked) {
        this.#queue.splice(0, RAW_PASTE.length);
        return DECLINED;
      }
      if (this.#queue.length < RAW_PASTE.length) return null;
    }
    this.#queue.shift();
    if (first === CTRL_A) this.raw = true;
    if (first === CTRL_B) this.raw = false;
    return first;
  }
}
