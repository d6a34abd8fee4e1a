/**
 * Files that fail on purpose: of the steps that make files durable (writing, copying, syncing, renaming) one fails, before
 * it is made or after it has done its work. The runtime's own functions are replaced for as long as one task runs, so no
 * step can be forgotten; files of other folders are left alone.
 */
import { assert } from "../../core/assert.ts";
import type { Around } from "./failing_duckdb.ts";

export interface FileFailure {
  /** The so-manieth step from now on fails (1: the next). */
  readonly inSteps: number;
  readonly when: "before" | "after";
  readonly onFailed?: (step: string) => void;
}

/** As Deno says it. */
const FAILED = "Input/output error (os error 5) (planned)";

/** The functions are the process's own, so one task at a time may replace them. */
let isActive = false;

export class FailingFiles {
  readonly #folder: string;
  readonly #around: Around | null;
  #failure: FileFailure | null = null;
  #left = 0;

  /** Of files somewhere in `folder`; `around` makes each step (default: at once). */
  constructor(folder: string, around: Around | null = null) {
    this.#folder = `${folder}/`;
    this.#around = around;
  }

  plan(failure: FileFailure): void {
    this.#failure = failure;
    this.#left = failure.inSteps;
  }

  /** Nothing planned fails any more. */
  repair(): void {
    this.#failure = null;
  }

  /** Runs `task`, in which the planned step fails if it comes. One task at a time in a process. */
  async during<T>(task: () => Promise<T>): Promise<T> {
    if (this.#failure === null && this.#around === null) return await task();
    assert(!isActive, "one task with failing files at a time");
    isActive = true;
    const { open, rename, renameSync, writeTextFile, copyFile } = Deno;
    const { sync } = Deno.FsFile.prototype;
    const paths = new WeakMap<Deno.FsFile, string>();
    const set = (functions: object) => Object.assign(Deno, functions);
    set({
      open: async (path: string, options?: Deno.OpenOptions) => {
        const file = await open(path, options);
        paths.set(file, path);
        return file;
      },
      rename: (from: string, to: string) => this.#step("rename", to, () => rename(from, to)),
      writeTextFile: (path: string, text: string) =>
        this.#step("write", path, () => writeTextFile(path, text)),
      copyFile: (from: string, to: string) => this.#step("copy", to, () => copyFile(from, to)),
      renameSync: (from: string, to: string) => {
        const failure = this.#due(to);
        if (failure?.when !== "before") renameSync(from, to);
        if (failure !== null) this.#fail(failure, `rename ${to}`);
      },
    });
    // deno-lint-ignore no-this-alias -- the file is `this` of the replaced method
    const files = this;
    Deno.FsFile.prototype.sync = function (this: Deno.FsFile) {
      return files.#step("sync", paths.get(this) ?? "", () => sync.call(this));
    };
    try {
      return await task();
    } finally {
      isActive = false;
      set({ open, rename, renameSync, writeTextFile, copyFile });
      Deno.FsFile.prototype.sync = sync;
    }
  }

  async #step<T>(name: string, path: string, call: () => Promise<T>): Promise<T> {
    const failure = this.#due(path);
    const make = () => this.#around === null ? call() : this.#around(call);
    if (failure === null) return await make();
    if (failure.when === "after") await make();
    return this.#fail(failure, `${name} ${path}`);
  }

  #due(path: string): FileFailure | null {
    const failure = this.#failure;
    if (failure === null || !path.startsWith(this.#folder) || --this.#left > 0) return null;
    this.#failure = null;
    return failure;
  }

  #fail(failure: FileFailure, step: string): never {
    failure.onFailed?.(step);
    throw new Error(FAILED);
  }
}
