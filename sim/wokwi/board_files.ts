/** From what a client has uploaded to what lies in the board's flash: the ways in which Wokwi users deliver MicroPython. */
import { Flash } from "../board/mod.ts";
import type { FlashSection } from "./commands.ts";
import { type ImagePart, readFlashImage } from "./flash_image.ts";
import { isRefusal, listOf, type Refusal, refusal } from "./refusal.ts";
import type { Uploads } from "./uploads.ts";

/** What `sim:start` names. */
export interface Delivery {
  readonly firmware: string | readonly FlashSection[] | null;
  readonly elf: string | null;
}

/** Path in the board's file system, with its slash, to content. */
export type BoardFiles = ReadonlyMap<string, Uint8Array>;

/** A sentence for whoever uploads what can't run here. */
const runnable = "upload main.py, a MicroPython flash image, or MicroPython's own .bin";

/** Folders of the interpreter's own, in which a board can't have files. */
const reserved = ["dev", "proc", "tmp", "home", ".sim"];

/** Whether a board's file system can hold these files; null, or why not. */
function problemOf(files: BoardFiles): Refusal | null {
  const flash = new Flash();
  for (const [path, content] of files) {
    const [first = "", ...rest] = path.slice(1).split("/");
    if (first === "" || reserved.includes(first)) return refusal(400, `a board can't have a file ${path}`);
    let folder = `/${first}`;
    for (const name of rest) {
      if (files.has(folder)) return refusal(400, `${folder} is a file, so ${path} can't lie in it`);
      folder += `/${name}`;
    }
    flash.put(path, content);
  }
  if (flash.usedBytes() <= flash.capacityBytes) return null;
  return refusal(
    413,
    `the files take ${flash.usedBytes()} bytes of flash; a board's file system has ${flash.capacityBytes}`,
  );
}

/**
 * The files of a board that starts as `delivery` says. `beside` are the project's own modules: they lie beside a
 * `main.py`, and an upload of the same name wins.
 */
export function boardFiles(
  uploads: Uploads,
  delivery: Delivery,
  beside: ReadonlyMap<string, Uint8Array>,
): BoardFiles | Refusal {
  const files = filesOf(uploads, delivery, beside);
  return isRefusal(files) ? files : problemOf(files) ?? files;
}

function filesOf(
  uploads: Uploads,
  delivery: Delivery,
  beside: ReadonlyMap<string, Uint8Array>,
): BoardFiles | Refusal {
  const { firmware } = delivery;
  const others = otherUploads(uploads, delivery);
  if (firmware === null) {
    if (others.has("/main.py")) return new Map([...rooted(beside), ...others]);
    return refusal(400, `sim:start names no firmware, and there is no main.py; ${runnable}`);
  }
  const sections = typeof firmware === "string" ? [{ offset: 0, file: firmware }] : firmware;
  const parts: ImagePart[] = [];
  for (const { offset, file } of sections) {
    const bytes = uploads.get(file);
    if (bytes === null) {
      return refusal(404, `the firmware ${file} was not uploaded; there are ${listOf(uploads.names())}`);
    }
    parts.push({ offset, bytes });
  }
  const [first] = parts;
  if (typeof firmware === "string" && first !== undefined && firmware.endsWith(".py")) {
    return new Map([...rooted(beside), ...others, ["/main.py", first.bytes]]);
  }
  const name = listOf(sections.map(({ file }) => file));
  if (parts.every(({ bytes }) => bytes.length === 0)) return refusal(400, `${name} is empty; ${runnable}`);
  const inImage = readFlashImage(parts, name);
  return isRefusal(inImage) ? inImage : new Map([...rooted(inImage), ...others]);
}

/** What was uploaded besides the firmware, the diagram and custom chips lies in the board's file system. */
function otherUploads(uploads: Uploads, { firmware, elf }: Delivery): Map<string, Uint8Array> {
  const taken = new Set(["diagram.json", "wokwi.toml", elf]);
  for (const file of typeof firmware === "string" ? [firmware] : firmware ?? []) {
    taken.add(typeof file === "string" ? file : file.file);
  }
  const names = uploads.names().filter((name) =>
    !taken.has(name) && !/\.chip\.(json|wasm)$/.test(name) && !name.startsWith("sdcard/")
  );
  return new Map(names.map((name) => [pathOf(name), uploads.get(name) as Uint8Array]));
}

const rooted = (files: ReadonlyMap<string, Uint8Array>) =>
  [...files].map(([name, content]) => [pathOf(name), content] as const);

/** `./lib/x.py` and `/lib/x.py` are `lib/x.py` in the root; no name leads out of it. */
function pathOf(name: string): string {
  const parts = name.split(/[\\/]/).filter((part) => part !== "" && part !== "." && part !== "..");
  return `/${parts.join("/")}`;
}
