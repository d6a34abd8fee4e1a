/**
 * Pause points: how clients wait. Each fires once. A time point is due when everything that the board does up to and
 * including that nanosecond has happened; a serial point at the byte that completes its sequence; a pin point at the edge.
 * Of several that are due at one instant the one that was added first fires first, and the next one when the simulation is
 * resumed, before any time passes.
 */
import { type Refusal, refusal } from "./refusal.ts";

/** Enough for any scenario, and a bound on what each byte of output costs. */
const POINTS_MAX = 1_000;

export type PausePoint =
  /** `isRelative`: it was added as a span from then on, so it moves along when time starts anew. */
  | { readonly type: "time"; readonly atNanos: number; readonly isRelative: boolean }
  | { readonly type: "serial"; readonly bytes: readonly number[] }
  /** `gpio` carries `level` from now on. */
  | { readonly type: "pin"; readonly gpio: number; readonly level: 0 | 1 };

interface Armed {
  point: PausePoint;
  readonly matcher: SequenceMatcher | null;
  isDue: boolean;
}

export class PausePoints {
  readonly #armed = new Map<string, Armed>();

  /** Null, or why it can't be added. */
  add(id: string, point: PausePoint): Refusal | null {
    if (this.#armed.has(id)) return refusal(409, `the pause point ${id} exists; remove it first`);
    if (this.#armed.size >= POINTS_MAX) {
      return refusal(413, `there are ${POINTS_MAX} pause points, which is the most; remove some first`);
    }
    const matcher = point.type === "serial" ? new SequenceMatcher(point.bytes) : null;
    this.#armed.set(id, { point, matcher, isDue: false });
    return null;
  }

  /** True if it was armed; it may just have fired. */
  remove(id: string): boolean {
    return this.#armed.delete(id);
  }

  get size(): number {
    return this.#armed.size;
  }

  /** When the next time point is due; null without any. */
  nextNanos(): number | null {
    let next: number | null = null;
    for (const { point } of this.#armed.values()) {
      if (point.type === "time" && (next === null || point.atNanos < next)) next = point.atNanos;
    }
    return next;
  }

  /** One byte of serial output; true if it completes a sequence. */
  serialByte(byte: number): boolean {
    let isAnyDue = false;
    for (const armed of this.#armed.values()) {
      if (armed.matcher?.push(byte) !== true) continue;
      armed.isDue = true;
      isAnyDue = true;
    }
    return isAnyDue;
  }

  /** A pin has changed; true if somebody waits for that. */
  edge(gpio: number, level: 0 | 1): boolean {
    let isAnyDue = false;
    for (const armed of this.#armed.values()) {
      const { point } = armed;
      if (point.type !== "pin" || point.gpio !== gpio || point.level !== level) continue;
      armed.isDue = true;
      isAnyDue = true;
    }
    return isAnyDue;
  }

  /** Pins whose edges somebody waits for. */
  waitsFor(gpio: number): boolean {
    for (const { point } of this.#armed.values()) {
      if (point.type === "pin" && point.gpio === gpio) return true;
    }
    return false;
  }

  /** Takes the first whose byte or edge has come, or whose time is `reachedNanos` or earlier; null if none is due. */
  takeDue(reachedNanos: number | null): string | null {
    for (const [id, { point, isDue }] of this.#armed) {
      const isTime = point.type === "time" && reachedNanos !== null && point.atNanos <= reachedNanos;
      if (!isDue && !isTime) continue;
      this.#armed.delete(id);
      return id;
    }
    return null;
  }

  /** Time starts anew at 0; it was `nanos`. Spans keep what is left of them, half-seen sequences are forgotten. */
  restart(nanos: number): void {
    for (const armed of this.#armed.values()) {
      const { point } = armed;
      armed.matcher?.forget();
      if (point.type === "time" && point.isRelative) {
        armed.point = { ...point, atNanos: Math.max(0, point.atNanos - nanos) };
      }
    }
  }
}

/** Finds a sequence in a stream of bytes, wherever it begins: Knuth, Morris, Pratt. */
export class SequenceMatcher {
  readonly #bytes: readonly number[];
  /** For each length of a match: the length of the longest shorter match that it ends with. */
  readonly #shorter: readonly number[];
  #length = 0;

  constructor(bytes: readonly number[]) {
    this.#bytes = bytes;
    const shorter = [0, 0];
    for (let end = 1, length = 0; end < bytes.length; end++) {
      while (length > 0 && bytes[end] !== bytes[length]) length = shorter[length] as number;
      if (bytes[end] === bytes[length]) length++;
      shorter.push(length);
    }
    this.#shorter = shorter;
  }

  /** What comes next is no continuation of what came before. */
  forget(): void {
    this.#length = 0;
  }

  /** True if `byte` completes the sequence. */
  push(byte: number): boolean {
    while (this.#length > 0 && this.#bytes[this.#length] !== byte) {
      this.#length = this.#shorter[this.#length] as number;
    }
    if (this.#bytes[this.#length] === byte) this.#length++;
    if (this.#length < this.#bytes.length) return false;
    this.#length = this.#shorter[this.#length] as number;
    return true;
  }
}
