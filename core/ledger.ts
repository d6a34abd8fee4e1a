/**
 * The ledger of one boot: which slots were seen and what became of them, as merged spans without horizon.
 *
 * Slots that are final (counted, counted late, sensor fault) share one kind of span and are counted beside it: were each
 * outcome a span of its own, a sensor that fails once in a hundred slots would cut its ledger into thousands of pieces.
 * The other two kinds have to be told apart slot by slot, because they can still move up.
 */
import { assert } from "./assert.ts";
import type { Window } from "./windows.ts";

/** In rising order; a slot only ever moves up. */
export const slotStates = { missing: 0, lost: 1, quarantined: 2, final: 3 } as const;
export type SlotState = typeof slotStates[keyof typeof slotStates];

interface Span {
  from: number;
  to: number;
  state: SlotState;
}

const LETTERS = ["", "l", "q", "f"] as const;

/** Disjoint spans in order; neighbours that touch differ in state. */
export class Slots {
  #spans: Span[] = [];
  /** The last of them, null if there is none. */
  #last: Span | null = null;
  /** Slots by state of their span; of final ones none are counted. */
  readonly lengths = [0, 0, 0, 0];

  get spanCount(): number {
    return this.#spans.length;
  }

  /** Index of the first span that ends at or after `slot`. */
  #find(slot: number): number {
    const spans = this.#spans;
    let [low, high] = [0, spans.length];
    if (high > 0 && spans[high - 1]!.to < slot) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (spans[middle]!.to < slot) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  stateOf(slot: number): SlotState {
    const span = this.#spans[this.#find(slot)];
    return span !== undefined && span.from <= slot ? span.state : slotStates.missing;
  }

  /** Whether any slot of [from, to] is lost. */
  hasLost(from: number, to: number): boolean {
    for (let i = this.#find(from); i < this.#spans.length && this.#spans[i]!.from <= to; i++) {
      if (this.#spans[i]!.state === slotStates.lost) return true;
    }
    return false;
  }

  /** Takes `slot` as final if it comes right after all that were seen and they end in final ones; else false, unchanged. */
  extend(slot: number): boolean {
    const last = this.#last;
    if (last === null || last.to !== slot - 1 || last.state !== slotStates.final) return false;
    last.to = slot;
    return true;
  }

  /** The first and the last slot with a reading; null if there is none. */
  finals(): { readonly first: number; readonly last: number } | null {
    const first = this.#spans.find(({ state }) => state === slotStates.final);
    const last = this.#spans.findLast(({ state }) => state === slotStates.final);
    return first === undefined ? null : { first: first.from, last: last!.to };
  }

  /** Moves one slot up; false, with nothing changed, if that would take more than `spansMax` spans here. */
  raise(slot: number, state: SlotState, spansMax: number): boolean {
    const last = this.#last;
    if (last !== null && last.state === state && last.to === slot - 1) { // the next slot in order
      last.to = slot;
      this.lengths[state]!++;
      return true;
    }
    const i = this.#find(slot);
    const span = this.#spans[i];
    const old = span !== undefined && span.from <= slot ? span.state : slotStates.missing;
    assert(old < state, "a slot's state moves up");
    const pieces: Span[] = [];
    if (old !== slotStates.missing) {
      if (span!.from < slot) pieces.push({ from: span!.from, to: slot - 1, state: old });
      pieces.push({ from: slot, to: slot, state });
      if (slot < span!.to) pieces.push({ from: slot + 1, to: span!.to, state: old });
    } else pieces.push({ from: slot, to: slot, state });
    return this.#replace(i, old === slotStates.missing ? 0 : 1, pieces, spansMax, () => {
      if (old !== slotStates.missing) this.lengths[old]!--;
      this.lengths[state]!++;
    });
  }

  /** Marks the missing slots of [from, to] as lost, gap by gap while spans are left. Returns whether anything changed. */
  lose(from: number, to: number, spansMax: number): boolean {
    let changed = false;
    for (let slot = from; slot <= to;) {
      const i = this.#find(slot);
      const span = this.#spans[i];
      if (span !== undefined && span.from <= slot) {
        slot = span.to + 1;
        continue;
      }
      const end = Math.min(to, span === undefined ? to : span.from - 1);
      const piece = { from: slot, to: end, state: slotStates.lost };
      const kept = this.#replace(i, 0, [piece], spansMax, () => {
        this.lengths[slotStates.lost]! += end - piece.from + 1;
      });
      changed ||= kept;
      slot = end + 1;
    }
    return changed;
  }

  /** Puts `pieces` in the place of `removed` spans at `i`, merged with their neighbours, unless that's too many. */
  #replace(i: number, removed: number, pieces: Span[], spansMax: number, done: () => void): boolean {
    const spans = this.#spans;
    let [start, count] = [i, removed];
    const before = spans[i - 1];
    if (before !== undefined && touches(before, pieces[0]!)) {
      pieces[0] = { ...pieces[0]!, from: before.from };
      [start, count] = [start - 1, count + 1];
    }
    const after = spans[i + removed];
    const lastPiece = pieces[pieces.length - 1]!;
    if (after !== undefined && touches(lastPiece, after)) {
      pieces[pieces.length - 1] = { ...lastPiece, to: after.to };
      count++;
    }
    const growth = pieces.length - count;
    if (growth > 0 && spans.length + growth > spansMax) return false;
    spans.splice(start, count, ...pieces);
    this.#last = spans[spans.length - 1]!;
    done();
    return true;
  }

  text(): string {
    return this.#spans.map(({ from, to, state }) => `${from}-${to}:${LETTERS[state]}`).join(",");
  }

  static ofText(text: string): Slots {
    const slots = new Slots();
    for (const part of text === "" ? [] : text.split(",")) {
      const match = /^(\d+)-(\d+):([lqf])$/.exec(part);
      assert(match !== null, `stored spans are readable (${part})`);
      const span = {
        from: Number(match[1]),
        to: Number(match[2]),
        state: LETTERS.indexOf(match[3] as "l" | "q" | "f") as SlotState,
      };
      slots.#spans.push(span);
      slots.#last = span;
      slots.lengths[span.state]! += span.to - span.from + 1;
    }
    return slots;
  }
}

const touches = (a: Span, b: Span) => a.state === b.state && a.to + 1 === b.from;

/** One boot of one device. */
export class BootState {
  slots = new Slots();
  /** Slots 0 … `known` − 1 are known to have been. */
  known = 0;
  heard = false;
  /** First and last event time, NaN for none: as fields, each change would make a number object. */
  readonly #times = new Float64Array(2).fill(NaN);
  counted = 0;
  countedLate = 0;
  sensorFault = 0;
  dirty = false;

  constructor(readonly boot: number, readonly firstAppendMs: number) {}

  get firstEventMs(): number | null {
    return orNull(this.#times[0]!);
  }
  set firstEventMs(ms: number | null) {
    this.#times[0] = ms ?? NaN;
  }
  get lastEventMs(): number | null {
    return orNull(this.#times[1]!);
  }
  set lastEventMs(ms: number | null) {
    this.#times[1] = ms ?? NaN;
  }

  /** A reading of this event time was accepted. */
  noteEvent(tsMs: number): void {
    const times = this.#times;
    if (!(tsMs >= times[0]!)) times[0] = tsMs;
    if (!(tsMs <= times[1]!)) times[1] = tsMs;
  }

  /** `slot` was. */
  noteKnown(slot: number): void {
    if (slot >= this.known) this.known = slot + 1;
  }

  /**
   * Whether slots that the board gave up lie in [startMs, endMs) of event time. A board samples on a fixed grid, so slots
   * lie in proportion between the boot's first and last reading; `everyMs` apart if there is only one. The view
   * `windows_filled` does the same.
   */
  hasLostIn({ startMs, endMs }: Window, everyMs: number | null): boolean {
    const finals = this.slots.finals();
    if (finals === null || this.firstEventMs === null || this.lastEventMs === null) return false;
    const { first, last } = finals;
    const slotMs = last > first ? (this.lastEventMs - this.firstEventMs) / (last - first) : everyMs;
    if (slotMs === null || slotMs <= 0) return false;
    const slotAt = (ms: number) => first + Math.ceil((ms - this.firstEventMs!) / slotMs);
    return this.slots.hasLost(slotAt(startMs), slotAt(endMs) - 1);
  }
}

const orNull = (ms: number): number | null => Number.isNaN(ms) ? null : ms;
