/**
 * The board's flash: the files that survive a power cut.
 *
 * It models littlefs, which MicroPython uses on the ESP32: what was written counts when the file is flushed or closed;
 * renaming and removing count at once. A cut can be planned at any operation, in three ways: before it, after it, and
 * torn, which leaves a prefix of the new content (FAT does that; littlefs does not, but firmware should bear it).
 */
import { assert } from "../../core/assert.ts";
import type { HostFlash } from "./host.ts";

/** Where in an operation the power goes. */
export type CutPoint = "before" | "torn" | "after";

export interface PlannedCut {
  /** The n-th operation from now, counted from 1. */
  readonly operation: number;
  readonly point: CutPoint;
}

export type FlashOperation = "write" | "commit" | "rename" | "remove" | "folder";

/** Thrown out of a flash operation at which the power goes. Python can't catch it. */
export class PowerLost extends Error {
  override name = "PowerLost";
}

/** Size of the file system of MicroPython's ESP32 image with 4 MiB of flash: 2 MiB. */
const CAPACITY_BYTES = 2 * 1024 * 1024;
/** littlefs gives each file at least one block; two blocks are the root's. */
const BLOCK_BYTES = 4096;

const blocksOf = (sizeBytes: number) => Math.max(1, Math.ceil(sizeBytes / BLOCK_BYTES));

export class Flash implements HostFlash {
  readonly capacityBytes: number;
  /** Operations since the board was made; what a sweep of cuts counts. */
  operationCount = 0;
  /** Operations by kind, for statements on wear. */
  readonly counts: Record<FlashOperation, number> = { write: 0, commit: 0, rename: 0, remove: 0, folder: 0 };
  readonly #files = new Map<string, Uint8Array>();
  readonly #folders = new Set<string>();
  #cut: { readonly atCount: number; readonly point: CutPoint } | null = null;
  #onCut: () => void = () => {};

  constructor(capacityBytes: number = CAPACITY_BYTES) {
    this.capacityBytes = capacityBytes;
  }

  /** Plans a power cut; `onCut` is told when it happens. */
  planCut(cut: PlannedCut, onCut: () => void): void {
    assert(cut.operation >= 1, "a cut lies ahead");
    this.#cut = { atCount: this.operationCount + cut.operation, point: cut.point };
    this.#onCut = onCut;
  }

  /** Takes a planned cut back; harmless when there is none. */
  cancelCut(): void {
    this.#cut = null;
  }

  read(path: string): Uint8Array | null {
    return this.#files.get(path) ?? null;
  }

  paths(): readonly string[] {
    return [...this.#files.keys()];
  }

  folders(): readonly string[] {
    return [...this.#folders];
  }

  usedBytes(): number {
    let blocks = 2;
    for (const content of this.#files.values()) blocks += blocksOf(content.length);
    return blocks * BLOCK_BYTES;
  }

  /** Whether the file at `path` may grow to `sizeBytes`. */
  hasRoom(path: string, sizeBytes: number): boolean {
    const stored = this.#files.get(path);
    const more = blocksOf(sizeBytes) - (stored === undefined ? 0 : blocksOf(stored.length));
    return more <= 0 || this.usedBytes() + more * BLOCK_BYTES <= this.capacityBytes;
  }

  /** Puts a file there as a programmer does, outside of any running program; no operation, no cut. */
  put(path: string, content: Uint8Array | string): void {
    this.#files.set(path, typeof content === "string" ? new TextEncoder().encode(content) : content.slice());
    this.#addFolders(path);
  }

  /** As new: nothing stored. */
  erase(): void {
    this.#files.clear();
    this.#folders.clear();
  }

  /** A copy of everything stored, for {@link Flash.restore}. */
  image(): ReadonlyMap<string, Uint8Array> {
    return new Map([...this.#files].map(([path, content]) => [path, content.slice()]));
  }

  /** Replaces everything stored. */
  restore(image: ReadonlyMap<string, Uint8Array>): void {
    this.erase();
    for (const [path, content] of image) this.put(path, content);
  }

  /** Bytes go to a file's buffer: nothing durable yet, but the power can go here. */
  write(): void {
    this.#operate("write", () => {}, () => {});
  }

  commit(path: string, content: Uint8Array): void {
    const old = this.#files.get(path) ?? new Uint8Array();
    const store = () => void this.#files.set(path, content.slice());
    const tear = () => {
      const kept = old.length + Math.floor((content.length - old.length) / 2);
      this.#files.set(path, content.slice(0, Math.max(0, kept)));
    };
    this.#operate("commit", store, tear);
  }

  rename(from: string, to: string): void {
    this.#operate("rename", () => {
      const content = this.#files.get(from);
      this.#files.delete(from);
      if (content !== undefined) this.#files.set(to, content);
    });
  }

  remove(path: string): void {
    this.#operate("remove", () => void this.#files.delete(path));
  }

  makeFolder(path: string): void {
    this.#operate("folder", () => void this.#folders.add(path));
  }

  #addFolders(path: string): void {
    for (let end = path.indexOf("/", 1); end > 0; end = path.indexOf("/", end + 1)) {
      this.#folders.add(path.slice(0, end));
    }
  }

  #operate(kind: FlashOperation, apply: () => void, tear: () => void = apply): void {
    this.operationCount++;
    this.counts[kind]++;
    const cut = this.#cut;
    if (cut === null || this.operationCount < cut.atCount) return apply();
    this.#cut = null;
    if (cut.point === "after") apply();
    if (cut.point === "torn") tear();
    this.#onCut();
    throw new PowerLost(`power cut ${cut.point} flash operation ${this.operationCount} (${kind})`);
  }
}
