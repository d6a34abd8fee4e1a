/**
 * Damage: found before rows are served, moved aside, never repaired by guessing.
 *
 * - The live file and its write-ahead log carry DuckDB's checksums; they are read through at opening (`live.ts`).
 * - Segments are checked against the record: that they are there and how long they are at opening, their SHA-256 in the
 *   background, and in any case before the first row of them is read by us (lookups, merges, taking over).
 * - What is damaged is moved into `damaged/`, beside what it was, under a number, so that nothing is lost that a person
 *   may still want; the message says what was moved, where, and what follows.
 */
import { StoreRefused } from "../../core/ports/store.ts";
import { type DataPaths, type PartitionRecord } from "./published.ts";
import type { Segment } from "./segments.ts";
import { fileBytes, sha256OfFile } from "../durable_files.ts";

/** Stored data that can't be trusted; it is still where it was. */
export class StoreDamaged extends StoreRefused {
  override name = "StoreDamaged";
}

/** Tables whose rows follow from the state in the live file: they are written again from there. */
export const stateTables: readonly string[] = [
  "device_rows",
  "boot_rows",
  "alert_rule_rows",
  "alert_state_rows",
  "open_windows",
  "open_window_rows",
];

/** Segments that are missing or not as long as the record says. */
export async function segmentsNotWhole(
  paths: DataPaths,
  record: PartitionRecord,
): Promise<readonly Segment[]> {
  const found: Segment[] = [];
  for (const segment of record.segments) {
    if (await fileBytes(`${paths.published}/${segment.path}`) !== segment.bytes) found.push(segment);
  }
  return found;
}

/** Moves a file, if it is there, into `damaged/` of the data folder; gives its new place. */
export async function moveAside(paths: DataPaths, file: string): Promise<string | null> {
  const name = file.slice(file.lastIndexOf("/") + 1);
  await Deno.mkdir(paths.damaged, { recursive: true });
  for (let number = 1;; number++) {
    const place = `${paths.damaged}/${number}-${name}`;
    try {
      await Deno.lstat(place);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      return await renamed(file, place) ? place : null;
    }
  }
}

async function renamed(from: string, to: string): Promise<boolean> {
  try {
    await Deno.rename(from, to);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Checks segments by their SHA-256, each once in the life of the process. */
export class SegmentGuard {
  readonly #whole = new Set<string>();
  readonly #checking = new Map<string, Promise<void>>();
  #background: Promise<void> | null = null;
  #closed = false;

  constructor(private readonly paths: DataPaths) {}

  /** A segment that this process has just written and hashed. */
  trust(segment: Segment): void {
    this.#whole.add(segment.path);
  }

  /** A file that has been deleted; what is remembered follows what is published. */
  forget(path: string): void {
    this.#whole.delete(path);
  }

  /** Files that need no check any more. */
  get trusted(): number {
    return this.#whole.size;
  }

  /** Resolves when all are as they were written; moves a damaged one aside and rejects with {@link StoreDamaged}. */
  async check(segments: readonly Segment[]): Promise<void> {
    for (const segment of segments) {
      if (this.#whole.has(segment.path)) continue;
      const running = this.#checking.get(segment.path) ?? this.#checkOne(segment);
      this.#checking.set(segment.path, running);
      await running;
    }
  }

  /** Checks them one after the other while others work; `damaged` is told of the first that isn't whole. */
  checkInBackground(segments: readonly Segment[], damaged: (error: StoreDamaged) => void): void {
    this.#background = (async () => {
      for (const segment of segments) {
        if (this.#closed) return;
        await this.check([segment]);
      }
    })().catch((error) => {
      if (error instanceof StoreDamaged) damaged(error);
      else if (!this.#closed) damaged(new StoreDamaged(`checking published files: ${error.message}`));
    });
  }

  /** Resolves when the check in the background is over. */
  async settled(): Promise<void> {
    await this.#background;
  }

  /** Ends the check in the background after the file that it is at. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#background;
  }

  async #checkOne(segment: Segment): Promise<void> {
    try {
      const full = `${this.paths.published}/${segment.path}`;
      const sha256 = await sha256OfFile(full).catch((error) => {
        if (error instanceof Deno.errors.NotFound) return "missing";
        throw error;
      });
      if (sha256 === segment.sha256) {
        this.#whole.add(segment.path);
        return;
      }
      const place = await moveAside(this.paths, full);
      throw new StoreDamaged(
        `the published file ${segment.path} (${segment.rows} rows of ${segment.table}) is damaged` +
          `${place === null ? "" : ` and was moved to ${place}`}: start again, its rows are then made anew`,
      );
    } finally {
      this.#checking.delete(segment.path);
    }
  }
}
