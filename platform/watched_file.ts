/**
 * Files that change while a service runs: keys, certificates. They are looked at every second by size, time and inode
 * (`Deno.watchFs` misses what is renamed into place on some systems, and mounted secrets are); a look costs microseconds.
 */
import type { Clock } from "../core/ports/clock.ts";

/** How soon a change is seen. */
export const WATCH_MS = 1_000;
/** The largest file that is read: 10,000 keys are 2 MB. */
const BYTES_MAX = 16_000_000;

export interface WatchedFiles {
  /** Texts at the start, in order of the paths. */
  readonly texts: readonly string[];
  /** Looks no more. */
  stop(): void;
}

/**
 * Reads the files, and again all of them whenever one has changed. `failed` hears of a file that can't be read any more;
 * then the last texts go on. Rejects when one can't be read at the start.
 */
export async function watchFiles(
  paths: readonly string[],
  clock: Clock,
  changed: (texts: readonly string[]) => void,
  failed: (error: Error) => void,
): Promise<WatchedFiles> {
  let known = await marksOf(paths);
  const texts = await readAll(paths);
  const end = new AbortController();
  const watch = async () => {
    let told = "";
    for (;;) {
      await clock.sleep(WATCH_MS, end.signal);
      if (end.signal.aborted) return;
      try {
        const marks = await marksOf(paths);
        if (marks === known) continue;
        changed(await readAll(paths));
        known = marks;
        told = "";
      } catch (error) {
        const { message } = error as Error;
        if (message !== told) failed(error as Error);
        told = message;
      }
    }
  };
  void watch();
  return { texts, stop: () => end.abort() };
}

async function marksOf(paths: readonly string[]): Promise<string> {
  const marks = await Promise.all(paths.map(async (path) => {
    const { size, mtime, ino } = await Deno.stat(path);
    return `${size} ${mtime?.getTime()} ${ino}`;
  }));
  return marks.join("|");
}

function readAll(paths: readonly string[]): Promise<string[]> {
  return Promise.all(paths.map(async (path) => {
    const { size } = await Deno.stat(path);
    if (size > BYTES_MAX) throw new Error(`${path} has ${size} bytes, at most ${BYTES_MAX} are read`);
    return await Deno.readTextFile(path);
  }));
}

/** Puts a text in a file's place in one step, readable by its owner only. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${Deno.pid}.tmp`;
  const file = await Deno.open(temporary, { write: true, create: true, truncate: true, mode: 0o600 });
  try {
    let bytes = new TextEncoder().encode(text);
    while (bytes.length > 0) bytes = bytes.subarray(await file.write(bytes));
    await file.sync();
  } finally {
    file.close();
  }
  await Deno.rename(temporary, path);
}
