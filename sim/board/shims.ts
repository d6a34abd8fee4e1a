/**
 * What MicroPython on the ESP32 has and this build lacks, as Python modules over `host`. Part of the harness, never of the
 * firmware: they lie in a folder that leaves `sys.path` before `main` is imported.
 */
import { readFileSync } from "node:fs";

export interface Shims {
  /** File name and content. */
  readonly modules: readonly (readonly [string, Uint8Array])[];
  /** Runs before `main`. */
  readonly boot: string;
}

const MODULES = [
  "time.py",
  "machine.py",
  "network.py",
  "select.py",
  "socket.py",
  "esp_asyncio.py",
  "esp_builtins.py",
] as const;
/** Modules that the ESP32's image has frozen: found after the board's own files, imported when asked for. */
const FROZEN = ["frozen/dht.py"] as const;

export function loadShims(): Shims {
  const file = (name: string) => readFileSync(new URL(`./shims/${name}`, import.meta.url));
  return {
    modules: [...MODULES, ...FROZEN].map((name) => [name, new Uint8Array(file(name))]),
    boot: file("boot.py").toString("utf8"),
  };
}
