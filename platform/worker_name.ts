/** Who a worker is: a name that stays the same over restarts, and that no other living process has. */
import type { Random } from "../core/ports/random.ts";

export interface WorkerName {
  readonly name: string;
  /** Lets another process have the name; the end of this one does so too. */
  release(): void;
}

const NAME = /^worker-[0-9a-f]{8}$/;

/**
 * The name that is kept in the file `worker` of a data folder, drawn at the first start. It is held under a lock as long
 * as the process lives: a second one on the same folder draws a name for itself, which lasts as long as it does.
 */
export async function holdWorkerName(folder: string, random: Random): Promise<WorkerName> {
  await Deno.mkdir(folder, { recursive: true });
  const file = await Deno.open(`${folder}/worker`, { create: true, read: true, write: true });
  const drawn = `worker-${random.uint32().toString(16).padStart(8, "0")}`;
  const release = () => file.close();
  try {
    if (!await file.tryLock(true)) {
      release();
      return { name: drawn, release() {} };
    }
    const bytes = new Uint8Array(64);
    const kept = new TextDecoder().decode(bytes.subarray(0, await file.read(bytes) ?? 0)).trim();
    if (NAME.test(kept)) return { name: kept, release };
    // None yet, or one that was cut short by a crash.
    await file.truncate();
    await file.seek(0, Deno.SeekMode.Start);
    await file.write(new TextEncoder().encode(`${drawn}\n`));
    return { name: drawn, release };
  } catch (error) {
    release();
    throw error;
  }
}
