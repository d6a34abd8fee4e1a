/**
 * The decisions of a run: every number that the simulated world has drawn while it ran, by what it was drawn for.
 *
 * Each purpose has a source of its own, so one more draw for another purpose moves nothing. A kept run brings its
 * decisions along and takes them from there, whatever the seed would give today; where they end, the seed goes on.
 */
import type { Random } from "../core/ports/random.ts";
import { seededRandom } from "./random.ts";

/** 32-bit numbers as they were drawn, by purpose. */
export type DecisionLog = Readonly<Record<string, readonly number[]>>;

export class Decisions {
  readonly #seed: number;
  readonly #given: DecisionLog;
  readonly #sources = new Map<string, Random>();
  readonly #taken = new Map<string, number[]>();
  /** Numbers drawn so far. */
  count = 0;

  /** `given`: decisions of an earlier run. */
  constructor(seed: number, given: DecisionLog = {}) {
    this.#seed = seed;
    this.#given = given;
  }

  /** The source for one purpose, e.g. `of("board", "desk", "boot")`: the same words, the same source. */
  of(...purpose: readonly (number | string)[]): Random {
    const name = purpose.join("/");
    const known = this.#sources.get(name);
    if (known !== undefined) return known;
    const seeded = seededRandom(this.#seed, ...purpose);
    const given = this.#given[name] ?? [];
    const taken: number[] = [];
    const source = {
      uint32: () => {
        const number = given[taken.length] ?? seeded.uint32();
        taken.push(number);
        this.count++;
        return number;
      },
    };
    this.#sources.set(name, source);
    this.#taken.set(name, taken);
    return source;
  }

  /** What was drawn so far, by purpose in alphabetical order. */
  log(): DecisionLog {
    return Object.fromEntries([...this.#taken].filter(([, taken]) => taken.length > 0).sort());
  }
}
