/**
 * Seeded randomness. Every part of the simulated world has a source of its own, named by words after the seed, so that a
 * change in one part does not shift the luck of another.
 *
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand); the seed words pass through a 32-bit finaliser
 * (MurmurHash3's fmix32), as sfc32 wants well-mixed state.
 */
import { below, type Random } from "../core/ports/random.ts";

/** A source for `parts`, e.g. `seededRandom(7, "board", 3)`: the same parts, the same numbers. */
export function seededRandom(...parts: readonly (number | string)[]): Random {
  let hash = 0x9e3779b9;
  for (const character of JSON.stringify(parts)) {
    hash = mix(Math.imul(hash, 31) + (character.codePointAt(0) ?? 0));
  }
  let a = mix(hash + 1);
  let b = mix(hash + 2);
  let c = mix(hash + 3);
  let counter = 1;
  const uint32 = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let round = 0; round < 12; round++) uint32();
  return { uint32 };
}

/** MurmurHash3's 32-bit finaliser: every bit of the input moves every bit of the result. */
function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

/** One of `items`, which are some. */
export const pick = <T>(random: Random, items: readonly T[]): T => items[below(random, items.length)] as T;
