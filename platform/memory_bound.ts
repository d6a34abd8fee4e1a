/**
 * A bound on the memory of a process: beyond it the service ends as after a failure, in order, and its supervisor starts
 * it again.
 *
 * What we keep is bounded. What the runtime keeps isn't quite: of each handle that a native module makes, Deno 2.9 never
 * gives 48 bytes back (two of them a transaction, some thirty a publication; docs/storage.md has figures).
 */
import type { Clock } from "../core/ports/clock.ts";

/** Between two looks; a look is a read of `/proc`. */
export const MEMORY_LOOK_MS = 5_000;
const MIB = 1_048_576;

export interface MemoryBound {
  readonly clock: Clock;
  /** MiB of resident memory; 0 for no bound. */
  readonly mib: number;
  /** Resident memory in bytes. */
  readonly residentBytes: () => number;
  /** Called once, with the sentence. */
  readonly exceeded: (error: Error) => void;
}

/** Watches until the bound is exceeded or the returned function is called. */
export function watchMemory({ clock, mib, residentBytes, exceeded }: MemoryBound): () => void {
  if (mib === 0) return () => {};
  let cancel = () => {};
  const look = () => {
    const found = Math.ceil(residentBytes() / MIB);
    if (found <= mib) {
      cancel = clock.after(MEMORY_LOOK_MS, look);
      return;
    }
    exceeded(
      new Error(
        `the process has ${found} MiB of memory, ISOTHERM_MEMORY_MIB allows ${mib}: it ends in order, and whoever ` +
          "runs it starts it again; if that comes soon after a start, the fleet needs more: set it higher",
      ),
    );
  };
  cancel = clock.after(MEMORY_LOOK_MS, look);
  return () => cancel();
}
