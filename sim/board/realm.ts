/**
 * One interpreter: one boot of one board. Power-on, reset and wake-up each make a new one, so nothing has to be cleared by
 * hand and nothing can survive that a real reset would clear.
 *
 * Time, entropy and output are handed in. Python suspends through JSPI: `env.calln`, the import behind every JavaScript
 * call with three or more arguments, may return a promise, and Python goes on when that settles.
 */
import type { Random } from "../../core/ports/random.ts";
import { linuxErrno } from "./errno.ts";
import { promising, Suspending } from "./jspi.ts";
import {
  type EmscriptenModule,
  type FileSystem,
  type LoadedMicroPython,
  micropythonPackage,
} from "./package.ts";

/** The imports of the interpreter, to be wrapped before it exists. What they throw, Python can't catch. */
export type WasmImports = Record<"env" | "wasi_snapshot_preview1", Record<string, WasmFunction>>;
// deno-lint-ignore no-explicit-any -- the imports have many signatures, all of numbers
export type WasmFunction = (...args: any[]) => any;

export interface RealmOptions {
  /** Unix time in milliseconds: time stamps of files. */
  readonly nowMs: () => number;
  /** Milliseconds since boot; `time.ticks_ms` takes them modulo 2^30. A promise suspends Python, with `standsStill`. */
  readonly ticksMs: () => number | Promise<number>;
  readonly random: Random;
  /**
   * Standard output and error, in chunks as they are written. With {@link RealmOptions.standsStill}, a promise suspends
   * Python at that very write until it settles.
   */
  readonly output: (bytes: Uint8Array) => void | Promise<void>;
  /** Bytes from standard input, at least one; a promise suspends Python until they come. Only with `standsStill`. */
  readonly input?: (bytesMax: number) => Promise<Uint8Array | Interrupted> | Uint8Array;
  /**
   * Python may be suspended in every write, in reads of standard input and in every call, not only in those with three
   * arguments (default false). Then whatever calls or prints has to run below {@link Realm.run}.
   */
  readonly standsStill?: boolean;
  /** Bytes to which the interpreter's memory may grow (default: as WebAssembly allows); then Python gets a MemoryError. */
  readonly memoryBytesMax?: number;
  /** Asked after each call with three or more arguments; a promise suspends Python until it settles. */
  readonly suspending?: () => Promise<void> | undefined;
  readonly wrapImports?: (imports: WasmImports, realm: () => Realm) => void;
  /** First size of Python's heap; it grows (default 96 KiB, about what an ESP32 has). */
  readonly heapBytes?: number;
}

/** A signal has come while Python waited for input. */
export type Interrupted = "interrupted";

export interface Realm {
  readonly files: FileSystem;
  readonly exports: Record<string, WasmFunction>;
  readonly memory: WebAssembly.Memory;
  /** The memory as bytes; made anew at each use, as growing detaches older views. */
  bytes(): Uint8Array;
  /** The zero-terminated text at `address`. */
  textAt(address: number): string;
  allocate(bytes: number): number;
  registerModule(name: string, module: object): void;
  /** Runs Python that must not block. */
  runNow(code: string): void;
  /** Runs Python that may block; rejects with what the suspending promise was rejected with. */
  run(code: string): Promise<void>;
  /** Prints the banner and prompt of the interactive interpreter. */
  startRepl(): Promise<void>;
  /** Hands one byte of serial input to it; resolves to its result (bit 8: soft reset asked for). */
  replByte(byte: number): Promise<number>;
}

/** EINTR as C knows it (WASI): MicroPython looks for a pending exception, then reads again. */
const EINTR = 27;

const PYSTACK_BYTES = 8 * 1024;
/** Folders of the emulated file system that are no part of the board's flash; Python doesn't see them. */
export const HIDDEN_FOLDERS: ReadonlySet<string> = new Set(["dev", "proc", "tmp", "home", ".sim"]);

const GLOBAL_NAMES =
  ("Object Function Array Number String Boolean Symbol BigInt Math JSON Promise Map Set WeakMap WeakSet " +
    "WeakRef Reflect Proxy Error TypeError RangeError ArrayBuffer DataView Int8Array Uint8Array Int16Array Uint16Array " +
    "Int32Array Uint32Array Float32Array Float64Array BigInt64Array BigUint64Array TextEncoder TextDecoder URL " +
    "WebAssembly Atomics").split(" ");

export async function createRealm(options: RealmOptions): Promise<Realm> {
  const { makeLoader } = micropythonPackage();
  const created: { instance?: WebAssembly.Instance; realm?: Realm } = {};
  const theRealm = () => created.realm as Realm;
  const load = await makeLoader(
    ambientOf(options, (imports, done) => {
      created.instance = instantiate(imports, options, theRealm);
      done(created.instance, micropythonPackage().interpreter);
    }),
  );
  const python = await load({
    heapsize: options.heapBytes ?? 96 * 1024,
    pystack: PYSTACK_BYTES,
    stdout: (bytes) => void options.output(bytes),
    stderr: (bytes) => void options.output(bytes),
    linebuffer: false,
    url: "board",
  });
  const realm = realmOf(python, created.instance as WebAssembly.Instance);
  created.realm = realm;
  hideFolders(realm.files);
  return realm;
}

type Instantiated = (instance: WebAssembly.Instance, module: WebAssembly.Module) => void;

function ambientOf(
  options: RealmOptions,
  instantiateWasm: (imports: WasmImports, done: Instantiated) => void,
) {
  const { nowMs, random } = options;
  class VirtualDate extends Date {
    constructor(...parts: ConstructorParameters<typeof Date> | []) {
      super(...(parts.length > 0 ? parts : [nowMs()]) as ConstructorParameters<typeof Date>);
    }
    static override now = nowMs;
  }
  // The real one frees Python objects when V8 happens to collect: no seed decides that. So nothing may hold them here.
  class NoFinalization {
    register() {}
    unregister() {}
  }
  const noTimer = () => {
    throw new Error("the interpreter asked for a timer");
  };
  const crypto = {
    getRandomValues: (array: Uint32Array) => array.map((_, i) => (array[i] = random.uint32())),
  };
  const standard = Object.fromEntries(
    GLOBAL_NAMES.map((n) => [n, (globalThis as Record<string, unknown>)[n]]),
  );
  const ambient = {
    Date: VirtualDate as typeof Date,
    crypto,
    setTimeout: noTimer,
    clearTimeout: noTimer,
    FinalizationRegistry: NoFinalization,
  };
  return {
    ...ambient,
    globalThis: Object.assign(Object.create(null), standard, ambient, { WorkerGlobalScope: class {} }),
    process: undefined,
    console,
    moduleFields: { instantiateWasm },
  };
}

function instantiate(imports: WasmImports, options: RealmOptions, realm: () => Realm): WebAssembly.Instance {
  const { interpreter, front: frontModule, back } = micropythonPackage();
  const { env, wasi_snapshot_preview1: wasi } = imports;
  Object.assign(env, {
    mp_js_ticks_ms: options.ticksMs,
    mp_js_time_ms: options.nowMs,
    mp_js_random_u32: () => options.random.uint32(),
  });
  translateErrors(env, wasi);
  captureOutput(wasi, options.output, realm);
  options.wrapImports?.(imports, realm);
  const front = new WebAssembly.Instance(frontModule).exports as Record<string, WasmFunction>;
  for (const [name, value] of Object.entries(front)) {
    if (name !== "longjmp" && name !== "table") env[name] = value;
  }
  const { standsStill = false, memoryBytesMax = Infinity } = options;
  for (const name of standsStill ? ["call0", "call1", "call2", "calln"] : ["calln"]) {
    const call = env[name] as WasmFunction;
    env[name] = new Suspending((...args: number[]) => {
      call(...args);
      return options.suspending?.();
    });
  }
  if (standsStill) {
    env.mp_js_ticks_ms = new Suspending(env.mp_js_ticks_ms as WasmFunction);
    wasi.fd_write = new Suspending(wasi.fd_write as WasmFunction);
    wasi.fd_read = new Suspending(readInput(wasi.fd_read as WasmFunction, options.input, realm));
  }
  const grow = env.emscripten_resize_heap as WasmFunction;
  env.emscripten_resize_heap = (bytes: number) => bytes >>> 0 > memoryBytesMax ? 0 : grow(bytes);
  const instance = new WebAssembly.Instance(interpreter, imports);
  new WebAssembly.Instance(back, { front, interpreter: instance.exports });
  return instance;
}

/** The file system's WASI error numbers become those of this build's `errno` module. */
function translateErrors(env: Record<string, WasmFunction>, wasi: Record<string, WasmFunction>): void {
  for (const [name, call] of Object.entries(env)) {
    if (!name.startsWith("__syscall")) continue;
    env[name] = (...args) => {
      const result = call(...args);
      return result < 0 ? -linuxErrno(-result) : result;
    };
  }
  for (const name of ["fd_read", "fd_write", "fd_close", "fd_sync", "fd_seek"]) {
    const call = wasi[name] as WasmFunction;
    wasi[name] = (...args) => linuxErrno(call(...args));
  }
}

/** Reads standard input from `input`; the glue would ask a browser's prompt. */
function readInput(
  read: WasmFunction,
  input: RealmOptions["input"],
  realm: () => Realm,
): WasmFunction {
  return (fd: number, vectors: number, count: number, readBytes: number) => {
    if (fd !== 0 || input === undefined) return read(fd, vectors, count, readBytes);
    const view = new DataView(realm().memory.buffer);
    const address = view.getUint32(vectors, true);
    const fill = (bytes: Uint8Array | Interrupted) => {
      if (bytes === "interrupted") return EINTR;
      realm().bytes().set(bytes, address);
      new DataView(realm().memory.buffer).setUint32(readBytes, bytes.length, true);
      return 0;
    };
    const bytes = input(view.getUint32(vectors + 4, true));
    return bytes instanceof Promise ? bytes.then(fill) : fill(bytes);
  };
}

/** Takes whole writes to standard output and error; the glue would deliver them byte by byte. */
function captureOutput(
  wasi: Record<string, WasmFunction>,
  output: RealmOptions["output"],
  realm: () => Realm,
): void {
  const write = wasi.fd_write as WasmFunction;
  wasi.fd_write = (fd: number, vectors: number, count: number, written: number) => {
    if (fd !== 1 && fd !== 2) return write(fd, vectors, count, written);
    const memory = realm().memory.buffer;
    const view = new DataView(memory);
    const parts: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      const address = view.getUint32(vectors + 8 * i, true);
      const length = view.getUint32(vectors + 8 * i + 4, true);
      if (length > 0) parts.push(new Uint8Array(memory, address, length).slice());
    }
    view.setUint32(written, parts.reduce((sum, part) => sum + part.length, 0), true);
    return writeAll(parts, output);
  };
}

/** Writes part after part; 0, or a promise of it from the first part on that is held. */
function writeAll(parts: readonly Uint8Array[], output: RealmOptions["output"]): number | Promise<number> {
  for (const [index, part] of parts.entries()) {
    const held = output(part);
    if (held !== undefined) return held.then(() => writeAll(parts.slice(index + 1), output));
  }
  return 0;
}

function realmOf(python: LoadedMicroPython, instance: WebAssembly.Instance): Realm {
  const module: EmscriptenModule = python._module;
  const exports = instance.exports as Record<string, WasmFunction>;
  const memory = instance.exports.memory as WebAssembly.Memory;
  const execute = promising(exports.mp_js_do_exec as WasmFunction);
  const replByte = promising(exports.mp_js_repl_process_char as WasmFunction);
  const startRepl = promising(exports.mp_js_repl_init as WasmFunction);
  const result = module._malloc(12);
  const bytes = () => new Uint8Array(memory.buffer);
  const decoder = new TextDecoder();
  return {
    files: module.FS,
    exports,
    memory,
    bytes,
    textAt(address) {
      const all = bytes();
      return decoder.decode(all.slice(address, all.indexOf(0, address)));
    },
    allocate: (count) => module._malloc(count),
    registerModule: (name, contents) => python.registerJsModule(name, contents),
    runNow: (code) => void python.runPython(code),
    run(code) {
      const length = module.lengthBytesUTF8(code);
      const address = module._malloc(length + 1);
      module.stringToUTF8(code, address, length + 1);
      return execute(address, length, result);
    },
    startRepl: () => startRepl(),
    replByte: (byte) => replByte(byte),
  };
}

function hideFolders(files: FileSystem): void {
  const operations = files.root.node_ops;
  files.root.node_ops = {
    ...operations,
    readdir: (node) => operations.readdir(node).filter((name) => !HIDDEN_FOLDERS.has(name)),
  };
}
