import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { isLittlefs, readLittlefs } from "./littlefs.ts";
import { isRefusal } from "./refusal.ts";

const BLOCK_BYTES = 4096;
/** Written by the real implementation: `testing/make_littlefs.py`. */
const image = new Uint8Array(
  gunzipSync(Deno.readFileSync(new URL("./testing/littlefs.bin.gz", import.meta.url))),
);

const ascii = (text: string) => new TextEncoder().encode(text);
const pattern = (size: number) => Uint8Array.from({ length: size }, (_, i) => i * 7 + Math.floor(i / 251));

/** What `make_littlefs.py` leaves behind. */
function expected(): Map<string, Uint8Array> {
  const sizes = [1, 64, 255, 256, 4095, 4096, 4097, 8187, 8188, 8189, 12276, 65536, 200001];
  const files = new Map<string, Uint8Array>([
    ["/main.py", ascii("import greeting\ngreeting.hello('littlefs')\n")],
    ["/empty", ascii("")],
    ...sizes.map((size) => [`/size_${size}`, pattern(size)] as const),
    ["/size_1000", new Uint8Array([...pattern(1000), ...ascii("and more")])],
    ["/lib/deep/deeper/leaf.txt", ascii("leaf")],
    ["/lib/greeting.py", ascii("def hello(name):\n    print('hello from', name)\n")],
    ["/lib/moved.txt", ascii("7")],
    ["/rewritten", ascii("short now")],
  ]);
  for (let i = 0; i < 200; i++) {
    if (i === 7 || i % 3 === 0) continue;
    files.set(`/many/file_${String(i).padStart(3, "0")}_with_a_long_name.txt`, ascii(String(i)));
  }
  return files;
}

Deno.test("every file of an image by the real littlefs is read, byte for byte, and none that was removed", () => {
  assert.ok(isLittlefs(image, 0));
  const read = readLittlefs(image, 0);
  assert.ok(!isRefusal(read));
  assert.deepEqual([...read.keys()].sort(), [...expected().keys()].sort());
  for (const [path, content] of expected()) {
    assert.ok(content.every((byte, index) => read.get(path)?.[index] === byte), path);
    assert.equal(read.get(path)?.length, content.length, path);
  }
});

Deno.test("the older block of a pair serves when the newer one was cut short by the power", () => {
  const torn = image.slice();
  const revision = (block: number) => new DataView(torn.buffer).getUint32(block * BLOCK_BYTES, true);
  const newer = revision(0) > revision(1) ? 0 : 1;
  torn.fill(0xff, newer * BLOCK_BYTES + 40, (newer + 1) * BLOCK_BYTES);
  const read = readLittlefs(torn, 0);
  assert.ok(!isRefusal(read) && read.size > 0);
});

Deno.test("no magic, another version, an impossible block size: a sentence", () => {
  const changed = (offset: number, value: number) => {
    const copy = image.slice();
    new DataView(copy.buffer).setUint32(offset, value, true);
    return readLittlefs(copy, 0);
  };
  const cases: [string, unknown, RegExp][] = [
    ["no magic", readLittlefs(new Uint8Array(BLOCK_BYTES), 0), /no superblock/],
    ["cut off", readLittlefs(image.slice(0, 20), 0), /no superblock/],
    ["version 1", changed(20, 0x00010007), /version 1\.7, read are 2\.0 and 2\.1/],
    ["version 2.2", changed(20, 0x00020002), /version 2\.2/],
    ["block size", changed(24, 100), /a block of 100 bytes is impossible/],
    ["cut in half", readLittlefs(image.slice(0, BLOCK_BYTES), 0), /lies outside/],
  ];
  for (const [what, read, sentence] of cases) {
    assert.ok(isRefusal(read), what);
    assert.equal(read.code, 400);
    assert.match(read.message, sentence, what);
  }
});

Deno.test("whatever bytes are damaged, reading ends with files or with a sentence", () => {
  const used = 120 * BLOCK_BYTES;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(used), fc.nat(255)), { minLength: 1, maxLength: 40 }),
      fc.nat(7),
      (changes, fold) => {
        const damaged = image.slice(0, 512 * BLOCK_BYTES);
        // Folded together near the start, where the directories lie, more of the changes matter.
        for (const [at, byte] of changes) damaged[at >> fold] = byte;
        const read = readLittlefs(damaged, 0);
        assert.ok(isRefusal(read) ? read.message.length > 0 : read.size >= 0);
      },
    ),
    { numRuns: 60 },
  );
});
