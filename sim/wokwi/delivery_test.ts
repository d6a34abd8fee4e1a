/** The ways in which Wokwi users deliver MicroPython programs, and what is none. */
import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { boardFiles } from "./board_files.ts";
import { readFlashImage } from "./flash_image.ts";
import { isRefusal } from "./refusal.ts";
import { bytesOf, Talk } from "./testing/talk.ts";
import { Uploads } from "./uploads.ts";

const SECOND = 1e9;
const MIB = 1024 * 1024;
const littlefs = new Uint8Array(
  gunzipSync(Deno.readFileSync(new URL("./testing/littlefs.bin.gz", import.meta.url))),
);
const ascii = (text: string) => new TextEncoder().encode(text);

/** A program's image as far as it is looked at: its first byte, and the word that tells what it is. */
function stockFirmware(length = 4_096): Uint8Array {
  const image = new Uint8Array(length).fill(0xff);
  image[0] = 0xe9;
  image.set(ascii("MicroPython v1.27.0 on 2025-12-10; Generic ESP32 module"), 1_024);
  return image;
}

/** A whole flash of 4 MiB: nothing, the stock firmware at 0x1000, files at 0x200000. */
function flashImage(fileSystemAt = 2 * MIB): Uint8Array {
  const flash = new Uint8Array(fileSystemAt + littlefs.length).fill(0xff);
  flash.set(stockFirmware(), 0x1000);
  flash.set(littlefs, fileSystemAt);
  return flash;
}

/** An entry of ESP-IDF's partition table: a file system of type `subtype` at `offset`. */
function partition(subtype: number, offset: number): Uint8Array {
  const entry = new Uint8Array(32);
  entry.set([0xaa, 0x50, 1, subtype]);
  new DataView(entry.buffer).setUint32(4, offset, true);
  entry.set(ascii("vfs"), 12);
  return entry;
}

const base64 = (bytes: Uint8Array) => {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8_192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  }
  return btoa(text);
};

/** What the board prints in a second after `start`. */
async function printed(
  files: Readonly<Record<string, Uint8Array>>,
  start: Record<string, unknown>,
  beside: Readonly<Record<string, string>> = {},
): Promise<string> {
  const project = new Map(Object.entries(beside).map(([name, text]) => [name, ascii(text)]));
  await using talk = new Talk({ files: project });
  for (const [name, bytes] of Object.entries(files)) {
    await talk.done("file:upload", { name, binary: base64(bytes) });
  }
  await talk.done("serial-monitor:listen");
  await talk.done("sim:start", { ...start, pause: true });
  await talk.resume(SECOND);
  return talk.serial();
}

Deno.test("main.py alone: the project's own modules lie beside it; wokwi-cli calls it firmware.py", async () => {
  const main = ascii("import helper\nprint(helper.TEXT)");
  const beside = { "helper.py": "TEXT = 'of the project'", "main.py": "print('not this one')" };
  assert.match(await printed({ "main.py": main }, { firmware: "main.py" }, beside), /^of the project\r\n/);
  assert.match(
    await printed({ "firmware.py": main }, { firmware: "firmware.py", elf: "firmware.py" }, beside),
    /^of the project\r\n/,
  );
});

Deno.test("a set of files: what was uploaded outweighs the project's, and the firmware may go unnamed", async () => {
  const files = {
    "main.py": ascii("import helper\nprint(helper.TEXT)"),
    "helper.py": ascii("TEXT = 'uploaded'"),
  };
  const beside = { "helper.py": "TEXT = 'of the project'" };
  assert.match(await printed(files, { firmware: "main.py" }, beside), /^uploaded\r\n/);
  assert.match(await printed(files, {}, beside), /^uploaded\r\n/);
});

Deno.test("the diagram, chips, an elf and an SD card's files don't lie on the board", () => {
  const uploads = new Uploads();
  for (
    const name of [
      "main.py",
      "diagram.json",
      "a.chip.json",
      "a.chip.wasm",
      "main.elf",
      "sdcard/x.txt",
      "data.txt",
    ]
  ) {
    uploads.put(name, { text: "x", binary: null });
  }
  const files = boardFiles(uploads, { firmware: "main.py", elf: "main.elf" }, new Map());
  assert.ok(!isRefusal(files));
  assert.deepEqual([...files.keys()], ["/data.txt", "/main.py"]);
});

Deno.test("a flash image with a littlefs: its main.py runs, with what lies beside it there", async () => {
  const greeting = /^hello from littlefs\r\n/;
  const flash = flashImage();
  assert.match(await printed({ "flash.bin": flash }, { firmware: "flash.bin", elf: "flash.bin" }), greeting);
  const other = ascii("print('uploaded beside it')");
  const files = { "flash.bin": flash, "main.py": other };
  assert.match(await printed(files, { firmware: "flash.bin" }), /^uploaded beside it\r\n/);
});

Deno.test("a file system is found where the partition table says, and at MicroPython's usual place", () => {
  const found = (parts: { offset: number; bytes: Uint8Array }[]) => {
    const files = readFlashImage(parts, "flash.bin");
    return isRefusal(files) ? files.message : files.has("/main.py");
  };
  assert.equal(found([{ offset: 0, bytes: flashImage() }]), true);
  const moved = flashImage(0x250000);
  assert.equal(found([{ offset: 0, bytes: moved }]), false);
  moved.set(partition(0x81, 0x250000), 0x8000);
  assert.equal(found([{ offset: 0, bytes: moved }]), true);
  moved.set(partition(0x02, 0x250000), 0x8000);
  assert.equal(found([{ offset: 0, bytes: moved }]), false);
  moved.set(partition(0x83, 0x250000), 0x8020);
  assert.equal(found([{ offset: 0, bytes: moved }]), true);
  // In sections, as ESP-IDF's tools have it.
  const sections = [{ offset: 0x1000, bytes: stockFirmware() }, { offset: 2 * MIB, bytes: littlefs }];
  assert.equal(found(sections), true);
  // A stock image that begins at 0x1000, with its file system behind it.
  assert.equal(found([{ offset: 0, bytes: flashImage().slice(0x1000) }]), true);
});

Deno.test("sections are started by their list", async () => {
  const start = {
    firmware: [{ offset: 0x1000, file: "boot.bin" }, { offset: 2 * MIB, file: "vfs.bin" }],
    flashSize: "4MB",
  };
  assert.match(
    await printed({ "boot.bin": stockFirmware(), "vfs.bin": littlefs }, start),
    /^hello from littlefs\r\n/,
  );
});

Deno.test("MicroPython's own .bin comes up at the prompt, and takes a program over the raw REPL", async () => {
  await using talk = new Talk({ files: new Map([["main.py", ascii("print('not this one')")]]) });
  await talk.done("file:upload", { name: "ESP32_GENERIC.bin", binary: base64(stockFirmware()) });
  await talk.done("serial-monitor:listen");
  await talk.done("sim:start", { firmware: "ESP32_GENERIC.bin", elf: "ESP32_GENERIC.bin" });
  const until = async (text: string) => {
    await talk.done("pause-point:add", { id: text, type: "serial-bytes", bytes: bytesOf(text) });
    await talk.resume();
  };
  await talk.done("sim:pause");
  if (!talk.serial().endsWith(">>> ")) await until(">>> ");
  assert.match(talk.serial(), /^\r\nMicroPython v1.27.0 [^]*>>> $/);
  const type = (text: string) => talk.done("serial-monitor:write", { bytes: bytesOf(text) });
  await type("\x01");
  await until("raw REPL; CTRL-B to exit\r\n>");
  // As over RFC2217: every byte a write of its own.
  for (const char of "print(6 * 7)\x04") await type(char);
  await until("OK42\r\n\x04\x04>");
  await type("\x02");
  await until(">>> ");
});

Deno.test("what can't run here is refused with a sentence that says what can", () => {
  const refused = (name: string, bytes: Uint8Array, others: Readonly<Record<string, string>> = {}) => {
    const uploads = new Uploads();
    uploads.put(name, { text: null, binary: base64(bytes) });
    for (const [other, text] of Object.entries(others)) uploads.put(other, { text, binary: null });
    const files = boardFiles(uploads, { firmware: name, elf: null }, new Map());
    return isRefusal(files) ? `${files.code} ${files.message}` : "runs";
  };
  const arduino = new Uint8Array(4_096).fill(0xe9);
  assert.match(refused("sketch.bin", arduino), /^501 .*neither MicroPython nor a littlefs/);
  assert.match(refused("empty.bin", new Uint8Array()), /^400 empty.bin is empty; upload main.py, /);
  assert.match(refused("huge.bin", new Uint8Array(17 * MIB)), /^413 .*at most 16777216 bytes of flash/);
  assert.match(
    refused("main.py", ascii(""), { "lib": "a file", "lib/x.py": "x" }),
    /^400 \/lib is a file, so \/lib\/x.py/,
  );
  assert.match(refused("main.py", ascii(""), { "tmp/x": "x" }), /^400 a board can't have a file \/tmp\/x/);
  assert.match(refused("main.py", new Uint8Array(2 * MIB)), /^413 .*has 2097152/);
  const damaged = flashImage();
  damaged.fill(0, 2 * MIB + 40, 2 * MIB + 4_096);
  damaged.fill(0, 2 * MIB + 4_096, 2 * MIB + 8_192);
  assert.match(refused("flash.bin", damaged), /^400 the littlefs in the flash image is damaged/);
  assert.equal(refused("main.py", ascii(""), { "../../etc/x": "stays inside" }), "runs");
});

Deno.test("uploads have bounds: for one, for all together, for their number", () => {
  const uploads = new Uploads({ fileBytesMax: 10, bytesMax: 25, filesMax: 3 });
  const put = (name: string, text: string) => uploads.put(name, { text, binary: null })?.message ?? "taken";
  assert.equal(put("a", "x".repeat(10)), "taken");
  assert.match(put("b", "x".repeat(11)), /b is larger than .* MiB, the most for one file/);
  assert.match(uploads.put("b", { text: null, binary: "A".repeat(20) })?.message ?? "", /b is larger than/);
  assert.equal(put("b", "é".repeat(5)), "taken");
  assert.match(put("c", "x".repeat(6)), /with c, the files are larger than .* together/);
  assert.equal(put("c", "x".repeat(5)), "taken");
  assert.match(put("d", ""), /3 files already/);
  assert.equal(put("a", ""), "taken");
  assert.equal(put("c", "x".repeat(10)), "taken");
});
