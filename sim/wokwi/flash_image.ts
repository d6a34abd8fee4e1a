/**
 * A flash image of an ESP32 with MicroPython. The firmware in it isn't executed: the simulator has an interpreter of its
 * own. What counts are the files in its file system; without one, MicroPython comes up at its prompt, as on a new board.
 */
import { Buffer } from "node:buffer";
import { isLittlefs, readLittlefs } from "./littlefs.ts";
import { isRefusal, type Refusal, refusal } from "./refusal.ts";

/** Bytes and where in flash they lie. */
export interface ImagePart {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** The largest flash that an ESP32 addresses. */
const FLASH_BYTES_MAX = 16 * 1024 * 1024;
/** Where ESP-IDF puts its table of partitions, and how long that is. */
const TABLE_OFFSET = 0x8000;
const TABLE_BYTES = 0xc00;
const ENTRY_BYTES = 32;
/** Partition types, ESP-IDF "Partition Tables": data, and its subtypes fat and littlefs. MicroPython labels its one vfs. */
const DATA_TYPE = 1;
const fileSystemSubtypes = [0x81, 0x83];
/** MicroPython's file system on a board with 4 MiB of flash (ports/esp32/partitions-4MiB.csv). */
const VFS_OFFSET = 0x200000;
/** A stock image begins with the second stage boot loader, which lies at this offset. */
const BOOTLOADER_OFFSET = 0x1000;
/** First byte of every ESP32 image of a program. */
const IMAGE_MAGIC = 0xe9;

/** The files of an image in one or more parts; none if MicroPython is there, but no file system yet. */
export function readFlashImage(
  parts: readonly ImagePart[],
  name: string,
): ReadonlyMap<string, Uint8Array> | Refusal {
  const flash = assemble(parts, name);
  if (isRefusal(flash)) return flash;
  const vfs = [...fileSystems(flash), VFS_OFFSET].find((offset) => isLittlefs(flash, offset));
  if (vfs !== undefined) return readLittlefs(flash, vfs);
  if (Buffer.from(flash.buffer, flash.byteOffset, flash.length).includes("MicroPython")) return new Map();
  return refusal(
    501,
    `${name} holds neither MicroPython nor a littlefs with its files: this simulator runs MicroPython only`,
  );
}

/** The flash as it would lie in the chip; what nothing is written to is ones. */
function assemble(parts: readonly ImagePart[], name: string): Uint8Array | Refusal {
  const placed = parts.map((part) => ({ ...part, offset: part.offset + baseOf(parts, part) }));
  const size = Math.max(...placed.map(({ offset, bytes }) => offset + bytes.length));
  if (size > FLASH_BYTES_MAX) {
    return refusal(413, `${name} ends at ${size}; an ESP32 has at most ${FLASH_BYTES_MAX} bytes of flash`);
  }
  const flash = new Uint8Array(size).fill(0xff);
  for (const { offset, bytes } of placed) flash.set(bytes, offset);
  return flash;
}

/** One file that begins with a program is a stock image, which belongs behind the gap; a whole flash begins with the gap. */
function baseOf(parts: readonly ImagePart[], { offset, bytes }: ImagePart): number {
  const isStock = parts.length === 1 && offset === 0 && bytes[0] === IMAGE_MAGIC &&
    bytes[BOOTLOADER_OFFSET] !== IMAGE_MAGIC;
  return isStock ? BOOTLOADER_OFFSET : 0;
}

/** Where the partition table says that file systems begin. */
function* fileSystems(flash: Uint8Array): Generator<number> {
  const view = new DataView(flash.buffer, flash.byteOffset, flash.byteLength);
  const end = Math.min(flash.length, TABLE_OFFSET + TABLE_BYTES) - ENTRY_BYTES;
  for (let at = TABLE_OFFSET; at <= end; at += ENTRY_BYTES) {
    if (flash[at] !== 0xaa || flash[at + 1] !== 0x50) return;
    const isFileSystem = flash[at + 2] === DATA_TYPE && fileSystemSubtypes.includes(flash[at + 3] as number);
    if (isFileSystem) yield view.getUint32(at + 4, true);
  }
}
