/**
 * Bytes on their way to the interactive interpreter. In the raw REPL a host may ask for raw-paste mode (Ctrl-E A Ctrl-A);
 * that reads standard input inside C, which can't be done here, so the request is declined (`R`, 0) and the host goes on
 * in plain raw mode.
 */
export const CTRL_A = 1;
const CTRL_B = 2;
export const CTRL_C = 3;
const CTRL_E = 5;
const RAW_PASTE = [CTRL_E, 0x41, CTRL_A] as const;
const DECLINED = new Uint8Array([0x52, 0]);

export class SerialInput {
  /** The interpreter is in raw mode. */
  raw = false;
  #queue: number[] = [];
  #started = false;

  /** From now on bytes can be taken; `bytes` come first. What was typed before is forgotten. */
  start(bytes: readonly number[]): void {
    this.#queue = [...bytes];
    this.#started = true;
  }

  push(byte: number): void {
    if (this.#started) this.#queue.push(byte);
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
