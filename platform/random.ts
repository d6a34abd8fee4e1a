/** The machine's randomness, behind the {@link Random} port: the operating system's, drawn a page at a time. */
import type { Random } from "../core/ports/random.ts";

const pool = new Uint32Array(1_024);
let used = pool.length;

/** The only source of randomness of a running process. */
export const machineRandom: Random = {
  uint32() {
    if (used === pool.length) {
      crypto.getRandomValues(pool);
      used = 0;
    }
    return pool[used++]!;
  },
};
