/**
 * The slots of one device, as a list of everything that was ever said about them. Every question is answered by going
 * through the whole list.
 */
import type { OracleBoot, SlotState } from "./types.ts";

/** Something said about the slots `from` … `to` (inclusive) of a boot. `missing`: only that they have been. */
interface Mark {
  readonly boot: number;
  readonly from: number;
  readonly to: number;
  readonly state: SlotState;
  readonly order: number;
}

interface Run {
  readonly from: number;
  readonly to: number;
  readonly state: SlotState;
}

const RANK: Readonly<Record<SlotState, number>> = {
  missing: 0,
  lost: 1,
  quarantined: 2,
  counted: 3,
  counted_late: 3,
  sensor_fault: 3,
};
const LETTER: Readonly<Record<SlotState, string>> = {
  missing: "",
  lost: "l",
  quarantined: "q",
  counted: "f",
  counted_late: "f",
  sensor_fault: "f",
};
const SPANS_MAX = 10_000;
const BOOTS_MAX = 10_000;

export class OracleLedger {
  readonly #marks: Mark[] = [];
  readonly #noted = new Set<number>();
  /** Never below the number of merged spans: one word adds at most two. */
  #spansAtMost = 0;

  /** Takes the word; false, and nothing is taken, if more than 10,000 merged spans would be needed for it. */
  mark(boot: number, from: number, to: number, state: SlotState): boolean {
    this.#marks.push({ boot, from, to, state, order: this.#marks.length });
    this.#spansAtMost += 2;
    if (this.#spansAtMost <= SPANS_MAX) return true;
    const spans = this.#spanCount();
    if (spans <= SPANS_MAX) this.#spansAtMost = spans;
    else this.#marks.pop();
    return spans <= SPANS_MAX;
  }

  /**
   * Takes the word that slots were given up; of the gaps in between, only those for which there is room become lost, in
   * their order.
   */
  lose(boot: number, from: number, to: number): void {
    if (this.mark(boot, from, to, "lost")) return;
    this.#marks.push({ boot, from, to, state: "missing", order: this.#marks.length });
    for (const run of this.#runs(boot)) {
      if (run.state === "missing" && run.from >= from && run.to <= to) {
        this.mark(boot, run.from, run.to, "lost");
      }
    }
  }

  /** Whether the ledger has the boot, or has room for it; from then on it has. */
  note(boot: number): boolean {
    if (this.#noted.size >= BOOTS_MAX && !this.#noted.has(boot)) return false;
    this.#noted.add(boot);
    return true;
  }

  boots(device: string): OracleBoot[] {
    return this.#bootNumbers().map((boot) => {
      const runs = this.#runs(boot);
      const states = { counted: 0, counted_late: 0, sensor_fault: 0, quarantined: 0, lost: 0, missing: 0 };
      for (const { from, to, state } of runs) states[state] += to - from + 1;
      const ends = this.#marks.filter((m) => m.boot === boot).map((m) => m.to + 1);
      const slots = ends.reduce((highest, end) => Math.max(highest, end), 0);
      return { device, boot, slots, states, spans: merged(runs).join(",") };
    });
  }

  #bootNumbers(): number[] {
    return [...new Set(this.#marks.map((mark) => mark.boot))].sort((a, b) => a - b);
  }

  #spanCount(): number {
    return this.#bootNumbers().reduce((sum, boot) => sum + merged(this.#runs(boot)).length, 0);
  }

  /** Runs of slots between two neighbouring ends of marks: within one, every slot has heard the same. */
  #runs(boot: number): Run[] {
    const marks = this.#marks.filter((mark) => mark.boot === boot);
    const cuts = [...new Set([0, ...marks.flatMap((mark) => [mark.from, mark.to + 1])])].sort((a, b) =>
      a - b
    );
    const starting = Map.groupBy(marks, (mark) => mark.from);
    const runs: Run[] = [];
    let covering: Mark[] = [];
    for (let i = 0; i + 1 < cuts.length; i++) {
      const from = cuts[i] ?? 0;
      covering = [...covering.filter((mark) => mark.to >= from), ...starting.get(from) ?? []];
      // The highest state wins; among final ones the first that was said.
      const said = covering.toSorted((a, b) => a.order - b.order);
      const state = said.reduce<SlotState>(
        (best, mark) => RANK[mark.state] > RANK[best] ? mark.state : best,
        "missing",
      );
      runs.push({ from, to: (cuts[i + 1] ?? 0) - 1, state });
    }
    return runs;
  }
}

/** "from-to:letter" for each longest run of slots of one letter; missing ones have none. */
function merged(runs: readonly Run[]): string[] {
  const spans: { from: number; to: number; letter: string }[] = [];
  for (const { from, to, state } of runs) {
    const last = spans.at(-1);
    if (last !== undefined && last.letter === LETTER[state]) last.to = to;
    else spans.push({ from, to, letter: LETTER[state] });
  }
  return spans.filter((span) => span.letter !== "").map((span) => `${span.from}-${span.to}:${span.letter}`);
}
