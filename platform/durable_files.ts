/** Files that are there after a power cut: written beside, synced, renamed into place, and the folder synced. */
import { machineClock } from "./clock.ts";
import { createHash } from "node:crypto";

/** Bytes hashed or copied before others get their turn. */
const STEP_BYTES = 1_048_576;

/** Makes a file's bytes durable. */
export async function syncFile(path: string): Promise<void> {
  const file = await Deno.open(path, { read: true });
  try {
    await file.sync();
  } finally {
    file.close();
  }
}

/** Makes a folder's names durable; a system that can't (Windows) keeps them in its own journal. */
export async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os !== "windows") await syncFile(path);
}

/** Replaces `path` by `text` as one step: readers see the old text or the new one, also after a power cut. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(`${path}.tmp`, text);
  await syncFile(`${path}.tmp`);
  await Deno.rename(`${path}.tmp`, path);
  await syncFolder(folderOf(path));
}

/** Lower-case hex SHA-256 of a file, read in steps so that nobody waits long. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  const file = await Deno.open(path, { read: true });
  try {
    const buffer = new Uint8Array(STEP_BYTES);
    for (;;) {
      const count = await file.read(buffer);
      if (count === null) return hash.digest("hex");
      hash.update(buffer.subarray(0, count));
    }
  } finally {
    file.close();
  }
}

/** The folder of a path. */
export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

/** Removes a file; it is no error if there is none. */
export async function removeFile(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** The text of a file, null if there is none. */
export async function readTextIfAny(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** When a file was written last, Unix ms; null if there is none, or nobody knows. */
export async function writtenMs(path: string): Promise<number | null> {
  try {
    return (await Deno.stat(path)).mtime?.getTime() ?? null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Bytes of a file, 0 if there is none. Only looks at it: opening would release DuckDB's lock (POSIX). */
export async function fileBytes(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/** Who has waited so long for a file lock takes it: its holder is frozen, or far too slow. */
const LOCK_MS_MAX = 10_000;
const LOCK_ASK_MS = 20;

/**
 * Runs `task` while no other process (or store in this one) does so under the same lock file. A holder that stands still
 * for ten seconds loses the lock: the file is replaced. So before anything that others see, `task` has to ask `isOurs`.
 */
export async function withFileLock<T>(
  path: string,
  task: (isOurs: () => boolean) => Promise<T>,
  waitMsMax = LOCK_MS_MAX,
): Promise<T> {
  for (const deadlineMs = machineClock.monotonicMs() + waitMsMax;;) {
    const file = await Deno.open(path, { create: true, write: true });
    try {
      const inode = (await file.stat()).ino;
      const isOurs = () => inodeOf(path) === inode;
      if (await file.tryLock(true) && isOurs()) return await task(isOurs);
      if (machineClock.monotonicMs() > deadlineMs && isOurs()) await removeFile(path);
    } finally {
      file.close();
    }
    await machineClock.sleep(LOCK_ASK_MS);
  }
}

function inodeOf(path: string): number | null {
  try {
    return Deno.statSync(path).ino;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
