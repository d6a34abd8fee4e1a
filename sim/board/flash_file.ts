/** A board's flash in a file, so that a simulated board goes on where it stopped. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { Buffer } from "node:buffer";
import type { Flash } from "./flash.ts";

interface Stored {
  readonly savedMs: number;
  /** Path → content in base64. */
  readonly files: Readonly<Record<string, string>>;
}

/** Restores `flash` from `path`; returns the virtual time of the save, or null when there is no (readable) file. */
export function loadFlash(flash: Flash, path: string): number | null {
  let stored: Stored;
  try {
    stored = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return null;
  }
  if (typeof stored?.savedMs !== "number" || typeof stored.files !== "object") return null;
  const files = Object.entries(stored.files).map(([name, text]) =>
    [name, Buffer.from(text, "base64")] as const
  );
  flash.restore(new Map(files));
  return stored.savedMs;
}

/** Writes everything that `flash` holds; a crash leaves the old file. */
export function saveFlash(flash: Flash, path: string, savedMs: number): void {
  const files = [...flash.image()].map(([name, content]) => [name, Buffer.from(content).toString("base64")]);
  const stored: Stored = { savedMs, files: Object.fromEntries(files) };
  mkdirSync(path.replace(/[/\\][^/\\]*$/, ""), { recursive: true });
  writeFileSync(`${path}.tmp`, JSON.stringify(stored));
  renameSync(`${path}.tmp`, path);
}
