import type { Clock } from "../../core/ports/clock.ts";

const CHUNK_BYTES = 16_384;

/** The two halves of a connection that matter here. */
export interface Source {
  read(into: Uint8Array): Promise<number | null>;
}
export interface Sink {
  write(bytes: Uint8Array): Promise<number>;
}

/** Copies until the source ends or either breaks; each chunk waits `delayMs()` before it is passed on. Never rejects. */
export async function delayedCopy(
  from: Source,
  to: Sink,
  clock: Clock,
  delayMs: () => number,
): Promise<void> {
  const chunk = new Uint8Array(CHUNK_BYTES);
  try {
    for (;;) {
      const count = await from.read(chunk);
      if (count === null) return;
      const waitMs = delayMs();
      if (waitMs > 0) await clock.sleep(waitMs);
      for (let sent = 0; sent < count;) sent += await to.write(chunk.subarray(sent, count));
    }
  } catch {
    // A connection that breaks is what this is for.
  }
}
