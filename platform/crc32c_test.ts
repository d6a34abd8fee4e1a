import assert from "node:assert/strict";
import { crc32c } from "./crc32c.ts";

Deno.test("CRC-32C is that of RFC 3720, appendix B.4", () => {
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c);
});

Deno.test("every length and every place gives the same as a byte at a time", () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 167 + 13) & 0xff);
  const plainly = (start: number, end: number) => {
    let crc = 0xffffffff;
    for (let at = start; at < end; at++) {
      crc ^= bytes[at]!;
      for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    }
    return (crc ^ 0xffffffff) >>> 0;
  };
  for (let length = 0; length < 40; length++) {
    for (let start = 0; start < 20; start++) {
      assert.equal(crc32c(bytes, start, start + length), plainly(start, start + length));
    }
  }
  assert.equal(crc32c(bytes), plainly(0, 300));
});
