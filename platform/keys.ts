/**
 * Keys of ingest. A key is `iso_NAME_SECRET`; only the SHA-256 of the whole is kept, and compared in constant time. The
 * secret has 160 random bits, so a plain hash is enough: there is no dictionary to try, and no salt or slow hash could
 * add anything but time at every request.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { Random } from "../core/ports/random.ts";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"; // RFC 4648, base 32
const SECRET_LENGTH = 32;

/** A new key for a person to keep; `name` tells keys apart in trace and lists. */
export function newKey(name: string, random: Random): string {
  let secret = "";
  for (let i = 0; i < SECRET_LENGTH; i++) secret += ALPHABET[random.uint32() >>> 27];
  return `iso_${name}_${secret}`;
}

/** SHA-256 of a key. */
export function hashOf(key: string): Uint8Array {
  return createHash("sha256").update(key, "utf8").digest();
}

/** What ingest takes as its authority when there is one key that may write everything. */
export function singleKey(
  key: string,
): { check(secret: string | null): { key: string; allows(device: string): boolean } | null } {
  const expected = hashOf(key);
  const grant = { key: "", allows: () => true };
  return {
    check: (secret) => timingSafeEqual(hashOf(secret ?? ""), expected) && secret !== null ? grant : null,
  };
}
