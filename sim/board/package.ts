/**
 * The MicroPython package (npm), prepared for many instances in one process.
 *
 * The package's glue keeps its state on `globalThis`; two instances in one realm would destroy each other. Its text is
 * evaluated instead as the body of a function whose parameters are everything ambient: `globalThis`, `Date`, `crypto`,
 * timers. Nothing global is patched. Each place that the text is changed at is checked, so another version of the package
 * stops here with a sentence instead of running wrongly.
 */
import glueText from "@micropython/micropython-webassembly-pyscript/micropython.mjs" with { type: "text" };
import { readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { compileTrampolines } from "./trampolines.ts";

const PACKAGE = "@micropython/micropython-webassembly-pyscript";

/** What stands in for the ambient world of one instance; the order is that of the function's parameters. */
export interface Ambient {
  readonly globalThis: object;
  readonly Date: typeof Date;
  readonly crypto: { getRandomValues(array: Uint32Array): Uint32Array };
  readonly setTimeout: () => never;
  readonly clearTimeout: () => never;
  readonly process: undefined;
  readonly console: Pick<Console, "log" | "warn" | "error">;
  readonly FinalizationRegistry: new () => { register(): void; unregister(): void };
  /** Fields added to Emscripten's `Module`. */
  readonly moduleFields: object;
}
const AMBIENT_NAMES = [
  "globalThis",
  "Date",
  "crypto",
  "setTimeout",
  "clearTimeout",
  "process",
  "console",
  "FinalizationRegistry",
  "moduleFields",
] as const satisfies readonly (keyof Ambient)[];

/** An open file. */
export interface OpenStream {
  readonly path?: string;
  readonly flags: number;
  readonly node?: { readonly usedBytes: number };
}

/** Emscripten's file system, as far as it is used here. */
export interface FileSystem {
  mkdir(path: string): void;
  writeFile(path: string, data: Uint8Array): void;
  readFile(path: string): Uint8Array;
  readonly streams: readonly (OpenStream | null | undefined)[];
  readonly root: { node_ops: { readdir(node: unknown): string[] } };
}

/** Emscripten's module object, as far as it is used here. */
export interface EmscriptenModule {
  readonly FS: FileSystem;
  _malloc(bytes: number): number;
  lengthBytesUTF8(text: string): number;
  stringToUTF8(text: string, address: number, bytesMax: number): void;
}

/** What the package's `loadMicroPython` returns, as far as it is used here. */
export interface LoadedMicroPython {
  readonly _module: EmscriptenModule;
  registerJsModule(name: string, module: object): void;
  runPython(code: string): unknown;
}

export type LoadMicroPython = (options: {
  readonly heapsize: number;
  readonly pystack: number;
  readonly stdout: (bytes: Uint8Array) => void;
  readonly stderr: (bytes: Uint8Array) => void;
  readonly linebuffer: false;
  readonly url: string;
}) => Promise<LoadedMicroPython>;

function replaceIn(text: string, from: string, to: string): string {
  if (!text.includes(from)) {
    throw new Error(
      `${PACKAGE}: its glue has no ${JSON.stringify(from)}; this version needs a look at package.ts`,
    );
  }
  return text.replaceAll(from, to);
}

/** The body of the function that makes one instance's `loadMicroPython`. */
function glueBody(): string {
  let text: string = glueText;
  text = replaceIn(text, "export default _createMicroPythonModule;", "");
  text = replaceIn(text, "export async function loadMicroPython", "async function loadMicroPython");
  text = replaceIn(text, "import.meta.url", '"https://board.invalid/micropython.mjs"');
  text = replaceIn(text, "let Module={locateFile:", "let Module={...moduleFields,locateFile:");
  const onGlobal = [...text.matchAll(/globalThis\.(proxy_\w+)/g)].map((match) => match[1] as string);
  const names = [...new Set(["Module", ...onGlobal])];
  const accessors = names.map((n) => `${n}:{get(){return ${n}},set(v){${n}=v}}`).join();
  return `"use strict";let ${names.join()};Object.defineProperties(globalThis,{${accessors}});${text}\n;return loadMicroPython;`;
}

function wasmPath(): string {
  const manifest = findPackageJSON(PACKAGE, import.meta.url);
  if (manifest === undefined) throw new Error(`${PACKAGE} is not installed: run deno install`);
  return manifest.replace(/package\.json$/, "micropython.wasm");
}

type GlueFunction = (...ambient: unknown[]) => Promise<LoadMicroPython>;
interface Prepared {
  readonly interpreter: WebAssembly.Module;
  readonly front: WebAssembly.Module;
  readonly back: WebAssembly.Module;
  makeLoader(ambient: Ambient): Promise<LoadMicroPython>;
}

function prepare(): Prepared {
  const interpreter = new WebAssembly.Module(readFileSync(wasmPath()));
  const AsyncFunction = (async () => {}).constructor as new (...parts: string[]) => GlueFunction;
  const glue = new AsyncFunction(...AMBIENT_NAMES, glueBody());
  return {
    interpreter,
    ...compileTrampolines(interpreter),
    makeLoader: (ambient) => glue(...AMBIENT_NAMES.map((key) => ambient[key])),
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/** Compiled once a process, at the first call (some 50 ms). */
export const micropythonPackage = once(prepare);
