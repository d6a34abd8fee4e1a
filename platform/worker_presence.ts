/**
 * Which workers of a shared folder are alive. A log's group takes a worker for dead when it has been silent for a session,
 * 6 s on a Kafka broker of default settings; the operating system knows at once. So each worker holds a lock on
 * `workers/NAME` in the folder for as long as its process lives, and looks at the others' locks: one that it can get
 * belongs to a process that has ended without a word.
 *
 * A worker that is frozen holds its lock, and is left to the group's session. Where locks of other machines aren't seen, a
 * living worker would look dead: it is dismissed once, joins the group again, and its file is gone, so nobody looks at it
 * any more. It costs a rebalance, no row: owner records decide.
 */
import type { Clock } from "../core/ports/clock.ts";
import type { Trace } from "../core/ports/trace.ts";

/** So often the others are looked at. */
const LOOK_MS = 200;
/** A lock that somebody looks at is free again within a moment; one that isn't belongs to a worker of the same name. */
const LOCK_TRIES = 20;
const LOCK_RETRY_MS = 50;

const NAME = /^[a-z0-9_-]{1,64}$/i;

export interface PresenceOptions {
  /** The folder that the workers share. */
  readonly folder: string;
  /** Of this worker: 1 to 64 letters, digits, - and _. */
  readonly name: string;
  readonly clock: Clock;
  readonly trace: Trace;
  /** Told the name of a worker that has died. Called until it resolves, then not again unless that one has come back. */
  dead(name: string): Promise<void>;
}

export interface Presence {
  /** Ends in good order: nobody will take this worker for dead. */
  release(): Promise<void>;
}

/** Shows that this worker lives, and begins to look at the others. Where the folder takes no locks there is only a warning. */
export async function holdPresence(options: PresenceOptions): Promise<Presence> {
  const { clock, trace, name } = options;
  const folder = `${options.folder}/workers`;
  const end = new AbortController();
  let file: Deno.FsFile | null = null;
  try {
    await Deno.mkdir(folder, { recursive: true });
    file = await lockOwn(`${folder}/${name}`, clock);
  } catch (error) {
    trace.emit("warn", "worker.unseen", { message: String(error) });
    return { release: () => Promise.resolve() };
  }
  if (file === null) {
    const message = `another process works as ${name}: give each worker a name of its own (ISOTHERM_WORKER)`;
    trace.emit("warn", "worker.unseen", { message });
  }
  const watching = watch(folder, options, end.signal);
  return {
    async release() {
      end.abort();
      await watching;
      if (file === null) return;
      await Deno.remove(`${folder}/${name}`).catch(() => {});
      file.close();
    },
  };
}

/** The file under our lock; null if another living process has it. */
async function lockOwn(path: string, clock: Clock): Promise<Deno.FsFile | null> {
  for (let tries = 0; tries < LOCK_TRIES; tries++) {
    const file = await Deno.open(path, { create: true, write: true });
    try {
      // Who took our former self for dead may have removed the file between our opening and our lock.
      if (await file.tryLock(true) && await isAt(path, file)) return file;
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
    await clock.sleep(LOCK_RETRY_MS);
  }
  return null;
}

async function isAt(path: string, file: Deno.FsFile): Promise<boolean> {
  const there = await Deno.stat(path).catch(() => null);
  return there !== null && there.ino === (await file.stat()).ino;
}

async function watch(folder: string, options: PresenceOptions, signal: AbortSignal): Promise<void> {
  const { clock, trace, name } = options;
  while (!signal.aborted) {
    try {
      for await (const entry of Deno.readDir(folder)) {
        if (entry.name !== name && NAME.test(entry.name)) await look(folder, entry.name, options);
      }
    } catch (error) {
      trace.emit("debug", "worker.not_seen", { message: String(error) });
    }
    await clock.sleep(LOOK_MS, signal);
  }
}

async function look(folder: string, name: string, { trace, dead }: PresenceOptions): Promise<void> {
  const path = `${folder}/${name}`;
  // Writable, since some file systems lock only what could be written.
  const file = await Deno.open(path, { read: true, write: true }).catch(() => null);
  if (file === null) return; // it has just ended in good order
  try {
    // Several may look at one time; who comes back waits for them.
    if (!await file.tryLock(false)) return;
    trace.emit("info", "worker.dead", { name });
    await dead(name);
    await Deno.remove(path).catch(() => {});
  } finally {
    file.close();
  }
}
