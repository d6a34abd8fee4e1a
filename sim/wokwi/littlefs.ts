/**
 * Reads littlefs 2, the file system in which MicroPython keeps its files on an ESP32 (littlefs' SPEC.md, version 2.1).
 *
 * A directory is a pair of blocks, of which the newer one counts. A block is a log: a revision, then commits of tags, each
 * tag xored with the one before, each commit ended by a CRC; what comes after the last good commit was never written.
 * Tags give entries their names and contents by number; creating and deleting one moves the numbers behind it. Small files
 * lie in the log itself, others in a list of blocks that is read from its end.
 *
 * Only reading: what is damaged is refused, and a rename that a power cut has left half done shows both names.
 */
import { type Refusal, refusal } from "./refusal.ts";

/** Path, with its leading slash, to content. */
export type ReadFiles = ReadonlyMap<string, Uint8Array>;

/** Type fields of tags, SPEC.md "Metadata tags". */
const tagType = {
  file: 0x001,
  folder: 0x002,
  superblock: 0x0ff,
  dirStruct: 0x200,
  inlineStruct: 0x201,
  ctzStruct: 0x202,
  create: 0x401,
  delete: 0x4ff,
  softTail: 0x600,
  hardTail: 0x601,
} as const;
/** Types 0x500 to 0x57f end a commit. */
const isCrc = (type: number) => (type & 0x780) === 0x500;
const DELETED_LENGTH = 0x3ff;
const ALL_ONES = 0xffffffff;
const NO_BLOCK = 0xffffffff;
const MAGIC = "littlefs";
/** Where the magic lies in the first block of the superblock: after the revision and two tags. */
const MAGIC_OFFSET = 8;
/** The largest on-disk version that is known: 2.1. */
const VERSION_MAX = 0x00020001;

const BLOCK_BYTES_MIN = 128;
const BLOCK_BYTES_MAX = 1 << 20;
const FILES_MAX = 10_000;
const FILE_BYTES_MAX = 16 * 1024 * 1024;

/** Something in the image contradicts the format. */
class Damaged extends Error {
  override name = "Damaged";
}

interface Entry {
  name: string;
  type: number;
  struct: { readonly type: number; readonly data: Uint8Array } | null;
}

interface Pair {
  readonly entries: readonly Entry[];
  readonly tail: { readonly isHard: boolean; readonly blocks: readonly [number, number] } | null;
}

/** True if a littlefs 2 begins at `offset`. */
export function isLittlefs(image: Uint8Array, offset: number): boolean {
  const at = offset + MAGIC_OFFSET;
  return new TextDecoder().decode(image.subarray(at, at + MAGIC.length)) === MAGIC;
}

/** The files of the littlefs that begins at `offset` in `image`, or why it can't be read. */
export function readLittlefs(image: Uint8Array, offset: number): ReadFiles | Refusal {
  try {
    return new Reader(image.subarray(offset)).files();
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    return refusal(400, `the littlefs in the flash image is damaged: ${error.message}`);
  }
}

class Reader {
  readonly #image: Uint8Array;
  readonly #view: DataView;
  readonly #blockBytes: number;
  readonly #files = new Map<string, Uint8Array>();
  readonly #seen = new Set<string>();
  #totalBytes = 0;

  constructor(image: Uint8Array) {
    this.#image = image;
    this.#view = new DataView(image.buffer, image.byteOffset, image.byteLength);
    this.#blockBytes = blockBytesOf(image, this.#view);
  }

  files(): ReadFiles {
    this.#folder(this.#root(), "");
    return this.#files;
  }

  /** The last pair of the superblock's chain that holds a superblock is the root. */
  #root(): readonly [number, number] {
    let root: readonly [number, number] = [0, 1];
    const seen = new Set<string>();
    for (let blocks: readonly [number, number] | null = root; blocks !== null;) {
      if (seen.has(String(blocks))) throw new Damaged("its directories form a circle");
      seen.add(String(blocks));
      const { entries, tail }: Pair = this.#pair(blocks);
      if (!entries.some(({ type }) => type === tagType.superblock)) break;
      root = blocks;
      blocks = tail?.blocks ?? null;
    }
    return root;
  }

  #folder(first: readonly [number, number], path: string): void {
    for (let blocks: readonly [number, number] | null = first; blocks !== null;) {
      if (this.#seen.has(String(blocks))) throw new Damaged("its directories form a circle");
      this.#seen.add(String(blocks));
      const { entries, tail }: Pair = this.#pair(blocks);
      for (const entry of entries) this.#entry(entry, path);
      blocks = tail?.isHard === true ? tail.blocks : null;
    }
  }

  #entry({ name, type, struct }: Entry, folder: string): void {
    const path = `${folder}/${name}`;
    if (type === tagType.folder && struct?.type === tagType.dirStruct) {
      return this.#folder(pairOf(struct.data), path);
    }
    if (type !== tagType.file) return;
    const content = struct?.type === tagType.inlineStruct
      ? struct.data.slice()
      : struct?.type === tagType.ctzStruct
      ? this.#blocks(struct.data)
      : new Uint8Array();
    this.#totalBytes += content.length;
    if (this.#files.size >= FILES_MAX || this.#totalBytes > FILE_BYTES_MAX) {
      throw new Damaged(`it holds more than ${FILES_MAX} files or ${FILE_BYTES_MAX} bytes`);
    }
    this.#files.set(path, content);
  }

  /** A file in blocks: block n begins with pointers to the blocks n − 1, n − 2, n − 4 … that 2^x divides n. */
  #blocks(struct: Uint8Array): Uint8Array {
    if (struct.length < 8) throw new Damaged("a file has no place");
    const [head, size] = pairOf(struct);
    if (size > this.#image.length) throw new Damaged("a file is larger than the image");
    const content = new Uint8Array(size);
    const starts = [0];
    for (let end = this.#room(0); end < size; end += this.#room(starts.length - 1)) starts.push(end);
    let block = head;
    for (let index = starts.length - 1; index >= 0; index--) {
      const at = this.#offsetOf(block);
      const pointers = this.#blockBytes - this.#room(index);
      const start = starts[index] as number;
      const length = Math.min(this.#room(index), size - start);
      content.set(this.#image.subarray(at + pointers, at + pointers + length), start);
      if (index > 0) block = this.#view.getUint32(at, true);
    }
    return content;
  }

  /** Bytes of a file in its block `index`. */
  #room(index: number): number {
    if (index === 0) return this.#blockBytes;
    const trailingZeros = 31 - Math.clz32(index & -index);
    return this.#blockBytes - 4 * (trailingZeros + 1);
  }

  #offsetOf(block: number): number {
    const at = block * this.#blockBytes;
    if (at + this.#blockBytes > this.#image.length) throw new Damaged(`block ${block} lies outside`);
    return at;
  }

  #pair([first, second]: readonly [number, number]): Pair {
    const logs = [first, second].map((block) => this.#log(block)).filter((log) => log !== null);
    const [one, other] = logs;
    if (one === undefined) throw new Damaged(`neither of the blocks ${first} and ${second} holds a commit`);
    // Revisions count in a circle.
    const isOtherNewer = other !== undefined && ((other.revision - one.revision) | 0) > 0;
    return isOtherNewer ? other : one;
  }

  /** What the good commits of a block leave; null if there is none. */
  #log(block: number): (Pair & { readonly revision: number }) | null {
    const start = this.#offsetOf(block);
    const end = start + this.#blockBytes;
    const state = new PairState();
    let good: Pair | null = null;
    let crc = crcOf(this.#image.subarray(start, start + 4), ALL_ONES);
    let before = ALL_ONES;
    for (let at = start + 4; at + 4 <= end;) {
      const tag = (this.#view.getUint32(at, false) ^ before) >>> 0;
      if ((tag & 0x80000000) !== 0) break;
      const type = (tag >>> 20) & 0x7ff;
      const length = tag & 0x3ff;
      const size = length === DELETED_LENGTH ? 0 : length;
      if (at + 4 + size > end) break;
      crc = crcOf(this.#image.subarray(at, at + 4), crc);
      const data = this.#image.subarray(at + 4, at + 4 + size);
      if (isCrc(type)) {
        if (size < 4 || this.#view.getUint32(at + 4, true) !== crc) break;
        good = state.snapshot();
        crc = ALL_ONES;
        before = (tag ^ ((type & 1) << 31)) >>> 0;
      } else {
        crc = crcOf(data, crc);
        state.apply(type, (tag >>> 10) & 0x3ff, data);
        before = tag;
      }
      at += 4 + size;
    }
    return good === null ? null : { ...good, revision: this.#view.getUint32(start, true) };
  }
}

/** The entries of a directory while its log is read. */
class PairState {
  readonly #entries: Entry[] = [];
  #tail: Pair["tail"] = null;

  apply(type: number, id: number, data: Uint8Array): void {
    if (type === tagType.create) return void this.#entries.splice(id, 0, emptyEntry());
    if (type === tagType.delete) return void this.#entries.splice(id, 1);
    if (type === tagType.softTail || type === tagType.hardTail) {
      const blocks = pairOf(data);
      this.#tail = blocks[0] === NO_BLOCK ? null : { isHard: type === tagType.hardTail, blocks };
      return;
    }
    const isName = type === tagType.file || type === tagType.folder || type === tagType.superblock;
    const isStruct = type === tagType.dirStruct || type === tagType.inlineStruct ||
      type === tagType.ctzStruct;
    if (!isName && !isStruct) return;
    const entry = this.#entries[id] ??= emptyEntry();
    if (isStruct) entry.struct = { type, data };
    else [entry.type, entry.name] = [type, new TextDecoder().decode(data)];
  }

  snapshot(): Pair {
    return {
      entries: this.#entries.filter((entry) => entry !== undefined).map((entry) => ({ ...entry })),
      tail: this.#tail,
    };
  }
}

const emptyEntry = (): Entry => ({ name: "", type: 0, struct: null });

function pairOf(data: Uint8Array): readonly [number, number] {
  if (data.length < 8) throw new Damaged("a pair of blocks is cut short");
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return [view.getUint32(0, true), view.getUint32(4, true)];
}

/** The superblock tells the size of a block; it lies right behind the magic, in the first commit of block 0 or 1. */
function blockBytesOf(image: Uint8Array, view: DataView): number {
  const at = MAGIC_OFFSET + 4 + MAGIC.length + 4;
  if (!isLittlefs(image, 0) || image.length < at + 8) throw new Damaged("there is no superblock");
  const version = view.getUint32(at - 4, true);
  const blockBytes = view.getUint32(at, true);
  if (version >>> 16 !== VERSION_MAX >>> 16 || version > VERSION_MAX) {
    throw new Damaged(`it is version ${version >>> 16}.${version & 0xffff}, read are 2.0 and 2.1`);
  }
  const isPossible = blockBytes >= BLOCK_BYTES_MIN && blockBytes <= BLOCK_BYTES_MAX && blockBytes % 8 === 0;
  if (!isPossible) throw new Damaged(`a block of ${blockBytes} bytes is impossible`);
  return blockBytes;
}

/** CRC-32 with the polynomial 0x04c11db7, reflected, without a final inversion. */
function crcOf(bytes: Uint8Array, crc: number): number {
  let value = crc;
  for (const byte of bytes) value = (crcTable[(value ^ byte) & 0xff] as number) ^ (value >>> 8);
  return value >>> 0;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value & 1) !== 0 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});
