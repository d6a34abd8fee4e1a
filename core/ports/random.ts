/** Randomness as a service sees it: `platform/random.ts` (the machine's) or `sim/random.ts` (seeded). */
export interface Random {
  /** A uniformly distributed integer in 0 … 2^32 − 1. */
  uint32(): number;
}

/** A uniformly distributed integer in 0 … `bound` − 1 (1 ≤ `bound` ≤ 2^32), without modulo bias. */
export function below(random: Random, bound: number): number {
  const limit = 2 ** 32 - (2 ** 32 % bound);
  for (;;) {
    const value = random.uint32();
    if (value < limit) return value % bound;
  }
}

/** A uniformly distributed double in [0, 1) with 32 bits of randomness. */
export function unit(random: Random): number {
  return random.uint32() / 2 ** 32;
}

/** True with probability `numerator` ÷ `denominator` (integers, 0 ≤ numerator ≤ denominator). */
export function chance(random: Random, numerator: number, denominator: number): boolean {
  return below(random, denominator) < numerator;
}
