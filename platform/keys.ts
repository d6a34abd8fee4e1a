/**
 * The cryptography of ingest's keys. A key is `iso_NAME_SECRET`; only the SHA-256 of the whole is kept. The secret has
 * 160 random bits, so a plain hash is enough: there is no dictionary to try, and neither salt nor a slow hash would add
 * anything but time at every request.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { Random } from "../core/ports/random.ts";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"; // RFC 4648, base 32: 5 bits a letter
const SECRET_LENGTH = 32;

/** A new key for a person to keep; `name` tells keys apart in trace and lists. */
export function newKey(name: string, random: Random): string {
  let secret = "";
  for (let i = 0; i < SECRET_LENGTH; i++) secret += ALPHABET[random.uint32() >>> 27];
  return `iso_${name}_${secret}`;
}

/** How ingest compares keys: by hash, in constant time. */
export const keyHashing = {
  hashOf: (key: string): Uint8Array => createHash("sha256").update(key, "utf8").digest(),
  isSame: (a: Uint8Array, b: Uint8Array): boolean => timingSafeEqual(a, b),
} as const;
