/**
 * One worker's data folder: real DuckDB files, or rows in memory where thousands of runs matter more than SQL. Both
 * outlive the process; what a process that dies leaves behind is what it had committed.
 */
import { assert } from "../core/assert.ts";
import type { Manifest } from "../core/manifest.ts";
import type { Publisher } from "../core/ports/publisher.ts";
import type { Store } from "../core/ports/store.ts";
import type { WindowRow } from "../core/rows.ts";
import { MemoryDisk } from "../core/testing/memory_store.ts";
import { openPublisher } from "../platform/duckdb/publisher.ts";
import { openStore } from "../platform/duckdb/store.ts";
import { type Around, commits, FailingDuckdb } from "../platform/testing/failing_duckdb.ts";
import { FailingFiles } from "../platform/testing/failing_files.ts";
import type { Jitter } from "./jitter.ts";
import { Outsider } from "./outsider.ts";
import { type Published, readPublished } from "./published.ts";

export interface OpenPartition {
  readonly store: Store;
  readonly publisher: Publisher;
}

/** A failure in the middle of a call. */
export interface StepFailure {
  /**
   * `duckdb_error`: a statement of DuckDB's. `duckdb_given_up`: what commits, after which the instance answers nothing any
   * more, as after an fsync that failed. `file_error`: a write, sync or rename of a publication.
   * `crash_while_publishing`: the process dies there, and the files are left as they are at that moment.
   */
  readonly kind: "duckdb_error" | "duckdb_given_up" | "file_error" | "crash_while_publishing";
  /** The so-manieth from now on (1: the next); even ones before they are made, odd ones after. */
  readonly inSteps: number;
  readonly onFailed: () => void;
}

export interface Disk {
  open(partition: number): Promise<OpenPartition>;
  /** The process dies: `close` lets go of its handles, and the files are as they were before. */
  die(close: () => Promise<void>): Promise<void>;
  /** Somebody moves the folder away. */
  clear(): Promise<void>;
  /** Cuts a partition's file in half; false if there is nothing to cut. */
  cut(partition: number, file: "live" | "wal"): Promise<boolean>;
  /** Lets a later step fail; without files there are none. */
  planFailure(failure: StepFailure): void;
  /** What is planned to fail no longer does. */
  repair(): void;
  /** Somebody reads what is published while it is written: what is wrong with it, null if nothing is. */
  look(partitions: number): Promise<string | null>;
  /** The newest publication, null if there is none. */
  published(partition: number): Promise<Published | null>;
}

/** Few, so that simulated fleets have sealed segments too. */
const SEALED_READINGS_MIN = 25;

/** Real files in `directory`; with `jitter` whatever is done with them takes its time. */
export function duckdbDisk(directory: string, retentionMs: number, jitter: Jitter | null = null): Disk {
  const around: Around | null = jitter === null ? null : (call) => jitter.around(call);
  const arriving = () =>
    new Outsider(directory, (partition) => {
      const read = () => readPublished(directory, partition);
      return around === null ? read() : around(read);
    });
  let outsider = arriving();
  let looking: Promise<unknown> = Promise.resolve();
  const duckdb = new FailingDuckdb(around ?? undefined);
  const files = new FailingFiles(directory, around);
  const left = `${directory}.left`;
  /** Whether the files were put aside already, in the middle of a call. */
  let isLeft = false;
  return {
    async open(partition) {
      const store = await openStore({
        directory,
        partition,
        retentionMs,
        memoryMb: 64,
        checkInBackground: false,
        sealedReadingsMin: SEALED_READINGS_MIN,
        createInstance: duckdb.create,
      });
      try {
        const publisher = await openPublisher(store, { mergeInline: true });
        const publish: Publisher["publish"] = (open, publishedMs) =>
          files.during(() => publisher.publish(open, publishedMs));
        return { store, publisher: { publish, close: () => publisher.close() } };
      } catch (error) {
        await store.close();
        throw error;
      }
    },
    async die(close) {
      // What is put aside and back here would be there all the time on a machine: nobody reads meanwhile.
      await looking;
      const exists = await isFolder(directory);
      // Closing tidies up, dying doesn't: the files are put aside before and put back after.
      if (exists && !isLeft) copyFolder(directory, left);
      isLeft = false;
      await close();
      if (!exists) return;
      await Deno.remove(directory, { recursive: true });
      await Deno.rename(left, directory);
    },
    async clear() {
      await looking;
      outsider = arriving();
      isLeft = false;
      if (await isFolder(directory)) await Deno.remove(directory, { recursive: true });
    },
    cut: (partition, file) =>
      cutInHalf(`${directory}/partitions/${partition}/live.duckdb${file === "wal" ? ".wal" : ""}`),
    planFailure({ kind, inSteps, onFailed }) {
      const when = inSteps % 2 === 0 ? "before" : "after";
      if (kind === "file_error") return files.plan({ inSteps, when, onFailed });
      if (kind === "crash_while_publishing") {
        return files.plan({
          ...{ inSteps, when },
          onFailed() {
            copyFolder(directory, left);
            isLeft = true;
            onFailed();
          },
        });
      }
      const isFatal = kind === "duckdb_given_up";
      const only = isFatal ? { only: commits } : {};
      duckdb.plan({ inStatements: inSteps, when, isFatal, onFailed, ...only });
    },
    repair() {
      duckdb.repair();
      files.repair();
    },
    look(partitions) {
      const look = outsider.look(partitions);
      looking = Promise.all([looking, look]);
      return look;
    },
    published: (partition) => readPublished(directory, partition),
  };
}

/** Rows in memory. */
export function memoryDisk(): Disk {
  const disks = new Map<number, MemoryDisk>();
  const published = new Map<number, Published>();
  const diskOf = (partition: number): MemoryDisk => {
    const disk = disks.get(partition) ?? new MemoryDisk();
    disks.set(partition, disk);
    return disk;
  };
  const publisherOf = (disk: MemoryDisk, partition: number): Publisher => ({
    publish: (open, publishedMs) => {
      published.set(partition, snapshot(disk, open.rows()));
      const manifest: Manifest = { isotherm: 1, generation: 1, publishedMs, configHash: "", partitions: [] };
      return Promise.resolve(manifest);
    },
    close: () => Promise.resolve(),
  });
  return {
    open(partition) {
      const disk = diskOf(partition);
      return Promise.resolve({ store: disk.open(partition), publisher: publisherOf(disk, partition) });
    },
    die: (close) => close(),
    clear() {
      disks.clear();
      published.clear();
      return Promise.resolve();
    },
    cut: () => Promise.resolve(false),
    planFailure() {},
    repair() {},
    look: () => Promise.resolve(null),
    published: (partition) => Promise.resolve(published.get(partition) ?? null),
  };
}

function snapshot(disk: MemoryDisk, open: readonly WindowRow[]): Published {
  // As the real publisher has it.
  assert(disk.position !== null, "a store is published after its first transaction");
  return {
    position: disk.position,
    rowDigest: "",
    readings: [...disk.readings],
    quarantined: [...disk.quarantined],
    released: [...disk.released],
    windows: [...disk.windows.values()],
    open: [...open],
    devices: [...disk.devices.values()],
    boots: [...disk.boots.values()],
    alerts: [...disk.alerts],
  };
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** At once: nothing else happens meanwhile. */
function copyFolder(from: string, to: string): void {
  Deno.mkdirSync(to, { recursive: true });
  for (const entry of Deno.readDirSync(from)) {
    const [source, target] = [`${from}/${entry.name}`, `${to}/${entry.name}`];
    if (entry.isDirectory) copyFolder(source, target);
    else Deno.copyFileSync(source, target);
  }
}

/** False if there is no file worth cutting. */
async function cutInHalf(path: string): Promise<boolean> {
  try {
    const { size } = await Deno.stat(path);
    if (size < 16) return false;
    await Deno.truncate(path, size >> 1);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
