/**
 * Ties the interpreter's file system in memory to the board's {@link Flash}: what is flushed or closed becomes durable,
 * renaming and removing do so at once. The hooks sit in the raw imports, where a power cut can't be caught by Python.
 */
import { errno } from "./errno.ts";
import type { Flash } from "./flash.ts";
import { HIDDEN_FOLDERS, type Realm, type WasmFunction, type WasmImports } from "./realm.ts";

const WRITABLE_MASK = 3;

export function hookFlash(imports: WasmImports, realm: () => Realm, flash: Flash): void {
  const { env, wasi_snapshot_preview1: wasi } = imports;
  const dirty = new Set<object>();

  const streamOf = (fd: number) => {
    const stream = realm().files.streams[fd];
    if (!stream?.path || (stream.flags & WRITABLE_MASK) === 0) return null;
    return HIDDEN_FOLDERS.has(stream.path.split("/")[1] ?? "") ? null : { stream, path: stream.path };
  };
  const commit = (fd: number) => {
    const open = streamOf(fd);
    if (open !== null && dirty.delete(open.stream)) {
      flash.commit(open.path, realm().files.readFile(open.path));
    }
  };
  const after = (table: Record<string, WasmFunction>, name: string, act: (...args: number[]) => void) => {
    const call = table[name] as WasmFunction;
    table[name] = (...args) => {
      const result = call(...args);
      if (result === 0) act(...args);
      return result;
    };
  };

  const write = wasi.fd_write as WasmFunction;
  wasi.fd_write = (fd: number, vectors: number, count: number, written: number) => {
    const open = fd > 2 ? streamOf(fd) : null;
    if (open !== null) {
      const sizeBytes = (open.stream.node?.usedBytes ?? 0) + bytesOf(realm().memory, vectors, count);
      if (!flash.hasRoom(open.path, sizeBytes)) return errno.ENOSPC;
      dirty.add(open.stream);
      flash.write();
    }
    return write(fd, vectors, count, written);
  };
  after(wasi, "fd_sync", commit);
  const close = wasi.fd_close as WasmFunction;
  wasi.fd_close = (fd: number) => {
    commit(fd);
    return close(fd);
  };
  // Opening with "w" empties the file; littlefs makes that durable at close.
  const open = env.__syscall_openat as WasmFunction;
  const TRUNCATE = 0o1000;
  env.__syscall_openat = (folder: number, path: number, flags: number, ...rest: number[]) => {
    const fd = open(folder, path, flags, ...rest);
    const opened = fd > 2 ? streamOf(fd) : null;
    if (opened !== null && (flags & TRUNCATE) !== 0) dirty.add(opened.stream);
    return fd;
  };
  const absolute = (address: number) => {
    const path = realm().textAt(address);
    return path.startsWith("/") ? path : `/${path}`;
  };
  after(
    env,
    "__syscall_renameat",
    (_from, from, _to, to) => flash.rename(absolute(from as number), absolute(to as number)),
  );
  after(env, "__syscall_unlinkat", (_folder, path) => flash.remove(absolute(path as number)));
  after(env, "__syscall_mkdirat", (_folder, path) => flash.makeFolder(absolute(path as number)));
}

/** How many bytes a vector of buffers holds. */
function bytesOf(memory: WebAssembly.Memory, vectors: number, count: number): number {
  const view = new DataView(memory.buffer);
  let total = 0;
  for (let i = 0; i < count; i++) total += view.getUint32(vectors + 8 * i + 4, true);
  return total;
}

/** Puts the durable files into a new interpreter. */
export function restoreFiles(realm: Realm, flash: Flash): void {
  const folders = new Set(flash.folders());
  for (const path of flash.paths()) {
    for (let end = path.indexOf("/", 1); end > 0; end = path.indexOf("/", end + 1)) {
      folders.add(path.slice(0, end));
    }
  }
  for (const folder of [...folders].sort()) realm.files.mkdir(folder);
  for (const path of flash.paths()) realm.files.writeFile(path, flash.read(path) as Uint8Array);
}
