/**
 * What happened in a run, a line a step: events with what they left behind, and calls into the real world with how they
 * ended. Two runs of one scenario must leave the same trail; where they part is where to look for the cause.
 */

/** About 30 MB; a run of the nightly range has some 50,000. What comes later is counted and not kept. */
const LINES_MAX = 500_000;
/** Lines shown from before the trails part. */
const SHOWN_BEFORE = 3;
/** A data folder has another name in each run. */
const FOLDER = /\/\S*isotherm-sim-[0-9a-f]+/g;

export class Trail {
  readonly #linesMax: number;
  readonly #lines: string[] = [];
  #left = 0;

  constructor(linesMax = LINES_MAX) {
    this.#linesMax = linesMax;
  }

  /** Lines that are kept. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Lines that came after those. */
  get left(): number {
    return this.#left;
  }

  add(line: string): void {
    if (this.#lines.length < this.#linesMax) this.#lines.push(line.replaceAll(FOLDER, "DIR"));
    else this.#left++;
  }
}

/** In lines: where the second trail parts from the first. */
export function parting(first: Trail, second: Trail): string[] {
  const [a, b] = [first.lines, second.lines];
  const known = Math.min(a.length, b.length);
  let at = 0;
  while (at < known && a[at] === b[at]) at++;
  if (at === a.length && at === b.length) {
    const beyond = first.left === second.left
      ? ""
      : `, then ${first.left} and ${second.left} more that are not kept`;
    return [`both runs have the same ${at} steps${beyond}`];
  }
  return [
    `the first ${at} steps are the same, and then:`,
    ...a.slice(Math.max(0, at - SHOWN_BEFORE), at).map((line) => `  both    ${line}`),
    `  first   ${a[at] ?? "ended"}`,
    `  second  ${b[at] ?? "ended"}`,
  ];
}
