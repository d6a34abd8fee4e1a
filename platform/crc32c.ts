/**
 * CRC-32C (Castagnoli; RFC 3720, appendix B.4), the checksum of Kafka's record batches: eight bytes a step by tables
 * ("slicing by eight", M. Kounavis, F. Berry, 2005).
 */
const POLYNOMIAL = 0x82f63b78;

/** Eight tables of 256 in one: table k says what a byte does k places before the end of a step. */
const tables = (() => {
  const all = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    all[byte] = crc;
  }
  for (let i = 256; i < all.length; i++) {
    const before = all[i - 256]!;
    all[i] = (before >>> 8) ^ all[before & 0xff]!;
  }
  return all;
})();

/** The checksum of `bytes[start, end)`, 0 … 2^32 − 1. */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let crc = -1;
  let at = start;
  for (const last = end - 8; at <= last; at += 8) {
    crc = tables[1792 + ((crc ^ bytes[at]!) & 0xff)]! ^
      tables[1536 + (((crc >>> 8) ^ bytes[at + 1]!) & 0xff)]! ^
      tables[1280 + (((crc >>> 16) ^ bytes[at + 2]!) & 0xff)]! ^
      tables[1024 + ((crc >>> 24) ^ bytes[at + 3]!)]! ^
      tables[768 + bytes[at + 4]!]! ^
      tables[512 + bytes[at + 5]!]! ^
      tables[256 + bytes[at + 6]!]! ^
      tables[bytes[at + 7]!]!;
  }
  for (; at < end; at++) crc = tables[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
  return (crc ^ -1) >>> 0;
}
